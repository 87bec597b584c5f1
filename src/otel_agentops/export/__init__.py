"""Where spans go: a pipeline of our own for programs that have none."""

from otel_agentops.export.answers import Verdict
from otel_agentops.export.declared import apply_file
from otel_agentops.export.destination import Destination
from otel_agentops.export.listening import listen
from otel_agentops.export.pipeline import Pipeline, span_exporter
from otel_agentops.export.probe import Probe, ask

__all__ = [
    "Destination",
    "Pipeline",
    "Probe",
    "Verdict",
    "apply_file",
    "ask",
    "listen",
    "span_exporter",
]
