"""Scenes that every program plays: all methods, plain and streamed, in every way they can end.

A scene gets a `See`, makes calls, and returns what it saw as plain data. Scenes whose names begin alike
are made from the same function and one line of a table.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import itertools
import json
import operator
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

import transparency.see
from transparency.layer import arrived
from transparency.line import async_http, httpx, sync_http
from transparency.look import descriptors, plain, stream_of, value_of
from transparency.see import araised, note, raised, ticking

__all__ = ["METHODS", "SCENES", "STREAMS", "Method", "See", "owner_of"]


class See(transparency.see.See):
    """What a scene works with; it can make clients."""

    def client(self, server: str = "plain", kind: str = "OpenAI", **options: Any) -> Any:
        """A client of one of the servers; close it."""
        return getattr(openai, kind)(**self._options(server, kind, options, sync_http))

    def async_client(
        self,
        server: str = "plain",
        kind: str = "AsyncOpenAI",
        gate: asyncio.Event | None = None,
        **options: Any,
    ) -> Any:
        """The same, async."""
        make = lambda tape, proxy=None: async_http(tape, proxy, gate)  # noqa: E731 - a partial in another order
        return getattr(openai, kind)(**self._options(server, kind, options, make))

    def _options(self, server: str, kind: str, options: dict[str, Any], make: Any) -> dict[str, Any]:
        url = self.servers[server]
        proxied = server == "openai"
        where: dict[str, Any] = {"base_url": "http://api.openai.com/v1" if proxied else f"{url}/v1"}
        if "Azure" in kind:
            where = {"azure_endpoint": url, "api_version": "2024-02-01"}
        return {
            "api_key": "test-key",
            "max_retries": 0,
            "default_headers": {"x-scene": self.name},
            "http_client": make(self.tape.append, url if proxied else None),
            **where,
            **options,
        }


Scene = Callable[[See], Any]
SCENES: dict[str, Scene] = {}
"""All scenes by name."""


class Poem(BaseModel):
    """What one recorded answer is parsed into."""

    poem: str = ""


class Person(BaseModel):
    """What another is."""

    name: str = ""
    age: int = 0


@dataclass(frozen=True)
class Method:
    """One method of the SDK.

    Attributes:
        path: From the client.
        arguments: Of a call that a recording answers.
        stream: What is added for a stream; None if it has none.
        kind: Class of the client.
    """

    path: str
    arguments: dict[str, Any]
    stream: dict[str, Any] | None = None
    kind: str = "OpenAI"
    label: str = field(default="")

    @property
    def name(self) -> str:
        """For the names of scenes."""
        return self.label or self.path

    @property
    def exists(self) -> bool:
        """Whether this version of the SDK has it."""
        with openai.OpenAI(api_key="k") as client:
            try:
                operator.attrgetter(self.path)(client)
            except AttributeError:
                return False
        return True

    def of(self, client: Any, view: str = "") -> Callable[..., Any]:
        """The bound method, or the same in one of the raw views."""
        resource, _, name = self.path.rpartition(".")
        found = operator.attrgetter(f"{resource}.{view}" if view else resource)(client)
        return getattr(found, name)


_SAY = [{"role": "user", "content": "Say this is a test"}]
_JOKE = "Tell me a joke about opentelemetry"
_POEM = [
    {
        "role": "system",
        "content": "You are a poetic assistant, skilled in explaining complex programming concepts"
        " with creative flair.",
    },
    {
        "role": "user",
        "content": "Compose a poem that explains the concept of recursion in programming.",
    },
]
_STREAMED = {"stream": True}
_CHAT = Method(
    "chat.completions.create",
    {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": _JOKE}]},
    {"model": "gpt-4", "messages": _SAY, "stream": True, "stream_options": {"include_usage": True}},
)
_RESPONSES = Method(
    "responses.create",
    {"model": "gpt-4o-mini", "input": "Count to 5.", "instructions": "You are a helpful assistant."},
    {
        "model": "gpt-4.1-nano",
        "input": "Tell me a three sentence bedtime story about a unicorn.",
        "instructions": openai.NOT_GIVEN,
        "stream": True,
    },
)
_AZURE = Method(
    "chat.completions.create",
    {"model": "openllmetry-testing", "messages": [{"role": "user", "content": _JOKE}]},
    _STREAMED,
    "AzureOpenAI",
    "azure.chat.create",
)
_RETRIEVED = "resp_08bcd983e14520af0069e2f3ee9f748191af5a1d2b897cdbfe"
_EVERY = (
    _CHAT,
    _AZURE,
    Method("chat.completions.parse", {"model": "gpt-4o", "messages": _POEM, "response_format": Poem}),
    Method("beta.chat.completions.parse", {"model": "gpt-4o", "messages": _POEM, "response_format": Poem}),
    _RESPONSES,
    Method(
        "responses.parse",
        {"model": "gpt-4.1-nano", "input": "Extract: Bob is 42 years old.", "text_format": Person},
    ),
    Method("responses.retrieve", {"response_id": _RETRIEVED}),
    Method("completions.create", {"model": "davinci-002", "prompt": _JOKE}, _STREAMED),
    Method("embeddings.create", {"model": "text-embedding-ada-002", "input": _JOKE}),
)
METHODS = tuple(method for method in _EVERY if method.exists)
STREAMS = tuple(method for method in METHODS if method.stream is not None)


def scene(name: str) -> Callable[[Scene], Scene]:
    """Add a scene."""

    def add(function: Scene) -> Scene:
        SCENES[name] = function
        return function

    return add


# --- plain calls ---


def _call(method: Method, see: See, server: str = "plain", view: str = "", **options: Any) -> Any:
    with see.client(server, method.kind, **options) as client:
        answer = method.of(client, view)(**method.arguments)
        return value_of(answer) if not view else _raw(answer)


def _call_async(method: Method, see: See, server: str = "plain", view: str = "", **options: Any) -> Any:
    async def main() -> Any:
        async with see.async_client(server, f"Async{method.kind}", **options) as client:
            pending = method.of(client, view)(**method.arguments)
            awaited = {
                "awaitable": type(pending).__name__,
                "coroutine": asyncio.iscoroutine(pending),
                "before": list(see.tape),
            }
            answer = await pending
            return awaited, value_of(answer) if not view else _raw(answer)

    return asyncio.run(ticking(see, main()))


def _raw(raw: Any) -> dict[str, Any]:
    """A raw answer, and what it parses into."""
    told = {
        "raw": value_of(raw),
        "status": raw.status_code,
        "headers": plain(sorted(raw.headers.items())),
        "request": plain((raw.method, raw.url, raw.http_request.method)),
        "consumed": raw.http_response.is_stream_consumed,
        "closed": raw.is_closed,
        "id": raw.request_id,
        "text": raw.text,
        "content": len(raw.content),
        "version": raw.http_version,
        "elapsed": type(raw.elapsed).__name__,
        "retries": raw.retries_taken,
    }
    parsed = raw.parse()
    as_json = raw.parse(to=dict)
    return {**told, "parsed": value_of(parsed), "again": raw.parse() is parsed, "dict": str(as_json)}


def _wrong(method: Method, see: See, arguments: dict[str, Any], *places: Any) -> Any:
    with see.client(kind=method.kind) as client:
        return method.of(client)(*places, **arguments)


def _wrong_async(method: Method, see: See, arguments: dict[str, Any], *places: Any) -> Any:
    async def main() -> Any:
        async with see.async_client(kind=f"Async{method.kind}") as client:
            pending = method.of(client)(*places, **arguments)
            see.tape.append("called")
            return await pending

    return asyncio.run(main())


_FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("ok", "plain", {}),
    ("refused with 429", "error", {}),
    ("no JSON", "garbage", {}),
    ("no connection", "nobody", {}),
    ("time-out", "silent", {"timeout": httpx.Timeout(30, read=0.1)}),
)
_PLAIN = (("", _call), ("async ", _call_async))

for _method, (_kind, _run), (_what, _server, _options) in itertools.product(METHODS, _PLAIN, _FAULTS):
    SCENES[f"{_kind}{_method.name}: {_what}"] = lambda see, m=_method, r=_run, s=_server, o=_options: r(  # type: ignore[misc]
        m, see, s, **o
    )
for _method, (_kind, _run), _what in itertools.product(METHODS, _PLAIN, ("plain", "error")):
    SCENES[f"{_kind}{_method.name}: raw, {_what}"] = lambda see, m=_method, r=_run, s=_what: r(  # type: ignore[misc]
        m, see, s, "with_raw_response"
    )
for _method, (_kind, _bad) in itertools.product(METHODS, (("", _wrong), ("async ", _wrong_async))):
    SCENES[f"{_kind}{_method.name}: no arguments"] = lambda see, m=_method, b=_bad: b(m, see, {})  # type: ignore[misc]
    SCENES[f"{_kind}{_method.name}: unknown argument"] = lambda see, m=_method, b=_bad: b(  # type: ignore[misc]
        m, see, {**m.arguments, "no_such": 1}
    )
    SCENES[f"{_kind}{_method.name}: too many places"] = lambda see, m=_method, b=_bad: b(m, see, {}, 1, 2, 3)  # type: ignore[misc]


@scene("chat.completions.create: retried")
def _retried(see: See) -> Any:
    return _call(_CHAT, see, "flaky", max_retries=2)


@scene("async chat.completions.create: retried")
def _retried_async(see: See) -> Any:
    return _call_async(_CHAT, see, "flaky too", max_retries=2)


class _Messages(list[Any]):
    """A list of the program's own."""


