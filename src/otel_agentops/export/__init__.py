"""Where spans go: a pipeline of our own for programs that have none.

The parts are loaded when they are first used: under a launcher most processes need only the first.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agentops.export.answers import Verdict
    from otel_agentops.export.declared import apply_file
    from otel_agentops.export.destination import Destination
    from otel_agentops.export.early import Early, make_provider
    from otel_agentops.export.listening import listen
    from otel_agentops.export.pipeline import Pipeline, span_exporter
    from otel_agentops.export.probe import Probe, ask

__all__ = [
    "Destination",
    "Early",
    "Pipeline",
    "Probe",
    "Verdict",
    "apply_file",
    "ask",
    "listen",
    "make_provider",
    "span_exporter",
]

_HOMES = {
    "Destination": "destination",
    "Early": "early",
    "Pipeline": "pipeline",
    "Probe": "probe",
    "Verdict": "answers",
    "apply_file": "declared",
    "ask": "probe",
    "listen": "listening",
    "make_provider": "early",
    "span_exporter": "pipeline",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
