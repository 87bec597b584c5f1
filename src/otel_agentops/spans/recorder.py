"""The only place that starts our spans: finds their parent and scope, for one runtime."""

from __future__ import annotations

import os
import time
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from otel_agentops.accounting import Budgets, Calls, Scope, Scopes, Watcher, stages
from otel_agentops.failsafe import Refusal, failsafe, logger, swallowed
from otel_agentops.records import AgentRun, Operation, Session, ToolCall
from otel_agentops.semconv import PROFILES, own
from otel_agentops.spans.handover import came_in, goes_on
from otel_agentops.spans.loose import firm
from otel_agentops.spans.metrics import Instruments
from otel_agentops.spans.opened import Open, OpenCall, OpenScope
from otel_agentops.spans.outward import encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from otel_agentops.accounting import Budget, BudgetExceeded, Finding
    from otel_agentops.config import Config
    from otel_agentops.pricing import PriceBook
    from otel_agentops.records import ModelCall, Record

__all__ = ["SCOPE_NAME", "Recorder", "new_session_id"]

SCOPE_NAME = "otel_agentops"
"""Instrumentation scope of every span and metric of ours; the processor knows our spans by it."""

_NO_ATTRIBUTES: dict[str, Any] = {}


class Recorder:
    """Records to spans, metrics and totals, for one runtime.

    Args:
        config: Its settings.
        book: Where prices come from.
        tracer_provider: Where spans go; the global one, also if it is set later, when None.
        meter_provider: The same for metrics.
        auto_session: Asked at the first call outside any session whether to open one for the process.
        on_finding: Called for each new finding, on the thread that made it.
        budgets: Of the whole process, and of each user and the like.
    """

    def __init__(
        self,
        config: Config,
        book: PriceBook,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        auto_session: Callable[[], bool] | None = None,
        on_finding: Callable[[Finding], object] | None = None,
        budgets: Iterable[Budget] = (),
    ) -> None:
        from otel_agentops import __version__  # noqa: PLC0415 - defined while this module loads

        profile = PROFILES[config.semconv]
        self.config = config
        self.book = book
        self.scopes = Scopes()
        limits = [limit for limit in (config.content_limit, config.value_limit) if limit is not None]
        self.encoder = encoder(
            profile, config.cost_names, config.capture_content, config.redact, min(limits, default=None)
        )
        self.complete_spans = config.foreign_spans == "complete"
        self.stamps_outside = self.complete_spans and config.baggage
        self.cleans_spans = self.complete_spans and not self.encoder.redactor.idle
        self.instruments = Instruments(profile, __version__, meter_provider)
        self.calls = Calls()
        self.gates = False  # whether calls have been checked only, so that spans may be inside of such
        self.watcher = Watcher(config)
        self.watcher.tell = self._tell
        self.budgets = Budgets(book, budgets)
        self.budgets.tell = self._tell_exceeded
        accounting = stages(book, self.scopes, self.calls, self.watcher, self.budgets)
        self.stages = (*accounting, self.instruments.sums.call)
        self.digest_key = config.digest_key or os.urandom(32)
        self.implicit: OpenScope | None = None
        self.sessions: dict[int, Open] = {}
        self.others: dict[int, Open] = {}
        self._opening = False
        self._auto_session = auto_session
        self._on_finding = on_finding
        _recorders.add(self)
        self._tracer = trace.get_tracer(SCOPE_NAME, __version__, tracer_provider, profile.schema_url)

    # --- starting ---

    def start_call(self, call: ModelCall, parent: OpenScope | None = None) -> OpenCall:
        """Start a model call below the current span; it is not made current.

        Args:
            call: What it is.
            parent: What it is started in; needed only where the context may have been lost on the way.

        Raises:
            Refusal: The program asked that such calls be stopped.
        """
        if self.implicit is None:
            self._want_session()
        context, parent_id, scope = self._where(parent)
        self.admit(call, scope)
        name, attributes = self.encoder.call_start(call, scope.stamps if scope else self.outside(context))
        if call.conversation_id is None and scope is not None and call.operation != "embeddings":
            call.conversation_id = scope.stamps.get(own.CONVERSATION_ID)
        start_ns = time.time_ns()
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=start_ns)
        span_id = span.get_span_context().span_id
        if scope is not None:
            self.scopes.starting(scope)
        if span_id and span_id != parent_id:  # tracers without an SDK hand on the parent's id
            self.calls.started(span_id, parent_id, span.get_span_context().trace_id, SCOPE_NAME)
            if scope is not None:
                self.scopes.remember(span_id, scope)
        if call.step is not None:
            self.watcher.started(call, span_id, scope)
        opened = OpenCall(self, call, span, start_ns, scope)
        _keep(self.others, opened)
        return opened

    def start_scope(self, record: Record, owner: int = 0, parent: OpenScope | None = None) -> OpenScope:
        """Start a session, agent, operation, tool or retrieval below the current span; not made current.

        Args:
            record: What it is.
            owner: `id()` of the object whose method it is, if that matters.
            parent: What it is started in; needed only where the context may have been lost on the way.

        Raises:
            Refusal: It is a tool, and the program asked that such calls be stopped.
        """
        if not isinstance(record, Session):
            self._want_session()
        context, parent_id, around = self._where(parent)
        return self._open(record, around, context, parent_id, owner)

    def _open(
        self,
        record: Record,
        around: Scope | None,
        context: Context,
        outer_span_id: int,
        owner: int = 0,
        implicit: bool = False,
    ) -> OpenScope:
        self.scopes.starting(around)
        if isinstance(record, ToolCall):
            self.admit(record, around)
        taken = goes_on(record, context) if around is None and self.config.baggage else _NO_ATTRIBUTES
        scope = Scope(record.kind, around, {**taken, **_stamps(record)}, owner)
        name, attributes = self.encoder.scope_start(record, scope.stamps)
        start_ns = time.time_ns()
        kind = SpanKind.CLIENT if record.kind == "retrieval" else SpanKind.INTERNAL
        span = self._tracer.start_span(name, context, kind, attributes, start_time=start_ns)
        self.scopes.opened(scope, span, outer_span_id, implicit)
        if self.calls.live(outer_span_id):  # what is called in here is inside a call around it
            self.calls.started(scope.span_id, outer_span_id, scope.trace_id, SCOPE_NAME)
        self.watcher.opened(record, scope)
        self.budgets.opened(record, scope)
        if record.step is not None:
            self.watcher.started(record, scope.span_id, around)
        opened = OpenScope(self, record, span, start_ns, scope)
        _keep(self.sessions if record.kind == "session" else self.others, opened)
        return opened

    def outside(self, context: Context) -> dict[str, Any]:
        """What a span outside every scope is marked with: what the caller's baggage says, if it may."""
        return came_in(context) if self.config.baggage else _NO_ATTRIBUTES

    def _where(self, parent: OpenScope | None) -> tuple[Context, int, Scope | None]:
        """The context to start a span in, the id of its parent (0: none), and the scope it joins.

        A parent that somebody names counts where the current context is not inside of it, as in a thread
        that was started without its context.
        """
        context, parent_id, scope = self._here()
        if parent is None or parent.finished or (scope is not None and parent.scope in scope.chain()):
            return context, parent_id, scope
        return trace.set_span_in_context(parent.span, context), parent.scope.span_id, parent.scope

    def _here(self) -> tuple[Context, int, Scope | None]:
        """The same by the current context alone.

        The current span wins, except where it is no more than the one that was current outside our
        innermost scope: then the OpenTelemetry context was lost (or replaced) and ours tells better.
        """
        scopes = self.scopes
        context, span = firm(otel_context.get_current())
        parent = span.get_span_context()
        mine = scopes.current()
        if mine is None and not parent.is_valid:
            mine = scopes.implicit
        if mine is not None and mine.span is not None and mine.span_id:
            if parent.span_id == mine.span_id:
                return context, mine.span_id, mine
            if not parent.is_valid or parent.span_id == mine.outer_span_id:
                return trace.set_span_in_context(mine.span, context), mine.span_id, mine
        return context, parent.span_id, scopes.join(parent.span_id, parent.trace_id)

    def admit(self, record: ModelCall | ToolCall, scope: Scope | None) -> None:
        """Look at a call that is about to be sent, or a tool that is about to run.

        Raises:
            Refusal: The program asked that such calls be stopped.
        """
        if isinstance(record, ToolCall):
            if scope is not None:
                self.watcher.start_tool(record, scope)
            start: Callable[[Any, Scope | None], None] = self.budgets.start_tool
        else:
            if scope is not None:
                self.watcher.start_call(record, scope)
            start = self.budgets.start_call
        try:
            start(record, scope)
        except Refusal:
            self.watcher.cancel(record, scope)
            raise

    def scope_here(self) -> Scope | None:
        """What a call that is made here joins, if it has no span of ours; None for the process alone."""
        if self.implicit is None:
            self._want_session()
        return self._where(None)[2]

    def account(self, call: ModelCall, scope: Scope | None, start_ns: int) -> None:
        """Put an ended call into the books, stage by stage; never raises.

        Args:
            call: Its record, which the stages fill.
            scope: What it belongs to; None for the process alone.
            start_ns: UTC start in nanoseconds.
        """
        for stage in self.stages:
            try:
                stage(call, scope, start_ns)
            except Exception as failure:  # noqa: BLE001 - the other stages must still run
                swallowed("accounting for a call", failure)

    # --- findings ---

    def _tell_exceeded(self, exceeded: BudgetExceeded, scope: Scope | None) -> None:
        self.watcher.silent("budget_exceeded", f"{exceeded.limit} of {exceeded.where}", 0, scope)

    def _tell(self, finding: Finding, scope: Scope | None) -> None:
        """Tell everybody of a new finding: the session's span, the metrics, the log and the program."""
        with failsafe("telling of a finding"):
            session = scope.session() if scope is not None else None
            if session is not None and session.span is not None:
                session.span.add_event(own.FINDING_EVENT, self.encoder.finding_event(finding))
            self.instruments.finding(finding, scope)
            where = f" in session {finding.session_id}" if finding.session_id else ""
            logger.warning(
                "%s%s; first span %s, last span %s",
                str(finding), where, finding.first_span_id, finding.last_span_id,
            )  # fmt: skip
        if self._on_finding is not None:
            with failsafe("calling on_finding"):
                self._on_finding(finding)

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
            if self.implicit is not None or self._opening:
                return
            self._opening = True  # a processor of the program may come back here while the span starts
            try:
                # a trace of its own: it outlives whatever span happens to be current now
                record = Session(None, new_session_id())
                self.implicit = self._open(record, None, Context(), 0, implicit=True)
            finally:
                self._opening = False

    def end_implicit(self, outcome: str | None) -> bool:
        """End the session of the process; False if none is open."""
        opened, self.implicit = self.implicit, None
        if opened is None:
            return False
        if outcome is not None and isinstance(opened.record, Session):
            opened.record.outcome = outcome
        return opened.finish()

    def end_open(self) -> None:
        """End everything that is still open, what was opened last first; the program is about to end."""
        implicit = self.implicit
        for opened in (*reversed(list(self.others.values())), *reversed(list(self.sessions.values()))):
            if opened is not implicit:
                opened.finish("abandoned")
        self.end_implicit(None)

    def forget_parent(self) -> None:
        """In the child of a fork: what is open is the parent's to end, the session of the process too."""
        self.sessions, self.others = {}, {}
        self.implicit = None
        self.scopes.implicit = None


_MAX_OPEN = 10_000
"""Open sessions that are ended at exit, and as many calls and other scopes; older ones are on their own."""


def _keep(book: dict[int, Open], opened: Open) -> None:
    """Remember what the end of the process has to end."""
    if len(book) >= _MAX_OPEN:  # somebody starts what is never ended
        book.pop(next(iter(book)), None)
    book[id(opened)] = opened


_implicit_lock = RLock()
_recorders: WeakSet[Recorder] = WeakSet()


def _after_fork() -> None:
    global _implicit_lock  # noqa: PLW0603 - the parent may have held it while forking
    _implicit_lock = RLock()
    for recorder in _recorders:
        recorder.forget_parent()


os.register_at_fork(after_in_child=_after_fork)


def new_session_id() -> str:
    """A fresh `session.id`."""
    return os.urandom(16).hex()


def _stamps(record: Record) -> dict[str, Any]:
    """What everything inside a scope is marked with."""
    if isinstance(record, AgentRun | Operation):
        marks: dict[str, Any] = {}
        if record.kind == "agent" and record.name:
            marks[own.AGENT_NAME] = record.name
        if record.conversation_id is not None:
            marks[own.CONVERSATION_ID] = record.conversation_id
        return marks
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
