"""A pipeline before there is anything to record: the first span loads and starts the rest.

Under a launcher this library is part of every Python process, also of those that never make a model call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from otel_agentops.export.ids import OwnIds
from otel_agentops.failsafe import swallowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["Early", "make_provider"]


def make_provider() -> TracerProvider:
    """A provider from the standard variables, which has no exporter yet."""
    return TracerProvider(shutdown_on_exit=False, id_generator=OwnIds())


class Early(SpanProcessor):
    """Stands in for `AgentOpsSpanProcessor` and passes everything on to it from the first span on.

    Args:
        start: Starts the rest, once; returns when that is done, whoever does it.
    """

    def __init__(self, start: Callable[[], object]) -> None:
        self._start = start
        self._inner: SpanProcessor | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Start what has not been started, and pass on."""
        try:
            (self._inner or self._begin()).on_start(span, parent_context)
        except Exception as error:  # noqa: BLE001 - an exception here would stop the user's own block
            swallowed("starting with the first span", error)

    def _begin(self) -> SpanProcessor:
        self._start()
        from otel_agentops.processors import AgentOpsSpanProcessor  # noqa: PLC0415 - what is put off

        self._inner = AgentOpsSpanProcessor()
        return self._inner

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing to do, as there."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Pass on; always True, as there."""
        return self._inner is None or self._inner.force_flush(timeout_millis)