def _fingerprint(value: Any) -> Any:
    """Identities and content of what was passed in."""
    if isinstance(value, dict):
        return {key: (id(item), _fingerprint(item)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [(id(item), _fingerprint(item)) for item in value]
    return repr(value)


def _everything(method: Method, stream: bool) -> dict[str, Any]:
    """Every argument there is, of kinds that the program chose."""
    given = {**method.arguments, **((method.stream or {}) if stream else {})}
    copied = {
        name: value if isinstance(value, type) else copy.deepcopy(value) for name, value in given.items()
    }
    arguments = {
        **copied,
        "extra_headers": {"x-mine": "1"},
        "extra_query": {"q": "1"},
        "extra_body": {"metadata": {"a": [1, 2]}} if method.path != "responses.retrieve" else None,
        "timeout": httpx.Timeout(30),
    }
    for name in ("messages", "input"):
        if isinstance(arguments.get(name), list):
            arguments[name] = _Messages(arguments[name])
    return arguments


def _told(arguments: dict[str, Any], before: Any, kept: dict[str, Any]) -> Any:
    """What became of the arguments: here, and at the program's own layer below, where it has one."""
    same = all(arguments[name] is value for name, value in kept.items())
    return {
        "same": same and _fingerprint(arguments) == before,
        "content": plain(arguments),
        "arrived": arrived(kept),
    }


def _arguments(method: Method, see: See, stream: bool = False) -> Any:
    arguments = _everything(method, stream)
    before, kept = _fingerprint(arguments), dict(arguments)
    with see.client(kind=method.kind) as client:
        answer = method.of(client)(**arguments)
        if stream:
            list(answer)
    return _told(arguments, before, kept)


def _arguments_async(method: Method, see: See, stream: bool = False) -> Any:
    async def main() -> Any:
        arguments = _everything(method, stream)
        before, kept = _fingerprint(arguments), dict(arguments)
        async with see.async_client(kind=f"Async{method.kind}") as client:
            answer = await method.of(client)(**arguments)
            if stream:
                [_ async for _ in answer]
        return _told(arguments, before, kept)

    return asyncio.run(ticking(see, main()))


for _method, (_kind, _hand) in itertools.product(METHODS, (("", _arguments), ("async ", _arguments_async))):
    SCENES[f"{_kind}{_method.name}: its arguments"] = lambda see, m=_method, h=_hand: h(m, see)  # type: ignore[misc]
    if _method.stream:
        SCENES[f"{_kind}{_method.name}: its arguments, of a stream"] = (  # type: ignore[assignment]
            lambda see, m=_method, h=_hand: h(m, see, True)
        )


@scene("chat.completions.create: messages from a generator")
def _generator(see: See) -> Any:
    def messages() -> Iterator[Any]:
        for message in _CHAT.arguments["messages"]:
            see.tape.append("message taken")
            yield message

    with see.client() as client:
        return value_of(client.chat.completions.create(model="gpt-3.5-turbo", messages=messages()))


@scene("chat.completions.create: arguments that cannot be sent")
def _unsendable(see: See) -> Any:
    with see.client() as client:
        return client.chat.completions.create(
            model="gpt-3.5-turbo", messages=[{"role": "user", "content": object()}]
        )


@scene("chat.completions.create: a client that is closed")
def _closed_client(see: See) -> Any:
    client = see.client()
    client.close()
    return client.chat.completions.create(**_CHAT.arguments)


@scene("async first call on a warm loop")
def _warm(see: See) -> Any:
    """Everything of the SDK was used before: what stands still now is the call, or whoever came with it."""

    async def main() -> Any:
        async with see.async_client() as client:
            for _ in range(3):
                await araised(lambda: client.post("/chat/completions", cast_to=dict, body=_CHAT.arguments))
            await araised(
                lambda: client.post("/chat/completions", cast_to=ChatCompletion, body=_CHAT.arguments)
            )

            async def call() -> Any:
                return _shape(await client.chat.completions.create(**_CHAT.arguments))

            see.stall_s = 0.0
            return await ticking(see, call())

    return asyncio.run(main())


@scene("async chat.completions.create: never awaited")
def _never_awaited(see: See) -> Any:
    async def main() -> None:
        async with see.async_client() as client:
            client.chat.completions.create(**_CHAT.arguments)
            gc.collect()
            await asyncio.sleep(0)

    return asyncio.run(main())


@scene("async chat.completions.create: never awaited, in a cycle")
def _never_awaited_in_a_cycle(see: See) -> Any:
    async def main() -> None:
        async with see.async_client() as client:
            cycle: list[Any] = [client.chat.completions.create(**_CHAT.arguments)]
            cycle.append(cycle)
            del cycle
            gc.collect()
            await asyncio.sleep(0)

    return asyncio.run(main())


# --- streaming raw answers ---


def _whole(raw: Any, see: See) -> Any:
    return len(raw.read()), raw.is_closed


def _parse(raw: Any, see: See) -> Any:
    parsed = raw.parse()
    if not hasattr(parsed, "response"):
        return value_of(parsed), raw.parse() is parsed
    seen = stream_of(parsed)
    same = raw.parse() is parsed
    return seen, same, _items(parsed, see)


_RAW: dict[str, Callable[[Any, See], Any]] = {
    "read": _whole,
    "read twice": lambda raw, see: (_whole(raw, see), _whole(raw, see)),
    "json": lambda raw, see: str(raw.json()),
    "text": lambda raw, see: raw.text(),
    "bytes": lambda raw, see: [note(see, len(piece)) for piece in raw.iter_bytes()],
    "bytes of a size": lambda raw, see: [len(piece) for piece in raw.iter_bytes(chunk_size=100)],
    "texts": lambda raw, see: [note(see, piece) for piece in raw.iter_text()],
    "lines": lambda raw, see: [note(see, line) for line in raw.iter_lines()],
    "some lines": lambda raw, see: [note(see, line) for line in itertools.islice(raw.iter_lines(), 2)],
    "parse": _parse,
    "nothing": lambda raw, see: value_of(raw),
    "close": lambda raw, see: (raw.close(), raw.is_closed),
    "facts": lambda raw, see: (raw.status_code, plain(raw.url), raw.method, raw.http_response.is_closed),
}
_RAW_METHODS = tuple(method for method in METHODS if method.path != "beta.chat.completions.parse")


def _streaming_raw(method: Method, see: See, look: Callable[[Any, See], Any], stream: bool) -> Any:
    arguments = {**method.arguments, **((method.stream or {}) if stream else {})}
    with see.client(kind=method.kind) as client:
        manager = method.of(client, "with_streaming_response")(**arguments)
        see.tape.append(f"made {type(manager).__name__}")
        with manager as raw:
            return look(raw, see)


for _method, (_what, _look) in itertools.product(_RAW_METHODS, _RAW.items()):
    for _stream in (False, True) if _method.stream else (False,):
        SCENES[f"{_method.name}: streaming raw{' of a stream' if _stream else ''}, {_what}"] = (  # type: ignore[assignment]
            lambda see, m=_method, look=_look, s=_stream: _streaming_raw(m, see, look, s)
        )


async def _alist(see: See, pieces: Any) -> list[Any]:
    return [note(see, piece) async for piece in pieces]


async def _aparse(raw: Any, see: See) -> Any:
    parsed = await raw.parse()
    if not hasattr(parsed, "response"):
        return value_of(parsed)
    return stream_of(parsed), await _aitems(parsed, see)


async def _aread(raw: Any, see: See) -> Any:
    return len(await raw.read())


async def _ajson(raw: Any, see: See) -> Any:
    return str(await raw.json())


async def _aclose(raw: Any, see: See) -> Any:
    return await raw.close(), raw.is_closed


async def _aunread(raw: Any, see: See) -> Any:
    return value_of(raw)


_RAW_ASYNC: dict[str, Callable[[Any, See], Awaitable[Any]]] = {
    "read": _aread,
    "json": _ajson,
    "lines": lambda raw, see: _alist(see, raw.iter_lines()),
    "bytes": lambda raw, see: _alist(see, raw.iter_bytes()),
    "texts": lambda raw, see: _alist(see, raw.iter_text()),
    "parse": _aparse,
    "close": _aclose,
    "nothing": _aunread,
}


def _streaming_raw_async(method: Method, see: See, look: Any, stream: bool) -> Any:
    arguments = {**method.arguments, **((method.stream or {}) if stream else {})}

    async def main() -> Any:
        async with (
            see.async_client(kind=f"Async{method.kind}") as client,
            method.of(client, "with_streaming_response")(**arguments) as raw,
        ):
            return await look(raw, see)

    return asyncio.run(ticking(see, main()))


for _method, (_what, _alook) in itertools.product(_RAW_METHODS, _RAW_ASYNC.items()):
    for _stream in (False, True) if _method.stream else (False,):
        SCENES[f"async {_method.name}: streaming raw{' of a stream' if _stream else ''}, {_what}"] = (  # type: ignore[assignment]
            lambda see, m=_method, look=_alook, s=_stream: _streaming_raw_async(m, see, look, s)
        )


# --- streams ---


def _item(see: See, part: Any) -> Any:
    """One part as the program gets it."""
    text = part.to_json(indent=None, warnings=False) if hasattr(part, "to_json") else repr(part)
    see.tape.append(f"got {type(part).__name__}")
    unset = sorted(getattr(part, "model_fields_set", ()))
    return type(part).__qualname__, text, unset, getattr(part, "usage", None) is None


def _items(stream: Any, see: See, most: int | None = None) -> list[Any]:
    return [_item(see, part) for part in itertools.islice(stream, most)]


def _nexts(stream: Any, see: See) -> Any:
    items = []
    with contextlib.suppress(StopIteration):
        while True:
            items.append(_item(see, next(stream)))
    ended = [raised(lambda: next(stream)) for _ in range(2)]
    return items, ended


def _left(stream: Any, see: See) -> Any:
    for part in stream:
        see.tape.append(f"left at {_item(see, part)[0]}")
        break
    gc.collect()
    see.tape.append("resumed")
    return _items(stream, see, 2), next(stream).id if hasattr(stream, "id") else None, _items(stream, see)


def _left_for_good(stream: Any, see: See) -> Any:
    for _ in stream:
        break
    gc.collect()
    return stream.response.is_closed


def _closed(stream: Any, see: See) -> Any:
    first = _item(see, next(stream))
    returned = stream.close()
    state = stream.response.is_closed
    return first, returned, state, raised(lambda: _items(stream, see)), raised(stream.close)


def _block(stream: Any, see: See) -> Any:
    with stream as entered:
        first = entered is stream, _items(entered, see, 1)
    return first, stream.response.is_closed


def _block_raises(stream: Any, see: See) -> Any:
    with stream as entered:
        next(entered)
        raise LookupError("the program's own")


def _dropped(stream: Any, see: See) -> Any:
    response = stream.response
    next(stream)
    del stream
    gc.collect()
    see.tape.append("dropped")
    return response.is_closed


def _response_closed(stream: Any, see: See) -> Any:
    next(stream)
    stream.response.close()
    return stream.response.is_closed, raised(lambda: _items(stream, see))


def _elsewhere(stream: Any, see: See) -> Any:
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(_items(stream, see)))
    reader.start()
    reader.join()
    return found


def _thrown(stream: Any, see: See) -> Any:
    steps = iter(stream)
    next(steps)
    thrown = raised(lambda: steps.throw(LookupError("thrown in")))
    return thrown, _items(steps, see, 1), _items(stream, see, 1)


def _two_loops(stream: Any, see: See) -> Any:
    one, two = iter(stream), iter(stream)
    return [_item(see, next(one)), _item(see, next(two)), _item(see, next(stream))], one is two


def _attributes(stream: Any, see: See) -> Any:
    """Setting, deleting and finding attributes; another response in place of the first."""
    stream.mine = 1
    told = [stream.mine, "mine" in vars(stream), hasattr(stream, "mine")]
    del stream.mine
    told += [hasattr(stream, "mine"), raised(lambda: stream.no_such_attribute)]
    stream.response = stream.response
    return told, _items(stream, see)


def _wrapped(stream: Any, see: See) -> Any:
    def gen() -> Iterator[Any]:
        yield from stream

    return [_item(see, part) for part in gen()]


_USES: dict[str, tuple[str, Callable[[Any, See], Any]]] = {
    "as it comes": ("plain", lambda stream, see: stream_of(stream)),
    "full": ("plain", _items),
    "step by step": ("plain", _nexts),
    "read twice": ("plain", lambda stream, see: (_items(stream, see), _items(stream, see))),
    "left and resumed": ("plain", _left),
    "left": ("plain", _left_for_good),
    "closed": ("plain", _closed),
    "closed unread": ("plain", lambda stream, see: (stream.close(), stream.response.is_closed)),
    "in a block": ("plain", _block),
    "block that raises": ("plain", _block_raises),
    "dropped": ("plain", _dropped),
    "response closed": ("plain", _response_closed),
    "in another thread": ("plain", _elsewhere),
    "exception thrown in": ("plain", _thrown),
    "two loops": ("plain", _two_loops),
    "attributes": ("plain", _attributes),
    "in a generator": ("plain", _wrapped),
    "connection breaks": ("cut", _items),
    "breaks step by step": ("cut", lambda stream, see: [raised(lambda: next(stream)) for _ in range(6)]),
    "stalls": ("stall", _items),
    "refused with 429": ("error", _items),
}


def _stream(method: Method, see: See, server: str, use: Callable[[Any, See], Any]) -> Any:
    options = {"timeout": httpx.Timeout(30, read=0.5)} if server == "stall" else {}
    with see.client(server, method.kind, **options) as client:
        return use(method.of(client)(**{**method.arguments, **(method.stream or {})}), see)


for _method, (_what, (_server, _use)) in itertools.product(STREAMS, _USES.items()):
    if _server == "stall" and _method is not _CHAT:
        continue  # waiting for a time-out takes its time
    SCENES[f"{_method.name}: stream, {_what}"] = lambda see, m=_method, s=_server, u=_use: _stream(  # type: ignore[misc]
        m, see, s, u
    )


def _raw_stream(method: Method, see: See) -> Any:
    with see.client(kind=method.kind) as client:
        raw = method.of(client, "with_raw_response")(**{**method.arguments, **(method.stream or {})})
        before = value_of(raw), raw.is_closed, raw.status_code, raw.request_id
        stream = raw.parse()
        return before, stream_of(stream), stream is raw.parse(), _items(stream, see), value_of(raw)


def _raw_stream_unparsed(method: Method, see: See) -> Any:
    with see.client(kind=method.kind) as client:
        raw = method.of(client, "with_raw_response")(**{**method.arguments, **(method.stream or {})})
        lines = [note(see, line) for line in raw.http_response.iter_lines()]
        return lines, raw.text


for _method in STREAMS:
    SCENES[f"{_method.name}: raw stream"] = lambda see, m=_method: _raw_stream(m, see)  # type: ignore[misc]
    SCENES[f"{_method.name}: raw stream, not parsed"] = lambda see, m=_method: _raw_stream_unparsed(m, see)  # type: ignore[misc]


# --- async streams ---


async def _aitems(stream: Any, see: See, most: int | None = None) -> list[Any]:
    items: list[Any] = []
    async for part in stream:
        items.append(_item(see, part))
        if len(items) == most:
            break
    return items


async def _acomes(stream: Any, see: See) -> Any:
    return stream_of(stream)


async def _anexts(stream: Any, see: See) -> Any:
    items = []
    with contextlib.suppress(StopAsyncIteration):
        while True:
            items.append(_item(see, await anext(stream)))
    return items, [await araised(lambda: anext(stream)) for _ in range(2)]


async def _atwice(stream: Any, see: See) -> Any:
    return await _aitems(stream, see), await _aitems(stream, see)


async def _aleft(stream: Any, see: See) -> Any:
    first = await _aitems(stream, see, 1)
    gc.collect()
    await asyncio.sleep(0)
    see.tape.append("resumed")
    return first, await araised(lambda: _aitems(stream, see))


async def _aclosed(stream: Any, see: See) -> Any:
    first = _item(see, await anext(stream))
    returned = await stream.close()
    return first, returned, stream.response.is_closed, await araised(lambda: _aitems(stream, see))


async def _ablock(stream: Any, see: See) -> Any:
    async with stream as entered:
        first = entered is stream, await _aitems(entered, see, 1)
    return first, stream.response.is_closed


async def _ablock_raises(stream: Any, see: See) -> Any:
    async with stream as entered:
        await anext(entered)
        raise LookupError("the program's own")


async def _aiterator_closed(stream: Any, see: See) -> Any:
    steps = aiter(stream)
    first = _item(see, await anext(steps))
    await steps.aclose()
    return first, stream.response.is_closed, await araised(lambda: _aitems(stream, see))


async def _adropped(stream: Any, see: See) -> Any:
    response = stream.response
    await anext(stream)
    del stream
    gc.collect()
    await asyncio.sleep(0)
    see.tape.append("dropped")
    return response.is_closed


async def _atask_a_step(stream: Any, see: See) -> Any:
    items = [_item(see, await asyncio.create_task(anext(stream))) for _ in range(3)]
    await stream.close()
    return items


async def _aresponse_closed(stream: Any, see: See) -> Any:
    await anext(stream)
    await stream.response.aclose()
    return stream.response.is_closed, await araised(lambda: _aitems(stream, see))


_ASYNC_USES: dict[str, tuple[str, Callable[[Any, See], Awaitable[Any]]]] = {
    "as it comes": ("plain", _acomes),
    "full": ("plain", _aitems),
    "step by step": ("plain", _anexts),
    "read twice": ("plain", _atwice),
    "left and resumed": ("plain", _aleft),
    "closed": ("plain", _aclosed),
    "in a block": ("plain", _ablock),
    "block that raises": ("plain", _ablock_raises),
    "iterator closed": ("plain", _aiterator_closed),
    "dropped": ("plain", _adropped),
    "a task a step": ("plain", _atask_a_step),
    "response closed": ("plain", _aresponse_closed),
    "connection breaks": ("cut", _aitems),
    "stalls": ("stall", _aitems),
    "refused with 429": ("error", _aitems),
}


def _async_stream(method: Method, see: See, server: str, use: Any) -> Any:
    options = {"timeout": httpx.Timeout(30, read=0.5)} if server == "stall" else {}

    async def main() -> Any:
        async with see.async_client(server, f"Async{method.kind}", **options) as client:
            return await use(await method.of(client)(**{**method.arguments, **(method.stream or {})}), see)

    return asyncio.run(ticking(see, main()))


for _method, (_what, (_server, _ause)) in itertools.product(STREAMS, _ASYNC_USES.items()):
    if _server == "stall" and _method is not _CHAT:
        continue
    SCENES[f"async {_method.name}: stream, {_what}"] = lambda see, m=_method, s=_server, u=_ause: (
        _async_stream(  # type: ignore[misc]
            m, see, s, u
        )
    )


def _waiting(method: Method, see: See, act: str) -> Any:
    """What another task does to one that waits inside a stream; it cannot if the loop stands still."""

    async def main() -> Any:
        gate = asyncio.Event()
        async with see.async_client(kind=f"Async{method.kind}", gate=gate) as client:

            async def read() -> Any:
                stream = await method.of(client)(**{**method.arguments, **(method.stream or {})})
                return await _aitems(stream, see)

            task = asyncio.create_task(read())
            while "waiting" not in see.tape:
                await asyncio.sleep(0.001)
            if act == "cancelled":
                task.cancel()
                return await araised(lambda: task)
            if act == "timed out":
                return await araised(lambda: asyncio.wait_for(task, 0.01))
            gate.set()
            return await task

    return asyncio.run(ticking(see, main()))


for _method, _act in itertools.product(STREAMS, ("cancelled", "timed out", "let on")):
    SCENES[f"async {_method.name}: stream, {_act} while waiting"] = lambda see, m=_method, a=_act: _waiting(
        m, see, a
    )  # type: ignore[misc]


@scene("async chat.completions.create: cancelled while waiting for the answer")
def _cancelled(see: See) -> Any:
    async def main() -> Any:
        async with see.async_client("silent") as client:
            task = asyncio.create_task(client.chat.completions.create(**_CHAT.arguments))
            while "sent POST" not in see.tape:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)  # until it is connected, too
            task.cancel()
            return await araised(lambda: task)

    return asyncio.run(ticking(see, main()))


