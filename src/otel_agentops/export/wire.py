"""Ended spans as OTLP protobuf, written by hand: the stock encoder's messages at a quarter of its time.

A span becomes bytes once, on its own, so that batches of any size can be made of it later without a second
look at its attributes. Tags are written out as bytes; their numbers are those of the protocol's files.

Source: `opentelemetry/proto/{trace/v1/trace,common/v1/common,resource/v1/resource}.proto`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.trace import SpanKind

from otel_agentops.export.wire_values import UNSIGNED, VARINTS, framed, pairs, size, span_attributes, utf8

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, Status, TraceState

__all__ = ["EncodedSpan", "encode", "request"]


class EncodedSpan(NamedTuple):
    """One span on its way.

    Attributes:
        resource: Beginning of the `ResourceSpans` that it belongs to.
        scope: Beginning of the `ScopeSpans` that it belongs to.
        span: Its entry there, tag and length included.
    """

    resource: bytes
    scope: bytes
    span: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes in a request at most, with a resource and a scope of its own."""
        return len(self.resource) + len(self.scope) + len(self.span) + 12


def encode(span: ReadableSpan) -> EncodedSpan:
    """Write one span.

    Texts that are not valid Unicode are written with `?` for what is wrong in them, whole numbers beyond
    64 bits as texts. An attribute whose value has no form in OTLP is left out and counted among the
    dropped attributes of its span.

    Raises:
        Exception: The span itself cannot be written: an id, time or name is not what it must be.
    """
    return EncodedSpan(_resource(span.resource), _scope(span.instrumentation_scope), _span(span))


def request(spans: Sequence[EncodedSpan]) -> bytes:
    """An `ExportTraceServiceRequest` of spans, grouped by resource and scope."""
    if len(spans) == 1:
        resource, scope, span = spans[0]
        inner = size(len(scope) + len(span))
        outer = size(len(resource) + 1 + len(inner) + len(scope) + len(span))
        return b"".join((b"\x0a", outer, resource, b"\x12", inner, scope, span))
    groups: dict[bytes, dict[bytes, list[bytes]]] = {}
    for resource, scope, span in spans:
        groups.setdefault(resource, {}).setdefault(scope, [scope]).append(span)
    out: list[bytes] = []
    for resource, scopes in groups.items():
        parts = [resource]
        for entries in scopes.values():
            parts += (b"\x12", size(sum(map(len, entries))), *entries)
        out += (b"\x0a", size(sum(map(len, parts))), *parts)
    return b"".join(out)


_pack_time = struct.Struct("<Q").pack
_pack_ids = struct.Struct(">2sQQ2sQ").pack

# --- resources and scopes: few, so each is written once ---

_KEPT = 64
_resources: dict[int, tuple[Resource, bytes]] = {}
_scopes: dict[int, tuple[InstrumentationScope | None, bytes]] = {}
"""By identity, since hashing a resource writes it out as JSON; the object is kept, so its id stays."""


def _resource(resource: Resource) -> bytes:
    known = _resources.get(id(resource))
    if known is not None:
        return known[1]
    entries, lost = pairs(b"\x0a", resource.attributes)
    written = framed(b"\x0a", entries + _count(b"\x10", lost)) + _text(b"\x1a", resource.schema_url)
    if len(_resources) >= _KEPT:
        _resources.clear()
    _resources[id(resource)] = (resource, written)
    return written


def _scope(scope: InstrumentationScope | None) -> bytes:
    known = _scopes.get(id(scope))
    if known is not None:
        return known[1]
    written = b"\x0a\x00"
    if scope is not None:
        entries, lost = pairs(b"\x1a", scope.attributes)
        body = _text(b"\x0a", scope.name) + _text(b"\x12", scope.version) + entries + _count(b"\x20", lost)
        written = framed(b"\x0a", body) + _text(b"\x1a", scope.schema_url)
    if len(_scopes) >= _KEPT:
        _scopes.clear()
    _scopes[id(scope)] = (scope, written)
    return written


def _text(tag: bytes, text: str | None) -> bytes:
    return framed(tag, utf8(text)) if text else b""


def _count(tag: bytes, number: int) -> bytes:
    return tag + size(number) if number else b""


# --- spans ---

_KINDS_OF_SPANS = {kind: b"\x30" + VARINTS[kind.value + 1] for kind in SpanKind}
_NO_REMOTE_PARENT = b"\x85\x01" + struct.pack("<I", 0x100)
_REMOTE_PARENT = b"\x85\x01" + struct.pack("<I", 0x300)
_UNSET = b"\x7a\x00"


def _span(span: ReadableSpan) -> bytes:
    context, parent = span.context, span.parent
    parts = [_ids(context)]
    if parent is not None:
        parts += (b"\x22\x08", parent.span_id.to_bytes(8))
    if context.trace_state:
        parts.append(_trace_state(b"\x1a", context.trace_state))
    parts += (
        _text(b"\x2a", span.name),
        _KINDS_OF_SPANS[span.kind],
        _time(b"\x39", span.start_time),
        _time(b"\x41", span.end_time),
        _REMOTE_PARENT if parent is not None and parent.is_remote else _NO_REMOTE_PARENT,
        _status(span.status),
    )
    lost = span_attributes(span.attributes, parts) + span.dropped_attributes
    if lost:
        parts.append(_count(b"\x50", lost))
    _more(span, parts)
    length = sum(map(len, parts))
    return b"".join((b"\x12", size(length), *parts))


def _more(span: ReadableSpan, parts: list[bytes]) -> None:
    """What few spans have."""
    events, links = span.events, span.links
    if events:
        parts += map(_event, events)
    if links:
        parts += map(_link, links)
    parts += (_count(b"\x60", span.dropped_events), _count(b"\x70", span.dropped_links))


def _ids(context: SpanContext) -> bytes:
    trace_id = context.trace_id
    return _pack_ids(b"\x0a\x10", trace_id >> 64, trace_id & UNSIGNED, b"\x12\x08", context.span_id)


def _time(tag: bytes, time_ns: int | None) -> bytes:
    return tag + _pack_time(time_ns) if time_ns else b""


def _trace_state(tag: bytes, state: TraceState) -> bytes:
    return _text(tag, ",".join([f"{key}={value}" for key, value in state.items()]))


def _status(status: Status | None) -> bytes:
    if status is None:
        return b""
    code, message = status.status_code.value, status.description
    if not code and not message:
        return _UNSET
    return framed(b"\x7a", _text(b"\x12", message) + (b"\x18" + VARINTS[code] if code else b""))


def _event(event: Event) -> bytes:
    entries, lost = pairs(b"\x1a", event.attributes)
    lost += event.dropped_attributes
    body = _time(b"\x09", event.timestamp) + _text(b"\x12", event.name) + entries + _count(b"\x20", lost)
    return framed(b"\x5a", body)


def _link(link: Link) -> bytes:
    context = link.context
    entries, lost = pairs(b"\x22", link.attributes)
    lost += link.dropped_attributes
    flags = b"\x35" + struct.pack("<I", 0x300 if context.is_remote else 0x100)
    return framed(b"\x6a", _ids(context) + entries + _count(b"\x28", lost) + flags)
