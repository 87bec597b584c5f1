"""Records whose spans are open: started once, finished once, by whoever comes first.

The normal end, an exception, a stream's close and the garbage collector may all want to end a call.
Everything that it adds to the books happens here, before its span ends, so that every processor and
exporter sees it, and also for calls that are not sampled.
"""

from __future__ import annotations

import functools
import os
import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from otel_agentops.accounting import fingerprint, tool_entry
from otel_agentops.failsafe import swallowed, warn_once
from otel_agentops.records import ModelCall, ToolCall
from otel_agentops.spans import dropped
from otel_agentops.spans.exceptions import error_type, put_on
from otel_agentops.spans.handover import put_in
from otel_agentops.spans.loose import attach_loosely

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_agentops.accounting import Place, Scope
    from otel_agentops.records import Ending, Record
    from otel_agentops.spans.layers import Layer
    from otel_agentops.spans.recorder import Recorder

__all__ = ["Open", "OpenCall", "OpenScope"]


class Open:
    """A record whose span is open.

    Attributes:
        record: What is being recorded; may be filled until `finish`.
        span: Its span; not recording when it is not sampled or there is no SDK.
        start_ns: UTC start in nanoseconds.
    """

    __slots__ = ("__weakref__", "_gate", "_process", "_recorder", "clock_ns", "record", "span", "start_ns")

    def __init__(self, recorder: Recorder, record: Record, span: Span, start_ns: int) -> None:
        self._recorder = recorder
        self._gate = Lock()
        self._process = _process
        self.record = record
        self.span = span
        self.start_ns = start_ns
        self.clock_ns = time.perf_counter_ns()

    @property
    def finished(self) -> bool:
        """Whether somebody has finished it."""
        return self._gate.locked()

    def finish(
        self, ending: Ending = "complete", error: BaseException | None = None, clock_ns: int | None = None
    ) -> bool:
        """End the record; only the first call does anything. Never raises.

        Args:
            ending: Why it ended.
            error: The exception that the user sees, if one made it end.
            clock_ns: `time.perf_counter_ns()` of the end, where it was earlier than now.

        Returns:
            Whether this call was the one that ended it.
        """
        if not self._gate.acquire(blocking=False) or self._process is not _process:
            return False  # somebody was first, or this is a child process and the call its parent's
        _outcome(self.record, ending, error)
        elapsed_ns = (clock_ns or time.perf_counter_ns()) - self.clock_ns
        recorder = self._recorder
        if recorder.others.pop(id(self), None) is None:
            recorder.sessions.pop(id(self), None)
        try:
            self._close(elapsed_ns, error)
        except Exception as failure:  # noqa: BLE001 - ours must not reach the caller
            swallowed("closing a record", failure)
        return True

    def fail(self, error: BaseException) -> bool:
        """End the record because of an exception: an error, a cancellation or a closing."""
        return self.finish(_ending_of(error), error)

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        raise NotImplementedError

    def _end_span(self, attributes: Callable[[], dict[str, Any]], elapsed_ns: int) -> None:
        span, record = self.span, self.record
        try:
            if span.is_recording():
                found = attributes()
                if found:
                    span.set_attributes(found)
                for name, more in self._recorder.encoder.events(record):
                    span.add_event(name, more)
                if record.error_type is not None:
                    message = record.error_message
                    span.set_status(
                        Status(StatusCode.ERROR, message and self._recorder.encoder.redactor.text(message))
                    )
        except Exception as failure:  # noqa: BLE001 - the span must still end
            swallowed("writing attributes", failure)
        span.end(self.start_ns + elapsed_ns)

    def _record_exception(self, error: BaseException, scope: Scope | None) -> None:
        """Put the exception on the innermost span that saw it, and only there."""
        if self.record.error_type is None or not self.span.is_recording():
            return
        try:
            self._record_once(error, scope)
        except Exception as failure:  # noqa: BLE001 - somebody's __str__ may fail; the span must still end
            swallowed("recording an exception", failure)

    def _record_once(self, error: BaseException, scope: Scope | None) -> None:
        if scope is not None and any(each.seen_error == id(error) for each in scope.chain()):
            return
        for each in scope.chain() if scope is not None else ():
            each.seen_error = id(error)
        put_on(self.span, error, self._recorder.encoder.exception(error))


