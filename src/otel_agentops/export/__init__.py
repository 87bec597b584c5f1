"""Where spans go: a pipeline of our own for programs that have none."""

from otel_agentops.export.declared import apply_file
from otel_agentops.export.pipeline import Pipeline, span_exporter

__all__ = ["Pipeline", "apply_file", "span_exporter"]
