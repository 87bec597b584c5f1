"""The line to the server as seen from inside a program: what is read of an answer, and when.

Answers come from a real server; they are handed on event by event, so that the order of reading and of
what the program gets is the same in every run.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai

__all__ = ["async_http", "httpx", "sync_http"]

httpx: Any = importlib.import_module("httpx2" if int(openai.__version__.split(".")[0]) >= 3 else "httpx")
"""What this version of the SDK speaks HTTP with."""

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
Tape = Callable[[str], None]


def _pieces(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole events among what was read, and the rest."""
    *whole, rest = data.split(b"\n\n")
    return [piece + b"\n\n" for piece in whole], rest


def _refuse(closed: bool) -> None:
    """How much of an answer has come when it is closed is not the same twice: let it be nothing."""
    if closed:
        raise httpx.ReadError("closed")


class _Body(httpx.SyncByteStream):  # type: ignore[misc,name-defined]
    def __init__(self, inner: Any, tape: Tape) -> None:
        self._inner, self._tape = inner, tape
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        number, rest = 0, b""
        for data in self._inner:
            pieces, rest = _pieces(rest + data)
            for piece in pieces:
                self._tape(f"read {(number := number + 1)}")
                yield piece
                _refuse(self._closed)
        self._tape("read the end")
        if rest:
            yield rest

    def close(self) -> None:
        self._tape("closed")
        self._closed = True
        self._inner.close()


class _AsyncBody(httpx.AsyncByteStream):  # type: ignore[misc,name-defined]
    def __init__(self, inner: Any, tape: Tape, gate: asyncio.Event | None) -> None:
        self._inner, self._tape, self._gate = inner, tape, gate
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
                _refuse(self._closed)
        self._tape("read the end")
        if rest:
            yield rest

    async def aclose(self) -> None:
        self._tape("closed")
        self._closed = True
        await self._inner.aclose()


class _Line(httpx.BaseTransport):  # type: ignore[misc,name-defined]
    def __init__(self, inner: Any, tape: Tape) -> None:
        self._inner, self._tape = inner, tape

    def handle_request(self, request: Any) -> Any:
        self._tape(f"sent {request.method}")
        response = self._inner.handle_request(request)
        response.stream = _Body(response.stream, self._tape)
        return response

    def close(self) -> None:
        self._inner.close()


class _AsyncLine(httpx.AsyncBaseTransport):  # type: ignore[misc,name-defined]
    def __init__(self, inner: Any, tape: Tape, gate: asyncio.Event | None) -> None:
        self._inner, self._tape, self._gate = inner, tape, gate

    async def handle_async_request(self, request: Any) -> Any:
        self._tape(f"sent {request.method}")
        response = await self._inner.handle_async_request(request)
        response.stream = _AsyncBody(response.stream, self._tape, self._gate)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def sync_http(tape: Tape, proxy: str | None = None) -> Any:
    """An HTTP client that notes what is read.

    Args:
        tape: Called with each step.
        proxy: URL of a server that answers for every host.
    """
    inner = httpx.HTTPTransport(verify=_NO_TLS, proxy=httpx.Proxy(proxy) if proxy else None)
    return httpx.Client(transport=_Line(inner, tape), trust_env=False)


def async_http(tape: Tape, proxy: str | None = None, gate: asyncio.Event | None = None) -> Any:
    """The same for async clients.

    Args:
        tape: Called with each step.
        proxy: URL of a server that answers for every host.
        gate: What must be set before more than the first event of a stream is read.
    """
    inner = httpx.AsyncHTTPTransport(verify=_NO_TLS, proxy=httpx.Proxy(proxy) if proxy else None)
    return httpx.AsyncClient(transport=_AsyncLine(inner, tape, gate), trust_env=False)