class OpenCall(Open):
    """An open model call.

    Attributes:
        scope: What it belongs to; None for the process alone.
        layer: Where it waits for the call of an SDK that it stands for; None for most calls.
    """

    __slots__ = ("layer", "scope")

    record: ModelCall

    def __init__(
        self, recorder: Recorder, record: ModelCall, span: Span, start_ns: int, scope: Scope | None
    ) -> None:
        super().__init__(recorder, record, span, start_ns)
        self.scope = scope
        self.layer: Layer | None = None

    def attach(self, prepare: Callable[[Context], Context] | None = None) -> tuple[Context, Context]:
        """Make the span current, for what the provider's SDK does below; returns what `detach` needs.

        Args:
            prepare: What else to put into the context, where the span is recorded.
        """
        return _attach(self.span, prepare if self.span.is_recording() else None)

    @staticmethod
    def detach(attached: tuple[Context, Context]) -> None:
        """Undo `attach` or `attach_loosely`, unless somebody else's context is current by now."""
        before, ours = attached
        if otel_context.get_current() is ours:
            otel_context.attach(before)

    def first_chunk(self) -> None:
        """The first chunk of the answer has arrived."""
        if self.record.first_chunk_s is None:
            self.record.first_chunk_s = (time.perf_counter_ns() - self.clock_ns) / 1e9

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        recorder, call = self._recorder, self.record
        span_id = self.span.get_span_context().span_id
        call.place = place = recorder.calls.ending(span_id)
        below = self._settle(place) if self.layer is not None else None
        recorder.account(call, self.scope, self.start_ns)
        if place is not None:
            if below:
                place.below = [*below, *(place.below or ())]
            recorder.calls.leave(place)
        recorder.scopes.forget(span_id)
        if error is not None:
            self._record_exception(error, self.scope)
        self._end_span(lambda: recorder.encoder.call_end(call), elapsed_ns)
        recorder.instruments.model_call(call, elapsed_ns / 1e9)

    def _settle(self, place: Place | None) -> list[Any] | None:
        """Before it is counted: take over what the SDK below knows so far.

        Returns:
            Calls counted inside, where the SDK has told this one's own usage: they are then no part of it.
        """
        if self.layer is None or not self.layer.settle(self) or place is None:
            return None
        below, place.below = place.below, None
        return below


