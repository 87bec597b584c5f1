"""Exceptions as the attributes of their event.

Source: OpenTelemetry's conventions for exceptions on spans (`exception.type`, `.message`, `.stacktrace`).
"""

from __future__ import annotations

import sys
from traceback import FrameSummary, StackSummary, TracebackException
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

__all__ = ["attributes_of", "error_type", "put_on"]


def error_type(error: BaseException) -> str:
    """The conventions' `error.type` of an exception: its qualified name, builtins without module."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def attributes_of(error: BaseException, redacted: Callable[[str], str]) -> dict[str, str]:
    """What the event of an exception says.

    Args:
        error: What was raised.
        redacted: Makes of its message and stack trace what may be written.

    Raises:
        Exception: Its `__str__` does.
    """
    return {
        "exception.type": error_type(error),
        "exception.message": redacted(str(error)),
        "exception.stacktrace": redacted(_stacktrace(error)),
    }


def put_on(span: Span, error: BaseException, attributes: dict[str, str]) -> None:
    """Add the event.

    The SDK would format the stack trace again, whatever it is given. Other spans, such as ddtrace's, make
    more than an event of an exception.
    """
    sdk = sys.modules.get("opentelemetry.sdk.trace")  # whoever has one of its spans has imported it
    if sdk is not None and isinstance(span, sdk.ReadableSpan):
        span.add_event("exception", attributes)
    else:
        span.record_exception(error, attributes)


def _stacktrace(error: BaseException) -> str:
    """As the interpreter shows it, but for the marks below the lines.

    For these Python parses each line again, and an event loop stands still meanwhile: with the four
    exceptions that an SDK chains where nobody answers 5 ms, without them 1.5 ms (3.13).
    """
    shown = TracebackException(type(error), error, error.__traceback__, compact=True)
    left = [shown]
    while left:
        one = left.pop()
        one.stack = StackSummary.from_list([_unmarked(frame) for frame in one.stack])
        chained = (one.__cause__, one.__context__, *(one.exceptions or ()))
        left += [each for each in chained if each is not None]
    return "".join(shown.format())


def _unmarked(frame: FrameSummary) -> FrameSummary:
    return FrameSummary(frame.filename, frame.lineno, frame.name, lookup_line=False, line=frame.line)
