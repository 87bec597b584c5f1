"""Messages in the conventions' shape, from what providers and users write."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from otel_agentops.messages import as_message, as_messages

SHAPES: list[tuple[Any, dict[str, Any]]] = [
    ({"role": "user", "content": "hi"}, {"role": "user", "parts": [{"type": "text", "content": "hi"}]}),
    (
        {"role": "user", "content": "hi", "name": "Ann"},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}], "name": "Ann"},
    ),
    (
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "strange", "x": 1}]},
        {"role": "user", "parts": [{"type": "text", "content": "a"}, {"type": "strange"}]},
    ),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
        {"role": "user", "parts": [{"type": "uri", "modality": "image", "uri": "https://x/y.png"}]},
    ),
    (
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        },
        {
            "role": "user",
            "parts": [{"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AA"}],
        },
    ),
    (
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}],
        },
        {
            "role": "user",
            "parts": [{"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "AA"}],
        },
    ),
    (
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "f1"}}]},
        {"role": "user", "parts": [{"type": "file", "modality": "document", "file_id": "f1"}]},
    ),
    (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}}],
        },
    ),
    (
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "not json"}},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": None, "name": "f", "arguments": "not json"}],
        },
    ),
    (
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "ok"}]},
    ),
    (
        SimpleNamespace(role="assistant", content="hello"),
        {"role": "assistant", "parts": [{"type": "text", "content": "hello"}]},
    ),
    (
        {"role": "user", "parts": [{"type": "text", "content": "ours"}]},
        {"role": "user", "parts": [{"type": "text", "content": "ours"}]},
    ),
    ("just text", {"role": "user", "parts": [{"type": "text", "content": "just text"}]}),
    (None, {"role": "user", "parts": []}),
    (5, {"role": "user", "parts": []}),
    ({"role": "user", "content": 5}, {"role": "user", "parts": [{"type": "int"}]}),
]


@pytest.mark.parametrize(("message", "shape"), SHAPES, ids=lambda value: str(value)[:40])
def test_shapes(message: Any, shape: dict[str, Any]) -> None:
    """Each way of writing a message has its shape; nothing disappears and nothing raises."""
    assert as_message(message) == shape


def test_what_would_be_consumed_is_left_alone() -> None:
    """A generator of messages gives none."""
    made = (message for message in ["a"])
    assert as_messages(made) == []
    assert list(made) == ["a"]
