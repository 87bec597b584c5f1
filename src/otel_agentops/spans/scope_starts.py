"""The beginning of sessions, agents, operations, tools and retrievals: span names and attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.records import AgentRun, Operation, Retrieval, Session, ToolCall
from otel_agentops.semconv import own

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCOPE_START"]

Attributes = dict[str, Any]


def _session(record: Session, attributes: Attributes) -> str:
    attributes["gen_ai.operation.name"] = "invoke_workflow"
    attributes.update({own.METADATA + key: value for key, value in record.metadata.items()})
    if record.name is None:
        return "invoke_workflow"
    attributes["gen_ai.workflow.name"] = record.name
    return f"invoke_workflow {record.name}"


def _agent(record: AgentRun, attributes: Attributes) -> str:
    attributes["gen_ai.operation.name"] = "invoke_agent"
    if record.description:
        attributes["gen_ai.agent.description"] = record.description
    if record.name is None:
        return "invoke_agent"
    attributes[own.AGENT_NAME] = record.name
    return f"invoke_agent {record.name}"


def _operation(record: Operation, attributes: Attributes) -> str:
    attributes[own.SPAN_KIND] = "operation"
    if not record.workflow:
        return record.name or "operation"
    attributes["gen_ai.operation.name"] = "invoke_workflow"
    if record.name is None:
        return "invoke_workflow"
    attributes["gen_ai.workflow.name"] = record.name
    return f"invoke_workflow {record.name}"


def _retrieval(record: Retrieval, attributes: Attributes) -> str:
    attributes.pop(own.CONVERSATION_ID, None)  # the conventions define it for few operations
    attributes["gen_ai.operation.name"] = "retrieval"
    if record.model is not None:
        attributes["gen_ai.request.model"] = record.model
    if record.source is None:
        return "retrieval"
    attributes["gen_ai.data_source.id"] = record.source
    return f"retrieval {record.source}"


def _tool(record: ToolCall, attributes: Attributes) -> str:
    attributes["gen_ai.operation.name"] = "execute_tool"
    attributes["gen_ai.tool.name"] = record.name
    for name, value in (
        ("gen_ai.tool.type", record.tool_type),
        ("gen_ai.tool.description", record.description),
        ("gen_ai.tool.call.id", record.call_id),
    ):
        if value is not None:
            attributes[name] = value
    return f"execute_tool {record.name}"


SCOPE_START: dict[type, Callable[[Any, Attributes], str]] = {
    Session: _session,
    AgentRun: _agent,
    Operation: _operation,
    ToolCall: _tool,
    Retrieval: _retrieval,
}
"""By the kind of record: writes what is known when its scope opens, and says how the span is called."""
