"""Writing on a span that may be full, without throwing out what its emitter wrote.

A span has room for a limited number of attributes, 128 unless set otherwise, and a new one on a full span
throws out the oldest. How many a span may have, no public method tells, and none makes room for one more:
this file looks at the SDK's own fields for it. Where they are missing, the cost is written all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.semconv import own

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import Span

__all__ = ["is_full", "write"]

_NEARLY_FULL = 16

_ESSENTIAL = frozenset({own.COST, *own.COST_443, own.COST_STATUS, own.DUPLICATE})


def is_full(span: Any, more: int) -> bool:
    """Whether a span may have to throw something out for so many attributes more."""
    try:
        bounded = span._attributes
        most = bounded.maxlen
    except AttributeError:
        return False
    return most is not None and len(bounded) + more > most


def write(span: Span, attributes: dict[str, Any], known: Mapping[str, Any]) -> None:
    """Add attributes, on a nearly full span only the cost and its status.

    Args:
        span: A span that has not ended.
        attributes: What to write, in one go.
        known: What is on it.
    """
    bounded = getattr(span, "_attributes", None)
    most = getattr(bounded, "maxlen", None)
    if most is not None:
        free = most - len(known)
        if free < _NEARLY_FULL:
            attributes = {name: value for name, value in attributes.items() if name in _ESSENTIAL}
            missing = sum(name not in known for name in attributes) - free
            if missing > 0:
                bounded.maxlen = most + missing  # type: ignore[union-attr]  # it has a maxlen
    if attributes:
        span.set_attributes(attributes)