# --- helpers of the SDK that read streams ---


def _helper(client: Any, name: str) -> Any:
    if name == "responses":
        return client.responses.stream(**{**_RESPONSES.arguments, **_without_stream(_RESPONSES)})
    completions = (
        client.chat.completions
        if hasattr(client.chat.completions, "stream")
        else client.beta.chat.completions
    )
    return completions.stream(**_without_stream(_CHAT))


def _without_stream(method: Method) -> dict[str, Any]:
    return {name: value for name, value in (method.stream or {}).items() if name != "stream"}


def _event(see: See, event: Any) -> Any:
    see.tape.append(f"got {getattr(event, 'type', '?')}")
    return getattr(event, "type", None), plain(event)


def _final(stream: Any) -> Any:
    return (
        stream.get_final_completion()
        if hasattr(stream, "get_final_completion")
        else stream.get_final_response()
    )


_HELPED: dict[str, Callable[[Any, See], Any]] = {
    "full": lambda stream, see: [_event(see, event) for event in stream],
    "final": lambda stream, see: value_of(_final(stream)),
    "left": lambda stream, see: _event(see, next(iter(stream))),
    "done": lambda stream, see: (type(stream.until_done()).__name__, str(_final(stream))),
    "closed": lambda stream, see: (_event(see, next(stream)), stream.close(), raised(lambda: next(stream))),
}


