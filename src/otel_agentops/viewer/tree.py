"""Received spans as a tree of sessions, agents, operations, tools and model calls, with their costs.

Pure functions: spans -> nodes -> rows. Costs are added up here from the calls alone; what a session says
about itself is shown beside it, so that the two can be compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from otel_agentops.semconv import own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_agentops.viewer.otlp import ReceivedSpan

__all__ = ["Node", "Row", "Totals", "as_json", "build", "rows", "totals"]

_KINDS = {
    "invoke_workflow": "session",
    "invoke_agent": "agent",
    "execute_tool": "tool",
    "chat": "model_call",
    "text_completion": "model_call",
    "generate_content": "model_call",
    "embeddings": "model_call",
    "fetch_response": "fetch",
}
_NAMES = {
    "session": "gen_ai.workflow.name",
    "agent": own.AGENT_NAME,
    "tool": "gen_ai.tool.name",
}
_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"


@dataclass(frozen=True, slots=True)
class Node:
    """A span and what happened inside it.

    Attributes:
        kind: `session`, `agent`, `operation`, `tool`, `model_call`, `fetch`, or `span` for anything else.
        children: In the order of their start.
    """

    span: ReceivedSpan
    kind: str
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """This node and everything below."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def name(self) -> str:
        """What a person calls it."""
        attributes = self.span.attributes
        if self.kind == "model_call":
            return str(attributes["gen_ai.operation.name"])
        return str(attributes.get(_NAMES.get(self.kind, ""), self.span.name))

    @property
    def model(self) -> str | None:
        """The model that answered, else the one that was asked for."""
        attributes = self.span.attributes
        return attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model")

    @property
    def own_cost(self) -> Decimal | None:
        """US dollars of this call or tool alone; None when it has no price, and for scopes."""
        attributes = self.span.attributes
        for key in (own.COST, own.COST_443[0]) if self.kind == "model_call" else (own.TOOL_COST,):
            if key in attributes:
                return Decimal(repr(attributes[key]))
        return None

    @property
    def cost(self) -> Decimal | None:
        """US dollars of everything in it, added up from the calls; None when nothing has a price."""
        costs = [cost for node in self.walk() if (cost := node.own_cost) is not None]
        return sum(costs, Decimal(0)) if costs else None

    def tokens(self, key: str) -> int | None:
        """Tokens of the calls in it that count; None when no call told any."""
        counts = [
            node.span.attributes[key]
            for node in self.walk()
            if node.kind == "model_call" and key in node.span.attributes and not _duplicate(node)
        ]
        return sum(counts) if counts else None


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


def build(spans: Iterable[ReceivedSpan]) -> tuple[Node, ...]:
    """Trees of the spans that have no parent among them, in the order of their start."""
    known = {(span.trace_id, span.span_id): span for span in spans}
    inside: defaultdict[tuple[str, str | None], list[ReceivedSpan]] = defaultdict(list)
    for span in sorted(known.values(), key=lambda span: (span.start_ns, span.span_id)):
        parent = span.parent_id if (span.trace_id, span.parent_id) in known else None
        inside[span.trace_id, parent].append(span)

    def node(span: ReceivedSpan) -> Node:
        return Node(span, _kind(span.attributes), tuple(map(node, inside[span.trace_id, span.span_id])))

    roots = [span for (_, parent), found in tuple(inside.items()) if parent is None for span in found]
    return tuple(node(span) for span in sorted(roots, key=lambda span: span.start_ns))


def _kind(attributes: dict[str, Any]) -> str:
    if own.SPAN_KIND in attributes:
        return str(attributes[own.SPAN_KIND])
    return _KINDS.get(attributes.get("gen_ai.operation.name", ""), "span")


def _duplicate(node: Node) -> bool:
    return bool(node.span.attributes.get(own.DUPLICATE))


def totals(trees: Sequence[Node]) -> Totals:
    """Sums over everything in the trees."""
    nodes = [node for tree in trees for node in tree.walk()]
    calls = [node for node in nodes if node.kind == "model_call" and not _duplicate(node)]
    reported = [
        Decimal(repr(tree.span.attributes[own.TOTAL + "cost_usd"]))
        for tree in trees
        if tree.kind == "session" and own.TOTAL + "cost_usd" in tree.span.attributes
    ]
    status = Counter(
        node.span.attributes.get(own.COST_STATUS)
        for node in calls
        if not (node.span.error and _INPUT not in node.span.attributes)  # failed, and nothing was billed
    )
    return Totals(
        cost_usd=sum((node.own_cost or Decimal(0) for node in nodes), Decimal(0)),
        reported_usd=sum(reported, Decimal(0)) if reported else None,
        input_tokens=sum(call.span.attributes.get(_INPUT, 0) for call in calls),
        output_tokens=sum(call.span.attributes.get(_OUTPUT, 0) for call in calls),
        model_calls=len(calls),
        tool_calls=sum(node.kind == "tool" for node in nodes),
        unpriced_calls=status["unpriced"],
        estimated_calls=status["estimated"],
        errors=sum(node.span.error and node.kind in ("model_call", "tool") for node in nodes),
    )


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
        input_tokens=node.tokens(_INPUT),
        output_tokens=node.tokens(_OUTPUT),
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
