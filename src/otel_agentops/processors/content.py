"""Secrets in what other instrumentations write about models, tools and agents: replaced before the end.

Only values are replaced, of attributes, events and log records that hold content, of exceptions, and of a
status; nothing is added or taken away, and digests have been taken by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Status

from otel_agentops.failsafe import swallowed
from otel_agentops.semconv import AI_MARKS, is_content
from otel_agentops.spans import FAILED, current

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

    from otel_agentops.spans import Redactor

__all__ = ["clean_attributes", "clean_event", "clean_span", "clean_value"]

_DEPTH = 16
"""Structures in log records are looked into so deep; what is deeper is not shown."""
_EXCEPTION = "exception"
_USUAL = 48
"""Attributes of a span whose set of names is remembered."""
_NO_CONTENT = frozenset({int, float, bool})


def clean_span(span: Span, attributes: Mapping[str, Any], redactor: Redactor) -> None:
    """Replace secrets on a span that is about to end.

    Args:
        span: It can still be written to.
        attributes: What is on it.
        redactor: What is taken out.
    """
    if AI_MARKS.isdisjoint(attributes):
        return
    found = clean_attributes(attributes, redactor)
    if found:
        there = span.attributes or {}
        # one that is not there any more would throw out another one
        span.set_attributes({name: value for name, value in found.items() if name in there})
    message = span.status.description
    if message and (seen := clean_value(message, redactor)) != message:
        span.set_status(Status(span.status.status_code, seen))


def clean_attributes(
    attributes: Mapping[str, Any], redactor: Redactor, every: bool = False
) -> dict[str, Any]:
    """The attributes with content that must not stay as they are, and what stays of them.

    Args:
        attributes: All of them.
        redactor: What is taken out.
        every: Whether all are content.
    """
    found: dict[str, Any] = {}
    for name in attributes if every else _with_content(tuple(attributes)):
        value = attributes[name]
        if type(value) not in _NO_CONTENT:
            seen = clean_value(value, redactor)
            if seen != value:
                found[name] = seen
    return found


def _with_content(names: tuple[str, ...]) -> Iterable[str]:
    """Those of some names that hold content; an emitter writes the same few sets of names all the time."""
    return _remembered(names) if len(names) <= _USUAL else filter(is_content, names)


@lru_cache(maxsize=256)
def _remembered(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(is_content, names))


def clean_event(span: Any, name: Any, attributes: Any) -> Any:
    """Attributes of an event as they may be written: content of the conventions' events, and exceptions."""
    if not attributes or not isinstance(attributes, Mapping) or not isinstance(name, str):
        return attributes
    recorder = current()
    if recorder is None or not recorder.cleans_spans:
        return attributes
    if not name.startswith("gen_ai.") and (name != _EXCEPTION or AI_MARKS.isdisjoint(span.attributes or ())):
        return attributes
    found = clean_attributes(attributes, recorder.encoder.redactor, every=True)
    return {**attributes, **found} if found else attributes


def clean_value(value: Any, redactor: Redactor, depth: int = 0) -> Any:
    """A text, a sequence or a structure without secrets; the very value where there is none."""
    try:
        if isinstance(value, str):
            return redactor.text(value)
        if not isinstance(value, Mapping | list | tuple):
            return value
        if depth >= _DEPTH:
            return FAILED
        if isinstance(value, Mapping):
            return {name: clean_value(item, redactor, depth + 1) for name, item in value.items()}
        return type(value)([clean_value(item, redactor, depth + 1) for item in value])
    except Exception as error:  # noqa: BLE001 - what could not be looked at must not be written
        swallowed("redacting", error)
        return FAILED
