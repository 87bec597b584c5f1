"""LangChain's messages in the conventions' shape.

Source: langchain-core's message types and its standard content blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.messages import Part, as_message, get, text_part, tool_call_part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["plain", "shaped", "shaped_all"]

_ROLES = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "HumanMessageChunk": "user",
    "SystemMessageChunk": "system",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "tool": "tool",
    "function": "tool",
}


def shaped_all(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """Messages in the conventions' shape."""
    return [shaped(message) for message in messages]


def shaped(message: Any) -> dict[str, Any]:
    """One message; what cannot be read becomes a part that names its type."""
    kind = get(message, "type")
    role = _ROLES.get(kind) or get(message, "role") or "user"
    content = get(message, "content")
    if role == "tool":
        return as_message({"role": "tool", "content": content, "tool_call_id": get(message, "tool_call_id")})
    parts = [text_part(content)] if isinstance(content, str) and content else []
    if isinstance(content, list | tuple):
        parts = [part for block in content if (part := _block(block)) is not None]
    for call in get(message, "tool_calls") or ():
        parts.append(tool_call_part(get(call, "id"), get(call, "name"), get(call, "args")))
    return {"role": str(role), "parts": parts}


def plain(message: Any) -> tuple[Any, ...]:
    """What a message says, without the ids and notes that differ each time it is sent."""
    calls = get(message, "tool_calls")
    asked = [(get(call, "name"), get(call, "args"), get(call, "id")) for call in calls] if calls else None
    return get(message, "type"), get(message, "content"), asked, get(message, "tool_call_id")


def _block(block: Any) -> Part | None:
    if isinstance(block, str):
        return text_part(block)
    kind = get(block, "type")
    if kind in _ASKED:
        return None
    read = _BLOCKS.get(kind) if isinstance(kind, str) else None
    if read is not None:
        return read(block)
    part: Part = as_message({"role": "user", "content": [block]})["parts"][0]
    return part


_ASKED = frozenset({"tool_use", "tool_call", "tool_call_chunk", "function_call", "custom_tool_call"})
"""Blocks that repeat what is in `tool_calls`, some in a provider's shape."""


def _reasoning(block: Any) -> Part:
    text = get(block, "reasoning") or get(block, "thinking")
    if not isinstance(text, str):
        summary = get(block, "summary")
        text = " ".join(str(get(each, "text") or "") for each in summary) if isinstance(summary, list) else ""
    return {"type": "reasoning", "content": text}


def _media(block: Any) -> Part:
    modality = {"file": "document"}.get(get(block, "type"), get(block, "type"))
    url, file_id = get(block, "url"), get(block, "file_id") or get(block, "id")
    data = get(block, "base64") or get(block, "data")
    if isinstance(url, str):
        return {"type": "uri", "modality": modality, "uri": url}
    if isinstance(data, str):
        return {"type": "blob", "modality": modality, "mime_type": get(block, "mime_type"), "content": data}
    if isinstance(file_id, str):
        return {"type": "file", "modality": modality, "file_id": file_id}
    part: Part = as_message({"role": "user", "content": [block]})["parts"][0]
    return part


_BLOCKS: dict[str, Callable[[Any], Part]] = {
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "image": _media,
    "audio": _media,
    "video": _media,
    "file": _media,
}
"""Content blocks that providers do not write like this in requests."""
