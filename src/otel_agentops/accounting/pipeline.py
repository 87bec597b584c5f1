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
    from otel_agentops.accounting.scopes import Scope, Scopes
    from otel_agentops.pricing import PriceBook

__all__ = ["Stage", "add_to_ledger", "price", "stages"]

Stage = Callable[[ModelCall, "Scope | None", int], None]
"""`(call, scope, start_ns)`; `start_ns` is the UTC start of the call, which decides its price."""


def price(book: PriceBook) -> Stage:
    """A stage that sets `call.cost`."""

    def set_cost(call: ModelCall, _scope: Scope | None, start_ns: int) -> None:
        if call.operation != "fetch_response":
            call.cost = book.price(call, start_ns)

    return set_cost


def add_to_ledger(scopes: Scopes) -> Stage:
    """A stage that adds the call to the totals of the scopes around it."""

    def add(call: ModelCall, scope: Scope | None, _start_ns: int) -> None:
        if call.operation == "fetch_response":
            return
        cost = call.cost.usd if call.cost is not None else None
        entry = Entry(
            cost_usd=cost,
            usage=call.usage,
            model_calls=1,
            errors=call.error_type is not None,
            unpriced_calls=cost is None and not free_failure(call),
        )
        scopes.count(scope, entry, call.provider)

    return add


def free_failure(call: ModelCall) -> bool:
    """Whether the call failed before anything came back: nothing was billed, nothing is missing."""
    return call.ending == "error" and call.usage is None and call.first_chunk_s is None


def tool_entry(tool: ToolCall) -> Entry:
    """What an ended tool execution adds to the totals."""
    return Entry(cost_usd=tool.cost_usd, tool_calls=1, errors=tool.error_type is not None)


def stages(book: PriceBook, scopes: Scopes) -> tuple[Stage, ...]:
    """The accounting, in order."""
    return (price(book), add_to_ledger(scopes))
