"""The line to the server as seen from inside a program: what is read of an answer, and when.

Answers come from a real server; they are handed on event by event, so that the order of reading and of
what the program gets is the same in every run.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from importlib.metadata import requires
from typing import Any

__all__ = ["async_http", "http_of", "sync_http"]


@cache
def http_of(sdk: str) -> Any:
    """What the installed version of an SDK speaks HTTP with: `httpx` or `httpx2`."""
    needs = [need for need in requires(sdk) or () if "extra" not in need]
    return importlib.import_module("httpx2" if any(need.startswith("httpx2") for need in needs) else "httpx")


@cache
def _of(base: type, kind: type) -> Any:
    """A class of ours that is also one of that library's."""
    return type(kind.__name__, (kind, base), {})


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
Tape = Callable[[str], None]


def _pieces(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole events among what was read, and the rest."""
    *whole, rest = data.split(b"\n\n")
    return [piece + b"\n\n" for piece in whole], rest


def _refuse(closed: bool, http: Any) -> None:
    """How much of an answer has come when it is closed is not the same twice: let it be nothing."""
    if closed:
        raise http.ReadError("closed")


class _Body:
    def __init__(self, http: Any, inner: Any, tape: Tape) -> None:
        self._http, self._inner, self._tape = http, inner, tape
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        number, rest = 0, b""
        for data in self._inner:
            pieces, rest = _pieces(rest + data)
            for piece in pieces:
                self._tape(f"read {(number := number + 1)}")
                yield piece
                _refuse(self._closed, self._http)
        self._tape("read the end")
        if rest:
            yield rest

    def close(self) -> None:
        self._tape("closed")
        self._closed = True
        self._inner.close()


class _AsyncBody:
    def __init__(self, http: Any, inner: Any, tape: Tape, gate: asyncio.Event | None) -> None:
        self._http, self._inner, self._tape, self._gate = http, inner, tape, gate
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        number, rest = 0, b""
        async for data in self._inner:
            pieces, rest = _pieces(rest + data)
            for piece in pieces:
                if number and self._gate is not None:
                    self._tape("waiting")
                    await self._gate.wait()
                self._tape(f"read {(number := number + 1)}")
                yield piece
                _refuse(self._closed, self._http)
        self._tape("read the end")
        if rest:
            yield rest

    async def aclose(self) -> None:
        self._tape("closed")
        self._closed = True
        await self._inner.aclose()


class _Line:
    def __init__(self, http: Any, inner: Any, tape: Tape) -> None:
        self._http, self._inner, self._tape = http, inner, tape

    def handle_request(self, request: Any) -> Any:
        self._tape(f"sent {request.method}")
        response = self._inner.handle_request(request)
        body = _of(self._http.SyncByteStream, _Body)
        response.stream = body(self._http, response.stream, self._tape)
        return response

    def close(self) -> None:
        self._inner.close()


class _AsyncLine:
    def __init__(self, http: Any, inner: Any, tape: Tape, gate: asyncio.Event | None) -> None:
        self._http, self._inner, self._tape, self._gate = http, inner, tape, gate

    async def handle_async_request(self, request: Any) -> Any:
        self._tape(f"sent {request.method}")
        response = await self._inner.handle_async_request(request)
        body = _of(self._http.AsyncByteStream, _AsyncBody)
        response.stream = body(self._http, response.stream, self._tape, self._gate)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def sync_http(http: Any, tape: Tape, proxy: str | None = None) -> Any:
    """An HTTP client that notes what is read.

    Args:
        http: The library that it is one of.
        tape: Called with each step.
        proxy: URL of a server that answers for every host.
    """
    inner = http.HTTPTransport(verify=_NO_TLS, proxy=http.Proxy(proxy) if proxy else None)
    return http.Client(transport=_of(http.BaseTransport, _Line)(http, inner, tape), trust_env=False)


def async_http(http: Any, tape: Tape, proxy: str | None = None, gate: asyncio.Event | None = None) -> Any:
    """The same for async clients.

    Args:
        http: The library that it is one of.
        tape: Called with each step.
        proxy: URL of a server that answers for every host.
        gate: What must be set before more than the first event of a stream is read.
    """
    inner = http.AsyncHTTPTransport(verify=_NO_TLS, proxy=http.Proxy(proxy) if proxy else None)
    line = _of(http.AsyncBaseTransport, _AsyncLine)(http, inner, tape, gate)
    return http.AsyncClient(transport=line, trust_env=False)
