"""What the SDKs made by the Stainless generator (openai, anthropic, ...) have in common.

The client of a resource is its `_client`: an underscore name, but the only way from a resource to the
host it talks to, and part of every generated SDK since the first. If it goes, `server.address` is
missing and the provider is the SDK's own; nothing else breaks. Its URL is read from `_base_url`, since
the public property does work on each access in some versions, and from `base_url` where there is none.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from otel_agentops.failsafe import swallowed
from otel_agentops.instrumentation.inside import follow_anywhere
from otel_agentops.spans import Following, Proxy, follow, is_stream, watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from otel_agentops.spans import OpenCall, Reader

__all__ = ["Host", "follow_stainless", "host_of"]


class Host(NamedTuple):
    """Where a client sends its requests.

    Attributes:
        address: Host name; None when it cannot be read.
        port: Explicit port or that of the scheme.
    """

    address: str | None
    port: int | None


_NOWHERE = Host(None, None)
_HOSTS: dict[int, tuple[ref[Any], Any, Host]] = {}
"""`id()` of a client -> itself, its URL, and the host of that."""


def host_of(resource: Any) -> Host:
    """The host of the client that a resource such as `client.chat.completions` belongs to."""
    client = getattr(resource, "_client", None)
    url = getattr(client, "_base_url", None) or getattr(client, "base_url", None)
    if url is None:
        return _NOWHERE
    key = id(client)
    known = _HOSTS.get(key)
    if known is not None and known[1] is url and known[0]() is client:
        return known[2]
    host = Host(url.host or None, url.port or {"https": 443, "http": 80}.get(url.scheme))
    _HOSTS[key] = (ref(client, lambda _: _HOSTS.pop(key, None)), url, host)
    return host


def follow_stainless(
    result: Any, call: OpenCall, read: Reader, conceal: Callable[[Any], bool] | None = None
) -> Any:
    """`otel_agentops.spans.follow`, and raw responses besides."""
    kind = result.__class__.__name__  # what it passes for: another instrumentation may have a proxy on it
    if kind not in _PROXIES:
        if is_stream(result):
            return follow_anywhere(result, Following(call, read, conceal))
        return follow(result, call, read, conceal)
    state = Following(call, read)
    if kind == "LegacyAPIResponse" and result.http_response.is_stream_consumed:
        # its body is already there; reading it again runs none of the caller's parsers
        read_body(result.http_response, state)
        state.finish()
        return result
    watch()
    return _PROXIES[kind](result, state)


def read_body(body: Any, state: Following) -> None:
    """Read the bytes of an answer, or of an HTTP response, into the record: JSON or a stream's events."""
    try:
        if not isinstance(body, bytes):
            body = body.content
        text = body.decode(errors="replace").lstrip()
        if text.startswith(("data:", "event:", ":")):
            for line in text.splitlines():
                data = line[5:].strip() if line.startswith("data:") else ""
                if data.startswith("{"):
                    state.read.chunk(state.call.record, _object(data))
        elif text.startswith("{"):
            state.read.response(state.call.record, _object(text))
    except json.JSONDecodeError:
        pass  # cut off, read only in part, or never JSON: then it says nothing of usage
    except Exception as error:  # noqa: BLE001 - the body is the caller's to judge
        swallowed("reading a raw answer", error)


class _Fields(dict[str, Any]):
    """The fields of a JSON object; what is missing is None, as in the SDK's models."""

    def __missing__(self, _name: str) -> None:
        return None

    def get(self, name: str, _default: Any = None) -> Any:
        """As an item, since a missing field is None either way."""
        return self[name]


