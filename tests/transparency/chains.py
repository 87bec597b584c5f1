"""Scenes of LangChain: whatever runs, run in every way there is, in every way it can end."""

from __future__ import annotations

import asyncio
import copy
import gc
import itertools
import pickle
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langchain_core import callbacks
from langchain_core.callbacks import CallbackManager
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import BaseTool, tool
from langchain_core.tracers.context import collect_runs

from transparency.links import SAY, SUBJECTS, SUM, See, Watcher, message_text
from transparency.look import fingerprint, method_of, plain, value_of
from transparency.see import araised, elsewhere, note, raised, ticking

__all__ = ["SCENES", "WAYS", "See"]

SCENES: dict[str, Callable[[See], Any]] = {}
"""All scenes by name."""


def _told(value: Any) -> Any:
    """A result as the program gets it."""
    if isinstance(value, BaseMessage | LLMResult):
        return value_of(value)
    if isinstance(value, list | tuple):
        return [type(value).__name__, [_told(each) for each in value]]
    if isinstance(value, dict):
        return [type(value).__name__, {str(name): _told(each) for name, each in value.items()}]
    if isinstance(value, BaseException):
        return type(value).__qualname__, plain(value)
    return type(value).__qualname__, plain(repr(value))


def _item(see: See, part: Any) -> Any:
    note(see, type(part).__name__)
    return type(part).__qualname__, plain(repr(part))


# --- all ways of running, ended well ---


def _items(parts: Any, see: See) -> Any:
    return [_item(see, part) for part in parts]


async def _aitems(parts: Any, see: See) -> Any:
    return [_item(see, part) async for part in parts]


async def _given(value: Any) -> Any:
    yield value


_ONE: dict[str, Any] = {"max_concurrency": 1}  # so that the order is the same twice
WAYS: dict[str, Callable[[Any, Any, See], Any]] = {
    "invoke": lambda what, given, see: _told(what.invoke(given)),
    "batch": lambda what, given, see: _told(what.batch([given], _ONE)),
    "batch_as_completed": lambda what, given, see: _told(list(what.batch_as_completed([given], _ONE))),
    "stream": lambda what, given, see: _items(what.stream(given), see),
    "transform": lambda what, given, see: _items(what.transform(iter([given])), see),
    "stream_events": lambda what, given, see: _items(what.stream_events(given, version="v3"), see),
}
ASYNC_WAYS: dict[str, Callable[[Any, Any, See], Awaitable[Any]]] = {
    "ainvoke": lambda what, given, see: _awaited(what.ainvoke(given)),
    "abatch": lambda what, given, see: _awaited(what.abatch([given], _ONE)),
    "abatch_as_completed": lambda what, given, see: _aitems(what.abatch_as_completed([given], _ONE), see),
    "astream": lambda what, given, see: _aitems(what.astream(given), see),
    "atransform": lambda what, given, see: _aitems(what.atransform(_given(given)), see),
    "astream_log": lambda what, given, see: _aitems(what.astream_log(given), see),
    "astream_events": lambda what, given, see: _aitems(what.astream_events(given, version="v2"), see),
    "astream_events v1": lambda what, given, see: _aitems(what.astream_events(given, version="v1"), see),
}
OF_MODELS: dict[str, Callable[[Any, Any, See], Any]] = {
    "generate": lambda what, given, see: _told(what.generate([_messages(given)] * 2)),
    "generate_prompt": lambda what, given, see: _told(what.generate_prompt([_prompt(given)])),
}
ASYNC_OF_MODELS: dict[str, Callable[[Any, Any, See], Awaitable[Any]]] = {
    "agenerate": lambda what, given, see: _awaited(what.agenerate([_messages(given)])),
    "agenerate_prompt": lambda what, given, see: _awaited(what.agenerate_prompt([_prompt(given)])),
}
OF_TOOLS: dict[str, Callable[[Any, Any, See], Any]] = {
    "run": lambda what, given, see: _told(what.run(given)),
}
ASYNC_OF_TOOLS: dict[str, Callable[[Any, Any, See], Awaitable[Any]]] = {
    "arun": lambda what, given, see: _awaited(what.arun(given)),
}