def _help(name: str, see: See, use: Callable[[Any, See], Any]) -> Any:
    with see.client() as client:
        manager = _helper(client, name)
        see.tape.append(f"made {type(manager).__name__}")
        with manager as stream:
            return use(stream, see)


def _help_async(name: str, see: See) -> Any:
    async def main() -> Any:
        async with see.async_client() as client, _helper(client, name) as stream:
            return [_event(see, event) async for event in stream]

    return asyncio.run(ticking(see, main()))


for _name, (_what, _use) in itertools.product(("chat", "responses"), _HELPED.items()):
    if _name == "chat" or any(method.path.startswith("responses") for method in METHODS):
        SCENES[f"{_name} stream helper: {_what}"] = lambda see, n=_name, u=_use: _help(n, see, u)  # type: ignore[misc]
        SCENES[f"async {_name} stream helper"] = lambda see, n=_name: _help_async(n, see)  # type: ignore[misc]

# --- at a host that is asked for the usage of streams ---


def _unasked(see: See, use: Callable[[Any, See], Any], **more: Any) -> Any:
    with see.client("openai") as client:
        return use(client.chat.completions.create(model="gpt-4", messages=_SAY, stream=True, **more), see)


for _what in ("full", "step by step", "left and resumed", "closed", "two loops", "in a block"):
    SCENES[f"usage unasked: {_what}"] = lambda see, u=_USES[_what][1]: _unasked(see, u)  # type: ignore[misc]


