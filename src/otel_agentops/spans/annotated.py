"""A call that somebody else's span tells of already: it gets no span of ours, theirs learns what we know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_agentops.accounting import know_later, model_operation
from otel_agentops.failsafe import Refusal
from otel_agentops.spans.opened import OpenCall
from otel_agentops.spans.recorder import SCOPE_NAME

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otel_agentops.accounting import Place
    from otel_agentops.records import ModelCall
    from otel_agentops.spans.recorder import Recorder

__all__ = ["start_annotated"]


class AnnotatedCall(OpenCall):
    """A call inside somebody else's span of the same call.

    Args:
        recorder: Of this runtime.
        record: What is sent; filled with its answer like any other.
        span: Theirs.
        place: Where their span stands.
    """

    __slots__ = ("_place",)

    def __init__(self, recorder: Recorder, record: ModelCall, span: Span, place: Place) -> None:
        start_ns = getattr(span, "start_time", None) or 0
        context = span.get_span_context()
        scope = recorder.scopes.join(context.span_id, context.trace_id)
        try:
            recorder.admit(record, scope)
        except Refusal:
            place.refused = True
            raise
        super().__init__(recorder, record, span, start_ns, scope)
        self._place = place
        if record.step is not None:
            recorder.watcher.started(record, context.span_id, scope)
        place.inner, place.silent, place.refused = record, False, False

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        call, place = self.record, self._place
        if place.open or place.answered:
            return  # the processor takes it from here, or has taken it
        if not place.counted:  # theirs turned out to tell of something else
            call.place = self._recorder.calls.inside(place)
        elif call.usage is not None:  # theirs ended first: the call was counted, but not what it used
            know_later(call, place.priced, int(place.unpriced))
        else:
            return
        self._recorder.account(call, self.scope, self.start_ns)


def start_annotated(recorder: Recorder, call: ModelCall) -> OpenCall | None:
    """Start a call without a span, if the current span is somebody else's and tells of it.

    Returns:
        None where there is no such span, where our processor does not see it, so that it goes elsewhere,
        or where it has had a call inside before: then each is one by itself.
    """
    span = trace.get_current_span()
    emitter = getattr(span, "instrumentation_scope", None)
    if emitter is None or emitter.name == SCOPE_NAME or not span.is_recording():
        return None
    place = recorder.calls.at(span.get_span_context().span_id)
    operation = model_operation(_of(span)) if place is not None else None
    if place is None or operation is None or (operation == "embeddings") != (call.operation == "embeddings"):
        return None
    if place.inner is not None or place.below is not None:
        _count_first(recorder, place, getattr(span, "start_time", None) or 0)
        return None
    return AnnotatedCall(recorder, call, span, place)


def _count_first(recorder: Recorder, place: Place, start_ns: int) -> None:
    """A second call inside one span: the first was not the whole of it, so it is counted by itself."""
    first = place.inner
    if first is None or first.ending is None:
        return
    place.inner = None
    first.place = child = recorder.calls.inside(place)
    scope = recorder.scopes.current()
    recorder.account(first, scope, start_ns)
    recorder.calls.leave(child)


def _of(span: Any) -> dict[str, Any]:
    found = getattr(span, "attributes", None) or {}
    return dict(found.copy() if hasattr(found, "copy") else found)