async def _awaited(pending: Awaitable[Any]) -> Any:
    return type(pending).__name__, _told(await pending)


def _prompt(given: Any) -> Any:
    from langchain_core.prompts import ChatPromptTemplate

    return ChatPromptTemplate.from_messages(given).invoke({})


def _messages(given: Any) -> Any:
    return _prompt(given).to_messages()


def _run(see: See, subject: str, server: str, way: Callable[[Any, Any, See], Any]) -> Any:
    with see.closing():
        return way(*SUBJECTS[subject](see, server, None), see)


def _arun(see: See, subject: str, server: str, way: Any) -> Any:
    async def main() -> Any:
        async with see.aclosing():
            return await way(*SUBJECTS[subject](see, server, None), see)

    return asyncio.run(ticking(see, main()))


def _add(name: str, run: Any, subject: str, server: str, way: Any) -> None:
    SCENES[name] = _kept(name, lambda see: run(see, subject, server, way))


def _kept(name: str, play: Callable[[See], Any]) -> Callable[[See], Any]:
    """LangChain reads for events and logs in another task, as fast as the line gives: keep the rest."""
    if not re.search("stream_events|astream_log", name):
        return play

    def kept(see: See) -> Any:
        try:
            return play(see)
        finally:
            see.tape[:] = [
                step for step in see.tape if not step.startswith(("read", "waiting", "did", "closed"))
            ]

    return kept


_SERVED = ("chat model", "chain", "completion model", "graph")
_FAULTS = (
    ("refused with 429", "error"),
    ("no JSON", "garbage"),
    ("no connection", "nobody"),
)
_SIDES = ((_run, WAYS), (_arun, ASYNC_WAYS))
for _side, _ways in _SIDES:
    for _subject, (_name, _way) in itertools.product(SUBJECTS, _ways.items()):
        if hasattr(Runnable, _name.partition(" ")[0]):
            _add(f"{_subject}: {_name}", _side, _subject, "plain", _way)
    for _subject, _name, (_what, _server) in itertools.product(_SERVED, _ways, _FAULTS):
        if hasattr(Runnable, _name.partition(" ")[0]):
            _add(f"{_subject}: {_name}, {_what}", _side, _subject, _server, _ways[_name])
    for _subject, _name in itertools.product(("chat model", "chain"), _ways):
        if hasattr(Runnable, _name.partition(" ")[0]):
            _add(f"{_subject}: {_name}, time-out", _side, _subject, "silent", _ways[_name])
for _name, _way in OF_MODELS.items():
    _add(f"chat model: {_name}", _run, "chat model", "plain", _way)
    _add(f"chat model: {_name}, refused with 429", _run, "chat model", "error", _way)
for _name, _away in ASYNC_OF_MODELS.items():
    _add(f"chat model: {_name}", _arun, "chat model", "plain", _away)
    _add(f"chat model: {_name}, refused with 429", _arun, "chat model", "error", _away)
for _name, _way in OF_TOOLS.items():
    _add(f"tool: {_name}", _run, "tool", "plain", _way)
for _name, _away in ASYNC_OF_TOOLS.items():
    _add(f"tool: {_name}", _arun, "tool", "plain", _away)

# --- streams in every way they can end ---

STREAMED = ("chat model", "chain", "graph", "generator", "fake model", "function")


def _step_by_step(parts: Any, see: See) -> Any:
    found = []
    for part in parts:
        see.did("step")
        found.append(_item(see, part))
    return found, [raised(lambda: next(parts)) for _ in range(2)]


def _left(parts: Any, see: See) -> Any:
    for part in parts:
        see.tape.append(f"left at {_item(see, part)[0]}")
        break
    gc.collect()
    see.tape.append("resumed")
    return _items(parts, see)


