"""What was found wrong with a run, while it is going on: one entry for each thing, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_agentops.accounting.repeats import Noticed, enough, look
from otel_agentops.accounting.steps import FAILED, History
from otel_agentops.failsafe import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOOPS", "Finding", "LoopDetected", "Step", "Watch"]

LOOPS = frozenset({"repeated_prompt", "repeated_tool_call", "cycle", "retry_storm"})
"""Findings that are loops; the others tell of silent failures."""

_MOST = 64
"""Findings that are kept of one session; what comes after them is not told."""
_NO_FINDINGS: dict[tuple[str, object], Finding] = {}
_NO_LOOPS: dict[int, Finding] = {}
"""Of all who have none; never written to."""
_LANES = 16
"""Agents of a session whose steps are kept apart; more of them share one history."""


@dataclass(slots=True)
class Finding:
    """Something that is wrong with a run.

    Attributes:
        kind: `repeated_prompt`, `repeated_tool_call`, `cycle`, `retry_storm`, `truncated`,
            `content_filtered`, `empty_output`, `swallowed_error` or `budget_exceeded`.
        name: The model, the tool, for a cycle how many steps it has, or whose budget it is.
        count: How often it happened by now; goes on counting while the run does.
        first_span_id: Where it began, 16 hex digits; None without an SDK.
        last_span_id: Where it was seen last.
        session_id: Of the session; None outside any.
        stopped: Calls that were refused because of it.
    """

    kind: str
    name: str
    count: int
    first_span_id: str | None
    last_span_id: str | None
    session_id: str | None = None
    stopped: int = 0

    def __str__(self) -> str:
        return f"{self.kind} ({self.name})" + (f": {self.count} times" if self.count > 1 else "")


class LoopDetected(Refusal):
    """A call was not made because it would have gone on with a loop, and `loops="raise"` is set.

    Attributes:
        finding: What was found.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"the call was stopped: {finding}")
        self.finding = finding


class Step:
    """One call on its way.

    Attributes:
        number: Its place in the history of its agent.
        span_id: Its span; 0 before it has one and without an SDK.
        result: Fingerprint of what a tool gave back; 0 while nobody knows.
        news: Whether it brought a finding that nobody was told of yet.
    """

    __slots__ = ("history", "news", "number", "result", "span_id", "token", "watch")

    def __init__(self, watch: Watch, history: History, number: int, token: int) -> None:
        self.watch = watch
        self.history = history
        self.number = number
        self.token = token
        self.span_id = 0
        self.result = 0
        self.news = False


