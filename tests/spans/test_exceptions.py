"""What the event of an exception says."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import NonRecordingSpan, SpanContext

import otel_agentops as ao
from otel_agentops.spans.exceptions import put_on
from otel_agentops.testing import Captured

_MARKS = re.compile(r"^[ |]+[~^]+\n", re.MULTILINE)


def _caused() -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second") from error


def _during() -> None:
    try:
        int("x")
    except ValueError:
        _caused()


def _group() -> None:
    found = []
    for act in (_caused, _during):
        try:
            act()
        except ValueError as error:
            found.append(error)
    raise ExceptionGroup("several", found)


def _deep(depth: int = 50) -> None:
    if not depth:
        raise RuntimeError("deep")
    _deep(depth - 1)


def _noted() -> None:
    error = LookupError("noted")
    error.add_note("see there")
    raise error


def _misspelt() -> None:
    compile("a =", "nowhere.py", "exec")


def _unnamed() -> None:
    exec(compile("\n1 / 0", "<made>", "exec"))  # no file has its line


class OwnError(Exception):
    """Of a module that is not `builtins`."""


def _own() -> None:
    raise OwnError


def _event(captured: Captured, act: Callable[[], Any]) -> tuple[BaseException, Event]:
    """What was raised through an operation, and the event of it."""
    with pytest.raises(Exception) as raised, ao.operation(act.__name__):
        act()
    (event,) = captured.span(act.__name__).events
    return raised.value, event


@pytest.mark.parametrize("act", [_caused, _during, _group, _deep, _noted, _misspelt, _unnamed, _own])
def test_as_the_interpreter_shows_it(captured: Captured, act: Callable[[], Any]) -> None:
    """Whatever it is, but for the marks below lines."""
    error, event = _event(captured, act)
    said = dict(event.attributes or {})
    assert event.name == "exception"
    assert said["exception.message"] == str(error)
    assert said["exception.type"].rpartition(".")[2] == type(error).__name__
    shown = "".join(traceback.format_exception(error))
    written = str(said["exception.stacktrace"])
    assert f", in {act.__name__}\n" in written
    assert _MARKS.sub("", written) == _MARKS.sub("", shown)
    assert bool(_MARKS.search(written)) == (act is _misspelt)  # that one is what the error itself says


def test_types(captured: Captured) -> None:
    """Builtins have no module, as in `error.type`."""
    _, event = _event(captured, _own)
    assert (event.attributes or {})["exception.type"] == f"{__name__}.OwnError"
    failing = captured.span("_own")
    assert (failing.attributes or {})["error.type"] == f"{__name__}.OwnError"
    _, event = _event(captured, _noted)
    assert (event.attributes or {})["exception.type"] == "LookupError"


class _Theirs(NonRecordingSpan):
    """A span that is not the SDK's."""

    seen: tuple[BaseException, dict[str, Any]] | None = None

    def record_exception(self, exception: BaseException, attributes: Any = None, *_: Any, **__: Any) -> None:
        """What ddtrace makes tags of."""
        self.seen = exception, attributes

    def add_event(self, *_: Any, **__: Any) -> None:
        """It would not know that an exception is meant."""
        raise AssertionError


def test_spans_of_others() -> None:
    """They are told the exception itself."""
    span, error = _Theirs(SpanContext(1, 1, False)), ValueError("x")
    put_on(span, error, {"exception.message": "y"})
    assert span.seen == (error, {"exception.message": "y"})
