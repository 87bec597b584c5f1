"""One trace from the caller of a web service, through its agents, to the model provider."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

import pytest

from e2e.arrived import Json, delivered
from e2e.conftest import module
from e2e.services import ROOT, Service, Start, eventually, free_ports
from support.replay import ReplayServer

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_context_comes_in_and_goes_out(
    start: Start, provider: ReplayServer, tmp_path: Path, protocol: str
) -> None:
    """Same trace on both sides: caller, request, session, agent, model call, and the provider as the last."""
    module("opentelemetry.instrumentation.wsgi")
    collector = start("file")
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    service = Service(
        [sys.executable, "-m", "tests.e2e.service", port, provider.url],
        tmp_path / "service",
        f"{url}/ready",
        PYTHONPATH=ROOT,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint(protocol),
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_METRICS_EXPORTER="none",
    )
    with service:
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"}
        urllib.request.urlopen(urllib.request.Request(f"{url}/ask", headers=headers), timeout=30).close()

    def ours() -> list[Json]:
        found = [span for span in delivered(collector.folder).values() if span["trace_id"] == TRACE]
        assert len(found) >= 4
        return found

    by_parent = {span["parent_id"]: span for span in eventually(ours)}
    names, at = [], CALLER
    while at in by_parent:
        span = by_parent[at]
        names.append((span["kind"], span["name"]))
        at = span["span_id"]
    assert names == [
        ("SERVER", "GET /ask"),
        ("INTERNAL", "invoke_workflow question"),
        ("INTERNAL", "invoke_agent Helper"),
        ("CLIENT", "chat gpt-4o-mini"),
    ]
    [request] = provider.requests
    assert request.headers["traceparent"] == f"00-{TRACE}-{at}-01"
    assert request.headers["tracestate"] == "vendor=1"
