"""Holding calls to their budgets, for one runtime: reserved when they start, settled when they end."""

from __future__ import annotations

import os
import time
from decimal import Decimal
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from otel_agentops.accounting.budgets import Amount, Budget, BudgetExceeded, Purse, purse_name
from otel_agentops.accounting.estimates import Estimates
from otel_agentops.accounting.findings import LOOPS
from otel_agentops.accounting.kept import Kept
from otel_agentops.accounting.pipeline import free_failure
from otel_agentops.failsafe import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_agentops.accounting.scopes import Scope
    from otel_agentops.pricing import PriceBook
    from otel_agentops.records import ModelCall, Record, ToolCall

__all__ = ["Budgets"]

_KEYS = 10_000
"""Values of `per` whose budgets are remembered, for an hour."""
_PATIENCE_S = 600.0
"""A call that has not ended by then is believed never to: what it holds is free again."""
_MOST_HELD = 100_000


_News = tuple[tuple[Purse, str], ...]
"""Budgets that have just been exceeded, and which limit of each."""


_Held = tuple["Amount", "tuple[Purse, ...]", float]
"""What one call on its way holds, of whom, and since when by the clock of `Budgets`."""


class Budgets:
    """The budgets of one runtime.

    Args:
        book: Where prices come from.
        budgets: Those of the whole process, and those per user and the like.
        clock: Seconds that only go forward.

    Attributes:
        tell: `(exceeded, scope)`: called once for each budget that is exceeded.
        process: Purses that every call belongs to.
        wanted: Whether there ever was a budget.
    """

    def __init__(
        self, book: PriceBook, budgets: Iterable[Budget] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        budgets = tuple(budgets)
        self.wanted = bool(budgets)
        self.tell: Callable[[BudgetExceeded, Scope | None], None] = _nobody
        self.process = tuple(Purse(each, "the process") for each in budgets if each.per is None)
        self._per = tuple(each for each in budgets if each.per is not None)
        self._kept: Kept[Purse] = Kept(_KEYS, clock)
        self._estimates = Estimates(book)
        self._held: dict[int, _Held] = {}
        self._look_again = 0.0
        self._clock = clock
        self._lock = RLock()
        _all.add(self)

    def fresh_lock(self) -> None:
        """In the child of a fork: the parent may have held it."""
        self._lock = RLock()

    # --- scopes ---

    def opened(self, record: Record, scope: Scope) -> None:
        """A scope opens: it has the purses around it, and its own."""
        around = scope.parent.purses if scope.parent is not None else self.process
        wanted = (*self._per, record.budget) if record.budget is not None else self._per
        if not wanted:
            scope.purses = around
            return
        found = list(around)
        self.wanted = True
        with self._lock:
            for budget in wanted:
                purse = self._purse(budget, record, scope)
                if purse is not None and purse not in found:
                    found.append(purse)
        scope.purses = tuple(found)

    def _purse(self, budget: Budget, record: Record, scope: Scope) -> Purse | None:
        name = getattr(record, "name", None)
        if budget.per is not None:
            value = scope.stamps.get(budget.per)
            if value is None:
                return None
            return self._kept.get((budget, value), lambda: Purse(budget, f"{budget.per} {value}"))
        if record.kind == "session" and getattr(record, "given", False):
            session_id = scope.stamps["session.id"]
            return self._kept.get(
                (budget, "session", session_id), lambda: Purse(budget, f"session {session_id}")
            )
        return Purse(budget, purse_name(record.kind, name))

    # --- calls ---

    def start_call(self, call: ModelCall, scope: Scope | None) -> None:
        """A model call is about to be sent: hold what it may use.

        Raises:
            BudgetExceeded: There is not so much left.
        """
        purses = scope.purses if scope is not None else self.process
        if not purses or call.operation == "fetch_response":
            return
        with self._lock:
            now = self._clock()
            amount, priced = self._estimates.of(call, now)
            if call.findings:
                amount.repeats = _repeats(call)
            news, refusal = self._hold(call, amount, purses, priced, now)
        if news or refusal is not None:
            self._answer(call, news, refusal, scope)

    def start_tool(self, tool: ToolCall, scope: Scope | None) -> None:
        """A tool is about to run.

        Raises:
            BudgetExceeded: There is not enough left for it.
        """
        purses = scope.purses if scope is not None else self.process
        if purses:
            with self._lock:
                amount = Amount(tool.cost_usd or Decimal(0), tool_calls=1, repeats=_repeats(tool))
                news, refusal = self._hold(tool, amount, purses, True, self._clock())
            if news or refusal is not None:
                self._answer(tool, news, refusal, scope)

    def _hold(
        self, record: Any, amount: Amount, purses: tuple[Purse, ...], priced: bool, now: float
    ) -> tuple[_News, BudgetExceeded | None]:
        """Hold what a call may use; what is to be told now, and why the call is refused, if it is."""
        if now >= self._look_again or len(self._held) >= _MOST_HELD:
            self._free_forgotten(now)
        news: _News = ()
        for purse in purses:
            if purse.refuses:
                return news, _refusal(purse, purse.exceeded or "usd")
            limit = purse.lacks(amount, priced)
            if limit is None:
                continue
            if purse.exceeded is None:
                purse.exceeded = limit
                news = (*news, (purse, limit))
            if purse.budget.on_exceeded == "raise":
                purse.refuses = True
                return news, _refusal(purse, limit)
        for purse in purses:
            purse.taken.add(amount)
        record.held = held = amount, purses, now
        self._held[id(held)] = held
        return news, None

    def _answer(self, record: Any, news: _News, refusal: BudgetExceeded | None, scope: Scope | None) -> None:
        """Tell of budgets that are exceeded and do what they say; the lock is free, since it may take long.

        Raises:
            BudgetExceeded: The call is refused.
        """
        for purse, limit in news:
            self._tell_once(purse, limit, scope)
            refused = _asked(purse, limit)
            refusal = refusal or refused
        if refusal is None:
            return
        with self._lock:
            if record.held is not None:
                self._release(record.held)
                record.held = None
        raise refusal

    def _tell_once(self, purse: Purse, limit: str, scope: Scope | None) -> None:
        with self._lock:
            told, purse.told = purse.told, True
        if not told:
            self.tell(_refusal(purse, limit), scope)

    def _free_forgotten(self, now: float) -> None:
        self._look_again = now + 1.0
        held = self._held
        while held:
            oldest = next(iter(held.values()))
            if now - oldest[2] < _PATIENCE_S and len(held) < _MOST_HELD:
                return
            self._release(oldest)

    def _release(self, held: _Held) -> None:
        if self._held.pop(id(held), None) is not None:
            amount, purses, _ = held
            for purse in purses:
                purse.taken.take(amount)

    def settle(self, call: ModelCall, scope: Scope | None, _start_ns: int) -> None:
        """A stage of the accounting: what the call held is free again, and what it used is spent."""
        held: _Held | None = call.held
        purses = held[1] if held is not None else scope.purses if scope is not None else self.process
        if not purses or call.operation == "fetch_response":
            return
        elsewhere = call.duplicate or call.spent
        usd = call.cost.usd if call.cost is not None else None
        used = Amount(repeats=held[0].repeats if held is not None else 0)
        if not elsewhere:
            _use(used, call, usd)
        with self._lock:
            self._spend(call, purses, used)
            self._estimates.learn(call)
            over = [
                (purse, limit) for purse in purses if not purse.told and (limit := purse.over) is not None
            ]
        if usd is None and not elsewhere and not free_failure(call):
            self._unpriced(call, purses)
        for purse, limit in over:
            self._beyond(purse, limit, scope, stoppable=held is not None)

    def _beyond(self, purse: Purse, limit: str, scope: Scope | None, stoppable: bool) -> None:
        """More was used than there is; where nobody was asked before, as for calls of others, ask now."""
        self._tell_once(purse, limit, scope)
        if stoppable or purse.exceeded is not None:
            return
        purse.exceeded = limit
        if purse.budget.on_exceeded == "raise":
            purse.refuses = True
        else:
            _asked(purse, limit)

    def free(self, record: ModelCall) -> None:
        """A call was sent, but is counted elsewhere: what it held is free again."""
        if record.held is not None:
            with self._lock:
                self._release(record.held)
            record.held = None

    def tool_ended(self, tool: ToolCall, scope: Scope | None) -> None:
        """A tool has run in `scope`."""
        held: _Held | None = tool.held
        purses = held[1] if held is not None else scope.purses if scope is not None else self.process
        if purses:
            repeats = held[0].repeats if held is not None else 0
            with self._lock:
                self._spend(tool, purses, Amount(tool.cost_usd or Decimal(0), 0, 0, 1, repeats))

    def _spend(self, record: Any, purses: tuple[Purse, ...], used: Amount) -> None:
        if record.held is not None:
            self._release(record.held)
            record.held = None
        for purse in purses:
            purse.spent.add(used)
            purse.taken.add(used)

    @staticmethod
    def _unpriced(call: ModelCall, purses: tuple[Purse, ...]) -> None:
        for purse in purses:
            purse.unpriced += 1
            if purse.unpriced == 1 and purse.budget.usd is not None:
                warn_once(
                    f"unpriced {purse.where}",
                    "the budget of %s does not see what calls of %s cost: they have no price",
                    purse.where,
                    call.response_model or call.request_model,
                )

    def remaining(self, scope: Scope | None) -> dict[str, Decimal | int]:
        """What is left in here, by the tightest budget of each kind; empty without one."""
        left: dict[str, Decimal | int] = {}
        with self._lock:
            self._free_forgotten(self._clock())
            for purse in scope.purses if scope is not None else self.process:
                for name, amount in purse.remaining.items():
                    left[name] = min(amount, left[name]) if name in left else amount
        return left


def _asked(purse: Purse, limit: str) -> BudgetExceeded | None:
    """What a function of the program's says to a budget that is exceeded; None to let calls go on."""
    action = purse.budget.on_exceeded
    if not callable(action):
        return None
    exceeded = _refusal(purse, limit)
    try:
        action(exceeded)
    except BudgetExceeded as refused:
        purse.refuses = True
        return refused
    except Exception as error:  # noqa: BLE001 - nobody knows what it wanted: rather no call than too many
        purse.refuses = True
        exceeded.__cause__ = error
        return exceeded
    return None


def _refusal(purse: Purse, limit: str) -> BudgetExceeded:
    """A new exception each time, since tracebacks, and what they hold, stick to old ones."""
    return BudgetExceeded(purse.budget, limit, _copy(purse.spent), purse.where)


def _copy(spent: Amount) -> Amount:
    copy = Amount()
    copy.add(spent)
    return copy


def _use(used: Amount, call: ModelCall, usd: Decimal | None) -> None:
    """Note what an ended call used that is counted here."""
    usage = call.usage if call.counted is None else call.counted
    if usage is not None:
        used.tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    used.calls = int(call.counted is None)
    if usd is not None:
        used.usd = usd


def _repeats(record: Record) -> int:
    found = record.findings
    return int(any(finding.kind in LOOPS for finding in found)) if found else 0


def _nobody(_exceeded: BudgetExceeded, _scope: Scope | None) -> None:
    """Nobody listens."""


_all: WeakSet[Budgets] = WeakSet()


def _after_fork() -> None:
    for budgets in _all:
        budgets.fresh_lock()


os.register_at_fork(after_in_child=_after_fork)
