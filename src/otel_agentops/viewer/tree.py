"""Received spans as a tree of sessions, agents, operations, tools and model calls, with their costs.

Pure functions: spans -> nodes here, nodes -> sums and rows next door. Costs are added up from the calls
alone; what a session says about itself is kept apart, so that the two can be compared.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from otel_agentops.semconv import own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_agentops.viewer.otlp import ReceivedSpan

__all__ = ["INPUT", "OUTPUT", "Node", "build"]

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
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"


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
    def counts(self) -> bool:
        """Whether this is a model call that is not counted on another span."""
        return self.kind == "model_call" and not self.span.attributes.get(own.DUPLICATE)

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
            node.span.attributes[key] for node in self.walk() if node.counts and key in node.span.attributes
        ]
        return sum(counts) if counts else None


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
