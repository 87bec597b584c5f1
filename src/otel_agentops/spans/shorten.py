"""Keeping long content within a limit, as valid JSON: the SDK's own limit cuts it in the middle."""

from __future__ import annotations

import json
from typing import Any

from otel_agentops.spans.json_text import to_json

__all__ = ["shorten"]

_SHORTEST = 16
"""Characters that a long string keeps at least before whole messages are left out."""


def shorten(text: str, limit: int) -> str:
    """A JSON text of at most `limit` characters.

    The longest strings are cut first (their rest is counted in place), then messages in the middle are
    left out: the first and the last tell most. What is no JSON is simply cut.

    Args:
        text: JSON, or any text.
        limit: Characters, at least 2.
    """
    if len(text) <= limit:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text[:limit]
    cap = limit
    while cap > _SHORTEST:
        cap //= 2
        short = to_json(_cut(value, cap))
        if len(short) <= limit:
            return short
    return _fewer(_cut(value, cap), limit)


def _fewer(value: Any, limit: int) -> str:
    """The first and last items of a list, as many as fit; of anything else nothing but its kind."""
    if not isinstance(value, list):
        return "{}" if isinstance(value, dict) else '""'
    keep = len(value)
    while keep > 1:
        keep //= 2
        head = (keep + 1) // 2
        short = to_json(value[:head] + value[len(value) - (keep - head) :])
        if len(short) <= limit:
            return short
    return "[]"


def _cut(value: Any, cap: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= cap else f"{value[:cap]}…[+{len(value) - cap}]"
    if isinstance(value, dict):
        return {key: _cut(item, cap) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, cap) for item in value]
    return value
