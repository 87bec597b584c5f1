"""OpenAI's answers read into records: whole ones, and streams part by part.

Every field may be missing or odd (compatible servers leave things out), so nothing is assumed beyond
what is looked at.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from otel_agentops.messages import as_message, get, text_part, tool_call_part
from otel_agentops.records import Usage

if TYPE_CHECKING:
    from otel_agentops.records import ModelCall

__all__ = [
    "chat",
    "chat_chunk",
    "chat_done",
    "completion",
    "completion_chunk",
    "embeddings",
    "reasoning_part",
    "response",
    "response_event",
]


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _head(call: ModelCall, answer: Any) -> None:
    """Id, model, tier and fingerprint; a later chunk may know more than the first."""
    call.response_id = _word(getattr(answer, "id", None)) or call.response_id
    call.response_model = _word(getattr(answer, "model", None)) or call.response_model
    call.service_tier = _word(getattr(answer, "service_tier", None)) or call.service_tier
    call.system_fingerprint = _word(getattr(answer, "system_fingerprint", None)) or call.system_fingerprint


# --- usage ---

_DETAILS = (
    ("cached_tokens", "cache_read_input_tokens"),
    ("cache_write_tokens", "cache_write_input_tokens"),
    ("audio_tokens", "audio_input_tokens"),
    ("image_tokens", "image_input_tokens"),
)
_OUTPUT_DETAILS = (
    ("reasoning_tokens", "reasoning_output_tokens"),
    ("audio_tokens", "audio_output_tokens"),
    ("image_tokens", "image_output_tokens"),
)


def _usage(call: ModelCall, told: Any, sent: str, received: str) -> None:
    """Token counts as told; OpenAI's totals include cached and reasoning tokens."""
    if told is None:
        return
    usage = Usage(
        _count(getattr(told, f"{sent}_tokens", None)), _count(getattr(told, f"{received}_tokens", None))
    )
    for details, rows in (
        (getattr(told, f"{sent}_tokens_details", None), _DETAILS),
        (getattr(told, f"{received}_tokens_details", None), _OUTPUT_DETAILS),
    ):
        if details is not None:
            for name, field in rows:
                count = _count(getattr(details, name, None))
                if count is not None and (count or ("audio" not in field and "image" not in field)):
                    setattr(usage, field, count)
    if usage.input_tokens is None and usage.output_tokens is None:
        return
    call.usage = usage
    cost = getattr(told, "cost", None)
    if call.provider == "openrouter" and isinstance(cost, int | float):
        # the gateway's own bill; repr() keeps the digits that its JSON had
        call.reported_cost_usd = Decimal(repr(cost))


# --- chat completions ---


def chat(call: ModelCall, answer: Any) -> None:
    """A whole `chat.completion`."""
    _head(call, answer)
    _usage(call, getattr(answer, "usage", None), "prompt", "completion")
    choices = getattr(answer, "choices", None) or ()
    call.finish_reasons = tuple(_reason(choice) for choice in choices)
    if call.capture:
        call.output_messages = [_chat_message(choice) for choice in choices]


def _reason(choice: Any) -> str:
    return _word(getattr(choice, "finish_reason", None)) or "error"


def _chat_message(choice: Any) -> dict[str, Any]:
    message = getattr(choice, "message", None)
    shaped = as_message(message)
    shaped["role"] = _word(get(message, "role")) or "assistant"
    refusal = get(message, "refusal")
    if isinstance(refusal, str):
        shaped["parts"].append(text_part(refusal))
    reasoning = get(message, "reasoning_content") or get(message, "reasoning")
    if isinstance(reasoning, str) and reasoning:
        shaped["parts"].insert(0, {"type": "reasoning", "content": reasoning})
    shaped["finish_reason"] = _reason(choice)
    return shaped


class _Choice:
    """One choice of a stream under construction."""

    __slots__ = ("reason", "reasoning", "text", "tools")

    def __init__(self) -> None:
        self.reason: str | None = None
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.tools: dict[int, list[Any]] = {}


def _choice_at(call: ModelCall, index: int) -> _Choice:
    choices = call.scratch
    if choices is None:
        choices = call.scratch = {}
    choice: _Choice | None = choices.get(index)
    if choice is None:
        choice = choices[index] = _Choice()
    return choice


def chat_chunk(call: ModelCall, part: Any) -> None:
    """One `chat.completion.chunk`; runs for every token, so it looks at little."""
    told = part.usage
    if told is not None:
        _head(call, part)
        _usage(call, told, "prompt", "completion")
    elif call.response_id is None:
        _head(call, part)
    for each in part.choices or ():
        delta = each.delta
        choice = _choice_at(call, each.index)
        if call.capture and delta is not None:
            text = delta.content
            if text:
                choice.text.append(text)
            else:
                _other_delta(choice, delta)
        if each.finish_reason:
            choice.reason = each.finish_reason
            call.service_tier = _word(getattr(part, "service_tier", None)) or call.service_tier


def _other_delta(choice: _Choice, delta: Any) -> None:
    """What is no text: tool calls in pieces, refusals, the reasoning of compatible servers."""
    for call in getattr(delta, "tool_calls", None) or ():
        function = getattr(call, "function", None)
        piece = choice.tools.setdefault(getattr(call, "index", 0) or 0, [None, "", []])
        piece[0] = getattr(call, "id", None) or piece[0]
        piece[1] = getattr(function, "name", None) or piece[1]
        piece[2].append(getattr(function, "arguments", None) or "")
    refusal = getattr(delta, "refusal", None)
    if isinstance(refusal, str):
        choice.text.append(refusal)
    reasoning = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
    if isinstance(reasoning, str):
        choice.reasoning.append(reasoning)


