"""The only place that opens and closes our spans.

A record is started once and finished once, by whoever comes first: the normal end, an exception, a
stream's close or the garbage collector. Everything that a call adds to the books happens here, before
its span ends, so that every processor and exporter sees it, and also for calls that are not sampled.
"""

from __future__ import annotations

import secrets
import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from otel_agentops.accounting import Scope, Scopes, stages, tool_entry
from otel_agentops.failsafe import failsafe, swallowed
from otel_agentops.records import AgentRun, ModelCall, Session, ToolCall
from otel_agentops.semconv import PROFILES, own
from otel_agentops.spans import dropped
from otel_agentops.spans.encode import Encoder
from otel_agentops.spans.metrics import Instruments

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, SpanContext, TracerProvider

    from otel_agentops.config import Config
    from otel_agentops.pricing import PriceBook
    from otel_agentops.records import Ending, Record

__all__ = ["SCOPE_NAME", "Open", "OpenCall", "OpenScope", "Recorder"]

SCOPE_NAME = "otel_agentops"
"""Instrumentation scope of every span and metric of ours; the processor knows our spans by it."""

_NO_ATTRIBUTES: dict[str, Any] = {}


def error_type(error: BaseException) -> str:
    """The conventions' `error.type` of an exception: its qualified name, builtins without module."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


class Open:
    """A record whose span is open.

    Attributes:
        record: What is being recorded; may be filled until `finish`.
        span: Its span; not recording when it is not sampled or there is no SDK.
        start_ns: UTC start in nanoseconds.
    """

    __slots__ = ("_gate", "_recorder", "clock_ns", "record", "span", "start_ns")

    def __init__(self, recorder: Recorder, record: Record, span: Span, start_ns: int) -> None:
        self._recorder = recorder
        self._gate = Lock()
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
        if not self._gate.acquire(blocking=False):
            return False
        _outcome(self.record, ending, error)
        elapsed_ns = (clock_ns or time.perf_counter_ns()) - self.clock_ns
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
                span.set_attributes(attributes())
                if record.error_type is not None:
                    span.set_status(Status(StatusCode.ERROR, record.error_message))
        except Exception as failure:  # noqa: BLE001 - the span must still end
            swallowed("writing attributes", failure)
        span.end(self.start_ns + elapsed_ns)

    def _record_exception(self, error: BaseException | None, scope: Scope | None) -> None:
        """Put the exception on the innermost span that saw it, and only there."""
        if error is None or self.record.error_type is None or not self.span.is_recording():
            return
        if scope is not None and any(each.seen_error == id(error) for each in scope.chain()):
            return
        for each in scope.chain() if scope is not None else ():
            each.seen_error = id(error)
        self.span.record_exception(error)


class OpenCall(Open):
    """An open model call."""

    __slots__ = ("scope",)

    record: ModelCall

    def __init__(
        self, recorder: Recorder, record: ModelCall, span: Span, start_ns: int, scope: Scope | None
    ) -> None:
        super().__init__(recorder, record, span, start_ns)
        self.scope = scope

    def attach(self) -> tuple[Context, Context]:
        """Make the span current, for what the provider's SDK does below; returns what `detach` needs."""
        before = _attach(self.span)
        return before, otel_context.get_current()

    @staticmethod
    def detach(attached: tuple[Context, Context]) -> None:
        """Undo `attach`, unless somebody else's context is current by now."""
        before, ours = attached
        if otel_context.get_current() is ours:
            otel_context.attach(before)

    def first_chunk(self) -> None:
        """The first chunk of the answer has arrived."""
        if self.record.first_chunk_s is None:
            self.record.first_chunk_s = (time.perf_counter_ns() - self.clock_ns) / 1e9

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        recorder, call = self._recorder, self.record
        for stage in recorder.stages:
            try:
                stage(call, self.scope, self.start_ns)
            except Exception as failure:  # noqa: BLE001 - the other stages must still run
                swallowed("accounting for a call", failure)
        recorder.scopes.forget(self.span.get_span_context().span_id)
        self._record_exception(error, self.scope)
        self._end_span(lambda: recorder.encoder.call_end(call), elapsed_ns)
        recorder.instruments.model_call(call, elapsed_ns / 1e9)


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
        before = _attach(self.span)
        return before, otel_context.get_current(), scope

    def leave(self, entered: tuple[Context, Context, Scope | None]) -> None:
        """Undo `enter` where ours is still current; a context that others have put on top stays."""
        before, ours, scope = entered
        self._recorder.scopes.leave(self.scope, scope)
        if otel_context.get_current() is ours:
            otel_context.attach(before)

    def swap(self, state: tuple[Context, Scope | None] | None) -> tuple[Context, Scope | None]:
        """Put another state of both contexts in place and return the one that was there.

        Args:
            state: What `swap` returned before; None for the state right inside this scope.
        """
        scopes = self._recorder.scopes
        before = otel_context.get_current(), scopes.swap(self.scope if state is None else state[1])
        if state is None:
            _attach(self.span)
        else:
            otel_context.attach(state[0])
        return before

    def finish_with(self, result: Any) -> bool:
        """End it with what a function returned; a tool keeps its result when content is captured."""
        record = self.record
        if isinstance(record, ToolCall) and record.result is None and self._recorder.encoder.capture_content:
            record.result = result
        return self.finish()

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        recorder, record, scope = self._recorder, self.record, self.scope
        dropped.drain()  # what was abandoned inside belongs into our totals
        self._record_exception(error, scope)
        recorder.scopes.closed(scope)
        if isinstance(record, ToolCall):
            recorder.scopes.count(scope.parent, tool_entry(record))
        self._end_span(lambda: recorder.encoder.scope_end(record, scope), elapsed_ns)
        recorder.instruments.scope(record, scope, elapsed_ns / 1e9)


