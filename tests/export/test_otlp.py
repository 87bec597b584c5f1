"""Our OTLP exporter beside the stock one, against real servers in every mood."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from export.collector import Received, grpc_collector, http_collector, make_certificate
from otel_agentops import failsafe
from otel_agentops.config import Config
from otel_agentops.export import span_exporter
from otel_agentops.export.otlp import OtlpExporter

OTLP = "OTEL_EXPORTER_OTLP_"
GRPC = {OTLP + "PROTOCOL": "grpc"}
SERVERS = {"http": http_collector, "grpc": grpc_collector}
SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def some_spans(number: int = 3, text: str = "") -> list[ReadableSpan]:
    """Ended spans `0`, `1`, ..."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    for count in range(number):
        provider.get_tracer("t").start_span(str(count), attributes={"text": text}).end()
    return list(memory.get_finished_spans())


def exporter(server: Received, **variables: str) -> SpanExporter:
    """What a pipeline of ours would use."""
    protocol = {} if server.http else GRPC
    config = Config.load({OTLP + "ENDPOINT": server.url, **protocol, **variables})
    made = span_exporter("otlp", config)
    assert made is not None
    return made


def numbers(count: int) -> list[str]:
    """Names of so many spans."""
    return [str(number) for number in range(count)]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    """A collector of each protocol."""
    opened: AbstractContextManager[Received] = SERVERS[request.param]()
    with opened as received:
        yield received


VARIABLES: dict[str, dict[str, str]] = {
    "plain": {},
    "headers": {"HEADERS": "x-team=blue,Authorization=Basic%20abc=,odd"},
    "headers of traces": {"HEADERS": "x-team=blue", "TRACES_HEADERS": "x-team=red"},
    "gzip": {"COMPRESSION": "gzip"},
    "none over gzip": {"COMPRESSION": "gzip", "TRACES_COMPRESSION": "none"},
    "time-out": {"TIMEOUT": "3", "TRACES_TIMEOUT": "4.5"},
}
NOT_COMPARED = {
    "content-length", "grpc-accept-encoding", "grpc-timeout", "te", "user-agent", "x-otel-agentops-batch",
}  # fmt: skip