class _Object:
    """A JSON object with its fields as attributes."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__ = _Fields(fields)

    def __getattr__(self, _name: str) -> None:
        return None


def _object(text: str) -> Any:
    return json.loads(text, object_hook=_Object)


_KEEP = 8 * 2**20
"""Bytes of a raw body that are kept for reading; a longer one is passed on unread."""


class _LegacyRaw(Proxy):
    """A raw response of a stream that the caller may parse or not."""

    __slots__ = ("_self_kept", "_self_size", "_self_state", "_self_stream")

    _self_state: Following
    _self_kept: list[bytes]
    _self_size: int
    _self_stream: Any

    def __init__(self, response: Any, state: Following) -> None:
        super().__init__(response)
        self._self_state = state
        self._self_kept = []
        self._self_size = 0
        self._self_stream = None

    def parse(self, **options: Any) -> Any:
        """What the SDK parses; a stream among it is followed."""
        return self._follow_parsed(self.__wrapped__.parse(**options))

    def __del__(self) -> None:
        if self._self_stream is None:
            self._self_state.leave()

    def _follow_parsed(self, parsed: Any) -> Any:
        state = self._self_state
        if not is_stream(parsed):
            self._read_now(parsed)
            return parsed
        # from here on the stream is what ends the call, and it is also what the next parse() gives
        if getattr(self._self_stream, "__wrapped__", self._self_stream) is not parsed:
            self._self_stream = follow_anywhere(parsed, state)
        return self._self_stream

    def _read_now(self, value: Any) -> Any:
        """The caller has just read the whole body, so it is there for us as well."""
        state = self._self_state
        if not state.call.finished:
            read_body(self.__wrapped__.http_response, state)
            state.finish()
        return value


class _Raw(_LegacyRaw):
    """A raw response whose body the caller reads: it is read along, never ahead."""

    __slots__ = ()

    def read(self) -> Any:
        """The whole body."""
        return self._read_now(self.__wrapped__.read())

    def json(self) -> Any:
        """The whole body as JSON."""
        return self._read_now(self.__wrapped__.json())

    def text(self) -> Any:
        """The whole body as text."""
        return self._read_now(self.__wrapped__.text())

    def iter_bytes(self, *args: Any, **options: Any) -> Iterator[Any]:
        """The body in pieces."""
        return self._along(self.__wrapped__.iter_bytes(*args, **options), b"")

    def iter_text(self, *args: Any, **options: Any) -> Iterator[Any]:
        """The body in pieces of text."""
        return self._along(self.__wrapped__.iter_text(*args, **options), b"")

    def iter_lines(self, *args: Any, **options: Any) -> Iterator[Any]:
        """The body line by line."""
        return self._along(self.__wrapped__.iter_lines(*args, **options), b"\n")

    def close(self) -> Any:
        """Close the response; what was read of it so far is what there is to know."""
        try:
            return self.__wrapped__.close()
        finally:
            self._end("closed")

    def _along(self, pieces: Iterator[Any], end: bytes) -> Iterator[Any]:
        state = self._self_state
        try:
            for piece in pieces:
                self._keep(piece, end)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            state.fail(error)
            raise
        self._end("complete")

    def _keep(self, piece: Any, end: bytes) -> None:
        state = self._self_state
        if state.call.record.stream and not self._self_size:
            state.call.first_chunk()
        state.last_ns = time.perf_counter_ns()
        data = piece if isinstance(piece, bytes) else str(piece).encode(errors="replace")
        self._self_size += len(data)
        if self._self_size <= _KEEP:
            self._self_kept.append(data + end)

    def _end(self, ending: Any) -> None:
        state = self._self_state
        if not state.call.finished:
            if self._self_kept and self._self_size <= _KEEP:
                read_body(b"".join(self._self_kept), state)
            state.finish(ending)


class _AsyncRaw(_Raw):
    """The same with the async methods of async clients."""

    __slots__ = ()

    async def parse(self, **options: Any) -> Any:
        """What the SDK parses; a stream among it is followed."""
        return self._follow_parsed(await self.__wrapped__.parse(**options))

    async def read(self) -> Any:
        """The whole body."""
        return self._read_now(await self.__wrapped__.read())

    async def json(self) -> Any:
        """The whole body as JSON."""
        return self._read_now(await self.__wrapped__.json())

    async def text(self) -> Any:
        """The whole body as text."""
        return self._read_now(await self.__wrapped__.text())

    def iter_bytes(self, *args: Any, **options: Any) -> Any:
        """The body in pieces."""
        return self._along_async(self.__wrapped__.iter_bytes(*args, **options), b"")

    def iter_text(self, *args: Any, **options: Any) -> Any:
        """The body in pieces of text."""
        return self._along_async(self.__wrapped__.iter_text(*args, **options), b"")

    def iter_lines(self, *args: Any, **options: Any) -> Any:
        """The body line by line."""
        return self._along_async(self.__wrapped__.iter_lines(*args, **options), b"\n")

    async def close(self) -> Any:
        """Close the response; what was read of it so far is what there is to know."""
        try:
            return await self.__wrapped__.close()
        finally:
            self._end("closed")

    async def _along_async(self, pieces: AsyncIterator[Any], end: bytes) -> AsyncIterator[Any]:
        state = self._self_state
        try:
            async for piece in pieces:
                self._keep(piece, end)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            state.fail(error)
            raise
        self._end("complete")


_PROXIES: dict[str, type[_LegacyRaw]] = {
    "LegacyAPIResponse": _LegacyRaw,
    "APIResponse": _Raw,
    "AsyncAPIResponse": _AsyncRaw,
}
"""Raw responses by the name of their class, since the SDK itself is never imported from here."""
