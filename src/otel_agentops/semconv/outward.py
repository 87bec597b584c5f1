"""Profiles that rename what 1.41 writes: an older version of the conventions, and the names of a back end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.semconv import own

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LANGFUSE", "V1_36", "Outward"]


class Outward(NamedTuple):
    """How names of 1.41 are written instead.

    Attributes:
        names: Name -> the one to write; None for what is left out.
        prefixes: Beginning of a name -> the one to write.
        values: Value -> the one to write, of `gen_ai.provider.name`.
        message_events: Whether messages are written as events, one each.
        kind: Attribute that says what a span is; None for none.
        kinds: Kind of a record, or operation of a model call -> its value.
        usage: Attribute that holds the token counts as JSON, none counted twice; None for none.
        buckets: Rows of (name in 1.41, key in that JSON, name that contains it or None).
        cost: Attribute that holds the cost as JSON.
        parameters: Attribute that holds the parameters of the request as JSON.
        contents: Names of what was sent and what came back, in place of messages, arguments and results.
    """

    names: Mapping[str, str | None] = {}
    prefixes: Mapping[str, str] = {}
    values: Mapping[str, str] = {}
    message_events: bool = False
    kind: str | None = None
    kinds: Mapping[str, str] = {}
    usage: str | None = None
    buckets: tuple[tuple[str, str, str | None], ...] = ()
    cost: str | None = None
    parameters: str | None = None
    contents: tuple[str, str] | None = None


_MESSAGES = (
    "gen_ai.system_instructions",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.definitions",
)

V1_36 = Outward(
    names={
        "gen_ai.provider.name": "gen_ai.system",
        "openai.request.service_tier": "gen_ai.openai.request.service_tier",
        "openai.response.service_tier": "gen_ai.openai.response.service_tier",
        "openai.response.system_fingerprint": "gen_ai.openai.response.system_fingerprint",
        "gen_ai.usage.cache_read.input_tokens": own.CACHE_READ,
        "gen_ai.usage.cache_creation.input_tokens": own.CACHE_CREATION,
        "gen_ai.usage.reasoning.output_tokens": own.REASONING,
        **dict.fromkeys(
            (
                "openai.api.type",
                "gen_ai.request.stream",
                "gen_ai.response.time_to_first_chunk",
                "gen_ai.embeddings.dimension.count",
                "gen_ai.workflow.name",
                "gen_ai.tool.call.arguments",
                "gen_ai.tool.call.result",
                "gen_ai.retrieval.query.text",
                "gen_ai.retrieval.documents",
                *_MESSAGES,
            )
        ),
    },
    values={"x_ai": "xai"},
    message_events=True,
)
"""`gen_ai.system` and events of messages; what that version has no name for is left out, or ours."""

_OBSERVATION = "langfuse.observation."

LANGFUSE = Outward(
    names={
        "otel_agentops.tags": "langfuse.trace.tags",
        "gen_ai.workflow.name": "langfuse.trace.name",
        "gen_ai.tool.definitions": None,
    },
    prefixes={"otel_agentops.metadata.": "langfuse.trace.metadata."},
    kind=_OBSERVATION + "type",
    kinds={
        "chat": "generation",
        "text_completion": "generation",
        "generate_content": "generation",
        "embeddings": "embedding",
        "agent": "agent",
        "tool": "tool",
        "retrieval": "retriever",
    },
    usage=_OBSERVATION + "usage_details",
    buckets=(
        ("gen_ai.usage.cache_read.input_tokens", "input_cached_tokens", "gen_ai.usage.input_tokens"),
        ("gen_ai.usage.cache_creation.input_tokens", "input_cache_creation", "gen_ai.usage.input_tokens"),
        ("gen_ai.usage.reasoning.output_tokens", "output_reasoning_tokens", "gen_ai.usage.output_tokens"),
        ("gen_ai.usage.input_tokens", "input", None),
        ("gen_ai.usage.output_tokens", "output", None),
    ),
    cost=_OBSERVATION + "cost_details",
    parameters=_OBSERVATION + "model.parameters",
    contents=(_OBSERVATION + "input", _OBSERVATION + "output"),
)
"""What Langfuse reads first. Each number under `gen_ai.usage.` would be one more kind of usage there."""