def _closed(parts: Any, see: See) -> Any:
    return _item(see, next(parts)), parts.close(), raised(lambda: next(parts)), raised(parts.close)


def _dropped(parts: Any, see: See) -> Any:
    next(parts)
    del parts
    gc.collect()
    see.tape.append("dropped")


def _thrown(parts: Any, see: See) -> Any:
    next(parts)
    return raised(lambda: parts.throw(LookupError("thrown in"))), _items(parts, see)


def _elsewhere(parts: Any, see: See) -> Any:
    return elsewhere(lambda: _items(parts, see))


def _closed_elsewhere(parts: Any, see: See) -> Any:
    first = _item(see, next(parts))
    elsewhere(parts.close)
    return first, raised(lambda: next(parts))


def _a_thread_a_step(parts: Any, see: See) -> Any:
    found = []
    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            found.append(raised(lambda: _item(see, pool.submit(next, parts).result())))
    parts.close()
    return found


_USES: dict[str, tuple[str, Callable[[Any, See], Any]]] = {
    "as it comes": ("plain", lambda parts, see: (type(parts).__name__, list(see.tape), parts.close())),
    "step by step": ("plain", _step_by_step),
    "never read": ("plain", lambda parts, see: None),
    "left and resumed": ("plain", _left),
    "closed": ("plain", _closed),
    "dropped": ("plain", _dropped),
    "exception thrown in": ("plain", _thrown),
    "in another thread": ("plain", _elsewhere),
    "closed in another thread": ("plain", _closed_elsewhere),
    "a thread a step": ("plain", _a_thread_a_step),
    "connection breaks": ("cut", _items),
    "stalls": ("stall", _items),
}


async def _astep_by_step(parts: Any, see: See) -> Any:
    found = [_item(see, part) async for part in parts]
    return found, [await araised(lambda: anext(parts)) for _ in range(2)]


async def _aleft(parts: Any, see: See) -> Any:
    async for part in parts:
        see.tape.append(f"left at {_item(see, part)[0]}")
        break
    gc.collect()
    await asyncio.sleep(0)
    see.tape.append("resumed")
    return await _aitems(parts, see)


async def _aclosed(parts: Any, see: See) -> Any:
    first = _item(see, await anext(parts))
    return first, await parts.aclose(), await araised(lambda: anext(parts))


async def _adropped(parts: Any, see: See) -> Any:
    await anext(parts)
    del parts
    gc.collect()
    await asyncio.sleep(0.01)
    see.tape.append("dropped")


async def _athrown(parts: Any, see: See) -> Any:
    await anext(parts)
    return await araised(lambda: parts.athrow(LookupError("thrown in"))), await _aitems(parts, see)


async def _atask_a_step(parts: Any, see: See) -> Any:
    async def step() -> Any:
        return _item(see, await anext(parts))

    found = [await araised(lambda: asyncio.create_task(step())) for _ in range(2)]
    await parts.aclose()
    return found


async def _aclosed_elsewhere(parts: Any, see: See) -> Any:
    first = _item(see, await anext(parts))
    await asyncio.create_task(parts.aclose())
    return first, await araised(lambda: anext(parts))


async def _acomes(parts: Any, see: See) -> Any:
    return type(parts).__name__, list(see.tape), await parts.aclose()


async def _anever(parts: Any, see: See) -> Any:
    return None


_ASYNC_USES: dict[str, tuple[str, Callable[[Any, See], Awaitable[Any]]]] = {
    "as it comes": ("plain", _acomes),
    "step by step": ("plain", _astep_by_step),
    "never read": ("plain", _anever),
    "left and resumed": ("plain", _aleft),
    "closed": ("plain", _aclosed),
    "dropped": ("plain", _adropped),
    "exception thrown in": ("plain", _athrown),
    "a task a step": ("plain", _atask_a_step),
    "closed in another task": ("plain", _aclosed_elsewhere),
    "connection breaks": ("cut", _aitems),
    "stalls": ("stall", _aitems),
}


