"""Budgets: what may be spent inside a scope, by the process, or by one user, checked before each call."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from otel_agentops.accounting.ledger import EXACT
from otel_agentops.config import ConfigError
from otel_agentops.failsafe import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LIMITS", "Amount", "Budget", "BudgetExceeded", "Purse", "purse_name"]

Action = Literal["raise", "warn"]

_plus, _minus = EXACT.add, EXACT.subtract

LIMITS = ("usd", "tokens", "calls", "tool_calls", "repeats")
"""What can be limited."""

_ESTIMATED = frozenset({"usd", "tokens"})
"""Limits of which nobody knows before how much a call will take."""
PER = ("user.id", "session.id", "gen_ai.agent.name", "gen_ai.conversation.id")


@dataclass(slots=True)
class Amount:
    """What a call, or everything inside a scope, has used or may use.

    Attributes:
        usd: US dollars.
        tokens: Tokens sent and received.
        calls: Model calls.
        tool_calls: Tool executions.
        repeats: Calls that were part of a loop.
    """

    usd: Decimal = Decimal(0)
    tokens: int = 0
    calls: int = 0
    tool_calls: int = 0
    repeats: int = 0

    def add(self, other: Amount) -> None:
        """Add another amount."""
        self.usd = _plus(self.usd, other.usd)
        self.tokens += other.tokens
        self.calls += other.calls
        if other.tool_calls or other.repeats:  # seldom
            self.tool_calls += other.tool_calls
            self.repeats += other.repeats

    def take(self, other: Amount) -> None:
        """Take another amount off."""
        self.usd = _minus(self.usd, other.usd)
        self.tokens -= other.tokens
        self.calls -= other.calls
        self.tool_calls -= other.tool_calls
        self.repeats -= other.repeats


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of what may be spent; at least one of them.

    Give it to a session, an agent or an operation (`budget=`), each run of which has it anew, or to
    `init(budgets=)` for the whole process. A session whose `session_id` you give goes on with it.

    Attributes:
        usd: US dollars; a number or a text such as `"2.50"`.
        tokens: Tokens sent and received.
        calls: Model calls.
        tool_calls: Tool executions.
        repeats: Calls that are part of a loop.
        per: One such budget for each value of `user.id`, `session.id`, `gen_ai.agent.name` or
            `gen_ai.conversation.id`; None for one altogether.
        on_exceeded: `raise` refuses the call, and every later one, with `BudgetExceeded`; `warn` tells once
            and lets calls go on; a function is given the `BudgetExceeded` once and may raise it.
        unpriced: Calls without a known price: `warn` lets them through and says so, `block` refuses them.

    Raises:
        ConfigError: There is no limit, or a value cannot be used.
    """

    usd: Decimal | float | str | None = None
    tokens: int | None = None
    calls: int | None = None
    tool_calls: int | None = None
    repeats: int | None = None
    per: str | None = None
    on_exceeded: Action | Callable[[BudgetExceeded], object] = field(default="raise", compare=False)
    unpriced: Literal["warn", "block"] = "warn"

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in LIMITS):
            raise ConfigError("Budget", None, "at least one of " + ", ".join(LIMITS))
        object.__setattr__(self, "usd", _dollars(self.usd))
        for name in LIMITS[1:]:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 0):
                raise ConfigError(f"Budget({name}=)", value, "a whole number, 0 or more")
        for name, allowed in (("per", (None, *PER)), ("unpriced", ("warn", "block"))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"Budget({name}=)", getattr(self, name), ", ".join(map(str, allowed)))
        if self.on_exceeded not in ("raise", "warn") and not callable(self.on_exceeded):
            raise ConfigError("Budget(on_exceeded=)", self.on_exceeded, "raise, warn, or a function")


def _dollars(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        usd = Decimal(str(value))
    except ArithmeticError:
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0:
        raise ConfigError("Budget(usd=)", value, "US dollars, 0 or more")
    return usd


class BudgetExceeded(Refusal):
    """A call was not sent because a budget is used up; every later call inside is refused as well.

    Attributes:
        budget: The budget.
        limit: Which of its limits: `usd`, `tokens`, `calls`, `tool_calls`, `repeats` or `unpriced`.
        spent: What was used so far.
        where: Whose budget it is.
    """

    def __init__(self, budget: Budget, limit: str, spent: Amount, where: str) -> None:
        allowed = "unpriced calls are blocked" if limit == "unpriced" else _of(budget, limit, spent)
        super().__init__(f"the budget of {where} does not allow this call: {allowed}")
        self.budget = budget
        self.limit = limit
        self.spent = spent
        self.where = where


def _of(budget: Budget, limit: str, spent: Amount) -> str:
    return f"{getattr(spent, limit)} of {getattr(budget, limit)} {limit} are used"


class Purse:
    """What is left of one budget; the caller holds the lock of `Budgets`.

    Attributes:
        budget: Its limits.
        where: Whose it is, for messages.
        spent: What ended calls used.
        taken: The same, and what calls on their way may use.
        exceeded: Limit that a call did not fit under; None so far.
        refuses: Whether calls are refused from now on.
        told: Whether everybody was told that it is exceeded.
        unpriced: Calls that ended without a price.
    """

    __slots__ = (
        "_counts",
        "_usd",
        "budget",
        "exceeded",
        "refuses",
        "spent",
        "taken",
        "told",
        "unpriced",
        "where",
    )

    def __init__(self, budget: Budget, where: str) -> None:
        self.budget = budget
        self.where = where
        self.spent = Amount()
        self.taken = Amount()
        self.exceeded: str | None = None
        self.refuses = False
        self.told = False
        self.unpriced = 0
        self._usd: Any = budget.usd  # apart, as dollars have an arithmetic of their own
        self._counts: tuple[tuple[str, int, Callable[[Amount], int]], ...] = tuple(
            (name, getattr(budget, name), attrgetter(name))
            for name in LIMITS
            if name != "usd" and getattr(budget, name) is not None
        )

    def lacks(self, more: Amount, priced: bool) -> str | None:
        """Which limit this would go beyond, with what is on its way; None if there is room."""
        if not priced and self.budget.unpriced == "block":
            return "unpriced"
        spent, taken, usd = self.spent, self.taken, self._usd
        if usd is not None:
            if more.usd:
                if _plus(taken.usd, more.usd) > usd:
                    return "usd"
            elif more.calls and spent.usd >= usd:
                return "usd"  # nothing is asked for, by estimate; but there is nothing
        for name, limit, read in self._counts:
            wanted = read(more)
            if wanted:
                if read(taken) + wanted > limit:
                    return name
            elif more.calls and name in _ESTIMATED and read(spent) >= limit:
                return name  # as above
        return None

    @property
    def over(self) -> str | None:
        """Which limit ended calls went beyond; None if they kept to all of them."""
        if self._usd is not None and self.spent.usd > self._usd:
            return "usd"
        return next((name for name, limit, read in self._counts if read(self.spent) > limit), None)

    @property
    def remaining(self) -> dict[str, Decimal | int]:
        """What is left of each limit, calls on their way taken off; never below 0."""
        left: dict[str, Decimal | int] = {}
        if self._usd is not None:
            left["usd"] = max(Decimal(0), _minus(self._usd, self.taken.usd))
        return left | {name: max(0, limit - read(self.taken)) for name, limit, read in self._counts}


def purse_name(kind: str, name: str | None) -> str:
    """Whose budget it is, in words."""
    return f"{kind} {name}" if name else f"this {kind}"


assert {each.name for each in fields(Amount)} == set(LIMITS)  # noqa: S101
