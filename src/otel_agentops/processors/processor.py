"""The books for spans that others make: a span processor for any SDK provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from otel_agentops.accounting import (
    RELATED,
    Place,
    digest,
    is_boundary,
    learn,
    model_call,
    prompt_of,
    reasons_of,
    tool_call,
    was_refused,
)
from otel_agentops.failsafe import swallowed
from otel_agentops.processors.content import clean_span
from otel_agentops.processors.ending import Endings, attributes_of, has_hook
from otel_agentops.processors.room import write
from otel_agentops.spans import SCOPE_NAME, current, drain, gate_around

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otel_agentops.records import ModelCall, ToolCall
    from otel_agentops.spans import Recorder

__all__ = ["AgentOpsSpanProcessor"]


class AgentOpsSpanProcessor(SpanProcessor):
    """Stamps every span of a provider with its session and agent, and prices its model calls.

    A span started inside a session, agent, operation or tool joins it: it is stamped with the session's
    id, user and tags and the agent's name. If it describes a model call, in the names of any
    instrumentation that is known here, its cost is computed, written and added to the totals before it
    ends; a call that several spans tell of is counted once. Names of the conventions that the emitter
    does not write are added; what it wrote is never changed, except for a cost that it estimated itself,
    which is kept as `otel_agentops.cost.emitter_usd`, and for secrets in content, which are taken out by
    the rules of `init(redact=)`. Our own spans are passed over.

    It exports nothing and may be added to any provider, before or after the exporters.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Join the span to its scope; called by the SDK."""
        try:
            recorder, emitter = current(), span.instrumentation_scope
            name = emitter.name if emitter is not None else ""
            if recorder is None or name == SCOPE_NAME or has_hook(span):
                return
            # the span's own word, since concurrent processors run on threads without its context
            parent, context = span.parent, span.get_span_context()
            parent_id = parent.span_id if parent is not None and not parent.is_remote else 0
            span_id, trace_id = context.span_id, context.trace_id
            place = recorder.calls.started(span_id, parent_id, trace_id, name)
            scope = recorder.scopes.join(parent_id, trace_id)
            if scope is not None:
                place.scope = scope
                recorder.scopes.remember(span_id, scope)
                if recorder.complete_spans and scope.marks:
                    _stamp(span, scope.marks)
            elif recorder.stamps_outside:
                _stamp(span, recorder.outside(get_current() if parent_context is None else parent_context))
            if recorder.gates and (gate := gate_around()) is not None:
                gate.met(place)
            _endings.watch(span, place)
        except Exception as error:  # noqa: BLE001 - an exception here would stop the user's own block
            swallowed("joining a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing is left to do: the accounting ran before the end."""

    def shutdown(self) -> None:
        """Nothing to close; spans that end later are still accounted for."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """End abandoned streams; always True, since older SDKs stop the chain at anything else."""
        drain()
        return True


def _stamp(span: Span, stamps: Mapping[str, Any]) -> None:
    known = attributes_of(span)
    if not known.keys().isdisjoint(stamps):
        stamps = {name: stamps[name] for name in stamps if name not in known}
    if stamps:
        span.set_attributes(stamps)


def _account(place: Place, span: Span, end_time: int | None) -> None:
    """Count and price what a span tells of; it is about to end."""
    recorder = current()
    if recorder is None:
        return
    recorder.calls.ending(place.span_id)
    if place.scope is not None:
        recorder.scopes.forget(place.span_id)
    attributes = attributes_of(span)
    if place.silent and RELATED.isdisjoint(attributes):
        if place.below is not None:
            recorder.calls.leave(place)
        place.open = False
        return
    if not span.is_recording():
        return
    try:
        _settle(recorder, span, attributes, place, end_time)
    finally:
        if recorder.cleans_spans:
            clean_span(span, attributes, recorder.encoder.redactor)


def _settle(
    recorder: Recorder, span: Span, attributes: dict[str, Any], place: Place, end_time: int | None
) -> None:
    told = {**place.heard, **attributes} if place.heard else attributes
    call, inner = _call_of(span, told, place), place.inner
    if place.gate is not None:
        inner = place.gate.tell(place, call is not None, place.span_id) or inner
    if call is not None and not recorder.calls.unsent(place):
        place.end_ns = end_time or 0
        _complete(recorder, call, inner, told, place)
        recorder.account(call, place.scope, span.start_time or 0)
        write(span, recorder.encoder.foreign(call, attributes, recorder.complete_spans), attributes)
    elif (tool := _tool_of(recorder, span, told)) is not None:
        _look(recorder, span, tool, attributes, place)
    elif inner is not None and inner.ending is not None:
        inner.place = place
        recorder.account(inner, place.scope, span.start_time or 0)
    boundary = place.below is not None and call is None and is_boundary(attributes)
    recorder.calls.leave(place, boundary)


def _complete(
    recorder: Recorder, call: ModelCall, inner: ModelCall | None, told: dict[str, Any], place: Place
) -> None:
    """What is known of a call besides what its span is read for."""
    if inner is not None:
        learn(call, inner)
    if call.digest is None and (prompt := place.said or prompt_of(told)):
        call.digest = digest(recorder.digest_key, *prompt)
    if call.finish_reasons is None:
        call.finish_reasons = reasons_of(told)
    call.place, call.span_id, call.trace_id = place, place.span_id, place.trace_id
    place.counted, place.answered = True, call.usage is not None


def _call_of(span: Span, told: dict[str, Any], place: Place) -> ModelCall | None:
    call = model_call(told, place.emitter)
    if call is not None and call.usage is None and was_refused(call, span.status.description, span.events):
        return None  # it was stopped before it was sent
    return call


def _tool_of(recorder: Recorder, span: Span, attributes: dict[str, Any]) -> ToolCall | None:
    failed = span.status.status_code is StatusCode.ERROR
    return tool_call(attributes, span.name, failed, recorder.digest_key)


def _look(recorder: Recorder, span: Span, tool: ToolCall, attributes: dict[str, Any], place: Place) -> None:
    """Look whether a tool is called in vain."""
    recorder.watcher.foreign_tool(tool, place.scope, span.start_time or 0, place.span_id, place.trace_id)
    if tool.findings:
        found: dict[str, Any] = {}
        recorder.encoder.findings(tool.findings, found)
        write(span, found, attributes)


_endings = Endings(_account)
