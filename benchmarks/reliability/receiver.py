"""An OTLP receiver in a process of its own that remembers each span, and has moods.

Orders are lines of JSON on standard input, answered by lines of JSON: `mood`, `close` (the port refuses
connections), `open` (the same port again), `counts`, `names` (of the spans so far, which are then forgotten).
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from benchmarks.driver import ROOT, environment

if TYPE_CHECKING:
    from types import TracebackType

CHECKSUM = "checksum"
"""Attribute of spans that are checked: CRC-32 of their name and their attribute `text`."""


class Mood(NamedTuple):
    """How requests are answered.

    Attributes:
        statuses: One of these, at random; 200 takes the spans.
        delay_s: Seconds before the answer, after the spans are taken.
        retry_after_s: Said with every status but 200.
    """

    statuses: tuple[int, ...] = (200,)
    delay_s: float = 0.0
    retry_after_s: float | None = None


class Spans:
    """What has arrived."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[bytes, str] = {}
        self._twice = self._wrong = self._requests = self._largest = self._too_large = 0
        self._first: float | None = None
        self._last = 0.0
        self._of_first = 0

    def take(self, request: Any, size: int) -> None:
        """Note a request."""
        with self._lock:
            self._requests += 1
            self._largest = max(self._largest, size)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self._span(span)
            self._last = time.monotonic()
            if self._first is None:
                self._first, self._of_first = self._last, len(self._ids)

    def refuse(self) -> None:
        """Note a request that is not taken because of its size."""
        with self._lock:
            self._too_large += 1

    def _span(self, span: Any) -> None:
        self._twice += span.span_id in self._ids
        self._ids[span.span_id] = span.name
        found = {each.key: each.value for each in span.attributes if each.key in (CHECKSUM, "text")}
        if CHECKSUM in found:
            whole = (span.name + found["text"].string_value).encode()
            self._wrong += zlib.crc32(whole) != found[CHECKSUM].int_value

    def counts(self) -> dict[str, Any]:
        """Spans that differ, those that came again, those with a wrong checksum, and when they came.

        `of_first` is how many came with the first request, at `first`.
        """
        with self._lock:
            return {
                "spans": len(self._ids),
                "twice": self._twice,
                "wrong": self._wrong,
                "requests": self._requests,
                "largest": self._largest,
                "too_large": self._too_large,
                "first": self._first,
                "of_first": self._of_first,
                "last": self._last,
            }

    def names(self) -> list[str]:
        """Names so far; nothing has arrived afterwards."""
        with self._lock:
            names = list(self._ids.values())
            self._ids.clear()
            return names

    def ids(self) -> list[str]:
        """Ids of all."""
        with self._lock:
            return [each.hex() for each in self._ids]


# --- the process ---


class _Http:
    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._server: ThreadingHTTPServer | None = None
        self._mood = Mood()
        self.port = 0
        self.open()

    def mood(self, **values: Any) -> None:
        self._mood = Mood(**{**values, "statuses": tuple(values.get("statuses", (200,)))})

    def open(self) -> None:
        if self._server is None:
            self._open()

    def _open(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                owner.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128
            connections: set[Any] = set()  # noqa: RUF012 - one server at a time

            def process_request(self, request: Any, address: Any) -> None:
                self.connections.add(request)
                super().process_request(request, address)

            def handle_error(self, *_: object) -> None:
                """Clients leave when they like."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):  # type: ignore[attr-defined]
            with suppress(OSError):  # closed by the other side
                connection.shutdown(socket.SHUT_RDWR)
        server.connections.clear()  # type: ignore[attr-defined]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        mood = self._mood
        body = handler.rfile.read(int(handler.headers["content-length"]))
        if handler.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        status = random.choice(mood.statuses)
        if status == 200 and handler.path.endswith("/v1/traces"):
            self._spans.take(trace_service_pb2.ExportTraceServiceRequest.FromString(body), len(body))
        time.sleep(mood.delay_s)
        handler.send_response(status)
        if status != 200 and mood.retry_after_s is not None:
            handler.send_header("retry-after", str(mood.retry_after_s))
        handler.send_header("content-length", "0")
        handler.end_headers()


GRPC_LIMIT = 4 << 20


def _grpc(spans: Spans) -> tuple[Any, int]:
    """A server with gRPC's usual limit, kept by ourselves, so that what is above it can be counted."""
    import grpc

    class Traces(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC names it
            size = request.ByteSize()
            if size > GRPC_LIMIT:
                spans.refuse()
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"larger than max ({size})")
            spans.take(request, size)
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _serve(protocol: str) -> None:
    spans = Spans()
    if protocol == "grpc":
        server, port = _grpc(spans)
        orders: dict[str, Any] = {}
    else:
        server = http = _Http(spans)
        port = http.port
        orders = {"mood": http.mood, "open": http.open, "close": http.close}
    orders |= {"counts": spans.counts, "names": spans.names, "ids": spans.ids}
    print(json.dumps(port), flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(orders[name](**arguments)), flush=True)
    del server


# --- the other side ---


class Receiver:
    """The receiver, from outside."""

    def __init__(self, protocol: str = "http/protobuf") -> None:
        command = [sys.executable, "-m", "benchmarks.reliability.receiver", protocol]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment(0), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        scheme = "grpc" if protocol == "grpc" else "http"
        self.url = f"{scheme}://127.0.0.1:{self._read()}"

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, order: str, **arguments: Any) -> Any:
        """Give an order and wait until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([order, arguments]) + "\n")
        self._process.stdin.flush()
        return self._read()

    def mood(self, mood: Mood) -> None:
        """Answer like this from now on."""
        self.ask("mood", **mood._asdict())

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=("http/protobuf", "grpc"))
    _serve(parser.parse_args().protocol)