class Recorder:
    """Records to spans, metrics and totals, for one runtime.

    Args:
        config: Its settings.
        book: Where prices come from.
        tracer_provider: Where spans go; the global one, also if it is set later, when None.
        meter_provider: The same for metrics.
        auto_session: Asked at the first call outside any session whether to open one for the process.
    """

    def __init__(
        self,
        config: Config,
        book: PriceBook,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        auto_session: Callable[[], bool] | None = None,
    ) -> None:
        from otel_agentops import __version__  # noqa: PLC0415 - defined while this module loads

        profile = PROFILES[config.semconv]
        self.config = config
        self.book = book
        self.scopes = Scopes()
        self.encoder = Encoder(profile, config.cost_names, config.capture_content)
        self.instruments = Instruments(profile, __version__, meter_provider)
        self.stages = stages(book, self.scopes)
        self.digest_key = config.digest_key or secrets.token_bytes(32)
        self.implicit: OpenScope | None = None
        self._auto_session = auto_session
        self._tracer = trace.get_tracer(SCOPE_NAME, __version__, tracer_provider, profile.schema_url)

    # --- starting ---

    def start_call(self, call: ModelCall) -> OpenCall:
        """Start a model call below the current span; it is not made current."""
        self._want_session()
        context, parent = self._parent()
        scope = self.scopes.join(parent.span_id, parent.trace_id)
        name, attributes = self.encoder.call_start(call, scope.stamps if scope else _NO_ATTRIBUTES)
        if call.conversation_id is None and scope is not None and call.operation != "embeddings":
            call.conversation_id = scope.stamps.get(own.CONVERSATION_ID)
        start_ns = time.time_ns()
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=start_ns)
        span_id = span.get_span_context().span_id
        if scope is not None and span_id:
            self.scopes.remember(span_id, scope)
        return OpenCall(self, call, span, start_ns, scope)

    def start_scope(self, record: Record, owner: int = 0) -> OpenScope:
        """Start a session, agent, operation or tool below the current span; it is not made current.

        Args:
            record: What it is.
            owner: `id()` of the object whose method it is, if that matters.
        """
        if not isinstance(record, Session):
            self._want_session()
        context, parent = self._parent()
        around = self.scopes.join(parent.span_id, parent.trace_id)
        return self._open(record, around, context, parent.span_id, owner)

    def _open(
        self,
        record: Record,
        around: Scope | None,
        context: Context,
        outer_span_id: int,
        owner: int = 0,
        implicit: bool = False,
    ) -> OpenScope:
        scope = Scope(record.kind, around, _stamps(record), owner)
        name, attributes = self.encoder.scope_start(record, scope.stamps)
        start_ns = time.time_ns()
        span = self._tracer.start_span(name, context, SpanKind.INTERNAL, attributes, start_time=start_ns)
        self.scopes.opened(scope, span, outer_span_id, implicit)
        return OpenScope(self, record, span, start_ns, scope)

    def _parent(self) -> tuple[Context, SpanContext]:
        """The context to start a span in, and its parent.

        The current span wins, except where it is no more than the one that was current outside our
        innermost scope: then the OpenTelemetry context was lost (or replaced) and ours tells better.
        """
        context = otel_context.get_current()
        parent = trace.get_current_span(context).get_span_context()
        scope = self.scopes.current()
        if scope is None and not parent.is_valid and self.scopes.implicit is not None:
            scope = self.scopes.implicit
        if scope is None or scope.span is None:
            return context, parent
        ours = scope.span.get_span_context()
        if not ours.is_valid or parent.span_id == ours.span_id:
            return context, parent
        if parent.is_valid and parent.span_id != scope.outer_span_id:
            return context, parent
        return trace.set_span_in_context(scope.span, context), ours

    # --- the session of a script that opens none ---

    def _want_session(self) -> None:
        if self.implicit is not None or self._auto_session is None or self.scopes.explicit_open:
            return
        with failsafe("opening the session of the process"):
            if self.scopes.current() is None and self._auto_session():
                self.open_implicit()

    def open_implicit(self) -> None:
        """Open the session of the process, if none is open."""
        with _implicit_lock:
            if self.implicit is not None:
                return
            # a trace of its own: it outlives whatever span happens to be current now
            record = Session(None, new_session_id())
            self.implicit = self._open(record, None, Context(), 0, implicit=True)

    def end_implicit(self, outcome: str | None) -> bool:
        """End the session of the process; False if none is open."""
        opened, self.implicit = self.implicit, None
        if opened is None:
            return False
        if outcome is not None and isinstance(opened.record, Session):
            opened.record.outcome = outcome
        return opened.finish()


_implicit_lock = Lock()


def new_session_id() -> str:
    """A fresh `session.id`."""
    import uuid  # noqa: PLC0415 - 5 ms of start-up that most programs spend elsewhere anyway

    return uuid.uuid4().hex


def _attach(span: Span) -> Context:
    before = otel_context.get_current()
    otel_context.attach(trace.set_span_in_context(span, before))
    return before


def _stamps(record: Record) -> dict[str, Any]:
    """What everything inside a scope is marked with."""
    if isinstance(record, AgentRun):
        return {own.AGENT_NAME: record.name} if record.name else {}
    if not isinstance(record, Session):
        return {}
    stamps: dict[str, Any] = {own.SESSION_ID: record.session_id}
    if record.user_id is not None:
        stamps[own.USER_ID] = record.user_id
    if record.conversation_id is not None:
        stamps[own.CONVERSATION_ID] = record.conversation_id
    if record.tags:
        stamps[own.TAGS] = record.tags
    return stamps


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
