"""A metric exporter that is imported when there is something to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from otel_agentops.export.importing import importing

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricsData

__all__ = ["LateMetricExporter"]


class LateMetricExporter(MetricExporter):
    """Stands for an exporter with the default temporality and aggregations, until it is needed.

    Args:
        make: Imports and makes it; what that raises is logged by the SDK's reader.
    """

    def __init__(self, make: Callable[[], MetricExporter]) -> None:
        super().__init__()
        self._make = make
        self._made: MetricExporter | None = None

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Pass on; called by the reader, one call at a time."""
        return self.prepare().export(metrics_data, timeout_millis, **kwargs)

    def prepare(self) -> MetricExporter:
        """Import and make it now."""
        with importing():
            if self._made is None:
                self._made = self._make()
            return self._made

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Pass on."""
        return self._made is None or self._made.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Pass on."""
        if self._made is not None:
            self._made.shutdown(timeout_millis, **kwargs)
