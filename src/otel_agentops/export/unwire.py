"""Requests of `wire.request` taken apart again, without a look into the spans themselves."""

from __future__ import annotations

from otel_agentops.export.wire import EncodedSpan

__all__ = ["spans_of"]

_CHILDREN = 0x12
_HEADS = (0x0A, 0x1A)


def spans_of(body: bytes) -> list[EncodedSpan]:
    """The spans of a request.

    Raises:
        ValueError: It is not one of ours.
    """
    spans: list[EncodedSpan] = []
    try:
        at = 0
        while at < len(body):
            at, end = _enter(body, at, 0x0A)
            start, at = at, _past_heads(body, at)
            resource = body[start:at]
            while at < end:
                at, scope_end = _enter(body, at, _CHILDREN)
                start, at = at, _past_heads(body, at)
                scope = body[start:at]
                while at < scope_end:
                    start, (_, at) = at, _enter(body, at, _CHILDREN)
                    spans.append(EncodedSpan(resource, scope, body[start:at]))
    except IndexError:
        raise ValueError("the request ends too early") from None
    if at != len(body):
        raise ValueError("a length in the request is wrong")
    return spans


def _enter(body: bytes, at: int, tag: int) -> tuple[int, int]:
    """Offsets of the beginning and the end of what stands behind this tag."""
    if body[at] != tag:
        raise ValueError(f"unexpected field {body[at]} in a request")
    length = shift = 0
    while True:
        at += 1
        length |= (body[at] & 127) << shift
        if body[at] < 128:
            return at + 1, at + 1 + length
        shift += 7


def _past_heads(body: bytes, at: int) -> int:
    """Behind the resource or scope and its schema, which stand first."""
    while at < len(body) and body[at] in _HEADS:
        at = _enter(body, at, body[at])[1]
    return at
