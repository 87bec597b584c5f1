"""A program that was told a wrong address runs to its end, and says in one line which setting is wrong."""

from __future__ import annotations

import pytest

from e2e.services import Run, Start

PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("protocol", "port_of", "scheme", "advice"),
    [
        ("grpc", "http/protobuf", "http", f"set {PROTOCOL}=http/protobuf"),
        ("http/protobuf", "grpc", "http", f"set {PROTOCOL}=grpc"),
        ("http/protobuf", "http/protobuf", "https", "TLS"),
        ("grpc", "grpc", "https", "TLS"),
    ],
    ids=["grpc to HTTP's port", "HTTP to gRPC's port", "TLS to plain HTTP", "TLS to plain gRPC"],
)
def test_a_wrong_address(
    start: Start, run: Run, protocol: str, port_of: str, scheme: str, advice: str
) -> None:
    """Of a real collector that speaks something else there."""
    address = start("file").endpoint(port_of).replace("http://", f"{scheme}://")
    ran = run(address, protocol, OTEL_METRICS_EXPORTER="none")
    assert not ran.sent
    assert len(ran.spans) == 13
    [line] = [line for line in ran.said.splitlines() if ENDPOINT in line]
    assert address in line
    assert advice in line