@scene("async usage unasked: full")
def _unasked_async(see: See) -> Any:
    async def main() -> Any:
        async with see.async_client("openai") as client:
            stream = await client.chat.completions.create(model="gpt-4", messages=_SAY, stream=True)
            return await _aitems(stream, see)

    return asyncio.run(ticking(see, main()))


# --- many at once ---


def _shape(result: Any) -> Any:
    """An answer without what the server counts."""
    return {name: value for name, value in value_of(result).items() if name != "request"}


@scene("many threads")
def _threads(see: See) -> Any:
    with see.client() as client, ThreadPoolExecutor(6) as pool:

        def work(number: int) -> Any:
            if number % 3 == 0:
                return _shape(client.chat.completions.create(**_CHAT.arguments))
            if number % 3 == 1:
                return [part.id for part in client.chat.completions.create(**(_CHAT.stream or {}))]
            return raised(lambda: client.chat.completions.create(no_such=1))

        found = list(pool.map(work, range(24)))
    see.tape.clear()  # whose turn it was is not the same twice
    return found


@scene("many tasks")
def _tasks(see: See) -> Any:
    async def main() -> Any:
        async with see.async_client() as client:

            async def work(number: int) -> Any:
                if number % 2:
                    return _shape(await client.chat.completions.create(**_CHAT.arguments))
                stream = await client.chat.completions.create(**(_CHAT.stream or {}))
                return [part.id async for part in stream]

            return await asyncio.gather(*map(work, range(24)))

    found = asyncio.run(ticking(see, main()))
    see.tape.clear()
    return found


