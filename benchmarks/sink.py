"""An OTLP receiver on the loopback interface, in a process of its own, that counts and throws away."""

from __future__ import annotations

import json
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_counts = {"spans": 0, "span_bytes": 0, "metric_requests": 0}
_lock = Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        size = len(body)
        if self.headers.get("content-encoding") == "gzip":
            body = zlib.decompress(body, 31)
        with _lock:
            if self.path.endswith("/v1/traces"):
                request = ExportTraceServiceRequest.FromString(body)
                _counts["span_bytes"] += size
                _counts["spans"] += sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
            else:
                _counts["metric_requests"] += 1
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        with _lock:
            self._answer(json.dumps(_counts).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until killed; the port is the first line of output."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
