"""LangChain's model calls as records: what its callbacks tell about a request and its answer.

Source: `invocation_params`, the `ls_*` metadata, `LLMResult`, `usage_metadata` and `response_metadata` of
langchain-core.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from otel_agentops.failsafe import failsafe
from otel_agentops.instrumentation.arguments import (
    SAMPLING,
    Rows,
    fill,
    number,
    whole,
    word,
    words,
)
from otel_agentops.instrumentation.langchain_messages import shaped, shaped_all
from otel_agentops.messages import get, text_part
from otel_agentops.records import ModelCall, Usage

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["answer", "content", "conversation", "request"]

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azureaichatcompletionsmodel": "azure.ai.inference",
    "google_genai": "gcp.gemini",
    "google_generativeai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "moonshot": "moonshot_ai",
    "ibm": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "openai-codex": "openai",
}
"""LangChain's names of providers that the conventions spell otherwise."""

_PARAMETERS: Rows = {
    **SAMPLING,
    "top_k": ("top_k", whole),
    "max_output_tokens": ("max_tokens", whole),
    "num_predict": ("max_tokens", whole),
    "stop_sequences": ("stop_sequences", words),
}
_STATED: Rows = {
    "ls_temperature": ("temperature", number),
    "ls_max_tokens": ("max_tokens", whole),
    "ls_stop": ("stop_sequences", words),
}
"""The same in the metadata, where the parameters lack them."""

_THREADS = ("thread_id", "conversation_id", "session_id")


def conversation(metadata: Mapping[str, Any]) -> str | None:
    """The thread of messages that a run belongs to; None if it was given none."""
    for name in _THREADS:
        value = metadata.get(name)
        if value is not None and value != "":
            return str(value)
    return None


def request(operation: str, metadata: Mapping[str, Any], params: Mapping[str, Any]) -> ModelCall:
    """The record of a call that is about to be made."""
    model = metadata.get("ls_model_name") or params.get("model") or params.get("model_name")
    provider = metadata.get("ls_provider")
    named = _PROVIDERS.get(provider, provider) if isinstance(provider, str) else None
    call = ModelCall(named or None, word(model), operation)
    fill(call, _STATED, metadata)
    fill(call, _PARAMETERS, params)
    return call


def content(call: ModelCall, prompt: Any, params: Mapping[str, Any]) -> None:
    """Read what is sent; a message that cannot be read costs its text, not the call.

    Args:
        call: Filled.
        prompt: Messages, or the text of a completion.
        params: The invocation's parameters.
    """
    call.capture = True
    with failsafe("reading content"):
        if isinstance(prompt, str):
            call.input_messages = [{"role": "user", "parts": [text_part(prompt)]}]
        else:
            call.input_messages = shaped_all(prompt)
        tools = params.get("tools")
        if isinstance(tools, list | tuple):
            call.tool_definitions = [_tool(tool) for tool in tools]


def _tool(tool: Any) -> dict[str, Any]:
    function = get(tool, "function") or tool
    kind = word(get(tool, "type")) or "function"
    definition = {
        "type": kind,
        "name": word(get(function, "name")) or kind,
        "description": get(function, "description"),
    }
    parameters = get(function, "parameters") or get(function, "input_schema")
    if isinstance(parameters, Mapping):
        definition["parameters"] = dict(parameters)
    return {key: value for key, value in definition.items() if value is not None}


# --- answers ---


def answer(call: ModelCall, result: Any, run_id: UUID) -> None:
    """Fill in what came back, except what the SDK below has said already.

    Args:
        call: Filled.
        result: An `LLMResult` with the generations of one prompt.
        run_id: Of this run; an answer that was made by another one comes from a cache.
    """
    generations = _first(getattr(result, "generations", None)) or []
    if not generations:
        return
    made = getattr(result, "llm_output", None)
    output: Mapping[str, Any] = made if isinstance(made, Mapping) else {}
    message = getattr(generations[0], "message", None)
    notes = getattr(message, "response_metadata", None) or {}
    if _cached(message, run_id) and call.usage is None:
        _from_cache(call)
    else:
        _missing(call, "usage", _usage(getattr(message, "usage_metadata", None)) or _output_usage(output))
    _identify(call, notes, output, getattr(message, "id", None))
    reasons = tuple(_reason(generation) for generation in generations)
    if any(reasons):
        _missing(call, "finish_reasons", tuple(reason or "error" for reason in reasons))
    if call.capture:
        with failsafe("reading output"):
            call.output_messages = [_output(generation) for generation in generations]


