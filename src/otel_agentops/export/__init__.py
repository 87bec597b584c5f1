"""Getting spans and metrics out, in programs that have no pipeline yet."""

from otel_agentops.export.pipeline import Pipeline, span_exporter

__all__ = ["Pipeline", "span_exporter"]
