"""Looking at every call and tool for loops and silent failures, for one runtime.

Our own calls are looked at when they start, so that the next turn of a loop can be stopped before it is
sent; spans of others when they end, because only then their attributes are complete.
"""

from __future__ import annotations

import marshal
import os
from collections import OrderedDict
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet
from zlib import crc32

from otel_agentops.accounting.findings import Finding, LoopDetected, Step, Watch
from otel_agentops.accounting.kept import Kept
from otel_agentops.accounting.ledger import Ledger
from otel_agentops.accounting.repeats import in_flight, look_back
from otel_agentops.accounting.silent import silent_failures
from otel_agentops.accounting.steps import FAILED, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agentops.accounting.scopes import Scope
    from otel_agentops.accounting.steps import History
    from otel_agentops.config import Config
    from otel_agentops.records import ModelCall, Record, Session, ToolCall

__all__ = ["Account", "Watcher", "fingerprint"]

_SESSIONS = 10_000
"""Sessions with an id of the program's own that are found again."""
_TRACES = 1_000
"""Traces outside any of our scopes that are watched at once."""
_NOT_WATCHED = frozenset({"embeddings", "fetch_response"})
"""The same text is embedded, and the same answer fetched, as often as somebody likes."""
_ANSWERED = 1
"""Outcome of a model call that gave an answer: what it says is new each time."""


class Account:
    """What a session with an id of the program's own finds again in the next request.

    Attributes:
        ledger: Totals of all its requests.
        watch: What was done in them.
        open: Requests that are going on.
    """

    __slots__ = ("ledger", "open", "watch")

    def __init__(self, watch: Watch) -> None:
        self.ledger = Ledger()
        self.watch = watch
        self.open = 0


