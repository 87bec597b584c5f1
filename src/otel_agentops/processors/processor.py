"""The books for spans that others make: a span processor for any SDK provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor

from otel_agentops.accounting import model_call
from otel_agentops.failsafe import swallowed
from otel_agentops.processors.ending import before_end
from otel_agentops.semconv import own
from otel_agentops.spans import SCOPE_NAME, current, drain

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otel_agentops.accounting import Scope

__all__ = ["AgentOpsSpanProcessor"]

_NOT_STAMPED = frozenset({own.CONVERSATION_ID})
"""Stamps that only our own spans carry: the conventions define them for few operations."""


class AgentOpsSpanProcessor(SpanProcessor):
    """Stamps every span of a provider with its session and agent, and prices its model calls.

    A span started inside a session, agent, operation or tool joins it: it is stamped with the session's
    id, user and tags and the agent's name, and if it describes a model call in the current GenAI
    conventions, its cost is computed, written and added to the totals before it ends. Attributes that
    the emitter set are never overwritten. Our own spans are passed over; they are already accounted for.

    It exports nothing and may be added to any provider, before or after the exporters.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Join the span to its scope; called by the SDK."""
        try:
            recorder = current()
            scope_info = span.instrumentation_scope
            if recorder is None or (scope_info is not None and scope_info.name == SCOPE_NAME):
                return
            # the span's own word, since concurrent processors run on threads without its context
            parent, context = span.parent, span.get_span_context()
            local = parent is not None and not parent.is_remote
            scope = recorder.scopes.join(parent.span_id if parent and local else 0, context.trace_id)
            if scope is not None:
                recorder.scopes.remember(context.span_id, scope)
                _stamp(span, scope)
            before_end(span, self._account)
        except Exception as error:  # noqa: BLE001 - an exception here would stop the user's own block
            swallowed("joining a span", error)

    @staticmethod
    def _account(span: Span) -> None:
        recorder = current()
        if recorder is None:
            return
        span_id = span.get_span_context().span_id
        scope = recorder.scopes.of_span(span_id)
        recorder.scopes.forget(span_id)
        call = model_call(span.attributes or {})
        if call is None:
            return
        start_ns = span.start_time or 0
        for stage in recorder.stages:
            stage(call, scope, start_ns)
        if call.cost is not None:
            attributes: dict[str, object] = {}
            recorder.encoder.cost(call.cost, attributes)
            known = span.attributes or {}
            span.set_attributes({k: v for k, v in attributes.items() if k not in known})  # type: ignore[misc]  # str keys, plain values

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing is left to do: the accounting ran before the end."""

    def shutdown(self) -> None:
        """Nothing to close; spans that end later are still accounted for."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """End abandoned streams; always True, since older SDKs stop the chain at anything else."""
        drain()
        return True


def _stamp(span: Span, scope: Scope) -> None:
    stamps = scope.stamps
    if stamps:
        known = span.attributes or {}
        span.set_attributes(
            {name: value for name, value in stamps.items() if name not in known and name not in _NOT_STAMPED}
        )
