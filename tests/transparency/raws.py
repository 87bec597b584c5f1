"""Scenes that every method of such an SDK plays: streaming raw answers, read in every way there is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from transparency.calls import Method, Scene, See
from transparency.look import plain, stream_of, value_of
from transparency.see import note, ticking
from transparency.streams import aitems, items

__all__ = ["raws_of"]


def _whole(raw: Any, see: See) -> Any:
    return len(raw.read()), raw.is_closed


def _parse(raw: Any, see: See) -> Any:
    parsed = raw.parse()
    if not hasattr(parsed, "response"):
        return value_of(parsed), raw.parse() is parsed
    seen = stream_of(parsed)
    same = raw.parse() is parsed
    return seen, same, items(parsed, see)


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


def _streaming_raw(method: Method, look: Callable[[Any, See], Any], stream: bool, see: See) -> Any:
    arguments = method.streamed if stream else method.arguments
    with see.client(kind=method.kind) as client:
        manager = method.of(client, "with_streaming_response")(**arguments)
        see.tape.append(f"made {type(manager).__name__}")
        with manager as raw:
            return look(raw, see)


async def _alist(see: See, pieces: Any) -> list[Any]:
    return [note(see, piece) async for piece in pieces]


async def _aparse(raw: Any, see: See) -> Any:
    parsed = await raw.parse()
    if not hasattr(parsed, "response"):
        return value_of(parsed)
    return stream_of(parsed), await aitems(parsed, see)


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


def _streaming_raw_async(method: Method, look: Any, stream: bool, see: See) -> Any:
    arguments = method.streamed if stream else method.arguments

    async def main() -> Any:
        async with (
            see.async_client(kind=f"Async{method.kind}") as client,
            method.of(client, "with_streaming_response")(**arguments) as raw,
        ):
            return await look(raw, see)

    return asyncio.run(ticking(see, main()))


def raws_of(methods: Sequence[Method]) -> dict[str, Scene]:
    """The scenes of the streaming raw answers of those methods that have them, by name."""
    return {
        f"{kind}{method.name}: streaming raw{' of a stream' if stream else ''}, {what}": partial(
            run, method, look, stream
        )
        for method in methods
        if method.exists("with_streaming_response")
        for kind, run, looks in (("", _streaming_raw, _RAW), ("async ", _streaming_raw_async, _RAW_ASYNC))
        for what, look in looks.items()
        for stream in ((False, True) if method.stream else (False,))
    }
