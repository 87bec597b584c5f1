"""What is said about spans that do not arrive, with real servers of the wrong kind at the other end."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from export.collector import grpc_collector, http_collector, make_certificate
from export.test_export import closed_port
from otel_agentops.export.diagnosis import Aim, explain

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, to make a certificate, is missing"
)


@dataclass
class Ends:
    """Ports of servers of each kind.

    Attributes:
        certificate: Of those that speak TLS; signs itself.
    """

    http: int
    https: int
    grpc: int
    grpcs: int
    refusing: int
    silent: int
    nobody: int
    certificate: Path


def port_of(url: str) -> int:
    """The port of a URL."""
    return int(url.rpartition(":")[2])


@contextmanager
def grpc_with_tls(certificate: tuple[Path, Path]) -> Iterator[int]:
    """A gRPC server that wants TLS; it has no services, which is enough to shake hands."""
    server = grpc.server(ThreadPoolExecutor(1))
    pair = (certificate[1].read_bytes(), certificate[0].read_bytes())
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """All of them."""
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    with ExitStack() as stack:
        refusing = stack.enter_context(http_collector())
        refusing.status = 401
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield Ends(
            http=port_of(stack.enter_context(http_collector()).url),
            https=port_of(stack.enter_context(http_collector(certificate)).url),
            grpc=port_of(stack.enter_context(grpc_collector()).url),
            grpcs=stack.enter_context(grpc_with_tls(certificate)),
            refusing=port_of(refusing.url),
            silent=silent.getsockname()[1],
            nobody=closed_port(),
            certificate=certificate[0],
        )


ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SWITCH = "set OTEL_EXPORTER_OTLP_PROTOCOL={}, or the endpoint's port to that for {}, usually {}"
TO_GRPC = SWITCH.format("grpc", "http/protobuf", 4318)
TO_HTTP = SWITCH.format("http/protobuf", "grpc", 4317)

WRONG = {
    "http to a gRPC port": ("http", "http", "grpc", "gRPC, not HTTP", TO_GRPC),
    "grpc to an HTTP port": ("grpc", "http", "http", "HTTP, not gRPC", TO_HTTP),
    "http without TLS to TLS": ("http", "http", "https", "TLS is spoken", "set the endpoint to https://"),
    "http with TLS to none": ("http", "https", "http", "no TLS is spoken", "set the endpoint to http://"),
    "grpc without TLS to TLS": ("grpc", "http", "grpcs", "TLS is spoken", "set the endpoint to https://"),
    "grpc with TLS to none": ("grpc", "https", "grpc", "no TLS is spoken", "set the endpoint to http://"),
    "http to an unknown authority": (
        "http",
        "https",
        "https",
        "certificate",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
    ),
    "grpc to an unknown authority": (
        "grpc",
        "https",
        "grpcs",
        "certificate",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
    ),
    "grpc with TLS to HTTP": ("grpc", "https", "http", "no TLS is spoken", "set the endpoint to http://"),
    "http to nobody": ("http", "http", "nobody", "nobody listens", "start a collector"),
    "grpc to nobody": ("grpc", "http", "nobody", "nobody listens", "start a collector"),
    "http to silence": ("http", "http", "silent", "no answer", "firewalls"),
    "grpc to silence": ("grpc", "http", "silent", "no answer", "firewalls"),
    "http without credentials": ("http", "http", "refusing", "status 401", "OTEL_EXPORTER_OTLP_HEADERS"),
}
PROTOCOLS = {"http": "http/protobuf", "grpc": "grpc"}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong(ends: Ends, case: str) -> None:
    """The setting, its value, what is at the other end, and what to set instead."""
    protocol, scheme, end, seen, instead = WRONG[case]
    endpoint = f"{scheme}://localhost:{getattr(ends, end)}"
    said = explain(Aim.of({ENDPOINT: endpoint}, PROTOCOLS[protocol]), timeout_s=0.5) or ""
    assert said.startswith(f"{ENDPOINT}='{endpoint}', protocol {PROTOCOLS[protocol]}: ")
    assert seen in said
    assert instead in said


RIGHT = [
    ("http", "http", "http"),
    ("grpc", "http", "grpc"),
    ("http", "https", "https"),
    ("grpc", "https", "grpcs"),
]


@pytest.mark.parametrize(("protocol", "scheme", "end"), RIGHT)
def test_nothing_is_wrong(ends: Ends, protocol: str, scheme: str, end: str) -> None:
    """Of a server of the right kind nothing is said: whatever failed, it was not the address."""
    variables = {
        ENDPOINT: f"{scheme}://localhost:{getattr(ends, end)}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(ends.certificate),
    }
    assert explain(Aim.of(variables, PROTOCOLS[protocol])) is None


def test_a_wrong_path(ends: Ends) -> None:
    """A path that the receiver does not serve: the variable for traces is used as it is."""
    from otel_agentops.viewer import Receiver

    with Receiver() as receiver:
        right = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.url}/v1/traces",
            ENDPOINT: "http://nowhere",
        }
        assert explain(Aim.of(right, "http/protobuf")) is None
        said = explain(Aim.of({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url}, "http/protobuf"))
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT='" in str(said)
    assert "status 404" in str(said)
    assert "/v1/traces is added to OTEL_EXPORTER_OTLP_ENDPOINT" in str(said)


def test_an_unknown_host() -> None:
    """A name that nobody knows."""
    said = explain(Aim.of({ENDPOINT: "http://no-such-host.invalid:4318"}, "http/protobuf"))
    assert "no host is known for no-such-host.invalid:4318" in str(said)


def test_grpc_without_a_scheme(ends: Ends) -> None:
    """Endpoints of gRPC may be `host:port`, which means TLS unless `INSECURE` says otherwise."""
    variables = {ENDPOINT: f"localhost:{ends.grpc}"}
    assert "no TLS is spoken" in str(explain(Aim.of(variables, "grpc")))
    assert explain(Aim.of({**variables, "OTEL_EXPORTER_OTLP_INSECURE": "true"}, "grpc")) is None


def test_credentials_are_not_repeated(ends: Ends) -> None:
    """A password in the endpoint stays out of the log."""
    said = explain(Aim.of({ENDPOINT: f"http://me:secret@localhost:{ends.nobody}"}, "http/protobuf"))
    assert "nobody listens" in str(said)
    assert "secret" not in str(said)


def test_an_unusable_certificate_file(tmp_path: Path) -> None:
    """A file that is missing, and one that holds no certificate."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for file, why in ((tmp_path / "no.pem", "No such file"), (empty, "no certificate")):
        variables = {ENDPOINT: "https://localhost:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": str(file)}
        said = str(explain(Aim.of(variables, "http/protobuf")))
        assert said.startswith(f"OTEL_EXPORTER_OTLP_CERTIFICATE='{file}'")
        assert why in said


def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy stands in between, the address itself tells nothing."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    assert "NO_PROXY=collector" in str(explain(Aim.of({ENDPOINT: "http://collector:4318"}, "http/protobuf")))
