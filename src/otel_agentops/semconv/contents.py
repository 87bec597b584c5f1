"""Where other instrumentations put what was said: attributes, events and log records with content."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["AI_MARKS", "CONTENT", "CONTENT_PREFIXES", "is_content"]

AI_MARKS: frozenset[str] = frozenset(
    {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.system",
        "gen_ai.request.model",
        "openinference.span.kind",
        "traceloop.span.kind",
        "llm.request.type",
        "llm.system",
        "langfuse.observation.type",
        "mlflow.spanType",
        "ai.operationId",
        "lmnr.span.type",
        "agentops.span.kind",
        "pydantic_ai.all_messages",
        "model_request_parameters",
        "mcp.method.name",
        "span.type",
    }
)
"""A span that tells of a model, a tool or an agent has one of these; others are not looked at."""

CONTENT: frozenset[str] = frozenset(
    {
        # the conventions, now and before
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.description",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.evaluation.explanation",
        "gen_ai.prompt",
        "gen_ai.completion",
        # OpenInference
        "input.value",
        "output.value",
        "tool.parameters",
        "llm.invocation_parameters",
        "llm.function_call",
        "metadata",
        # OpenLLMetry, AgentOps
        "traceloop.entity.input",
        "traceloop.entity.output",
        "agentops.entity.input",
        "agentops.entity.output",
        # Logfire, Pydantic AI
        "request_data",
        "response_data",
        "events",
        "all_messages_events",
        "pydantic_ai.all_messages",
        "model_request_parameters",
        "final_result",
        "tool_arguments",
        "tool_response",
        "logfire.msg",
        # Sentry
        "gen_ai.request.messages",
        "gen_ai.request.available_tools",
        "gen_ai.response.text",
        "gen_ai.response.tool_calls",
        "gen_ai.tool.input",
        "gen_ai.tool.output",
        # Langfuse, MLflow, Laminar, Google's ADK
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "lmnr.span.input",
        "lmnr.span.output",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
    }
)
"""Attributes that hold content, as text or JSON."""

CONTENT_PREFIXES: tuple[str, ...] = (
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts.",
    "llm.choices.",
    "llm.prompt_template.",
    "llm.tools.",
    "embedding.embeddings.",
    "retrieval.documents.",
    "reranker.",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "gen_ai.content.",
    "ai.prompt",
    "ai.response.text",
    "ai.response.object",
    "ai.response.reasoning",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "ai.value",
    "langfuse.observation.metadata",
    "langfuse.trace.metadata",
)
"""The same, one attribute for each part."""


@lru_cache(maxsize=8192)
def is_content(name: str) -> bool:
    """Whether an attribute of somebody else's span holds content."""
    return name in CONTENT or name.startswith(CONTENT_PREFIXES)
