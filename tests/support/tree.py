"""Spans as a picture that a test can compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["attribute", "tree"]


def tree(spans: Iterable[ReadableSpan]) -> list[str]:
    """Names in the order of their start, each indented by two spaces for every span around it."""
    known = {span.context.span_id: span for span in spans if span.context}

    def depth(span: ReadableSpan) -> int:
        around = known.get(span.parent.span_id) if span.parent else None
        return 0 if around is None else depth(around) + 1

    ordered = sorted(known.values(), key=lambda span: (span.start_time or 0, depth(span)))
    return ["  " * depth(span) + span.name for span in ordered]


def attribute(span: ReadableSpan, name: str) -> object:
    """One attribute of a span; None where it lacks it."""
    return (span.attributes or {}).get(name)
