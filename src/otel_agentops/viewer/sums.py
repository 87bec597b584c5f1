"""Sums over trees of spans."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from otel_agentops.semconv import own
from otel_agentops.viewer.tree import INPUT, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_agentops.viewer.tree import Node

__all__ = ["Totals", "totals"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all model calls and tools.

    Attributes:
        cost_usd: What the calls and tools cost, added up here.
        reported_usd: What the outermost sessions say they cost; None without a session.
    """

    cost_usd: Decimal
    reported_usd: Decimal | None
    input_tokens: int
    output_tokens: int
    model_calls: int
    tool_calls: int
    unpriced_calls: int
    estimated_calls: int
    errors: int

    @property
    def agree(self) -> bool:
        """Whether both ways of adding up give the same, to 12 digits."""
        if self.reported_usd is None:
            return True
        return abs(self.cost_usd - self.reported_usd) <= Decimal("1e-12") * self.cost_usd


def totals(trees: Sequence[Node]) -> Totals:
    """Sums over everything in the trees."""
    nodes = [node for tree in trees for node in tree.walk()]
    calls = [node for node in nodes if node.counts]
    status = Counter(map(_status, calls))
    return Totals(
        cost_usd=sum((node.own_cost or Decimal(0) for node in nodes), Decimal(0)),
        reported_usd=_reported(trees),
        input_tokens=_tokens(calls, INPUT),
        output_tokens=_tokens(calls, OUTPUT),
        model_calls=len(calls),
        tool_calls=sum(node.kind == "tool" for node in nodes),
        unpriced_calls=status["unpriced"],
        estimated_calls=status["estimated"],
        errors=sum(node.span.error for node in nodes if node.kind in ("model_call", "tool")),
    )


def _reported(trees: Sequence[Node]) -> Decimal | None:
    name = own.TOTAL + "cost_usd"
    told = [tree.span.attributes for tree in trees if tree.kind == "session"]
    costs = [Decimal(repr(attributes[name])) for attributes in told if name in attributes]
    return sum(costs, Decimal(0)) if costs else None


def _tokens(calls: Iterable[Node], key: str) -> int:
    return sum(call.span.attributes.get(key, 0) for call in calls)


def _status(call: Node) -> str | None:
    """Its price's status; None for a call that failed and was not billed."""
    span = call.span
    return None if span.error and INPUT not in span.attributes else span.attributes.get(own.COST_STATUS)