class Watcher:
    """The one owner of what is remembered of runs.

    Args:
        config: Says what to do about loops.

    Attributes:
        tell: `(finding, scope)`: called once for each new finding, when its span has an id.
    """

    def __init__(self, config: Config) -> None:
        self.tell: Callable[[Finding, Scope | None], None] = _nobody
        self._config = config
        self._lock = RLock()
        self._accounts: Kept[Account] = Kept(_SESSIONS)
        self._traces: Kept[Watch] = Kept(_TRACES)
        # most traces have one call, and a memory of its own would cost more than looking at it
        self._firsts: OrderedDict[int, tuple[int, int, int, int]] = OrderedDict()
        self._process = self._watch(None)
        _watchers.add(self)

    def fresh_lock(self) -> None:
        """In the child of a fork: the parent may have held it."""
        self._lock = RLock()

    def _watch(self, session_id: str | None) -> Watch:
        return Watch(self._config.loop_limits, self._config.loops, session_id)

    # --- scopes ---

    def opened(self, record: Record, scope: Scope) -> None:
        """A scope opens: a session, or what is outermost, has a memory of its own, agents have a lane."""
        with self._lock:
            if record.kind == "session":
                self._session(record, scope)  # type: ignore[arg-type]  # what the kind says
            elif scope.parent is None:
                scope.watch = self._watch(None)
                scope.lane = scope.watch.main
            if record.kind == "agent" and scope.watch is not None:
                scope.lane = scope.watch.take(getattr(record, "name", None) or "")

    def _session(self, record: Session, scope: Scope) -> None:
        if record.given:
            account = self._accounts.get(record.session_id, lambda: Account(self._watch(record.session_id)))
            account.open += 1
            scope.account, scope.watch = account, account.watch
            if account.open == 1:
                account.watch.main.new_turn()
        else:
            scope.watch = self._watch(record.session_id)
        if record.loops is not None or record.loop_limits:
            limits = {**self._config.loop_limits, **record.loop_limits}
            scope.watch.set(limits, record.loops or self._config.loops)
        scope.lane = scope.watch.main

    def closed(self, record: Record, scope: Scope) -> list[Finding] | None:
        """A scope has ended; what is wrong with how it did."""
        watch = scope.watch
        if watch is None:
            return None
        found: list[Finding] | None = None
        if scope.failed_tools and record.ending != "error" and record.kind != "tool":
            found = [
                self.silent("swallowed_error", name, span_id, scope)
                for name, span_id in scope.failed_tools.items()
            ]
        with self._lock:
            if record.kind == "agent" and scope.lane is not None:
                watch.give_back(getattr(record, "name", None) or "", scope.lane)
            account = scope.account
            if account is not None and record.kind == "session":
                account.open -= 1
                if account.open <= 0:
                    watch.settle()
        return found

    # --- calls ---

    def start_call(self, call: ModelCall, scope: Scope) -> None:
        """A model call is about to be sent.

        Raises:
            LoopDetected: It would go on with a loop, and that is to be stopped.
        """
        if call.digest is not None and call.operation not in _NOT_WATCHED:
            token = hash((call.digest, call.request_model, call.seed)) & _EVEN
            self._start(token, call, scope, call.request_model or "model")

    def start_tool(self, tool: ToolCall, scope: Scope) -> None:
        """A tool is about to run.

        Raises:
            LoopDetected: It would go on with a loop, and that is to be stopped.
        """
        if tool.digest is not None and not tool.repeatable:
            self._start(hash(tool.digest) & _EVEN | 1, tool, scope, tool.name)

    def _start(self, token: int, record: ModelCall | ToolCall, scope: Scope, name: str) -> None:
        watch, lane = scope.watch, scope.lane
        if watch is None or lane is None or not watch.least:
            return
        with self._lock:
            if lane.lacks(token) and watch.least > 1:  # something new, as nearly always
                record.step = Step(watch, lane, lane.add(token), token)
                return
            found = self._repeats(watch, lane, token, record, name)
            if found is None:
                return
            finding, new, before = found
            refused = watch.policy == "raise"
            if refused:
                finding.stopped += 1
                # it was wanted all the same, and nothing else would have come of it
                lane.end(record.step.number, 0, lane.seen(before).outcome, now())
        if refused:
            if new:
                self.tell(finding, scope)
            raise LoopDetected(finding)
        record.findings = [finding]
        record.step.news = new

    @staticmethod
    def _repeats(
        watch: Watch, lane: History, token: int, record: ModelCall | ToolCall, name: str
    ) -> tuple[Finding, bool, int] | None:
        """Note a step; the finding it belongs to, whether that is new, and the number of the step before."""
        finding = watch.goes_on(lane, token) if watch.findings else None
        if finding is not None:
            record.step = step = Step(watch, lane, lane.add(token), token)
            return finding, False, step.number - 1
        places = watch.places(lane, token)
        if places and in_flight(lane, places):
            return None
        record.step = step = Step(watch, lane, lane.add(token), token)
        if len(places) + 1 < watch.least:
            return None
        places.append(step.number)
        noticed = watch.look(step, places)
        if noticed is None:
            return None
        before = places[-2]
        finding, new = watch.loop(noticed, step, name, lane.seen(before).span_id)
        return finding, new, before

    def started(self, record: Record, span_id: int, scope: Scope | None) -> None:
        """The call that was looked at has a span now."""
        step: Step = record.step
        step.span_id = span_id
        if record.findings:
            finding = record.findings[0]
            finding.last_span_id = f"{span_id:016x}" if span_id else None
            if step.news:
                self.tell(finding, scope)

    def cancel(self, record: ModelCall | ToolCall, scope: Scope | None) -> None:
        """The call that was looked at is not made after all; a loop that was found by it is one."""
        step, record.step = record.step, None
        if step is None:
            return
        with self._lock:
            step.history.drop(step.number)
        if record.findings and step.news:
            self.tell(record.findings[0], scope)

    def ended(self, call: ModelCall, scope: Scope | None, start_ns: int) -> None:
        """A stage of the accounting: a model call has ended."""
        step: Step | None = call.step
        if step is not None and call.ending != "error":
            with self._lock:
                step.history.end(step.number, step.span_id, _ANSWERED, now())
        elif step is not None:
            self._end(call, scope, _failure(call.error_type), call.request_model or "model")
        elif call.duplicate or call.spent:
            if call.shows_prompt:
                self._foreign_call(call, scope, start_ns)
            return
        else:
            self._foreign_call(call, scope, start_ns)
        for kind in silent_failures(call):
            name = call.response_model or call.request_model or "model"
            span_id = step.span_id if step is not None else call.span_id
            found = self.silent(kind, name, span_id, scope)
            call.findings = [*(call.findings or ()), found]

    def _foreign_call(self, call: ModelCall, scope: Scope | None, start_ns: int) -> None:
        if (
            call.span_id
            and call.digest is not None
            and call.operation not in _NOT_WATCHED
            and not (call.place is not None and call.place.looked_at)
        ):
            token = hash((call.digest, call.request_model, call.seed)) & _EVEN
            outcome = _failure(call.error_type) if call.ending == "error" else _ANSWERED
            self._foreign(token, call, scope, start_ns, outcome, call.request_model or "model")

    def tool_ended(self, tool: ToolCall, scope: Scope | None, span_id: int) -> None:
        """A tool has run, in `scope`."""
        failed = tool.ending == "error"
        if scope is not None:
            scope.tool_ended(tool.name, span_id, failed)
        step = tool.step
        if step is not None:
            self._end(tool, scope, _failure(tool.error_type) if failed else step.result, tool.name)

    def foreign_tool(
        self, tool: ToolCall, scope: Scope | None, start_ns: int, span_id: int, trace_id: int
    ) -> None:
        """A tool span of somebody else has ended; its record says what its attributes say."""
        self.tool_ended(tool, scope, span_id)
        if tool.digest is None or tool.repeatable:
            return
        outcome = _failure(tool.error_type) if tool.ending == "error" else fingerprint(tool.result)
        tool_span = _Span(span_id, trace_id)
        self._foreign(hash(tool.digest) & _EVEN | 1, tool, scope, start_ns, outcome, tool.name, tool_span)

    def _foreign(
        self,
        token: int,
        record: ModelCall | ToolCall,
        scope: Scope | None,
        start_ns: int,
        outcome: int,
        name: str,
        span: Any = None,
    ) -> None:
        """A call that is only known now that it is over; it cannot be stopped any more."""
        span = span or record
        with self._lock:
            if scope is not None and scope.watch is not None and scope.lane is not None:
                watch, lane = scope.watch, scope.lane
            elif (found := self._of_trace(span, token, outcome)) is None:
                return
            else:
                watch, lane = found, found.main
            if not watch.least:
                return
            places = watch.places(lane, token)
            if places and (now(start_ns) - lane.seen(places[-1]).ended) & 0xFFFF_FFFF > _HALF:
                return  # it began before the last one ended
            step = Step(watch, lane, lane.add(token, span.span_id), token)
            places.append(step.number)
            noticed = watch.look(step, places)
            lane.end(step.number, span.span_id, outcome, now())
            if noticed is None and outcome & FAILED:
                noticed = look_back(lane, places, watch.limits["retry_storm"])
            if noticed is None:
                return
            finding, new = watch.loop(noticed, step, name, span.span_id)
        record.findings = [*(record.findings or ()), finding]
        if new:
            self.tell(finding, scope)

    def _of_trace(self, span: Any, token: int, outcome: int) -> Watch | None:
        """What is remembered of a trace outside any scope; None at its first step, which is only noted."""
        trace_id = span.trace_id
        if trace_id not in self._traces:
            first = self._firsts.pop(trace_id, None)
            if first is None and self._process.least != 1:
                self._firsts[trace_id] = token, span.span_id, outcome, now()
                if len(self._firsts) > _TRACES:
                    self._firsts.popitem(last=False)
                return None
            watch = self._traces.get(trace_id, lambda: self._watch(None))
            if first is not None:
                watch.main.add(*first)
            return watch
        return self._traces.get(trace_id, lambda: self._watch(None))

    def _end(self, record: ModelCall | ToolCall, scope: Scope | None, outcome: int, name: str) -> None:
        step: Step = record.step
        with self._lock:
            step.history.end(step.number, step.span_id, outcome, now())
            if not outcome & FAILED:
                return
            places = step.watch.places(step.history, step.token)
            noticed = look_back(step.history, places, step.watch.limits["retry_storm"])
            if noticed is None:
                return
            finding, new = step.watch.loop(noticed, step, name, step.span_id)
        record.findings = [*(record.findings or ()), finding]
        if new:
            self.tell(finding, scope)

    # --- what went wrong without anybody noticing ---

    def silent(self, kind: str, name: str, span_id: int, scope: Scope | None) -> Finding:
        """Note something that the program was not told of, or not by us."""
        watch = scope.watch if scope is not None and scope.watch is not None else self._process
        with self._lock:
            finding, new = watch.note(kind, name, name, span_id)
        if new:
            self.tell(finding, scope)
        return finding


class _Span:
    __slots__ = ("span_id", "trace_id")

    def __init__(self, span_id: int, trace_id: int) -> None:
        self.span_id = span_id
        self.trace_id = trace_id


_EVEN = 0xFFFF_FFFF_FFFF_FFFE
_HALF = 0x8000_0000


def _nobody(_finding: Finding, _scope: Scope | None) -> None:
    """Nobody listens."""


def _failure(error_type: str | None) -> int:
    return crc32((error_type or "").encode()) | FAILED


def fingerprint(result: Any) -> int:
    """31 bits that tell results apart, of plain data; 0 where equal results cannot be told."""
    try:
        return (crc32(marshal.dumps(result, 2)) & 0x7FFF_FFFF) or 1
    except ValueError:
        return 0


_watchers: WeakSet[Watcher] = WeakSet()


def _after_fork() -> None:
    for watcher in _watchers:
        watcher.fresh_lock()


os.register_at_fork(after_in_child=_after_fork)
