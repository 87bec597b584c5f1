"""Running totals: what was spent inside a scope so far."""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Context, Decimal
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_agentops.records import Usage

__all__ = ["EXACT", "Entry", "Ledger", "OwnCalls", "post"]

EXACT = Context(prec=50, traps=[])
"""Our own decimal context for sums of money: the application's may have any precision and any trap."""
_add = EXACT.add


@dataclass(slots=True)
class Entry:
    """What one ended call or tool adds to the totals.

    Attributes:
        cost_usd: None when the price is unknown; the totals then count an unpriced call.
        late: Whether it ended after the scope it was started in.
    """

    cost_usd: Decimal | None = None
    usage: Usage | None = None
    model_calls: int = 0
    tool_calls: int = 0
    errors: int = 0
    unpriced_calls: int = 0
    late: bool = False


class Ledger:
    """Totals of one scope: of everything that ran inside it, nested scopes included.

    Attributes:
        cost_usd: US dollars of all priced calls plus the tools' own costs, exact.
        input_tokens: Tokens sent, cached ones included.
        output_tokens: Tokens received, reasoning included.
        model_calls: Model calls that ended, failed ones included.
        tool_calls: Tool executions that ended.
        errors: Model calls and tool executions that ended in an error.
        unpriced_calls: Model calls whose cost is unknown and therefore not in `cost_usd`.
        late_calls: Calls that ended after the inner scope they were started in.
    """

    __slots__ = (
        "cost_usd",
        "errors",
        "input_tokens",
        "late_calls",
        "model_calls",
        "output_tokens",
        "tool_calls",
        "unpriced_calls",
    )

    def __init__(self) -> None:
        self.cost_usd = Decimal(0)
        self.input_tokens = 0
        self.output_tokens = 0
        self.model_calls = 0
        self.tool_calls = 0
        self.errors = 0
        self.unpriced_calls = 0
        self.late_calls = 0

    def add(self, entry: Entry) -> None:
        """Add one entry; the caller holds the lock of `post`."""
        if entry.cost_usd is not None:
            self.cost_usd = _add(self.cost_usd, entry.cost_usd)
        if entry.usage is not None:
            self.input_tokens += entry.usage.input_tokens or 0
            self.output_tokens += entry.usage.output_tokens or 0
        self.model_calls += entry.model_calls
        self.tool_calls += entry.tool_calls
        self.errors += entry.errors
        self.unpriced_calls += entry.unpriced_calls
        self.late_calls += entry.late

    @property
    def empty(self) -> bool:
        """Whether nothing was counted yet."""
        return not (self.model_calls or self.tool_calls or self.errors)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"Ledger({values})"


@dataclass(slots=True)
class OwnCalls:
    """Calls of one scope itself, for the conventions' metrics of an agent's turn."""

    model_calls: int = 0
    tool_calls: int = 0


_lock = RLock()


def _unlock_child() -> None:
    global _lock  # noqa: PLW0603 - the parent may have held it while forking
    _lock = RLock()


os.register_at_fork(after_in_child=_unlock_child)


def post(entry: Entry, ledgers: Iterable[Ledger], own: Iterable[OwnCalls] = ()) -> None:
    """Add an entry to several ledgers at once, so that no two threads get in each other's way."""
    with _lock:
        for ledger in ledgers:
            ledger.add(entry)
        for calls in own:
            calls.model_calls += entry.model_calls
            calls.tool_calls += entry.tool_calls