def chat_done(call: ModelCall) -> None:
    """Put the choices of a stream together; one that broke off has the reason `error`."""
    choices: dict[int, _Choice] = call.scratch or {}
    call.scratch = None
    ordered = [choices[index] for index in sorted(choices)]
    if ordered:
        call.finish_reasons = tuple(choice.reason or "error" for choice in ordered)
    if call.capture:
        call.output_messages = [_streamed_message(choice) for choice in ordered]


def _streamed_message(choice: _Choice) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if choice.reasoning:
        parts.append({"type": "reasoning", "content": "".join(choice.reasoning)})
    if choice.text:
        parts.append(text_part("".join(choice.text)))
    for _, (call_id, name, arguments) in sorted(choice.tools.items()):
        parts.append(tool_call_part(call_id, name, "".join(arguments)))
    return {"role": "assistant", "parts": parts, "finish_reason": choice.reason or "error"}


# --- legacy completions and embeddings ---


def completion(call: ModelCall, answer: Any) -> None:
    """A whole `text_completion`."""
    _head(call, answer)
    _usage(call, getattr(answer, "usage", None), "prompt", "completion")
    choices = getattr(answer, "choices", None) or ()
    call.finish_reasons = tuple(_reason(choice) for choice in choices)
    if call.capture:
        call.output_messages = [
            {
                "role": "assistant",
                "parts": [text_part(getattr(choice, "text", None) or "")],
                "finish_reason": _reason(choice),
            }
            for choice in choices
        ]


def completion_chunk(call: ModelCall, part: Any) -> None:
    """One part of a streamed `text_completion`."""
    _head(call, part)
    _usage(call, getattr(part, "usage", None), "prompt", "completion")
    for each in getattr(part, "choices", None) or ():
        choice = _choice_at(call, getattr(each, "index", 0) or 0)
        text = getattr(each, "text", None)
        if call.capture and text:
            choice.text.append(text)
        choice.reason = _word(getattr(each, "finish_reason", None)) or choice.reason


def embeddings(call: ModelCall, answer: Any) -> None:
    """A list of embeddings; the vectors themselves are not looked at, apart from one length."""
    call.response_model = _word(getattr(answer, "model", None))
    _usage(call, getattr(answer, "usage", None), "prompt", "completion")
    if call.dimension_count is None:
        data = getattr(answer, "data", None) or ()
        vector = getattr(data[0], "embedding", None) if data else None
        if isinstance(vector, list):
            call.dimension_count = len(vector)


# --- Responses ---

_REASONS = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "content_filter"}
_STATUS = {"completed": "stop", "failed": "error", "cancelled": "error"}
_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


def response(call: ModelCall, answer: Any) -> None:
    """A whole `response`, also one that was fetched again."""
    _head(call, answer)
    call.response_status = _word(getattr(answer, "status", None))
    conversation = getattr(answer, "conversation", None)
    call.conversation_id = call.conversation_id or _word(getattr(conversation, "id", None))
    items = getattr(answer, "output", None) or ()
    call.finish_reasons = _response_reasons(answer, items)
    if call.operation != "fetch_response":
        _usage(call, getattr(answer, "usage", None), "input", "output")
        searches = sum(getattr(item, "type", None) == "web_search_call" for item in items)
        if searches and call.usage is not None:
            call.usage.web_searches = searches
    if call.capture:
        parts = [part for item in items for part in _output_parts(item)]
        reason = call.finish_reasons[0] if call.finish_reasons else "error"
        call.output_messages = [{"role": "assistant", "parts": parts, "finish_reason": reason}]


def _response_reasons(answer: Any, items: Any) -> tuple[str, ...] | None:
    status = getattr(answer, "status", None)
    if status == "incomplete":
        why = _word(getattr(getattr(answer, "incomplete_details", None), "reason", None)) or "length"
        return (_REASONS.get(why, why),)
    if status == "completed" and any(getattr(item, "type", None) in _CALLS for item in items):
        return ("tool_calls",)
    reason = _STATUS.get(status) if isinstance(status, str) else None
    return (reason,) if reason else None


_CALLS = frozenset({"function_call", "custom_tool_call"})


def _output_parts(item: Any) -> list[dict[str, Any]]:
    kind = getattr(item, "type", None)
    if kind == "message":
        return [_message_part(part) for part in getattr(item, "content", None) or ()]
    if kind in _CALLS:
        arguments = getattr(item, "arguments", None) or getattr(item, "input", None)
        return [tool_call_part(getattr(item, "call_id", None), getattr(item, "name", None), arguments)]
    if kind == "reasoning":
        return [reasoning_part(item)]
    name = str(kind)
    if name.endswith("_call"):
        return [
            {
                "type": "server_tool_call",
                "id": getattr(item, "id", None),
                "name": name.removesuffix("_call"),
                "server_tool_call": {"type": name},
            }
        ]
    return [{"type": name}]


def _message_part(part: Any) -> dict[str, Any]:
    refusal = getattr(part, "refusal", None)
    return text_part(refusal if isinstance(refusal, str) else getattr(part, "text", None) or "")


def reasoning_part(item: Any) -> dict[str, Any]:
    """A reasoning item: its summary or its text, whichever the provider gives away."""
    pieces = [*(get(item, "summary") or ()), *(get(item, "content") or ())]
    texts = [text for piece in pieces if isinstance(text := get(piece, "text"), str)]
    return {"type": "reasoning", "content": "\n".join(texts)}


def response_event(call: ModelCall, event: Any) -> None:
    """One event of a streamed response; the last one holds the whole answer."""
    kind = event.type
    if kind in _LAST_EVENTS:
        response(call, event.response)
    elif call.response_id is None:
        _head(call, getattr(event, "response", None))
