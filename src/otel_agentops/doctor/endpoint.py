"""Whether the place where spans go answers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otel_agentops.doctor.findings import Finding
from otel_agentops.export import Destination, Probe, Verdict, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_agentops.config import Config

__all__ = ["look"]

_PATIENCE_S = 10.0
_ADVICE = (
    "start a collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT; OTEL_EXPORTER_OTLP_PROTOCOL must fit it"
    " (usually grpc on port 4317, http/protobuf on 4318)"
)


def look(config: Config) -> Iterator[Finding]:
    """Each destination of the settings, asked with an empty batch."""
    if config.sdk_disabled:
        return
    for probe in ask(config, _PATIENCE_S):
        yield _finding(probe)


def _finding(probe: Probe) -> Finding:
    if probe.destination is None or probe.answer is None:
        return Finding("endpoint", "note", f"spans go to the exporter {probe.setting}, which was not asked")
    where = f"{_shown(probe.destination)} ({probe.destination.protocol})"
    if probe.answer.verdict is Verdict.SENT:
        return Finding("endpoint", "ok", f"{where} takes spans")
    return Finding("endpoint", "error", f"{where} does not take spans: {probe.answer.reason}", _ADVICE)


def _shown(destination: Destination) -> str:
    """Scheme, host and path: a user name or a query may hold a key."""
    if destination.protocol == "grpc":
        return destination.endpoint.rpartition("@")[2]
    parts = urlsplit(destination.endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
