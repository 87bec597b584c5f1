"""What spans of others say beyond the price: which tool ran with what, and why an answer ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from otel_agentops.accounting.digest import digest_of_arguments
from otel_agentops.records import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_agentops.records import ModelCall

__all__ = ["reasons_of", "tool_call", "was_refused"]

_TOOLS: tuple[tuple[str, str, str, str, str], ...] = (
    (
        "gen_ai.operation.name",
        "execute_tool",
        "gen_ai.tool.name",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
    ),
    ("openinference.span.kind", "TOOL", "tool.name", "input.value", "output.value"),
    (
        "traceloop.span.kind",
        "tool",
        "traceloop.entity.name",
        "traceloop.entity.input",
        "traceloop.entity.output",
    ),
)
"""Rows of: attribute, its value on tools, and the attributes of name, arguments and result."""

_MARKS = frozenset(row[0] for row in _TOOLS)
_REASONS = ("gen_ai.response.finish_reasons", "gen_ai.completion.0.finish_reason")


def tool_call(attributes: Mapping[str, Any], span_name: str, failed: bool, key: bytes) -> ToolCall | None:
    """The tool execution that a span describes; None if it describes none.

    Args:
        attributes: As the emitter wrote them.
        span_name: Its name, for emitters that write no name of the tool.
        failed: Whether its status is an error.
        key: Of digests.
    """
    if _MARKS.isdisjoint(attributes):
        return None
    for mark, value, name, arguments, result in _TOOLS:
        if attributes.get(mark) == value:
            tool = ToolCall(str(attributes.get(name) or span_name))
            tool.result = attributes.get(result)
            if (given := attributes.get(arguments)) is not None:
                tool.digest = digest_of_arguments(key, tool.name, given)
            error = attributes.get("error.type")
            if failed or error is not None:
                tool.error_type, tool.ending = str(error or "_OTHER"), "error"
            else:
                tool.ending = "complete"
            return tool
    return None


def was_refused(call: ModelCall, message: str | None, events: Iterable[Any]) -> bool:
    """Whether a span tells of a call that was stopped before it was sent, by a budget or as part of a loop.

    Args:
        call: As it was read from the span.
        message: Of its status; some emitters keep no more of an exception.
        events: Of the span; exceptions are recorded there.
    """
    if call.error_type is not None and call.error_type.endswith(_REFUSALS):
        return True
    if message is not None and _SAID.search(message):
        return True
    return any(
        str((each.attributes or {}).get("exception.type", "")).endswith(_REFUSALS)
        for each in events
        if each.name == "exception"
    )


_REFUSALS = ("BudgetExceeded", "LoopDetected")
_SAID = re.compile(r"\bthe budget of .{1,200} does not allow this call: |\bthe call was stopped: \w+ \(")
"""How their messages begin, perhaps behind the name of the exception."""


def reasons_of(attributes: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Why the answers ended that a span tells of; None where it does not say."""
    for name in _REASONS:
        found = attributes.get(name)
        if isinstance(found, str):
            words = found.strip("[]").replace('"', "").split(",")
            return tuple(word.strip() for word in words if word.strip()) or None
        if type(found) is tuple and len(found) == 1 and type(found[0]) is str:  # nearly always
            return found
        if isinstance(found, tuple | list):
            return tuple([reason for reason in found if isinstance(reason, str)]) or None
    return None
