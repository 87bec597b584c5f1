"""Trees of spans as lines of a picture, and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otel_agentops.semconv import own
from otel_agentops.viewer.sums import totals
from otel_agentops.viewer.tree import INPUT, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from otel_agentops.viewer.otlp import ReceivedSpan
    from otel_agentops.viewer.tree import Node

__all__ = ["Row", "as_json", "rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the picture.

    Attributes:
        guide: The branches drawn before the name.
        share: Part of the whole cost, from 0 to 1.
        status: `priced`, `estimated` or `unpriced` for model calls.
        note: The reason why a call has no price, or what its price leaves out.
        error: `error.type` of a span that failed, and its message.
    """

    guide: str
    kind: str
    name: str
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    share: Decimal | None
    duration_s: float
    status: str | None = None
    note: str | None = None
    error: str | None = None

    @property
    def unpriced(self) -> bool:
        """Whether a cost is missing here; a call that failed without usage cost nothing."""
        return self.status == "unpriced" and (self.error is None or self.input_tokens is not None)


def rows(trees: Sequence[Node]) -> list[Row]:
    """Lines of the picture, from top to bottom."""
    whole = totals(trees).cost_usd
    return [row for tree in trees for row in _rows(tree, whole, "", "")]


def _rows(node: Node, whole: Decimal, guide: str, below: str) -> Iterator[Row]:
    yield _row(node, whole, guide)
    for index, child in enumerate(node.children, 1):
        last = index == len(node.children)
        yield from _rows(child, whole, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def _row(node: Node, whole: Decimal, guide: str) -> Row:
    attributes, cost = node.span.attributes, node.cost
    return Row(
        guide=guide,
        kind=node.kind,
        name=node.name,
        model=node.model if node.kind == "model_call" else None,
        input_tokens=node.tokens(INPUT),
        output_tokens=node.tokens(OUTPUT),
        cost_usd=cost,
        share=cost / whole if cost is not None and whole else None,
        duration_s=(node.span.end_ns - node.span.start_ns) / 1e9,
        status=attributes.get(own.COST_STATUS),
        note=attributes.get(own.COST_REASON) or ", ".join(attributes.get(own.COST_FLAGS, ())) or None,
        error=_error(node.span),
    )


def _error(span: ReceivedSpan) -> str | None:
    if not span.error:
        return None
    kind = str(span.attributes.get("error.type", "error")).rpartition(".")[2]
    return f"{kind}: {span.message}" if span.message else kind


# --- for machines ---


def as_json(trees: Sequence[Node]) -> dict[str, Any]:
    """The same as plain JSON values; an unknown number is null."""
    total = totals(trees)
    return {
        "total": {
            "cost_usd": float(total.cost_usd),
            "reported_usd": None if total.reported_usd is None else float(total.reported_usd),
            "input_tokens": total.input_tokens,
            "output_tokens": total.output_tokens,
            "model_calls": total.model_calls,
            "tool_calls": total.tool_calls,
            "unpriced_calls": total.unpriced_calls,
            "estimated_calls": total.estimated_calls,
            "errors": total.errors,
        },
        "tree": [_node_json(tree, total.cost_usd) for tree in trees],
    }


def _node_json(node: Node, whole: Decimal) -> dict[str, Any]:
    row = _row(node, whole, "")
    return {
        "kind": row.kind,
        "name": row.name,
        "trace_id": node.span.trace_id,
        "span_id": node.span.span_id,
        "model": row.model,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": None if row.cost_usd is None else float(row.cost_usd),
        "cost_status": row.status,
        "cost_note": row.note,
        "share": None if row.share is None else float(row.share),
        "duration_s": row.duration_s,
        "error": row.error,
        "children": [_node_json(child, whole) for child in node.children],
    }
