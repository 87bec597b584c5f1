"""Attributes that hold JSON: usage objects as providers and platforms write them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Protocol

from otel_agentops.semconv import dialects

__all__ = ["Reading", "unpack"]

_LONGEST = 65_536
"""Longer texts are answers or attacks, not usage."""

_LAST = 1000
"""Rank of what is found in JSON: behind every plain name."""


class Reading(Protocol):
    """What is filled."""

    counts: dict[str, int]
    cache_hit: bool

    def count(self, field: str, rank: int, value: Any) -> None:
        """A count."""

    def cost(self, field: str, rank: int, value: Any) -> None:
        """An amount in US dollars."""


@lru_cache(maxsize=64)
def _paths(name: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    return tuple((tuple(path.split(".")), field) for path, field in dialects.PACKED[name][1].items())


def unpack(name: str, text: str, reading: Reading) -> None:
    """Fill what the plain names left open from one JSON attribute; never raises.

    Args:
        name: The attribute, one of `dialects.PACKED`.
        text: Its value.
        reading: What is known so far.
    """
    if len(text) > _LONGEST:
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(found, dict):
        return
    apart, plain = dialects.PACKED[name][0], "input_tokens" in reading.counts
    for path, field in _paths(name):
        value = _at(found, path)
        if value is not None:
            _fill(name, field, value, reading)
    counts = reading.counts
    if apart and not plain and "input_tokens" in counts:
        for field in ("cache_read_input_tokens", "cache_write_input_tokens"):
            counts["input_tokens"] += counts.get(field, 0)
        if "output_tokens" in counts:
            counts["output_tokens"] += counts.get("reasoning_output_tokens", 0)


def _fill(name: str, field: str, value: Any, reading: Reading) -> None:
    if field == "cost":
        reading.cost(name, _LAST, value)
    elif field == "reported":
        reading.cost(field, -1, value)
    elif field == "cache_hit":
        reading.cache_hit = reading.cache_hit or value is True
    else:
        reading.count(field, _LAST, value)


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found