class Watch:
    """What is remembered of one session to find loops in it; the caller holds the lock of `Watcher`.

    Attributes:
        limits: Finding -> how often is too often.
        policy: `warn`, `raise` or `off`.
        session_id: Of the session; None outside any.
        main: Steps outside any agent, and of agents beyond the first sixteen.
        findings: By what they are about.
    """

    __slots__ = (
        "_enough",
        "_free",
        "_lanes",
        "_loops",
        "findings",
        "least",
        "limits",
        "main",
        "policy",
        "session_id",
    )

    def __init__(self, limits: Mapping[str, int], policy: str, session_id: str | None) -> None:
        self.set(limits, policy)
        self.session_id = session_id
        self.main = History()
        # thousands of these are kept, and most of them find nothing
        self.findings: dict[tuple[str, object], Finding] = _NO_FINDINGS
        self._loops: dict[int, Finding] = _NO_LOOPS
        self._free: dict[str, list[History]] | None = None
        self._lanes = 0

    def set(self, limits: Mapping[str, int], policy: str) -> None:
        """Follow other rules from now on."""
        self.limits = limits
        self.policy = policy
        self.least = min((limit for limit in limits.values() if limit), default=0) if policy != "off" else 0
        self._enough = enough(limits)

    # --- agents: those that work at the same time have nothing to do with each other's steps ---

    def take(self, agent: str) -> History:
        """The history of an agent whose turn begins: its own of before, unless that one still works."""
        if self._free is None:
            self._free = {}
        waiting = self._free.setdefault(agent, [])
        if waiting:
            history = waiting.pop()
            history.new_turn()
            return history
        if self._lanes >= _LANES:
            return self.main
        self._lanes += 1
        return History()

    def give_back(self, agent: str, history: History) -> None:
        """The agent's turn is over."""
        if history is not self.main and self._free is not None:
            self._free.setdefault(agent, []).append(history)

    def settle(self) -> None:
        """Keep what another request of the same session needs, and no more."""
        self.main.settle()
        for waiting in (self._free or {}).values():
            for history in waiting:
                history.settle()

    # --- findings ---

    def note(self, kind: str, key: object, name: str, span_id: int) -> tuple[Finding, bool]:
        """Count one more of a silent failure; the finding, and whether it is new."""
        finding = self.findings.get((kind, key))
        if finding is None:
            return self._new((kind, key), name, 1, span_id, span_id)
        finding.count += 1
        finding.last_span_id = _hex(span_id)
        return finding, False

    def loop(self, noticed: Noticed, step: Step, name: str, span_id: int) -> tuple[Finding, bool]:
        """Note a repetition; the finding, and whether it is new."""
        known = self._known(noticed, step.token)
        if known is not None:
            known.count = max(known.count + (known.kind != "cycle"), noticed.times)
            known.last_span_id = _hex(span_id) or known.last_span_id
            return known, False
        first = step.history.seen(noticed.first).span_id if noticed.first >= step.history.first else 0
        if noticed.kind == "cycle":
            name = f"{len(noticed.tokens)} steps"
        finding, new = self._new((noticed.kind, step.token), name, noticed.times, first, span_id)
        if new:
            members = noticed.tokens if noticed.kind == "cycle" else (step.token,)
            if self._loops is _NO_LOOPS:
                self._loops = {}
            self._loops.update(dict.fromkeys(members, finding))
        return finding, new

    def _known(self, noticed: Noticed, token: int) -> Finding | None:
        """The finding that this repetition belongs to: a round is told once, not for each of its steps."""
        if noticed.kind == "cycle":
            same = [self._loops[t] for t in noticed.tokens if t in self._loops]
            return next((finding for finding in same if finding.kind == "cycle"), None)
        if noticed.kind == "repeated_tool_call":
            return next((self._loops[t] for t in (token, *noticed.tokens) if t in self._loops), None)
        known = self._loops.get(token)
        return known if known is not None and known.kind in (noticed.kind, "cycle") else None

    def _new(
        self, key: tuple[str, object], name: str, count: int, first: int, last: int
    ) -> tuple[Finding, bool]:
        finding = Finding(key[0], name, count, _hex(first), _hex(last), self.session_id)
        if len(self.findings) >= _MOST:
            return finding, False
        if self.findings is _NO_FINDINGS:
            self.findings = {}
        self.findings[key] = finding
        return finding, True

    def places(self, history: History, token: int) -> list[int]:
        """Where such steps were lately, as many as are looked at."""
        return history.places(token, self._enough[token & 1])

    def goes_on(self, history: History, token: int) -> Finding | None:
        """The finding that a prompt belongs to which is sent once more, right after its last answer.

        What is known to repeat itself need not be looked up again, however long it goes on.
        """
        known = self._loops.get(token)
        if known is None or known.kind != "repeated_prompt":
            return None
        last = history.last
        if last is None or last.token != token or not last.ended or last.outcome & FAILED:
            return None
        known.count += 1
        return known

    def look(self, step: Step, places: list[int]) -> Noticed | None:
        """What the step that has just been noted repeats."""
        noticed = look(step.history, places, self.limits) if len(places) >= self.least > 0 else None
        if noticed is None and self._storm(step, places):
            noticed = Noticed("retry_storm", len(places), places[0], frozenset((step.token,)))
        return noticed

    def _storm(self, step: Step, places: list[int]) -> bool:
        """Whether a call that was found to fail again and again, and did the last time, is made again."""
        known = self._loops.get(step.token) if self.policy == "raise" else None
        if known is None or known.kind != "retry_storm" or len(places) < 2:
            return False
        return bool(step.history.seen(places[-2]).outcome & FAILED)


def _hex(span_id: int) -> str | None:
    return f"{span_id:016x}" if span_id else None
