"""What other instrumentations call things: names to record fields, as data.

Rows of one field stand in order of preference: where a span has several of its names, the first counts.
Sources: the emitters' code of June to November 2026.
"""

from __future__ import annotations

__all__ = [
    "BOUNDARIES",
    "COSTS",
    "COUNTS",
    "IMPLICIT",
    "KINDS",
    "MODALITIES",
    "PACKED",
    "PROMPTS",
    "PROMPT_EVENTS",
    "PROMPT_PREFIXES",
    "TEXTS",
]

_CHAT, _EMBEDDINGS, _TEXT = "chat", "embeddings", "text_completion"

KINDS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "ai.operationId",  # Vercel: the outer spans (`ai.generateText`, ...) repeat what is inside them
        {
            **dict.fromkeys(
                (
                    "ai.generateText.doGenerate",
                    "ai.streamText.doStream",
                    "ai.generateObject.doGenerate",
                    "ai.streamObject.doStream",
                ),
                _CHAT,
            ),
            "ai.embed.doEmbed": _EMBEDDINGS,
            "ai.embedMany.doEmbed": _EMBEDDINGS,
        },
    ),
    ("ag2.span.type", {"llm": _CHAT}),  # before the operation: `usage` spans repeat the call beside them
    (
        "gen_ai.operation.name",
        {
            _CHAT: _CHAT,
            _TEXT: _TEXT,
            "completion": _TEXT,
            "generate_content": "generate_content",
            _EMBEDDINGS: _EMBEDDINGS,
            "embedding": _EMBEDDINGS,
        },
    ),
    ("openinference.span.kind", {"LLM": _CHAT, "EMBEDDING": _EMBEDDINGS}),
    (
        "llm.request.type",
        {
            **dict.fromkeys(("chat", "responses", "aresponses", "anthropic_messages"), _CHAT),
            **dict.fromkeys(("completion", "text_completion", "atext_completion"), _TEXT),
            "acompletion": _CHAT,  # LiteLLM's names of its functions
            **dict.fromkeys(("embedding", "aembedding"), _EMBEDDINGS),
        },
    ),
    ("langfuse.observation.type", {"generation": _CHAT, "embedding": _EMBEDDINGS}),
    ("mlflow.spanType", {"CHAT_MODEL": _CHAT, "LLM": _CHAT, "EMBEDDING": _EMBEDDINGS}),
    ("agentops.span.kind", {"llm": _CHAT, "LLM": _CHAT}),
    ("lmnr.span.type", {"LLM": _CHAT}),
    ("span.type", {"llm_request": _CHAT}),  # Claude Code
    ("traceloop.span.kind", {}),  # workflows, tasks, agents and tools
)
"""Attributes that say what a span is, and their values for model calls; the first one present decides.

Values are compared without the quotes that MLflow puts around them. A value that is not listed is
something else than a model call: an agent, a chain, a tool, a reranker.
"""

IMPLICIT: tuple[frozenset[str], ...] = (
    frozenset({"gen_ai.system", "gen_ai.provider.name"}),
    frozenset({"gen_ai.request.model"}),
    frozenset({"gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"}),
)
"""A span without any of `KINDS` is a chat if it has one of each of these: conventions before 1.27."""

BOUNDARIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gen_ai.operation.name", ("invoke_agent", "execute_tool", "invoke_workflow", "create_agent")),
    ("openinference.span.kind", ("TOOL", "AGENT")),
    ("traceloop.span.kind", ("tool", "agent", "workflow")),
    ("langfuse.observation.type", ("tool", "agent")),
    ("mlflow.spanType", ("TOOL", "AGENT", '"TOOL"', '"AGENT"')),
)
"""Spans inside which something of its own is going on."""

TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "provider",
        (
            "gen_ai.provider.name",
            "gen_ai.system",
            "llm.provider",
            "llm.system",
            "ai.model.provider",
            "mlflow.llm.provider",
            "langsmith.metadata.ls_provider",
            "traceloop.association.properties.ls_provider",
        ),
    ),
    (
        "request_model",
        (
            "gen_ai.request.model",
            "llm.request.model_name",
            "llm.request.model",
            "ai.model.id",
            "llm.model_name",
            "embedding.model_name",
            "langfuse.observation.model.name",
            "mlflow.llm.model",
            "model",  # Claude Code
        ),
    ),
    (
        "response_model",
        ("gen_ai.response.model", "llm.response.model_name", "llm.response.model", "ai.response.model"),
    ),
    ("response_id", ("gen_ai.response.id", "ai.response.id", "llm.response.id")),
    ("server_address", ("server.address", "gen_ai.openai.api_base", "llm.openai.api_base", "net.peer.name")),
    ("api_type", ("openai.api.type",)),
    (
        "service_tier",
        (
            "openai.response.service_tier",
            "anthropic.response.service_tier",
            "gen_ai.openai.response.service_tier",
            "gen_ai.response.service_tier",
        ),
    ),
    ("processing", ("otel_agentops.request.processing",)),
    ("inference_geo", ("otel_agentops.request.inference_geo",)),
    ("error_type", ("error.type",)),
)
"""Fields of the call that are texts."""

COUNTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "input_tokens",
        (
            "gen_ai.usage.input_tokens",
            "llm.token_count.prompt",
            "gen_ai.usage.prompt_tokens",
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "ai.usage.tokens",
            "llm.usage.prompt_tokens",
            "input_tokens",
        ),
    ),
    (
        "output_tokens",
        (
            "gen_ai.usage.output_tokens",
            "llm.token_count.completion",
            "gen_ai.usage.completion_tokens",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
            "llm.usage.completion_tokens",
            "output_tokens",
        ),
    ),
    (
        "cache_read_input_tokens",
        (
            "gen_ai.usage.cache_read.input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.input_tokens.cached",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "gen_ai.usage.prompt_tokens_details.cached_tokens",
            "gen_ai.usage.prompt_tokens_details.cache_read",
            "llm.token_count.prompt_details.cache_input",
            "ai.usage.inputTokenDetails.cacheReadTokens",
            "ai.usage.cachedInputTokens",
            "cache_read_tokens",
            "otel_agentops.usage.cache_read_input_tokens",
        ),
    ),
    (
        "cache_write_input_tokens",
        (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "llm.token_count.prompt_details.cache_write",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.input_tokens.cache_write",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
            "gen_ai.usage.prompt_tokens_details.cache_write",
            "ai.usage.inputTokenDetails.cacheWriteTokens",
            "cache_creation_tokens",
            "otel_agentops.usage.cache_creation_input_tokens",
        ),
    ),
    ("cache_write_1h_input_tokens", ("otel_agentops.usage.cache_creation_1h_input_tokens",)),
    (
        "reasoning_output_tokens",
        (
            "gen_ai.usage.reasoning.output_tokens",
            "llm.token_count.completion_details.reasoning",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.output_tokens.reasoning",
            "gen_ai.usage.details.reasoning_tokens",
            "gen_ai.usage.completion_tokens_details.reasoning_tokens",
            "ai.usage.outputTokenDetails.reasoningTokens",
            "ai.usage.reasoningTokens",
            "llm.usage.reasoning_tokens",
            "otel_agentops.usage.reasoning_output_tokens",
        ),
    ),
    ("audio_input_tokens", ("llm.token_count.prompt_details.audio",)),
    ("audio_output_tokens", ("llm.token_count.completion_details.audio",)),
    ("web_searches", ("otel_agentops.usage.web_searches",)),
    (
        "total_tokens",
        (
            "gen_ai.usage.total_tokens",
            "llm.token_count.total",
            "llm.usage.total_tokens",
            "ai.usage.totalTokens",
        ),
    ),
)
"""Fields of its usage; `total_tokens` is none of ours and only tells what the others contain."""

MODALITIES: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (f"{modality}_{field}", (f"gen_ai.usage.{modality}.{name}",))
    for modality in ("text", "audio", "image")
    for field, name in (
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_input_tokens", "cache_read.input_tokens"),
    )
)
"""The same, by modality, in the newest conventions."""