def _used(use: Any, way: str) -> Any:
    return lambda what, given, see: use(getattr(what, way)(given), see)


def _used_events(use: Any) -> Any:
    return lambda what, given, see: use(what.astream_events(given, version="v2"), see)


for _subject in STREAMED:
    for _what, (_server, _use) in _USES.items():
        if _server == "plain" or _subject in _SERVED:
            _add(f"{_subject}: stream, {_what}", _run, _subject, _server, _used(_use, "stream"))
    for _what, (_server, _ause) in _ASYNC_USES.items():
        if _server == "plain" or _subject in _SERVED:
            _add(f"{_subject}: astream, {_what}", _arun, _subject, _server, _used(_ause, "astream"))
            _add(f"{_subject}: astream_events, {_what}", _arun, _subject, _server, _used_events(_ause))

# --- what another task does to one that waits ---


async def _one(what: Any, given: Any, see: See) -> Any:
    return _told(await what.ainvoke(given))


_WAITING: dict[str, tuple[str, str, Any]] = {
    "ainvoke": ("silent", "sent POST", _one),
    "astream": ("plain", "waiting", _used(_aitems, "astream")),
    "astream_events": ("plain", "waiting", _used_events(_aitems)),
}


def _waiting(see: See, subject: str, way: str, act: str) -> Any:
    server, sign, run = _WAITING[way]

    async def main() -> Any:
        gate = asyncio.Event()
        async with see.aclosing():
            what, given = SUBJECTS[subject](see, server, gate)
            task = asyncio.create_task(run(what, given, see))
            while sign not in see.tape and not task.done():
                await asyncio.sleep(0.001)
            if server == "silent":
                await asyncio.sleep(0.05)  # until it is connected, too
            if act == "cancelled":
                task.cancel()
                return await araised(lambda: task)
            if act == "timed out":
                return await araised(lambda: asyncio.wait_for(task, 0.01))
            gate.set()
            return await araised(lambda: task)

    return asyncio.run(ticking(see, main()))


for _subject, _way_, _act in itertools.product(
    ("chat model", "chain"), _WAITING, ("cancelled", "timed out", "let on")
):
    if (_way_, _act) == ("ainvoke", "let on"):
        continue  # by a server that is silent
    _name = f"{_subject}: {_way_}, {_act} while waiting"
    SCENES[_name] = _kept(_name, lambda see, s=_subject, w=_way_, a=_act: _waiting(see, s, w, a))  # type: ignore[misc]

# --- bodies that fail, and what the program does with what it hands over ---


def scene(name: str) -> Callable[[Callable[[See], Any]], Callable[[See], Any]]:
    """Add a scene."""

    def add(function: Callable[[See], Any]) -> Callable[[See], Any]:
        SCENES[name] = function
        return function

    return add


class _Stop(BaseException):
    """Ends a program."""


@tool
def _broken(query: str) -> str:
    """Fails."""
    raise LookupError(query)


