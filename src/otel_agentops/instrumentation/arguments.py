"""Arguments of a request as fields of a record, by table; shared by all that read requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.failsafe import failures
from otel_agentops.messages import get

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_agentops.records import ModelCall

__all__ = [
    "ABSENT",
    "NOTHING",
    "SAMPLING",
    "Rows",
    "fill",
    "given",
    "number",
    "output_type",
    "several",
    "tier",
    "whole",
    "word",
    "words",
    "yes",
]

Rows = dict[str, "tuple[str, Callable[[Any], Any]]"]
"""Argument -> (record field, converter)."""

NOTHING = object()
"""What a converter returns for a value that it understood and that says nothing worth writing."""

ABSENT = frozenset({"NotGiven", "Omit"})
"""Names of the SDKs' own ways to say that an argument was not given."""


def given(value: Any) -> Any:
    """The value of an argument, or None where the caller left it out."""
    return None if type(value).__name__ in ABSENT else value


def fill(call: ModelCall, rows: Rows, arguments: Mapping[str, Any]) -> None:
    """Read the arguments that a table names; one of an unknown kind is counted and left out."""
    for argument, value in arguments.items():
        row = rows.get(argument)
        if row is None or value is None or value is False:
            continue
        field, convert = row
        read = convert(value)
        if read is None:
            if given(value) is not None:
                failures[f"unreadable argument {argument}"] += 1
        elif read is not NOTHING:
            setattr(call, field, read)


def number(value: Any) -> float | None:
    """A number as a float."""
    if type(value) is float:
        return value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    """A whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def word(value: Any) -> str | None:
    """A text."""
    return value if isinstance(value, str) else None


def yes(value: Any) -> bool | None:
    """Only `True` itself."""
    return True if value is True else None


def several(value: Any) -> Any:
    """A whole number; the conventions leave 1 out."""
    return NOTHING if value == 1 else whole(value)


def words(value: Any) -> tuple[str, ...] | None:
    """One text or several."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return None


def tier(value: Any) -> Any:
    """A service tier; the conventions leave `auto` out."""
    return NOTHING if value == "auto" else word(value)


_OUTPUT_TYPES = {"text": "text", "json_object": "json", "json_schema": "json"}


def output_type(value: Any) -> str | None:
    """What a response format asks for."""
    if isinstance(value, type):
        return "json"
    kind = get(value, "type")
    return _OUTPUT_TYPES.get(kind) if isinstance(kind, str) else None


SAMPLING: Rows = {
    "temperature": ("temperature", number),
    "top_p": ("top_p", number),
    "max_tokens": ("max_tokens", whole),
    "max_completion_tokens": ("max_tokens", whole),
    "n": ("choice_count", several),
    "seed": ("seed", whole),
    "stop": ("stop_sequences", words),
    "frequency_penalty": ("frequency_penalty", number),
    "presence_penalty": ("presence_penalty", number),
    "service_tier": ("request_service_tier", tier),
    "reasoning_effort": ("reasoning_level", word),
    "response_format": ("output_type", output_type),
}
"""Parameters of a chat as OpenAI's API calls them, and most others after it."""