class OpenScope(Open):
    """An open session, agent, operation or tool.

    Attributes:
        scope: What runs inside joins it.
    """

    __slots__ = ("scope",)

    def __init__(self, recorder: Recorder, record: Record, span: Span, start_ns: int, scope: Scope) -> None:
        super().__init__(recorder, record, span, start_ns)
        self.scope = scope

    def enter(self) -> tuple[Context, Context, Scope | None]:
        """Make it current; returns what `leave` needs."""
        scope = self._recorder.scopes.swap(self.scope)
        return *_attach(self.span, self._prepare()), scope

    def _prepare(self) -> Callable[[Context], Context] | None:
        if self.record.kind == "session" and self._recorder.config.baggage:
            return functools.partial(put_in, self.scope.stamps)
        return None

    def enter_loosely(self) -> tuple[Context, Context, Scope | None]:
        """Make it current for as long as it is open, even where `leave` runs in another context."""
        scope = self._recorder.scopes.swap(self.scope)
        before, ours, _ = attach_loosely(self)
        return before, ours, scope

    def leave(self, entered: tuple[Context, Context, Scope | None]) -> None:
        """Undo `enter` where ours is still current; a context that others have put on top stays."""
        before, ours, scope = entered
        live = scope.live() if scope is not None else None
        self._recorder.scopes.leave(self.scope, live)
        if otel_context.get_current() is ours:
            otel_context.attach(before if live is scope else _inside(live, before))

    def swap(self, state: tuple[Context, Scope | None] | None) -> tuple[Context, Scope | None]:
        """Put another state of both contexts in place and return the one that was there.

        Args:
            state: What `swap` returned before; None for the state right inside this scope.
        """
        scopes = self._recorder.scopes
        before = otel_context.get_current(), scopes.swap(self.scope if state is None else state[1])
        if state is None:
            _attach(self.span, self._prepare())
        else:
            otel_context.attach(state[0])
        return before

    def finish_with(self, result: Any) -> bool:
        """End it with what a function returned; a tool keeps its result when content is captured."""
        if isinstance(self.record, ToolCall):
            self.result(result)
        return self.finish()

    def result(self, result: Any) -> None:
        """What a tool gave back; the first answer counts."""
        record = self.record
        if record.step is not None and not record.step.result:
            record.step.result = fingerprint(result)
        if isinstance(record, ToolCall) and record.result is None and self._recorder.encoder.capture_content:
            record.result = result

    def score(self, result: dict[str, Any]) -> None:
        """Write an evaluation's result as an event; fields that are None are left out."""
        encoder = self._recorder.encoder
        if self.finished:
            warn_once(
                "late score", "score() of something that has ended is not written: score before its end"
            )
        if not self.span.is_recording():
            return
        if not encoder.capture_content:
            result["gen_ai.evaluation.explanation"] = None
        seen = {
            name: encoder.redactor.text(value) if isinstance(value, str) else value
            for name, value in result.items()
            if value is not None
        }
        self.span.add_event("gen_ai.evaluation.result", seen)

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        recorder, record, scope = self._recorder, self.record, self.scope
        dropped.drain()  # what was abandoned inside belongs into our totals
        if error is not None:
            self._record_exception(error, scope)
        recorder.scopes.closed(scope)
        if (place := recorder.calls.ending(scope.span_id)) is not None:
            recorder.calls.leave(place, boundary=scope.kind in _BOUNDARIES)
        found = recorder.watcher.closed(record, scope)
        if isinstance(record, ToolCall):
            recorder.watcher.tool_ended(record, scope.parent, scope.span_id)
            recorder.budgets.tool_ended(record, scope.parent)
            recorder.scopes.count(scope.parent, tool_entry(record))
        if found:
            record.findings = [*(record.findings or ()), *found]
        self._end_span(lambda: recorder.encoder.scope_end(record, scope), elapsed_ns)
        recorder.instruments.scope(record, scope, elapsed_ns / 1e9)


_BOUNDARIES = frozenset({"session", "agent", "tool"})
"""Scopes whose calls are no part of a model call that they run in."""


def _inside(scope: Scope | None, context: Context) -> Context:
    """A context right inside a scope, for one whose scope has ended meanwhile."""
    span = scope.span if scope is not None and scope.span is not None else trace.INVALID_SPAN
    return trace.set_span_in_context(span, context)


_process = object()
"""Stands for this process: a forked child has another."""


def _new_process() -> None:
    global _process  # noqa: PLW0603 - the only way to tell a child from its parent without a system call
    _process = object()


os.register_at_fork(after_in_child=_new_process)


def _attach(span: Span, prepare: Callable[[Context], Context] | None = None) -> tuple[Context, Context]:
    """Make a span current; the context of before, and the one that is current now."""
    before = otel_context.get_current()
    ours = trace.set_span_in_context(span, before)
    if prepare is not None:
        ours = prepare(ours)
    otel_context.attach(ours)
    return before, ours


def _ending_of(error: BaseException) -> Ending:
    if isinstance(error, GeneratorExit):
        return "closed"
    return "error" if isinstance(error, Exception) else "cancelled"


def _outcome(record: Record, ending: Ending, error: BaseException | None) -> None:
    """Note how it ended; an error already noted by the maker of the record stays."""
    record.ending = ending
    if ending == "error" and error is not None and record.error_type is None:
        try:
            record.error_type = error_type(error)
            record.error_message = str(error)
        except Exception as failure:  # noqa: BLE001 - somebody's __str__ may fail
            swallowed("reading an exception", failure)
