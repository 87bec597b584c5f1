"""The book of Anthropic's SDK: its messages, plain and streamed, and the helpers that read streams.

Scenes of single methods are made from one line of a table, see `calls`, `raws`, `streams` and `others`.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import anthropic
from anthropic.types import Message
from pydantic import BaseModel

import transparency.calls
from transparency.calls import Method, Scene, call, call_async, calls_of, owner_of
from transparency.look import descriptors, stream_of, value_of
from transparency.others import others_of
from transparency.raws import raws_of
from transparency.see import araised, note, raised, ticking
from transparency.streams import aitems, items, streams_of

__all__ = ["CALLS", "HELPERS", "METHODS", "SCENES", "See"]


class See(transparency.calls.See):
    """What a scene works with; it can make clients."""

    sdk, kind = "anthropic", "Anthropic"

    def where(self, server: str, _kind: str) -> dict[str, Any]:
        """Arguments of a client that lead to a server."""
        return {"base_url": self.servers[server]}


class Capital(BaseModel):
    """What one recorded answer is parsed into."""

    city: str = ""
    country: str = ""


_ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "What's the capital of France?"}],
}
_PARSE: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 256,
    "messages": [
        {
            "role": "user",
            "content": "What is the capital of France? Respond with the city and country.",
        }
    ],
    "output_format": Capital,
}
_TOOLS: dict[str, Any] = {
    **_ASK,
    "messages": [
        {
            "role": "user",
            "content": "What is the weather like right now in New York? Also what time is it there?"
            " Use necessary tools simultaneously.",
        }
    ],
    "tools": [
        {
            "name": name,
            "input_schema": {"type": "object", "properties": {place: {"type": "string"}}},
        }
        for name, place in (("get_weather", "location"), ("get_time", "timezone"))
    ],
}
_method = partial(Method, kind="Anthropic", sdk="anthropic")
_CREATE = _method("messages.create", _ASK, {"stream": True})
_EVERY = (
    _CREATE,
    _method("messages.parse", _PARSE),
    _method("beta.messages.create", _ASK, {"stream": True}),
    _method("beta.messages.parse", _PARSE),
)
_HELPERS = (_method("messages.stream", _ASK), _method("beta.messages.stream", _ASK))
CALLS = tuple(method for method in _EVERY if method.exists())
"""What sends a request and returns its answer."""
HELPERS = tuple(method for method in _HELPERS if method.exists())
"""What returns something that sends a request when it is entered."""
METHODS = CALLS + HELPERS
SCENES: dict[str, Scene] = {
    **calls_of(CALLS),
    **raws_of(CALLS),
    **streams_of(CALLS),
    **others_of(_CREATE, "/v1/messages", Message),
}
"""All scenes by name."""


# --- helpers that read streams ---


def _read(stream: Any, see: See) -> Any:
    return items(stream, see), value_of(stream.get_final_message())


def _texts(stream: Any, see: See) -> Any:
    return [note(see, text) for text in stream.text_stream], stream.response.is_closed


def _left(stream: Any, see: See) -> Any:
    first = items(stream, see, 2)
    gc.collect()
    see.tape.append("resumed")
    return first, items(stream, see, 2), value_of(stream.current_message_snapshot)


def _left_for_good(stream: Any, see: See) -> Any:
    for text in stream.text_stream:
        note(see, text)
        break
    return stream.response.is_closed


def _closed(stream: Any, see: See) -> Any:
    first = items(stream, see, 1)
    returned = stream.close()
    state = stream.response.is_closed
    return first, returned, state, raised(lambda: items(stream, see)), raised(stream.get_final_message)


def _steps(stream: Any, see: See) -> Any:
    found = [raised(lambda: items(stream, see, 1)) for _ in range(4)]
    return found, raised(lambda: next(stream)), stream.until_done(), raised(lambda: next(stream))


def _raises(stream: Any, see: See) -> Any:
    items(stream, see, 1)
    raise LookupError("the program's own")


Use = Callable[[Any, See], Any]
HELPED: dict[str, tuple[str, Use]] = {
    "as it comes": ("plain", lambda stream, _see: (stream_of(stream), stream.request_id)),
    "events": ("plain", _read),
    "texts": ("plain", _texts),
    "final message": ("plain", lambda stream, _see: value_of(stream.get_final_message())),
    "final text": ("plain", lambda stream, _see: (stream.get_final_text(), stream.get_final_text())),
    "step by step": ("plain", _steps),
    "left and resumed": ("plain", _left),
    "left": ("plain", _left_for_good),
    "never read": ("plain", lambda stream, _see: stream.response.is_closed),
    "closed": ("plain", _closed),
    "block that raises": ("plain", _raises),
    "connection breaks": ("cut", _read),
    "connection breaks, final message": ("cut", lambda stream, _see: stream.get_final_message()),
    "stalls": ("stall", _read),
    "refused with 429": ("error", _read),
    "no JSON": ("garbage", _read),
    "no connection": ("nobody", _read),
}
"""How the stream of a helper is used, and at which server."""


async def _aread(stream: Any, see: See) -> Any:
    return await aitems(stream, see), value_of(await stream.get_final_message())


async def _atexts(stream: Any, see: See) -> Any:
    return [note(see, text) async for text in stream.text_stream], stream.response.is_closed


async def _aleft(stream: Any, see: See) -> Any:
    first = await aitems(stream, see, 2)
    gc.collect()
    await asyncio.sleep(0)
    see.tape.append("resumed")
    return first, await araised(lambda: aitems(stream, see, 2)), value_of(stream.current_message_snapshot)


async def _aleft_for_good(stream: Any, see: See) -> Any:
    async for text in stream.text_stream:
        note(see, text)
        break
    return stream.response.is_closed


async def _aclosed(stream: Any, see: See) -> Any:
    first = await aitems(stream, see, 1)
    returned = await stream.close()
    state = stream.response.is_closed
    return first, returned, state, await araised(lambda: aitems(stream, see))


async def _araises(stream: Any, see: See) -> Any:
    await aitems(stream, see, 1)
    raise LookupError("the program's own")


async def _acomes(stream: Any, _see: See) -> Any:
    return stream_of(stream), stream.request_id


async def _afinal(stream: Any, _see: See) -> Any:
    return value_of(await stream.get_final_message()), await stream.get_final_text()


async def _aunread(stream: Any, _see: See) -> Any:
    return stream.response.is_closed


HELPED_ASYNC: dict[str, tuple[str, Callable[[Any, See], Awaitable[Any]]]] = {
    "as it comes": ("plain", _acomes),
    "events": ("plain", _aread),
    "texts": ("plain", _atexts),
    "final message": ("plain", _afinal),
    "left and resumed": ("plain", _aleft),
    "left": ("plain", _aleft_for_good),
    "never read": ("plain", _aunread),
    "closed": ("plain", _aclosed),
    "block that raises": ("plain", _araises),
    "connection breaks": ("cut", _aread),
    "stalls": ("stall", _aread),
    "refused with 429": ("error", _aread),
    "no JSON": ("garbage", _aread),
    "no connection": ("nobody", _aread),
}
"""The same of async clients."""


def _patience(see: See, server: str) -> dict[str, Any]:
    return {"timeout": see.http.Timeout(30, read=2.0)} if server == "stall" else {}


def _help(method: Method, server: str, use: Use, see: See, **more: Any) -> Any:
    with see.client(server, **_patience(see, server)) as client:
        manager = method.of(client)(**{**method.arguments, **more})
        see.tape.append(f"made {type(manager).__name__}")
        with manager as stream:
            return value_of(manager), use(stream, see)


def _help_async(method: Method, server: str, use: Any, see: See, **more: Any) -> Any:
    async def main() -> Any:
        async with see.async_client(server, **_patience(see, server)) as client:
            manager = method.of(client)(**{**method.arguments, **more})
            see.tape.append(f"made {type(manager).__name__}")
            async with manager as stream:
                return value_of(manager), await use(stream, see)

    return asyncio.run(ticking(see, main()))


def _help_waiting(method: Method, act: str, see: See) -> Any:
    """What another task does to one that waits inside such a stream."""

    async def main() -> Any:
        gate = asyncio.Event()
        async with see.async_client(gate=gate) as client:

            async def read() -> Any:
                async with method.of(client)(**method.arguments) as stream:
                    return await _atexts(stream, see)

            task = asyncio.create_task(read())
            while "waiting" not in see.tape:
                await asyncio.sleep(0.001)
            if act == "cancelled":
                task.cancel()
            elif act == "let on":
                gate.set()
            return await araised(lambda: asyncio.wait_for(task, 0.01 if act == "timed out" else 30))

    return asyncio.run(ticking(see, main()))


def _never_entered(method: Method, see: See) -> Any:
    with see.client() as client:
        return value_of(method.of(client)(**method.arguments))


def _never_entered_async(method: Method, see: See) -> Any:
    async def main() -> Any:
        async with see.async_client() as client:
            return value_of(method.of(client)(**method.arguments))

    return asyncio.run(main())


def _wrong(method: Method, prefix: str, see: See, *places: Any, **arguments: Any) -> Any:
    return method.of(method.unused(prefix))(*places, **arguments)


def _looked_at(method: Method, prefix: str, _see: See) -> Any:
    return descriptors(*owner_of(method, prefix))


def _helped(method: Method) -> Iterator[tuple[str, Scene]]:
    """All scenes of one helper."""
    for kind, run, uses, unused in (
        ("", _help, HELPED, _never_entered),
        ("async ", _help_async, HELPED_ASYNC, _never_entered_async),
    ):
        label, prefix = f"{kind}{method.name}", "Async" if kind else ""
        for what, (server, use) in uses.items():
            yield f"{label}: {what}", partial(run, method, server, use)
        yield f"{label}: tools", partial(run, method, "plain", uses["events"][1], **_TOOLS)
        yield f"{label}: never entered", partial(unused, method)
        yield f"{label}: no arguments", partial(_wrong, method, prefix)
        yield f"{label}: unknown argument", partial(_wrong, method, prefix, **_ASK, no_such=1)
        yield f"{label}: too many places", lambda see, prefix=prefix: _wrong(method, prefix, see, 1, 2, 3)
        yield f"{label}: looked at", partial(_looked_at, method, prefix)
    for act in ("cancelled", "timed out", "let on"):
        yield f"async {method.name}: {act} while waiting", partial(_help_waiting, method, act)


for _helper in HELPERS:
    SCENES.update(_helped(_helper))


# --- what else calls these methods, and what they say ---


def _ran(see: See, **more: Any) -> Any:
    with see.client() as client:
        runner = client.beta.messages.tool_runner(**_ASK, tools=[], **more)
        if more:
            return [value_of(each.get_final_message()) for each in runner]
        return value_of(runner.until_done())


def _ran_async(see: See, **more: Any) -> Any:
    async def main() -> Any:
        async with see.async_client() as client:
            runner = client.beta.messages.tool_runner(**_ASK, tools=[], **more)
            if more:
                return [value_of(await each.get_final_message()) async for each in runner]
            return value_of(await runner.until_done())

    return asyncio.run(ticking(see, main()))


if hasattr(anthropic.resources.beta.Messages, "tool_runner"):
    for _kind, _run in (("", _ran), ("async ", _ran_async)):
        SCENES[f"{_kind}beta.messages.tool_runner"] = _run
        SCENES[f"{_kind}beta.messages.tool_runner: stream"] = partial(_run, stream=True)

for _method in CALLS:
    _old = replace(_method, arguments={**_method.arguments, "model": "claude-3-opus-20240229"})
    SCENES[f"{_method.name}: a model that ends"] = partial(call, _old)
    SCENES[f"async {_method.name}: a model that ends"] = partial(call_async, _old)