@pytest.mark.parametrize("variables", VARIABLES.values(), ids=VARIABLES)
def test_variables_act_as_with_the_stock_exporter(
    server: Received, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both send the same spans with the same headers to the same path."""
    given = {OTLP + name: value for name, value in variables.items()}
    if not server.http and "none" in variables.values():
        pytest.skip("the stock gRPC exporter does not know the compression `none`")
    for name, value in {OTLP + "ENDPOINT": server.url, **given}.items():
        monkeypatch.setenv(name, value)
    spans = some_spans()
    assert exporter(server, **given).export(spans) is SUCCESS
    assert stock(server).export(spans) is SUCCESS
    mine, theirs = (
        {name: value for name, value in headers.items() if name not in NOT_COMPARED}
        for headers in server.headers
    )
    assert mine == theirs
    assert server.spans == numbers(3) * 2
    assert len(set(server.paths)) == server.http
    assert len(set(server.sizes)) == 1


def test_empty_variables_are_unset(server: Received) -> None:
    """As the specification says, and as the stock exporters do not everywhere."""
    names = ("TRACES_ENDPOINT", "HEADERS", "COMPRESSION", "TIMEOUT", "CERTIFICATE", "INSECURE")
    assert exporter(server, **{OTLP + name: "" for name in names}).export(some_spans()) is SUCCESS


@pytest.mark.parametrize("name", ["TIMEOUT", "COMPRESSION"])
def test_wrong_variables_are_reported(server: Received, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The default holds instead."""
    assert exporter(server, **{OTLP + name: "plenty"}).export(some_spans()) is SUCCESS
    assert "plenty" in caplog.text


def stock(server: Received) -> SpanExporter:
    """The stock exporter of the protocol."""
    if server.http:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

    return Grpc()


def test_deflate_and_own_path() -> None:
    """The compression that only HTTP names, and an endpoint of traces that is taken as it stands."""
    with http_collector() as server:
        endpoint = {OTLP + "TRACES_ENDPOINT": f"{server.url}/own/v1/traces", OTLP + "COMPRESSION": "deflate"}
        assert exporter(server, **endpoint).export(some_spans()) is SUCCESS
    assert server.paths == ["/own/v1/traces"]
    assert server.headers[0]["content-encoding"] == "deflate"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, to make a certificate, is missing")
@pytest.mark.parametrize("protocol", SERVERS)
def test_certificates_of_clients(protocol: str, tmp_path: Path) -> None:
    """A server that wants to know its clients gets our certificate, and nobody else's spans."""
    certificate = make_certificate(tmp_path)
    with SERVERS[protocol](certificate, clients=True) as server:
        files = {OTLP + "CERTIFICATE": str(certificate[0]), OTLP + "TIMEOUT": "2"}
        assert exporter(server, **files).export(some_spans()) is FAILURE
        files[OTLP + "CLIENT_CERTIFICATE"] = str(certificate[0])
        files[OTLP + "CLIENT_KEY"] = str(certificate[1])
        assert exporter(server, **files).export(some_spans()) is SUCCESS
    assert server.spans == numbers(3)


STOCK_ONLY = {
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "nobody",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true",
}


@pytest.mark.parametrize("variable", STOCK_ONLY)
def test_what_only_the_stock_exporter_does(variable: str) -> None:
    """Somebody who asks for its own metrics or a credential provider gets the stock exporter."""
    for url in ("otlp", "http://localhost:1", "grpc://localhost:1"):
        made = span_exporter(url, Config.load({variable: STOCK_ONLY[variable]}))
        assert type(made).__module__.startswith("opentelemetry.exporter.otlp.proto")
        assert isinstance(span_exporter(url, Config.load({})), OtlpExporter)
        assert made is not None
        made.shutdown()


def retry_info(seconds: int) -> dict[str, bytes]:
    """As gRPC servers ask for a pause."""
    return {"google.rpc.retryinfo-bin": RetryInfo(retry_delay=Duration(seconds=seconds)).SerializeToString()}


LATER: list[tuple[Any, Any]] = [
    ((503, {}), (grpc.StatusCode.UNAVAILABLE, {})),
    ((429, {"retry-after": "0"}), (grpc.StatusCode.RESOURCE_EXHAUSTED, retry_info(0))),
    ((502, {"retry-after": "Sat, 21 Nov 2020 12:00:00 GMT"}), (grpc.StatusCode.ABORTED, {})),
]


@pytest.mark.parametrize("answers", LATER, ids=["away", "busy", "bad"])
def test_tries_again(server: Received, answers: tuple[Any, Any]) -> None:
    """A collector that is busy or away for a moment gets every span once."""
    code, more = answers[0 if server.http else 1]
    server.script = [(code, dict(more))]
    assert exporter(server).export(some_spans()) is SUCCESS
    assert server.spans == numbers(3)
    assert len(server.headers) == 2


LOST: list[tuple[Any, Any]] = [
    ((400, {}), (grpc.StatusCode.INVALID_ARGUMENT, {})),
    ((302, {"location": "/elsewhere"}), (grpc.StatusCode.UNAUTHENTICATED, {})),
    ((429, {"retry-after": "600"}), (grpc.StatusCode.RESOURCE_EXHAUSTED, retry_info(600))),
]


@pytest.mark.parametrize("answers", LOST, ids=["wrong", "elsewhere", "long"])
def test_gives_up(server: Received, answers: tuple[Any, Any]) -> None:
    """What is refused for good, or for longer than there is time, is not tried again."""
    code, more = answers[0 if server.http else 1]
    server.script = [(code, dict(more))]
    assert exporter(server).export(some_spans()) is FAILURE
    assert len(server.headers) == 1


def test_partial_success() -> None:
    """A collector that takes a batch but not all its spans is reported."""
    answer = trace_service_pb2.ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    with http_collector() as server:
        headers = {"content-type": "application/x-protobuf", "body": answer.SerializeToString()}
        server.script = [(200, headers)]
        assert exporter(server).export(some_spans()) is FAILURE
        assert exporter(server).export(some_spans()) is SUCCESS


def test_ten_megabytes(server: Received) -> None:
    """More than a gRPC server takes in one message arrives in parts, all of it, once."""
    assert exporter(server).export(some_spans(100, "x" * 100_000)) is SUCCESS
    assert server.spans == numbers(100)
    assert len(server.sizes) > 1


def test_smaller_than_expected() -> None:
    """A batch that is too large for this collector is halved until it fits."""
    with http_collector() as server:
        server.largest = 4_000
        assert exporter(server).export(some_spans(20, "x" * 1_000)) is SUCCESS
    assert server.spans == numbers(20)


def test_one_span_that_cannot_be_written(server: Received) -> None:
    """It is counted and left out; the others arrive."""
    spans = some_spans()
    spans.insert(1, ReadableSpan(name="without context"))
    assert exporter(server).export(spans) is FAILURE
    assert server.spans == numbers(3)
    assert failsafe.failures["encoding a span"] == 1


def test_shutdown_ends_a_wait(server: Received) -> None:
    """An exporter that waits for its next attempt stops at once when it is shut down."""
    asked = threading.Event()
    server.on_request = asked.set
    later = (429, {"retry-after": "500"}) if server.http else (grpc.StatusCode.UNAVAILABLE, retry_info(500))
    server.script = [later]
    made, answers = exporter(server, **{OTLP + "TIMEOUT": "1000"}), []
    thread = threading.Thread(target=lambda: answers.append(made.export(some_spans())), daemon=True)
    thread.start()
    assert asked.wait(30)
    made.shutdown()
    thread.join(30)
    assert answers == [FAILURE]
    assert made.export(some_spans()) is FAILURE
    assert len(server.headers) == 1


def test_nobody_there(unused: Callable[[], str]) -> None:
    """A closed port is a failure, never an exception."""
    for scheme in ("http", "grpc"):
        config = Config.load({OTLP + "TIMEOUT": "0.5"})
        made = span_exporter(f"{scheme}://{unused()}", config)
        assert made is not None
        assert made.export(some_spans()) is FAILURE


@pytest.fixture
def unused() -> Callable[[], str]:
    """Addresses that nobody listens on."""
    import socket

    def address() -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{probe.getsockname()[1]}"

    return address


def test_a_forked_child_has_connections_of_its_own() -> None:
    """Parent and child both deliver through an exporter that was used before the fork."""
    with http_collector() as server:
        made = exporter(server)
        spans = some_spans(1)
        assert made.export(spans) is SUCCESS
        child = os.fork()
        if child == 0:
            os._exit(made.export(spans) is not SUCCESS)
        assert made.export(spans) is SUCCESS
        assert os.waitpid(child, 0)[1] == 0
        assert made.export(spans) is SUCCESS
    assert server.spans == ["0"] * 4
    assert len(set(server.peers)) == 2


def test_credentials_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither settings nor messages show headers or what stands in a URL."""
    variables = {
        OTLP + "HEADERS": "authorization=secret-1",
        OTLP + "ENDPOINT": "http://me:secret-2@127.0.0.1:1",
        OTLP + "TIMEOUT": "0.5",
    }
    config = Config.load(variables)
    made = span_exporter("otlp", config)
    assert made is not None
    assert made.export(some_spans()) is FAILURE
    assert "127.0.0.1" in caplog.text
    assert "secret" not in caplog.text + repr(config) + repr(vars(made))