COSTS: tuple[str, ...] = (
    "gen_ai.usage.cost",
    "operation.cost",
    "llm.cost.total",
    "gen_ai.usage.cost.amount",
    "gen_ai.cost.total_cost",
    "litellm.cost.total",
    "gen_ai.usage.total_cost",
    "gen_ai.usage.cost.total",
    "gen_ai.usage.cost_usd",
    "llm.usage.total_cost",
    "llm.response.cost",
)
"""What emitters say a call costs, US dollars; never its parts, one of which has been seen to hold tokens."""

PACKED: dict[str, tuple[bool, dict[str, str]]] = {
    # attribute: whether nothing in it is counted twice (input leaves out what was cached, output reasoning),
    # and path in its JSON -> field
    "langfuse.observation.usage_details": (
        True,
        {
            "input": "input_tokens",
            "output": "output_tokens",
            "input_cached_tokens": "cache_read_input_tokens",
            "cache_read_input_tokens": "cache_read_input_tokens",
            "input_cache_read": "cache_read_input_tokens",
            "input_cache_creation": "cache_write_input_tokens",
            "cache_creation_input_tokens": "cache_write_input_tokens",
            "output_reasoning_tokens": "reasoning_output_tokens",
            "output_reasoning": "reasoning_output_tokens",
        },
    ),
    "langfuse.observation.cost_details": (False, {"total": "cost"}),
    "mlflow.chat.tokenUsage": (
        False,
        {
            "input_tokens": "input_tokens",
            "output_tokens": "output_tokens",
            "total_tokens": "total_tokens",
            "cache_read_input_tokens": "cache_read_input_tokens",
            "cache_creation_input_tokens": "cache_write_input_tokens",
            "cache_creation_input_tokens_above_1hr": "cache_write_1h_input_tokens",
        },
    ),
    "mlflow.llm.cost": (False, {"total_cost": "cost"}),
    "gen_ai.usage.raw": (  # Logfire: the provider's own usage object
        False,
        {
            "prompt_tokens_details.cached_tokens": "cache_read_input_tokens",
            "input_tokens_details.cached_tokens": "cache_read_input_tokens",
            "completion_tokens_details.reasoning_tokens": "reasoning_output_tokens",
            "output_tokens_details.reasoning_tokens": "reasoning_output_tokens",
            "prompt_tokens_details.audio_tokens": "audio_input_tokens",
            "completion_tokens_details.audio_tokens": "audio_output_tokens",
            "cache_read_input_tokens": "cache_read_input_tokens",
            "cache_creation_input_tokens": "cache_write_input_tokens",
            "cost": "reported",
        },
    ),
    "ai.response.providerMetadata": (
        False,
        {
            "openrouter.usage.cost": "reported",
            "gateway.cost": "reported",
            "anthropic.cacheCreationInputTokens": "cache_write_input_tokens",
        },
    ),
    "gcp.vertex.agent.llm_response": (
        False,
        {
            "usage_metadata.prompt_token_count": "input_tokens",
            "usage_metadata.candidates_token_count": "output_tokens",
            "usage_metadata.thoughts_token_count": "reasoning_output_tokens",
            "usage_metadata.cached_content_token_count": "cache_read_input_tokens",
            "usage_metadata.total_token_count": "total_tokens",
        },
    ),
    "hidden_params": (False, {"cache_hit": "cache_hit"}),
}
"""Attributes that hold JSON; they only fill what the plain names have left open."""

PROMPTS: tuple[str, ...] = (
    "gen_ai.input.messages",
    "gen_ai.system_instructions",
    "gen_ai.request.messages",
    "ai.prompt.messages",
    "ai.prompt",
    "langfuse.observation.input",
    "mlflow.spanInputs",
    "request_data",
    "input.value",
)
"""What was sent to the model, as one text."""

PROMPT_PREFIXES: tuple[str, ...] = ("llm.input_messages.", "gen_ai.prompt.")
"""What was sent to the model, one attribute for each part of each message."""

PROMPT_EVENTS: frozenset[str] = frozenset(
    {
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.content.prompt",
    }
)
"""Log records of earlier conventions whose body is a part of what was sent."""
