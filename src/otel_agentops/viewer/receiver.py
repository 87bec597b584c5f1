"""An OTLP/HTTP receiver for traces, on a free port of this machine; spans stay in memory."""

from __future__ import annotations

import zlib
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has no stubs

from otel_agentops.viewer.otlp import ReceivedSpan, decode

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Receiver"]

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one request, also after it is unpacked; more is refused."""

_PROTOBUF = "application/x-protobuf"
_PATH = "/v1/traces"


class Receiver:
    """Takes what an OTLP exporter sends: `with Receiver() as receiver: init(exporters=[receiver.url])`.

    Args:
        port: Port on 127.0.0.1; a free one when 0.
        limit: Spans to keep; older ones are let go.
    """

    def __init__(self, port: int = 0, limit: int = 100_000) -> None:
        self._spans: deque[ReceivedSpan] = deque(maxlen=limit)
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", port), self._add)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL, as `OTEL_EXPORTER_OTLP_ENDPOINT` and `init(exporters=)` take it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        """What has arrived so far, in the order of arrival."""
        with self._lock:
            return list(self._spans)

    def close(self) -> None:
        """Stop listening; the spans stay. May be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _add(self, spans: list[ReceivedSpan]) -> None:
        with self._lock:
            self._spans.extend(spans)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an exporter may hold its connection open

    def __init__(self, address: tuple[str, int], add: Any) -> None:
        super().__init__(address, _Handler)
        self.add = add


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that cannot be taken; `status` says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server

    def do_POST(self) -> None:
        try:
            body = self._body()
            if self.path.partition("?")[0].rstrip("/") != _PATH:
                raise _Refused(404, f"only {_PATH} is served here")
            if self.headers.get_content_type() != _PROTOBUF:
                raise _Refused(415, f"only {_PROTOBUF} is understood")
            self.server.add(decode(_unpack(body, self.headers.get("Content-Encoding", ""))))
        except _Refused as refused:
            self._answer(refused.status, str(refused).encode(), "text/plain")
        except DecodeError:
            self._answer(400, b"not an OTLP trace request", "text/plain")
        else:
            self._answer(200, b"", _PROTOBUF)  # an empty ExportTraceServiceResponse: all accepted

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True  # the rest of the request stays unread
            raise _Refused(413 if length.isdecimal() else 411, "Content-Length is missing or too large")
        return self.rfile.read(int(length))

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing on standard error."""


def _unpack(body: bytes, encoding: str) -> bytes:
    """The body without its compression.

    Raises:
        _Refused: The compression is unknown or broken, or the content is too large.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise _Refused(415, f"Content-Encoding {encoding} is not understood")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its header
    try:
        content = unpacker.decompress(body, MAX_BODY)
    except zlib.error:
        raise _Refused(400, "the body cannot be unpacked") from None
    if unpacker.unconsumed_tail:
        raise _Refused(413, "the body is too large when unpacked")
    return content
