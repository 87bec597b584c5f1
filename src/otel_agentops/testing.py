"""What this library's own tests use, for the tests of programs that use it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_agentops import runtime
from otel_agentops.failsafe import reraise
from otel_agentops.spans import drain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Captured", "capture"]


class Captured:
    """Spans and metrics of a block of code, in memory.

    Attributes:
        runtime: What `init()` returned.
        provider: The tracer provider, for spans of your own.
    """

    def __init__(
        self, provider: TracerProvider, exporter: InMemorySpanExporter, reader: InMemoryMetricReader
    ) -> None:
        self.provider = provider
        self.runtime: runtime.Runtime
        self._exporter = exporter
        self._reader = reader

    @property
    def spans(self) -> list[ReadableSpan]:
        """Ended spans, in the order of their ends; abandoned streams are ended first."""
        drain()
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The one ended span of this name.

        Raises:
            LookupError: There is none, or more than one.
        """
        found = [span for span in self.spans if span.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} spans named {name!r} among {[s.name for s in self.spans]}")
        return found[0]

    def named(self, prefix: str) -> list[ReadableSpan]:
        """Ended spans whose names start like this."""
        return [span for span in self.spans if span.name.startswith(prefix)]

    @property
    def metrics(self) -> MetricsData | None:
        """What was measured since the last look; None if nothing was."""
        return self._reader.get_metrics_data()

    def clear(self) -> None:
        """Forget the spans so far."""
        drain()
        self._exporter.clear()


@contextmanager
def capture(*, strict: bool = True, **settings: Any) -> Iterator[Captured]:
    """Run a block with everything recorded into memory, then switch off again.

    Args:
        strict: Raise failures of this library instead of logging them.
        **settings: Arguments of `init()`.
    """
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    captured = Captured(provider, exporter, reader)
    runtime.shutdown()
    reraise(strict)
    try:
        captured.runtime = runtime.init(tracer_provider=provider, meter_provider=meters, **settings)
        yield captured
    finally:
        runtime.shutdown()
        reraise(False)
        provider.shutdown()
        meters.shutdown()
