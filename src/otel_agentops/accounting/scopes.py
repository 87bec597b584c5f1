"""Scopes: what an open session, agent, operation or tool is at run time, and what belongs to it.

`Scopes` is the one owner of live state. A span or call joins, in this order: the open scope of its
local parent span, the scope of our own context variable, the live scope of its trace, the implicit
session, and else nothing but the process. Our own variable exists because some tracers replace the
OpenTelemetry context (ddtrace does) and keys of others then vanish from it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from otel_agentops.accounting.ledger import Entry, Ledger, OwnCalls, post
from otel_agentops.failsafe import warn_once
from otel_agentops.semconv import own

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span

    from otel_agentops.accounting.budgets import Purse
    from otel_agentops.accounting.findings import Watch
    from otel_agentops.accounting.steps import History
    from otel_agentops.accounting.watcher import Account

__all__ = ["Scope", "Scopes"]

_MAX_SPANS = 100_000
"""Live spans that are remembered; beyond it the oldest are forgotten (they were never ended)."""

_OURS_ALONE = frozenset({own.CONVERSATION_ID})
"""Stamps that only our own spans carry: the conventions define them for few operations."""

_FAILED_TOOLS = 32
"""Names of failed tools that a scope remembers."""

Value = str | bool | int | float | tuple[str, ...]


class Scope:
    """One open session, agent, operation, tool or retrieval.

    Attributes:
        kind: `session`, `agent`, `operation`, `tool` or `retrieval`.
        parent: The scope it was opened in; None for an outermost one.
        ledger: Totals of what ran inside.
        stamps: Attributes that every span of ours started inside is given.
        marks: Those of them that spans of others are given.
        open: Whether it has not ended yet; a closed scope takes nothing any more.
        span: Its span; None until `Scopes.opened`.
        span_id: Id of that span; 0 where there is no SDK.
        trace_id: Its trace; 0 where there is no SDK.
        outer_span_id: Span that was current when the scope was opened, 0 if none.
        own: Calls made in it, also in its operations and tools, those of nested agents excluded.
        provider: Provider of the first model call inside; None before there was one.
        owner: `id()` of the object whose method opened it; 0 for functions and blocks.
        seen_error: `id()` of the last exception recorded inside, so that it is recorded once.
        watch: What is remembered of its session to find loops; None where nobody looks.
        lane: What its agent did so far.
        account: What a session with an id of the program's own shares with its other requests.
        purses: Budgets that what runs inside belongs to.
        failed_tools: Tools that failed inside and did not work since, and the span of each.
    """

    __slots__ = (
        "__weakref__",
        "account",
        "failed_tools",
        "kind",
        "lane",
        "ledger",
        "marks",
        "open",
        "outer_span_id",
        "own",
        "owner",
        "parent",
        "provider",
        "purses",
        "seen_error",
        "span",
        "span_id",
        "stamps",
        "trace_id",
        "watch",
    )

    def __init__(self, kind: str, parent: Scope | None, stamps: Mapping[str, Value], owner: int = 0) -> None:
        self.kind = kind
        self.parent = parent
        self.ledger = Ledger()
        own = dict(parent.stamps) if parent is not None else {}
        own.update(stamps)
        self.stamps: dict[str, Any] = own
        self.marks = own if _OURS_ALONE.isdisjoint(own) else {k: own[k] for k in own if k not in _OURS_ALONE}
        self.open = True
        self.span: Span | None = None
        self.span_id = 0
        self.trace_id = 0
        self.outer_span_id = 0
        self.own = OwnCalls()
        self.provider: str | None = None
        self.owner = owner
        self.seen_error = 0
        self.watch: Watch | None = parent.watch if parent is not None else None
        self.lane: History | None = parent.lane if parent is not None else None
        self.account: Account | None = None
        self.failed_tools: dict[str, int] | None = None
        self.purses: tuple[Purse, ...] = ()

    def tool_ended(self, name: str, span_id: int, failed: bool) -> None:
        """A tool has run in here; one that works later on was not what the run failed of."""
        failures = self.failed_tools
        if failed:
            if failures is None:
                failures = self.failed_tools = {}
            if len(failures) < _FAILED_TOOLS:
                failures.setdefault(name, span_id)
        elif failures:
            failures.pop(name, None)

    def live(self) -> Scope | None:
        """This scope or the nearest one around it that is still open; None if all have ended."""
        scope: Scope | None = self
        while scope is not None and not scope.open:
            scope = scope.parent
        return scope

    def session(self) -> Scope:
        """The nearest session around it, itself included; without one the outermost scope."""
        scope = self
        while scope.kind != "session" and scope.parent is not None:
            scope = scope.parent
        return scope

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


class Scopes:
    """Who is inside what, for one runtime."""

    def __init__(self) -> None:
        self.process = Ledger()
        self.implicit: Scope | None = None
        self._var: ContextVar[Scope | None] = ContextVar("otel_agentops_scope", default=None)
        self._by_span: dict[int, Scope] = {}
        self._by_trace: dict[int, Scope] = {}
        self._open = 0
        self._explicit_open = 0

    # --- finding the scope of a span or call ---

    def current(self) -> Scope | None:
        """The innermost open scope of the running context, by our own variable alone."""
        scope = self._var.get()
        return scope if scope is None or scope.open else scope.live()

    def join(self, parent_span_id: int, trace_id: int) -> Scope | None:
        """The scope that a span or call with this parent belongs to; None for the process.

        Args:
            parent_span_id: Local parent, explicit or current; 0 if there is none.
            trace_id: Its trace; 0 if there is none.
        """
        if not self._open:
            return None
        scope = self._by_span.get(parent_span_id) if parent_span_id else None
        if scope is not None and scope.open:
            return scope
        if scope is None or (scope := scope.live()) is None:
            scope = self.current()
        if scope is None and trace_id and (traced := self._by_trace.get(trace_id)) is not None:
            scope = traced.live()
        if scope is None and self.implicit is not None:
            scope = self.implicit.live()
        return scope

    def owned(self, owner: int) -> bool:
        """Whether a method of this very object is already the reason for an open scope here."""
        scope = self.current()
        return scope is not None and any(s.open and s.owner == owner for s in scope.chain())

    @property
    def explicit_open(self) -> bool:
        """Whether a session that the program opened itself is open anywhere in the process."""
        return self._explicit_open > 0

    # --- opening and closing ---

    @staticmethod
    def starting(scope: Scope | None) -> None:
        """Something starts inside `scope`: an exception that was recorded there before is history."""
        while scope is not None and scope.seen_error:
            scope.seen_error = 0
            scope = scope.parent

    def remember(self, span_id: int, scope: Scope) -> None:
        """What is started below this span belongs to `scope` until `forget`."""
        spans = self._by_span
        if len(spans) >= _MAX_SPANS:
            spans.pop(next(iter(spans)), None)
            warn_once("scopes full", "more than %d spans are open; some were never ended", _MAX_SPANS)
        spans[span_id] = scope

    def forget(self, span_id: int) -> Scope | None:
        """The span has ended; returns what it belonged to."""
        return self._by_span.pop(span_id, None)

    def opened(self, scope: Scope, span: Span, outer_span_id: int, implicit: bool = False) -> None:
        """A scope's span has started; the implicit session takes what has no other scope."""
        if implicit:
            self.implicit = scope
        context = span.get_span_context()
        scope.span, scope.outer_span_id = span, outer_span_id
        scope.span_id, scope.trace_id = context.span_id, context.trace_id
        if context.is_valid:
            self.remember(context.span_id, scope)
            self._by_trace.setdefault(context.trace_id, scope)
        self._open += 1
        if scope.kind == "session" and scope is not self.implicit:
            self._explicit_open += 1

    def closed(self, scope: Scope) -> None:
        """A scope ends now: what comes after it is late."""
        scope.open = False
        self._open -= 1
        if scope.kind == "session" and scope is not self.implicit:
            self._explicit_open -= 1
        if scope is self.implicit:
            self.implicit = None
        if self._by_trace.get(scope.trace_id) is scope:
            del self._by_trace[scope.trace_id]
        self.forget(scope.span_id)

    def leave(self, scope: Scope, before: Scope | None) -> None:
        """Give the place back, unless somebody else's scope is current by now."""
        if self._var.get() is scope:
            self._var.set(before)

    def swap(self, scope: Scope | None) -> Scope | None:
        """Make `scope` the current one whatever is, and return what was."""
        before = self._var.get()
        self._var.set(scope)
        return before

    # --- counting ---

    def count(self, scope: Scope | None, entry: Entry, provider: str | None = None) -> None:
        """Add an entry to every open scope around it and to the process.

        A scope that has ended takes nothing any more: the entry is then late for those still open.
        """
        if scope is None:
            if self._open:
                warn_once("lost scope", _LOST)
            post(entry, (self.process,))
            return
        ledgers, own = [self.process], []
        entry.late = not scope.open
        direct = True
        each: Scope | None = scope
        while each is not None:
            if direct:
                own.append(each.own)
                direct = each.kind != "agent"
            if each.open:
                ledgers.append(each.ledger)
                if each.account is not None and each.account.ledger not in ledgers:
                    ledgers.append(each.account.ledger)
                if each.provider is None:
                    each.provider = provider
            each = each.parent
        post(entry, ledgers, own)


_LOST = (
    "a call ran outside every session and agent while some were open, probably in a thread that was"
    " started without its context; it counts to the process only. Run the thread's work in"
    " contextvars.copy_context(), or set init(propagate_threads=True), to keep it inside"
)
