"""A call that is only checked: somebody else's span tells of it.

Budgets and loops are looked at before it is sent, and the prompt's digest is taken. The first span of a
model call that ends inside of it is told what we know, and counts it. Where no span does, because the
other instrumentation does not record this call or its span lies elsewhere, the call is counted without
one; a span that tells of it afterwards learns its cost and is not counted again.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_agentops.accounting import GATE, Place, know_later
from otel_agentops.spans.opened import OpenCall

if TYPE_CHECKING:
    from otel_agentops.records import ModelCall
    from otel_agentops.spans.recorder import Recorder

__all__ = ["GatedCall", "gate_around", "start_gated"]

_MOST = 64
"""Spans inside one call that are waited for."""

_innermost: ContextVar[GatedCall | None] = ContextVar("otel_agentops_gate", default=None)


class GatedCall(OpenCall):
    """An open call without a span of ours.

    Args:
        recorder: Of this runtime.
        record: What is sent; filled with its answer like any other.

    Raises:
        Refusal: The program asked that such calls be stopped.
    """

    __slots__ = ("_around", "_inside", "_told", "_trace_id")

    def __init__(self, recorder: Recorder, record: ModelCall) -> None:
        scope = recorder.scope_here()
        recorder.admit(record, scope)
        span = trace.get_current_span()
        super().__init__(recorder, record, span, time.time_ns(), scope)
        context = span.get_span_context()
        recorder.calls.expect_several()
        recorder.gates = True
        self._trace_id = context.trace_id
        self._around = recorder.calls.at(context.span_id)
        self._inside: list[Place] = []
        self._told = False

    def attach(self, prepare: Any = None) -> Any:
        """Let spans that start below find it; nobody is asked to keep quiet."""
        before = _innermost.get()
        _innermost.set(self)
        return before

    @staticmethod
    def detach(attached: Any) -> None:
        """Undo `attach`."""
        _innermost.set(attached)

    def met(self, place: Place) -> None:
        """A span has started inside."""
        if not self.finished and len(self._inside) < _MOST:
            place.gate, place.silent = self, False
            self._inside.append(place)

    def tell(self, place: Place, is_call: bool, span_id: int) -> ModelCall | None:
        """A span inside is about to end; what it has to know of the call, or, if it is none, to count for it.

        Args:
            place: Where the span stands.
            is_call: Whether it tells of a model call.
            span_id: Its id.

        Returns:
            None if another span was told already, or may still turn out to tell of the call.
        """
        place.gate = None
        if self._told or not (is_call or (self.finished and not self._waits(place))):
            return None
        self._told = True
        if is_call:
            self._inside = [place]
        self._started(span_id)
        return self.record

    def _started(self, span_id: int) -> None:
        if self.record.step is not None:
            self._recorder.watcher.started(self.record, span_id, self.scope)

    def _waits(self, besides: Place | None = None) -> bool:
        return any(each.open and each is not besides for each in self._inside)

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        call = self.record
        if not self._told:
            if self._waits():
                return  # a stream that its own span still follows: that one is told when it ends
            self._count_alone(call)
            return
        place = self._inside[0]
        if not place.answered and call.usage is not None:
            # it was counted, but not what it used: its span ended before the answer
            call.place = self._place()
            know_later(call, place.priced, int(place.unpriced))
            call.step = call.held = None
            self._recorder.account(call, self.scope, self.start_ns)

    def _count_alone(self, call: ModelCall) -> None:
        self._started(self.span.get_span_context().span_id)
        if _unread(call):  # an answer that is read elsewhere, and later
            self._recorder.watcher.ended(call, self.scope, self.start_ns)
            self._recorder.budgets.free(call)
            self._recorder.calls.noted(call, self._place(), self.start_ns)
            return
        call.place = place = self._place()
        self._recorder.account(call, self.scope, self.start_ns)
        self._recorder.calls.leave(place)

    def _place(self) -> Place:
        around = self._around
        place = Place(GATE, self._trace_id, around if around is not None and around.open else None)
        place.root = not self._trace_id
        return place


def _unread(call: ModelCall) -> bool:
    """Whether nothing of an answer was read, although it has come: it is in other hands."""
    seen = call.usage or call.response_id or call.response_model or call.finish_reasons or call.error_type
    return call.ending == "complete" and not seen


def start_gated(recorder: Recorder, call: ModelCall) -> GatedCall | None:
    """Check a call that is about to be sent; None if it is part of one that was checked just now.

    Raises:
        Refusal: The program asked that such calls be stopped.
    """
    around = gate_around()
    if around is not None and around.record.digest == call.digest:
        return None
    return GatedCall(recorder, call)


def gate_around() -> GatedCall | None:
    """The innermost call that is checked only and goes on; None if there is none."""
    gate = _innermost.get()
    return gate if gate is not None and not gate.finished else None
