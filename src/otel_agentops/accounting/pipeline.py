"""The accounting of an ended call: a visible tuple of stages, each a plain callable.

A stage takes the record and the scope it belongs to (None: the process alone) and may fill the record;
switching a stage off is leaving it out of the tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otel_agentops.accounting.ledger import Entry
from otel_agentops.records import ModelCall, ToolCall

if TYPE_CHECKING:
    from otel_agentops.accounting.once import Calls
    from otel_agentops.accounting.purses import Budgets
    from otel_agentops.accounting.scopes import Scope, Scopes
    from otel_agentops.accounting.watcher import Watcher
    from otel_agentops.pricing import PriceBook

__all__ = ["Stage", "add_to_ledger", "count_once", "price", "stages"]

Stage = Callable[[ModelCall, "Scope | None", int], None]
"""`(call, scope, start_ns)`; `start_ns` is the UTC start of the call, which decides its price."""


def count_once(calls: Calls) -> Stage:
    """A stage that finds out whether another span of the same call was counted already."""

    def find(call: ModelCall, _scope: Scope | None, start_ns: int) -> None:
        if call.place is not None and call.operation != "fetch_response" and not call.duplicate:
            calls.count(call, call.place, start_ns)

    return find


def price(book: PriceBook) -> Stage:
    """A stage that sets `call.cost`."""

    def set_cost(call: ModelCall, _scope: Scope | None, start_ns: int) -> None:
        if call.operation != "fetch_response" and not call.duplicate:
            call.cost = book.price(call, start_ns)

    return set_cost


def add_to_ledger(scopes: Scopes) -> Stage:
    """A stage that adds the call to the totals of the scopes around it."""

    def add(call: ModelCall, scope: Scope | None, _start_ns: int) -> None:
        if call.operation == "fetch_response" or call.duplicate or call.spent:
            return
        cost = call.cost.usd if call.cost is not None else None
        rest = call.counted
        unpriced = (cost is None and not free_failure(call)) - call.takes_back
        used, calls = (call.usage, 1) if rest is None else (rest, 0)
        entry = Entry(cost, used, calls, 0, call.error_type is not None, unpriced)
        if call.place is not None:
            call.place.booked(cost is not None, unpriced > 0)
        scopes.count(scope, entry, call.provider)

    return add


def free_failure(call: ModelCall) -> bool:
    """Whether the call failed before anything came back: nothing was billed, nothing is missing."""
    return call.ending == "error" and call.usage is None and call.first_chunk_s is None


def tool_entry(tool: ToolCall) -> Entry:
    """What an ended tool execution adds to the totals."""
    return Entry(cost_usd=tool.cost_usd, tool_calls=1, errors=tool.error_type is not None)


def stages(
    book: PriceBook, scopes: Scopes, calls: Calls, watcher: Watcher, budgets: Budgets
) -> tuple[Stage, ...]:
    """The accounting, in order."""
    return (count_once(calls), price(book), watcher.ended, add_to_ledger(scopes), budgets.settle)
