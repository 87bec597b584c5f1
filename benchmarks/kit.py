"""Stock OpenTelemetry providers, the same for both sides of a comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer


class Kit:
    """A program's own providers: batches to OTLP over HTTP, or to memory to look at them.

    Args:
        endpoint: Base URL of an OTLP receiver; empty for memory.
        with_metrics: Whether there are metrics at all.
    """

    def __init__(self, endpoint: str, with_metrics: bool = True) -> None:
        resource = Resource.create({"service.name": "benchmark"})
        self.spans = InMemorySpanExporter()
        self.reader: Any = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(resource=resource)
        if endpoint:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter(endpoint=endpoint + "/v1/traces")
            self.tracer_provider.add_span_processor(BatchSpanProcessor(exporter))
        else:
            self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans))
        trace.set_tracer_provider(self.tracer_provider)
        self.meter_provider: MeterProvider | None = None
        if with_metrics:
            if endpoint:
                from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

                self.reader = PeriodicExportingMetricReader(
                    OTLPMetricExporter(endpoint=endpoint + "/v1/metrics")
                )
            self.meter_provider = MeterProvider([self.reader], resource=resource)
            metrics.set_meter_provider(self.meter_provider)

    @property
    def tracer(self) -> Tracer:
        """A tracer of the program."""
        return self.tracer_provider.get_tracer("benchmark", "1.0")

    @property
    def meter(self) -> Meter:
        """A meter of the program."""
        return metrics.get_meter("benchmark", "1.0")

    def flush(self) -> None:
        """Send everything now."""
        self.tracer_provider.force_flush()
        if self.meter_provider is not None:
            self.meter_provider.force_flush()

    def signals(self) -> dict[str, Any]:
        """What arrived in memory: spans with their attributes, metrics with those of their points."""
        spans = [
            [span.name, span.parent is not None, dict(span.attributes or {})]
            for span in self.spans.get_finished_spans()
        ]
        points: dict[str, Any] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points[metric.name] = [
                        [dict(point.attributes), list(getattr(point, "explicit_bounds", ()))]
                        for point in metric.data.data_points
                    ]
        found: dict[str, Any] = json.loads(json.dumps({"spans": spans, "metrics": points}))
        return found
