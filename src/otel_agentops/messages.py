"""Chat messages in the conventions' shape, from the shapes that providers and users write.

Pure functions over what was passed in: nothing is consumed, changed or kept, apart from immutable
texts. What cannot be read becomes a part that names its type, so that a message never disappears.

Source: GenAI semantic conventions, schemas of `gen_ai.input.messages` and `gen_ai.output.messages`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

__all__ = [
    "Part",
    "as_message",
    "as_messages",
    "asked_tools",
    "fields",
    "get",
    "json_or_text",
    "settled",
    "text_part",
    "tool_call_part",
]

Part = dict[str, Any]


def fields(thing: Any) -> Mapping[str, Any]:
    """The fields of a mapping or of an SDK's model; empty for anything else.

    Reading a model's `__dict__` once is many times cheaper than asking for fields that it may lack.
    """
    kind: Any = thing.__class__  # what a proxy of somebody's says it is
    if kind is dict or _is_mapping(kind):
        return thing  # type: ignore[no-any-return]  # what has just been found out
    return getattr(thing, "__dict__", _NO_FIELDS)


@lru_cache(maxsize=1024)
def _is_mapping(kind: type) -> bool:
    """Asked once a type: abstract classes answer slowly."""
    return issubclass(kind, Mapping)


_NO_FIELDS: Mapping[str, Any] = {}


def get(thing: Any, name: str) -> Any:
    """`thing[name]` of a mapping or `thing.name` of an object; None where there is none."""
    if type(thing) is dict:
        return thing.get(name)
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def settled(value: Any, depth: int = 0) -> Any:
    """A copy of plain data that nothing changes or consumes any more.

    Containers are copied; what iteration would use up (generators, files, cursors) and what is nested
    absurdly deep becomes a text that names its type; numbers that JSON lacks become None.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(type(value), "__next__") or hasattr(type(value), "__anext__") or depth > _DEPTH:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {str(key): settled(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [settled(item, depth + 1) for item in value]
    return value


_DEPTH = 64


def text_part(content: Any) -> Part:
    """A part of plain text."""
    return {"type": "text", "content": content if isinstance(content, str) else str(content)}


def json_or_text(text: Any) -> Any:
    """The value of a JSON text, or the text itself when it is none (models do write broken JSON)."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def tool_call_part(call_id: Any, name: Any, arguments: Any) -> Part:
    """A tool call that the model asked for."""
    return {
        "type": "tool_call",
        "id": call_id,
        "name": name if isinstance(name, str) else "",
        "arguments": json_or_text(arguments),
    }


def as_messages(messages: Any) -> list[dict[str, Any]]:
    """Messages as the caller passed them; a lone text is one user message.

    Anything that is no sequence (a generator, say) gives an empty list: reading would consume it.
    """
    if isinstance(messages, str):
        return [{"role": "user", "parts": [text_part(messages)]}]
    if not isinstance(messages, Sequence):
        return []
    return [as_message(message) for message in messages]


def as_message(message: Any) -> dict[str, Any]:
    """One message: a mapping, an object with `role` and `content`, or already in the right shape."""
    plain = _plain_message(message)
    if plain is not None:
        return plain
    role, parts = get(message, "role"), get(message, "parts")
    if isinstance(parts, Sequence) and not isinstance(parts, str):
        return {"role": str(role or "user"), "parts": [_known_part(part) for part in parts]}
    if role == "tool":
        return {"role": "tool", "parts": [_tool_response(message)]}
    parts = [*_content_parts(get(message, "content")), *asked_tools(message)]
    shaped: dict[str, Any] = {"role": str(role or "user"), "parts": parts}
    name = get(message, "name")
    if isinstance(name, str):
        shaped["name"] = name
    return shaped


def _plain_message(message: Any) -> dict[str, Any] | None:
    """A role and a text, as most messages are, or a text alone, without asking any further."""
    if type(message) is dict and len(message) == 2:
        role, content = message.get("role"), message.get("content")
        if type(content) is str and role != "tool":
            return {"role": str(role or "user"), "parts": [{"type": "text", "content": content}]}
    if isinstance(message, str):
        return {"role": "user", "parts": [text_part(message)]}
    return None


def _known_part(part: Any) -> Part:
    if isinstance(part, Mapping):
        return {str(key): settled(value) for key, value in part.items()}
    return text_part(part)


def _tool_response(message: Any) -> Part:
    content = get(message, "content")
    if not isinstance(content, str) and content is not None:
        content = "".join(str(part.get("content", "")) for part in _content_parts(content))
    return {"type": "tool_call_response", "id": get(message, "tool_call_id"), "response": content}


def asked_tools(message: Any) -> list[Part]:
    """The tool calls in an assistant's message."""
    calls = get(message, "tool_calls")
    parts = []
    for call in calls if isinstance(calls, Sequence) else ():
        function = get(call, "function") or get(call, "custom")
        arguments = get(function, "arguments")
        arguments = get(function, "input") if arguments is None else arguments
        parts.append(tool_call_part(get(call, "id"), get(function, "name"), arguments))
    legacy = get(message, "function_call")
    if legacy is not None and not callable(legacy):
        parts.append(tool_call_part(None, get(legacy, "name"), get(legacy, "arguments")))
    return parts


def _content_parts(content: Any) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if not isinstance(content, Sequence):
        return [{"type": type(content).__name__}]
    return [_content_part(part) for part in content]


def _content_part(part: Any) -> Part:
    if isinstance(part, str):
        return text_part(part)
    kind = get(part, "type")
    read = _PARTS.get(kind) if isinstance(kind, str) else None
    return read(part) if read else {"type": kind if isinstance(kind, str) else "unknown"}


def _text(part: Any) -> Part:
    return text_part(get(part, "text") or "")


def _refusal(part: Any) -> Part:
    return text_part(get(part, "refusal") or "")


def _image(part: Any) -> Part:
    url = get(part, "image_url")
    if not isinstance(url, str):
        url = get(url, "url")
    if not isinstance(url, str):
        return _file(part, "image")
    if not url.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": url}
    head, _, data = url.partition(",")
    return {
        "type": "blob",
        "modality": "image",
        "mime_type": head[5:].partition(";")[0] or None,
        "content": data,
    }


def _audio(part: Any) -> Part:
    audio = get(part, "input_audio")
    form = get(audio, "format")
    return {
        "type": "blob",
        "modality": "audio",
        "mime_type": f"audio/{form}" if isinstance(form, str) else None,
        "content": get(audio, "data") or "",
    }


def _file(part: Any, modality: str = "document") -> Part:
    file = get(part, "file") or part
    file_id = get(file, "file_id")
    if isinstance(file_id, str):
        return {"type": "file", "modality": modality, "file_id": file_id}
    return {"type": "blob", "modality": modality, "content": get(file, "file_data") or ""}


_PARTS: dict[str, Callable[[Any], Part]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_image": _image,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
}
"""Content part types that providers take in requests, and how each is read."""
