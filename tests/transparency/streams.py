"""Scenes that every method of such an SDK plays that can stream: streams, in every way they end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from transparency.calls import Method, Scene, See
from transparency.look import stream_of, value_of
from transparency.see import araised, elsewhere, note, raised, ticking

__all__ = ["ASYNC_USES", "USES", "aitems", "item", "items", "streams_of"]


# --- streams ---


def item(see: See, part: Any) -> Any:
    """One part as the program gets it."""
    text = part.to_json(indent=None, warnings=False) if hasattr(part, "to_json") else repr(part)
    see.tape.append(f"got {type(part).__name__}")
    unset = sorted(getattr(part, "model_fields_set", ()))
    return type(part).__qualname__, text, unset, getattr(part, "usage", None) is None


def items(stream: Any, see: See, most: int | None = None) -> list[Any]:
    """The parts of a stream as the program gets them."""
    return [item(see, part) for part in itertools.islice(stream, most)]


def _nexts(stream: Any, see: See) -> Any:
    found = []
    with contextlib.suppress(StopIteration):
        while True:
            found.append(item(see, next(stream)))
    ended = [raised(lambda: next(stream)) for _ in range(2)]
    return found, ended


def _left(stream: Any, see: See) -> Any:
    for part in stream:
        see.tape.append(f"left at {item(see, part)[0]}")
        break
    gc.collect()
    see.tape.append("resumed")
    return items(stream, see, 2), next(stream).id if hasattr(stream, "id") else None, items(stream, see)


def _left_for_good(stream: Any, see: See) -> Any:
    for _ in stream:
        break
    gc.collect()
    return stream.response.is_closed


def _closed(stream: Any, see: See) -> Any:
    first = item(see, next(stream))
    returned = stream.close()
    state = stream.response.is_closed
    return first, returned, state, raised(lambda: items(stream, see)), raised(stream.close)


def _block(stream: Any, see: See) -> Any:
    with stream as entered:
        first = entered is stream, items(entered, see, 1)
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
    return stream.response.is_closed, raised(lambda: items(stream, see))


def _elsewhere(stream: Any, see: See) -> Any:
    return elsewhere(lambda: items(stream, see))


def _thrown(stream: Any, see: See) -> Any:
    steps = iter(stream)
    next(steps)
    thrown = raised(lambda: steps.throw(LookupError("thrown in")))
    return thrown, items(steps, see, 1), items(stream, see, 1)


def _two_loops(stream: Any, see: See) -> Any:
    one, two = iter(stream), iter(stream)
    return [item(see, next(one)), item(see, next(two)), item(see, next(stream))], one is two


def _attributes(stream: Any, see: See) -> Any:
    """Setting, deleting and finding attributes; another response in place of the first."""
    stream.mine = 1
    told = [stream.mine, "mine" in vars(stream), hasattr(stream, "mine")]
    del stream.mine
    told += [hasattr(stream, "mine"), raised(lambda: stream.no_such_attribute)]
    stream.response = stream.response
    return told, items(stream, see)


def _wrapped(stream: Any, see: See) -> Any:
    def gen() -> Iterator[Any]:
        yield from stream

    return [item(see, part) for part in gen()]


USES: dict[str, tuple[str, Callable[[Any, See], Any]]] = {
    "as it comes": ("plain", lambda stream, see: stream_of(stream)),
    "full": ("plain", items),
    "step by step": ("plain", _nexts),
    "read twice": ("plain", lambda stream, see: (items(stream, see), items(stream, see))),
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
    "connection breaks": ("cut", items),
    "breaks step by step": ("cut", lambda stream, see: [raised(lambda: next(stream)) for _ in range(6)]),
    "stalls": ("stall", items),
    "refused with 429": ("error", items),
}


def _stream(method: Method, server: str, use: Callable[[Any, See], Any], see: See) -> Any:
    with see.client(server, method.kind, **_patience(see, server)) as client:
        return use(method.of(client)(**method.streamed), see)


def _patience(see: See, server: str) -> dict[str, Any]:
    return {"timeout": see.http.Timeout(30, read=2.0)} if server == "stall" else {}


def _raw_stream(method: Method, see: See) -> Any:
    with see.client(kind=method.kind) as client:
        raw = method.of(client, "with_raw_response")(**method.streamed)
        before = value_of(raw), raw.is_closed, raw.status_code, raw.request_id
        stream = raw.parse()
        return before, stream_of(stream), stream is raw.parse(), items(stream, see), value_of(raw)


def _raw_stream_unparsed(method: Method, see: See) -> Any:
    with see.client(kind=method.kind) as client:
        raw = method.of(client, "with_raw_response")(**method.streamed)
        lines = [note(see, line) for line in raw.http_response.iter_lines()]
        return lines, raised(lambda: raw.text() if callable(raw.text) else raw.text)


# --- async streams ---


async def aitems(stream: Any, see: See, most: int | None = None) -> list[Any]:
    """The same of an async stream."""
    found: list[Any] = []
    async for part in stream:
        found.append(item(see, part))
        if len(found) == most:
            break
    return found


async def _acomes(stream: Any, see: See) -> Any:
    return stream_of(stream)


async def _anexts(stream: Any, see: See) -> Any:
    found = []
    with contextlib.suppress(StopAsyncIteration):
        while True:
            found.append(item(see, await anext(stream)))
    return found, [await araised(lambda: anext(stream)) for _ in range(2)]


async def _atwice(stream: Any, see: See) -> Any:
    return await aitems(stream, see), await aitems(stream, see)


async def _aleft(stream: Any, see: See) -> Any:
    first = await aitems(stream, see, 1)
    gc.collect()
    await asyncio.sleep(0)
    see.tape.append("resumed")
    return first, await araised(lambda: aitems(stream, see))


async def _aclosed(stream: Any, see: See) -> Any:
    first = item(see, await anext(stream))
    returned = await stream.close()
    return first, returned, stream.response.is_closed, await araised(lambda: aitems(stream, see))


async def _ablock(stream: Any, see: See) -> Any:
    async with stream as entered:
        first = entered is stream, await aitems(entered, see, 1)
    return first, stream.response.is_closed


async def _ablock_raises(stream: Any, see: See) -> Any:
    async with stream as entered:
        await anext(entered)
        raise LookupError("the program's own")


async def _aiterator_closed(stream: Any, see: See) -> Any:
    steps = aiter(stream)
    first = item(see, await anext(steps))
    await steps.aclose()
    return first, stream.response.is_closed, await araised(lambda: aitems(stream, see))


async def _adropped(stream: Any, see: See) -> Any:
    response = stream.response
    await anext(stream)
    del stream
    gc.collect()
    await asyncio.sleep(0)
    see.tape.append("dropped")
    return response.is_closed


async def _atask_a_step(stream: Any, see: See) -> Any:
    found = [item(see, await asyncio.create_task(anext(stream))) for _ in range(3)]
    await stream.close()
    return found


async def _aresponse_closed(stream: Any, see: See) -> Any:
    await anext(stream)
    await stream.response.aclose()
    return stream.response.is_closed, await araised(lambda: aitems(stream, see))


ASYNC_USES: dict[str, tuple[str, Callable[[Any, See], Awaitable[Any]]]] = {
    "as it comes": ("plain", _acomes),
    "full": ("plain", aitems),
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
    "connection breaks": ("cut", aitems),
    "stalls": ("stall", aitems),
    "refused with 429": ("error", aitems),
}


def _async_stream(method: Method, server: str, use: Any, see: See) -> Any:
    async def main() -> Any:
        patience = _patience(see, server)
        async with see.async_client(server, f"Async{method.kind}", **patience) as client:
            return await use(await method.of(client)(**method.streamed), see)

    return asyncio.run(ticking(see, main()))


def _waiting(method: Method, act: str, see: See) -> Any:
    """What another task does to one that waits inside a stream; it cannot if the loop stands still."""

    async def main() -> Any:
        gate = asyncio.Event()
        async with see.async_client(kind=f"Async{method.kind}", gate=gate) as client:

            async def read() -> Any:
                return await aitems(await method.of(client)(**method.streamed), see)

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


# --- all of them ---


def streams_of(methods: Sequence[Method]) -> dict[str, Scene]:
    """The scenes of the streams of some methods by name.

    Args:
        methods: Those that this version of the SDK has; the first one plays what takes its time.
    """
    found: dict[str, Scene] = {}
    for method in (method for method in methods if method.stream is not None):
        for kind, run, uses in (("", _stream, USES), ("async ", _async_stream, ASYNC_USES)):
            for what, (server, use) in uses.items():
                if server != "stall" or method is methods[0]:
                    found[f"{kind}{method.name}: stream, {what}"] = partial(run, method, server, use)
        for act in ("cancelled", "timed out", "let on"):
            found[f"async {method.name}: stream, {act} while waiting"] = partial(_waiting, method, act)
        found[f"{method.name}: raw stream"] = partial(_raw_stream, method)
        found[f"{method.name}: raw stream, not parsed"] = partial(_raw_stream_unparsed, method)
    return found
