"""Which of LangChain's runs become spans, and as what.

LangChain reports every link of a chain. A span is written for what has a name that somebody gave it: an
agent, a graph, a node, a chain or function with a name, and the outermost run whatever it is. Prompts,
parsers, the `Runnable…` plumbing between them and runs that LangChain itself hides are passed over; what
runs inside them belongs to the next run around that is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.instrumentation.langchain_calls import conversation
from otel_agentops.records import AgentRun, Operation, Retrieval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_agentops.records import Record

__all__ = ["chain", "documents", "hidden", "is_node", "name_of", "retrieval"]

_HIDDEN = "langsmith:hidden"
_STEPS = frozenset({"prompt", "parser"})
_PLUMBING = ("Runnable", "Channel", "Branch<")
"""How the names of LangChain's and LangGraph's own connecting pieces begin, where nobody named them."""

_UNNAMED_GRAPH = "LangGraph"
_AGENT = "langchain_create_agent"
_AGENTS = frozenset({"AgentExecutor"})
_AGENT_NODES = frozenset({"model", "tools"})
"""Nodes inside an agent of `create_agent` that hold nothing but the model call or the tools."""


def hidden(tags: Sequence[str] | None) -> bool:
    """Whether LangChain says that nobody wants to see this run."""
    return bool(tags) and _HIDDEN in tags  # type: ignore[operator]  # not None here


def name_of(serialized: Mapping[str, Any] | None) -> str | None:
    """What a run is called by its serialised form; older versions say it only there."""
    told = serialized or {}
    if isinstance(told.get("name"), str):
        return str(told["name"])
    path = told.get("id")
    return str(path[-1]) if isinstance(path, list) and path else None


def is_node(tags: Sequence[str] | None) -> bool:
    """Whether a run is a node of a LangGraph graph."""
    if tags:
        for tag in tags:
            if tag.startswith("graph:step:"):
                return True
    return False


def chain(
    name: str | None,
    run_type: str | None,
    tags: Sequence[str] | None,
    metadata: Mapping[str, Any],
    outermost: bool,
    node: bool,
    in_node: bool,
) -> Record | None:
    """The record of a chain run; None for one that is passed over.

    Args:
        name: What it is called.
        run_type: `prompt`, `parser` and the like; None for most.
        tags: Its tags.
        metadata: Its metadata, with what it inherited.
        outermost: Whether there is no run of LangChain's around it.
        node: Whether it is a node of a graph.
        in_node: Whether the run right around it is a node of a graph.
    """
    if run_type in _STEPS or hidden(tags):
        return None
    thread = conversation(metadata) if outermost else None
    if not node and _is_agent(name, metadata):
        return AgentRun(None if name == _UNNAMED_GRAPH else name, conversation_id=thread)
    if not outermost and _is_plumbing(name, tags, metadata, node, in_node):
        return None
    if not node and _is_graph(name, metadata):
        return Operation(None if name == _UNNAMED_GRAPH else name, True, thread)
    return Operation(name or "chain", conversation_id=thread)


def _is_plumbing(
    name: str | None, tags: Sequence[str] | None, metadata: Mapping[str, Any], node: bool, in_node: bool
) -> bool:
    if node:
        return name in _AGENT_NODES and metadata.get("ls_integration") == _AGENT
    if in_node and any(tag.startswith("seq:step:") for tag in tags or ()):
        return True  # a node runs its function and its conditional edges as steps of its own
    return name is None or name.startswith(_PLUMBING)


def _is_graph(name: str | None, metadata: Mapping[str, Any]) -> bool:
    if name == _UNNAMED_GRAPH:
        return True
    return metadata.get("ls_integration") == "langgraph" and "langgraph_node" not in metadata


def _is_agent(name: str | None, metadata: Mapping[str, Any]) -> bool:
    """Whether a run that is no node is an agent itself; everything inside one inherits its metadata."""
    if name in _AGENTS:
        return True
    if metadata.get("ls_integration") != _AGENT:
        return False
    return name in (_UNNAMED_GRAPH, metadata.get("lc_agent_name")) or "langgraph_node" not in metadata


def retrieval(name: str | None, metadata: Mapping[str, Any]) -> Retrieval:
    """The record of a retriever's run."""
    model = metadata.get("ls_embedding_model")
    return Retrieval(name or metadata.get("ls_retriever_name"), str(model) if model else None)


def documents(found: Any) -> list[dict[str, Any]]:
    """What a retriever found, by id and score; never the text."""
    return [_document(each) for each in found] if isinstance(found, list | tuple) else []


def _document(found: Any) -> dict[str, Any]:
    notes = getattr(found, "metadata", None) or {}
    known = getattr(found, "id", None) or notes.get("id") or notes.get("source")
    shaped: dict[str, Any] = {"id": None if known is None else str(known)}
    score = notes.get("score", notes.get("relevance_score"))
    if isinstance(score, int | float):
        shaped["score"] = float(score)
    return shaped