# --- methods ---


def owner_of(method: Method, prefix: str = "") -> tuple[Any, str]:
    """The class that has a method, and its name there.

    Args:
        method: The method.
        prefix: `Async` for that of async clients.
    """
    kind = f"{prefix}{method.kind}"
    more = {"azure_endpoint": "http://x", "api_version": "1"} if "Azure" in kind else {}
    resource, _, name = method.path.rpartition(".")
    return type(operator.attrgetter(resource)(getattr(openai, kind)(api_key="k", **more))), name


for _method, _asynchronous in itertools.product(METHODS, (False, True)):
    _label = ("async " if _asynchronous else "") + _method.name
    SCENES[f"{_label}: looked at"] = lambda see, m=_method, a=_asynchronous: descriptors(  # type: ignore[misc]
        *owner_of(m, "Async" if a else "")
    )


@scene("a class of the program's own")
def _subclass(see: See) -> Any:
    from openai.resources.chat.completions import Completions

    class Mine(Completions):
        def create(self, *args: Any, **kwargs: Any) -> Any:
            see.tape.append("mine")
            return super().create(*args, **kwargs)

    with see.client() as client:
        return value_of(Mine(client).create(**_CHAT.arguments))


@scene("a method replaced and put back")
def _replaced(see: See) -> Any:
    from unittest import mock

    from openai.resources.chat.completions import Completions

    with see.client() as client:
        with mock.patch.object(Completions, "create", return_value="mocked"):
            mocked = client.chat.completions.create(**_CHAT.arguments)
        with mock.patch.object(client.chat.completions, "create", return_value="mocked"):
            mocked += client.chat.completions.create(**_CHAT.arguments)
        return mocked, value_of(client.chat.completions.create(**_CHAT.arguments))


@scene("a copy of a client")
def _copied(see: See) -> Any:
    with see.client() as client:
        other = client.with_options(max_retries=1, default_headers={"x-other": "1"})
        create = copy.copy(other.chat.completions.create)
        return value_of(create(**_CHAT.arguments)), json.dumps(list(create.__self__.__dict__))
