"""OTLP receivers for tests: plain, with TLS, and gRPC, all on free loopback ports."""

from __future__ import annotations

import gzip
import ssl
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class Received:
    """What arrived.

    Attributes:
        http: Whether it speaks HTTP.
        spans: Span names, in the order of their arrival.
        endings: How spans ended that ended early, by name.
        metrics: Metric names.
        headers: Headers (or gRPC metadata) of each request, names in lower case.
        resource: Resource attributes of the last spans.
        sizes: Bytes of each request, decompressed.
        bodies: Those themselves (HTTP).
        paths: Path of each request (HTTP).
        peers: Port that each request came from (HTTP).
        status: What HTTP requests are answered with.
        script: Answers to the next requests, before all others: HTTP status or gRPC code, and headers.
        largest: Bytes above which a request is too large.
        on_request: Called with each request before it is answered.
    """

    def __init__(self) -> None:
        self.url = ""
        self.http = True
        self.status = 200
        self.spans: list[str] = []
        self.endings: dict[str, str] = {}
        self.metrics: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.resource: dict[str, str] = {}
        self.sizes: list[int] = []
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.peers: list[int] = []
        self.script: list[tuple[Any, dict[str, Any]]] = []
        self.largest = 1 << 30
        self.on_request: Callable[[], object] = lambda: None

    def take_spans(self, request: Any) -> None:
        """Note an export request of spans."""
        for resource_spans in request.resource_spans:
            self.resource = {kv.key: kv.value.string_value for kv in resource_spans.resource.attributes}
            for scope in resource_spans.scope_spans:
                self.spans += [span.name for span in scope.spans]
                self.endings |= {
                    span.name: kv.value.string_value
                    for span in scope.spans
                    for kv in span.attributes
                    if kv.key == "otel_agentops.ending"
                }

    def post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """Note an HTTP request; returns status and headers of the answer."""
        body = _DECOMPRESS[headers.get("content-encoding", "identity")](body)
        self.headers.append(headers)
        self.sizes.append(len(body))
        self.bodies.append(body)
        self.paths.append(path)
        self.on_request()
        status, more = self.script.pop(0) if self.script else (self.status, {})
        if len(body) > self.largest:
            status = 413
        if status == 200 and path.endswith("/v1/traces"):
            self.take_spans(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
        elif status == 200:
            self.take_metrics(metrics_service_pb2.ExportMetricsServiceRequest.FromString(body))
        return status, more

    def take_metrics(self, request: Any) -> None:
        """Note an export request of metrics."""
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics |= {metric.name for metric in scope.metrics}


@contextmanager
def http_collector(
    certificate: tuple[Path, Path] | None = None, clients: bool = False, port: int = 0
) -> Iterator[Received]:
    """OTLP over HTTP; with TLS when given a certificate and its key, asking for clients' own too."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.peers.append(self.client_address[1])
            self.answer(*received.post(self.path, headers, body))

        def answer(self, status: int, headers: dict[str, Any]) -> None:
            body = headers.pop("body", b"")
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certificate[0])
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    received.url = f"{scheme}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def grpc_collector(certificate: tuple[Path, Path] | None = None, clients: bool = False) -> Iterator[Received]:
    """OTLP over gRPC; with TLS when given a certificate and its key, asking for clients' own too."""
    received = Received()

    class Traces(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC names it
            received.headers.append({key: str(value) for key, value in context.invocation_metadata()})
            received.sizes.append(request.ByteSize())
            received.on_request()
            if received.script:
                code, trailers = received.script.pop(0)
                context.set_trailing_metadata(tuple(trailers.items()))
                context.abort(code, "as the test says")
            received.take_spans(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC names it
            received.take_metrics(request)
            return metrics_service_pb2.ExportMetricsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (certificate[1].read_bytes(), certificate[0].read_bytes())
        authority = certificate[0].read_bytes() if clients else None
        port = server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials([pair], authority, require_client_auth=clients)
        )
    server.start()
    received.http = False
    received.url = f"{'https' if certificate else 'http'}://localhost:{port}"
    try:
        yield received
    finally:
        server.stop(None).wait()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", str(key), "-out", str(certificate),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key