def _first(items: Any) -> Any:
    return items[0] if isinstance(items, list | tuple) and items else None


def _missing(call: ModelCall, field: str, value: Any) -> None:
    if value is not None and getattr(call, field) is None:
        setattr(call, field, value)


def _identify(call: ModelCall, notes: Mapping[str, Any], output: Mapping[str, Any], message_id: Any) -> None:
    for field, names in _NOTES.items():
        value = next((v for each in (notes, output) for name in names if (v := each.get(name))), None)
        _missing(call, field, word(value))
    if isinstance(message_id, str) and not message_id.startswith(_RUN_IDS):
        _missing(call, "response_id", message_id)


_NOTES: dict[str, tuple[str, ...]] = {
    "response_model": ("model_name", "model", "model_id"),
    "response_id": ("id", "response_id", "request_id"),
    "service_tier": ("service_tier",),
    "system_fingerprint": ("system_fingerprint",),
}
_RUN_IDS = ("run-", "lc_run-")
"""How LangChain's own ids of answers begin, where the provider gave none."""


def _cached(message: Any, run_id: UUID) -> bool:
    """Whether a cache gave this answer: newer versions say so, in older ones it has the id of its maker."""
    if message is None:
        return False
    if get(getattr(message, "usage_metadata", None), "total_cost") == 0:
        return True
    made = getattr(message, "id", None)
    return isinstance(made, str) and made.startswith(_RUN_IDS) and str(run_id) not in made


def _from_cache(call: ModelCall) -> None:
    call.cache_hit = True
    call.usage = Usage(0, 0)
    call.reported_cost_usd = Decimal(0)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _usage(told: Any) -> Usage | None:
    """`usage_metadata`; its totals include what the details say."""
    if not isinstance(told, Mapping) or _count(told.get("input_tokens")) is None:
        return None
    usage = Usage(told["input_tokens"], _count(told.get("output_tokens")))
    for details, fields in _DETAILS.items():
        given = told.get(details) or {}
        for name, field in fields.items():
            for prefix in _TIERS:
                count = _count(given.get(prefix + name))
                if count is not None:
                    setattr(usage, field, count)
    lasting = _count((told.get("input_token_details") or {}).get("ephemeral_5m_input_tokens"))
    if lasting is not None or usage.cache_write_1h_input_tokens is not None:
        parts = (usage.cache_write_1h_input_tokens or 0) + (lasting or 0)
        usage.cache_write_input_tokens = max(usage.cache_write_input_tokens or 0, parts)
    return usage


_TIERS = ("", "priority_", "flex_")
_DETAILS = {
    "input_token_details": {
        "cache_read": "cache_read_input_tokens",
        "cache_creation": "cache_write_input_tokens",
        "ephemeral_1h_input_tokens": "cache_write_1h_input_tokens",
        "audio": "audio_input_tokens",
    },
    "output_token_details": {"reasoning": "reasoning_output_tokens", "audio": "audio_output_tokens"},
}


def _output_usage(output: Mapping[str, Any]) -> Usage | None:
    """Usage of completion models, and of chat models that report it in the old place."""
    told = output.get("token_usage") or output.get("usage")
    for sent, received in (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")):
        if (count := _count(get(told, sent))) is not None:
            return Usage(count, _count(get(told, received)))
    return None


def _reason(generation: Any) -> str | None:
    notes = getattr(getattr(generation, "message", None), "response_metadata", None) or {}
    for each in (getattr(generation, "generation_info", None) or {}, notes):
        for name in ("finish_reason", "stop_reason", "done_reason", "stopReason"):
            if isinstance(each.get(name), str):
                return str(each[name])
    return "stop" if notes.get("status") == "completed" else None


def _output(generation: Any) -> dict[str, Any]:
    message = getattr(generation, "message", None)
    reason = _reason(generation) or "stop"
    if message is None:
        parts = [text_part(getattr(generation, "text", ""))]
        return {"role": "assistant", "parts": parts, "finish_reason": reason}
    return {**shaped(message), "finish_reason": reason}
