"""Answers of OpenAI's Responses API read into records: whole ones, and the events of a stream.

Source: the API reference of OpenAI, object `response` and its streaming events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.instrumentation.arguments import word
from otel_agentops.instrumentation.openai_answers import head, usage_into
from otel_agentops.messages import get, text_part, tool_call_part

if TYPE_CHECKING:
    from otel_agentops.records import ModelCall

__all__ = ["reasoning_part", "response", "response_event"]

_REASONS = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "content_filter"}
_STATUS = {"completed": "stop", "failed": "error", "cancelled": "error"}
_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


def response(call: ModelCall, answer: Any) -> None:
    """A whole `response`, also one that was fetched again."""
    head(call, answer)
    call.response_status = word(getattr(answer, "status", None))
    conversation = getattr(answer, "conversation", None)
    call.conversation_id = call.conversation_id or word(getattr(conversation, "id", None))
    items = getattr(answer, "output", None) or ()
    call.finish_reasons = _response_reasons(answer, items)
    if call.operation != "fetch_response":
        _response_usage(call, answer, items)
    if call.capture and items:
        parts = [part for item in items for part in _output_parts(item)]
        reason = call.finish_reasons[0] if call.finish_reasons else "error"
        call.output_messages = [{"role": "assistant", "parts": parts, "finish_reason": reason}]


def _response_usage(call: ModelCall, answer: Any, items: Any) -> None:
    usage_into(call, getattr(answer, "usage", None), "input", "output")
    searches = sum(getattr(item, "type", None) == "web_search_call" for item in items)
    if searches and call.usage is not None:
        call.usage.web_searches = searches


def _response_reasons(answer: Any, items: Any) -> tuple[str, ...] | None:
    status = getattr(answer, "status", None)
    if status == "incomplete":
        why = word(getattr(getattr(answer, "incomplete_details", None), "reason", None)) or "length"
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
        head(call, getattr(event, "response", None))
