"""A single span that no collector takes, made to fit: its longest texts are cut, valid JSON stays valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from otel_agentops.spans.shorten import shorten

if TYPE_CHECKING:
    from otel_agentops.export.wire import EncodedSpan

__all__ = ["cut_to_fit"]

_SHORTEST = 64


def cut_to_fit(span: EncodedSpan, limit: int) -> EncodedSpan | None:
    """The span in at most so many bytes; None if its texts are not what makes it large."""
    scope = ScopeSpans.FromString(span.span)
    (message,) = scope.spans
    pairs = [*message.attributes, *(pair for event in message.events for pair in event.attributes)]
    texts = [pair.value for pair in pairs if pair.value.HasField("string_value")]
    cap = limit
    while cap > _SHORTEST:
        for text in texts:
            text.string_value = shorten(text.string_value, cap)
        if scope.ByteSize() + len(span.resource) + len(span.scope) + 12 <= limit:
            return span._replace(span=scope.SerializeToString())
        cap //= 2
    return None