class _Burnt(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
        raise LookupError(query)


def _failing(error: type[BaseException]) -> Any:
    def fail(given: Any) -> Any:
        raise error("the program's own")

    return RunnableLambda(fail, name="fail") | RunnableLambda(str)


_TWICE: dict[str, Any] = {"stop_after_attempt": 2, "wait_exponential_jitter": False}
_FAILING: dict[str, tuple[Any, Any]] = {
    "function": (_failing(LookupError), 1),
    "function that stops the program": (_failing(_Stop), 1),
    "function that is interrupted": (_failing(KeyboardInterrupt), 1),
    "tool": (_broken, "q"),
    "tool with wrong arguments": (_broken, {"no": 1}),
    "retriever": (_Burnt(), "q"),
    "function with retries": (
        _failing(LookupError).with_retry(stop_after_attempt=2, wait_exponential_jitter=False),
        1,
    ),
    "function with a fallback": (_failing(LookupError).with_fallbacks([RunnableLambda(str)]), 1),
}
for _subject, (_runnable, _input) in _FAILING.items():
    for _name in ("invoke", "batch", "stream"):
        SCENES[f"failing {_subject}: {_name}"] = lambda see, w=WAYS[_name], r=_runnable, i=_input: w(
            r, i, see
        )  # type: ignore[misc]
    for _name in ("ainvoke", "abatch", "astream", "astream_events"):
        SCENES[f"failing {_subject}: {_name}"] = (  # type: ignore[assignment]
            lambda see, w=ASYNC_WAYS[_name], r=_runnable, i=_input: asyncio.run(ticking(see, w(r, i, see)))
        )


@scene("arguments: what was handed over")
def _arguments(see: See) -> Any:
    config: dict[str, Any] = {
        "tags": ["mine"],
        "metadata": {"a": [1], "thread_id": "t"},
        "callbacks": [Watcher(see)],
        "configurable": {"c": {"d": 1}},
        "run_name": "named",
    }
    seen: list[Any] = []

    def look(given: Any, config: Any) -> Any:
        seen.append(
            (given is inputs, sorted(config), config["metadata"] == {"a": [1], "thread_id": "t", "c": 1})
        )
        return given

    inputs = {"deep": {"list": [1, 2, {"x": object()}]}}
    before = fingerprint([inputs, config])
    returned = RunnableLambda(look).invoke(inputs, config)  # type: ignore[arg-type]
    return returned is inputs, seen, fingerprint([inputs, config]) == before


@scene("arguments: messages")
def _messages_passed(see: See) -> Any:
    messages = _messages(SUM)
    before, dumps = fingerprint([messages]), [message.model_dump() for message in messages]
    with see.closing():
        see.chat().invoke(messages)
    return before == fingerprint([messages]), dumps == [message.model_dump() for message in messages]


@scene("arguments: a tool that gives back what it was given")
def _identity(see: See) -> Any:
    thing = object()

    @tool(response_format="content_and_artifact")
    def fetch(name: str) -> Any:
        """Fetch it."""
        return "text", thing

    called = fetch.invoke({"type": "tool_call", "id": "1", "name": "fetch", "args": {"name": "x"}})
    return called.artifact is thing, plain(called)


def _handlers(manager: Any) -> list[str]:
    return [type(each).__name__ for each in manager.handlers]


@scene("handlers: what a body finds")
def _inside(see: See) -> Any:
    def look(_: Any, config: Any) -> Any:
        return _handlers(config["callbacks"]), config["callbacks"].tags, plain(config["callbacks"].metadata)

    return RunnableLambda(look).invoke(1, {"callbacks": [Watcher(see)], "tags": ["t"]})


@scene("handlers: what a manager is made of")
def _manager(see: See) -> Any:
    manager = CallbackManager.configure([Watcher(see)], None, verbose=False)
    copied = manager.copy()
    return _handlers(manager), _handlers(copied), copy.copy(manager).handlers == manager.handlers


for _subject, _name in itertools.product(SUBJECTS, ("invoke", "ainvoke", "stream", "astream")):
    if _subject != "agent":
        SCENES[f"handlers: watched, {_subject}, {_name}"] = (  # type: ignore[assignment]
            lambda see, s=_subject, n=_name: _watched(see, s, n)
        )


def _watched(see: See, subject: str, name: str) -> Any:
    async def main() -> Any:
        async with see.aclosing():
            what, given = SUBJECTS[subject](see, "plain", None)
            config = {"callbacks": [Watcher(see)], "metadata": {"m": 1}, "tags": ["t"]}
            if name.startswith("a"):
                run = getattr(what, name)(given, config)
                return await _aitems(run, see) if name == "astream" else _told(await run)
            run = getattr(what, name)(given, config)
            return _items(run, see) if name == "stream" else _told(run)

    return asyncio.run(ticking(see, main()))


@scene("handlers: watched, failing")
def _watched_failing(see: See) -> Any:
    with see.closing():
        failing = [*_FAILING.values(), (see.chat("error"), SUM)]
        return [raised(lambda: what.invoke(given, {"callbacks": [Watcher(see)]})) for what, given in failing]  # noqa: B023


@scene("handlers: watched, chat model, events")
def _watched_events(see: See) -> Any:
    if not hasattr(Runnable, "stream_events"):
        return "not in this version"
    with see.closing():
        return _items(see.chat().stream_events(SUM, {"callbacks": [Watcher(see)]}, version="v3"), see)


for _raises in ("start", "end", "error"):
    for _subject in ("chain", "tool", "retriever", "function"):
        SCENES[f"handlers: one that raises at the {_raises}, {_subject}"] = (  # type: ignore[assignment]
            lambda see, s=_subject, r=_raises: _raising(see, s, r)
        )


def _raising(see: See, subject: str, raises: str) -> Any:
    with see.closing():
        what, given = SUBJECTS[subject](see, "plain" if raises != "error" else "error", None)
        return raised(lambda: what.invoke(given, {"callbacks": [Watcher(see, raises)]}))


@scene("handlers: runs collected")
def _collected(see: See) -> Any:
    with see.closing(), collect_runs() as kept:
        what, given = SUBJECTS["chain"](see, "plain", None)
        what.invoke(given)
    return [(run.name, run.run_type, [child.name for child in run.child_runs]) for run in kept.traced_runs]


@scene("handlers: usage counted by LangChain")
def _counted(see: See) -> Any:
    if not hasattr(callbacks, "get_usage_metadata_callback"):
        return "not in this version"
    with see.closing(), callbacks.get_usage_metadata_callback() as counted:
        what, given = SUBJECTS["chat model"](see, "plain", None)
        what.invoke(given)
    return plain(counted.usage_metadata)


@scene("a model with tools")
def _with_tools(see: See) -> Any:
    @tool
    def add_numbers(a: float, b: float) -> float:
        """Add two numbers together."""
        return a + b

    with see.closing():
        answer = see.chat(model="gpt-4o-mini").bind_tools([add_numbers]).invoke("Add 5 and 7")
        return _told(answer), [plain(add_numbers.invoke(call)) for call in answer.tool_calls]


@scene("pickled and copied")
def _pickled(see: See) -> Any:
    chain = RunnableLambda(message_text) | RunnableLambda(str)
    return chain.invoke(1), copy.deepcopy(chain).invoke(2), pickle.loads(pickle.dumps(chain)).invoke(3)


@scene("methods: looked at")
def _looked_at(see: See) -> Any:
    kinds = (Runnable, RunnableLambda, BaseChatModel, BaseTool, BaseRetriever, CallbackManager)
    names = {
        *WAYS,
        "ainvoke",
        "abatch",
        "astream",
        "atransform",
        "on_chain_start",
        "configure",
        "generate",
        "run",
    }
    return {
        f"{kind.__name__}.{name}": method_of(getattr(kind, name))
        for kind in kinds
        for name in sorted(names)
        if hasattr(kind, name)
    }


# --- many at once ---


@scene("many threads")
def _threads(see: See) -> Any:
    with see.closing():
        chain, given = SUBJECTS["chain"](see, "plain", None)
        model = see.chat(model="gpt-4")

        def work(number: int) -> Any:
            if number % 2:
                return _told(chain.invoke(given))
            return [message_text(part) for part in model.stream(SAY)]

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(work, range(12)))
        found += chain.batch([given] * 6)
    see.tape.clear()
    return found


@scene("many tasks")
def _tasks(see: See) -> Any:
    async def main() -> Any:
        async with see.aclosing():
            chain, given = SUBJECTS["chain"](see, "plain", None)
            model = see.chat(model="gpt-4")

            async def work(number: int) -> Any:
                if number % 2:
                    return _told(await chain.ainvoke(given))
                return [message_text(part) async for part in model.astream(SAY)]

            found = await asyncio.gather(*map(work, range(12)))
            return [*found, *await chain.abatch([given] * 6)]

    found = asyncio.run(ticking(see, main()))
    see.tape.clear()
    return found
