"""Ended spans as OTLP protobuf, written by hand: the stock encoder's messages at a quarter of its time.

A span becomes bytes once, on its own, so that batches of any size can be made of it later without a second
look at its attributes. Tags are written out as bytes; their numbers are those of the protocol's files.

Source: `opentelemetry/proto/{trace/v1/trace,common/v1/common,resource/v1/resource}.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from collections.abc import Callable

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
        inner = _size(len(scope) + len(span))
        outer = _size(len(resource) + 1 + len(inner) + len(scope) + len(span))
        return b"".join((b"\x0a", outer, resource, b"\x12", inner, scope, span))
    groups: dict[bytes, dict[bytes, list[bytes]]] = {}
    for resource, scope, span in spans:
        groups.setdefault(resource, {}).setdefault(scope, [scope]).append(span)
    out: list[bytes] = []
    for resource, scopes in groups.items():
        parts = [resource]
        for entries in scopes.values():
            parts += (b"\x12", _size(sum(map(len, entries))), *entries)
        out += (b"\x0a", _size(sum(map(len, parts))), *parts)
    return b"".join(out)


# --- numbers ---


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = 2048
_VARINTS = tuple(_varint(number) for number in range(_SMALL))
_UNSIGNED = (1 << 64) - 1
_INT64 = 1 << 63

_pack_time = struct.Struct("<Q").pack
_pack_double = struct.Struct("<d").pack
_pack_ids = struct.Struct(">2sQQ2sQ").pack


def _size(number: int) -> bytes:
    return _VARINTS[number] if number < _SMALL else _varint(number)


def _framed(tag: bytes, body: bytes) -> bytes:
    return b"".join((tag, _size(len(body)), body))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate; receivers refuse a whole batch for it
        return text.encode("utf-8", "replace")


# --- values ---


def _string(value: str) -> bytes:
    return _framed(b"\x0a", _utf8(value))


def _bool(value: bool) -> bytes:
    return b"\x10\x01" if value else b"\x10\x00"


def _int(value: int) -> bytes:
    if 0 <= value < _SMALL:
        return b"\x18" + _VARINTS[value]
    if -_INT64 <= value < _INT64:
        return b"\x18" + _varint(value & _UNSIGNED)
    return _string(str(value))


def _float(value: float) -> bytes:
    return b"\x21" + _pack_double(value)


def _array(value: Sequence[Any]) -> bytes:
    return _framed(b"\x2a", b"".join([_framed(b"\x0a", _value(item)) for item in value]))


def _mapping(value: Mapping[Any, Any]) -> bytes:
    pairs = [_pair(b"\x0a", str(key), item) for key, item in value.items()]
    return _framed(b"\x32", b"".join(pairs))


def _bytes(value: bytes) -> bytes:
    return _framed(b"\x3a", value)


def _none(_value: None) -> bytes:
    return b""


_EXACT: dict[type, Callable[[Any], bytes]] = {
    str: _string,
    bool: _bool,
    int: _int,
    float: _float,
    tuple: _array,
    list: _array,
    dict: _mapping,
    bytes: _bytes,
    type(None): _none,
}
_KINDS: tuple[tuple[type, Callable[[Any], bytes]], ...] = (
    (str, _string),
    (int, _int),
    (float, _float),
    (bytes, _bytes),
    (Sequence, _array),
    (Mapping, _mapping),
)
"""For subclasses, in the stock encoder's order."""


def _value(value: Any) -> bytes:
    """Body of an `AnyValue`.

    Raises:
        TypeError: OTLP has no form for it.
    """
    write = _EXACT.get(type(value))
    if write is None:
        write = next((write for kind, write in _KINDS if isinstance(value, kind)), None)
        if write is None:
            raise TypeError(f"no form in OTLP for {type(value).__name__}")
    return write(value)


# --- attributes ---

_KEYS_LIMIT = 1024
_TEXTS_LIMIT = 16
_TEXT_LENGTH = 64
_keys: dict[str, bytes] = {}
_texts: dict[str, dict[str, bytes]] = {}
"""Entries of span attributes written before: a few short texts of each key, so names stay and ids do not."""


def _key(key: str) -> bytes:
    known = _keys.get(key)
    if known is None:
        known = _framed(b"\x0a", _utf8(key))
        if len(_keys) < _KEYS_LIMIT and len(key) <= _TEXT_LENGTH:
            _keys[key] = known
    return known


def _pair(tag: bytes, key: str, value: Any) -> bytes:
    """A `KeyValue` with the tag of the field that it stands in."""
    name = _keys.get(key) or _key(key)
    body = _value(value)
    length = _size(len(body))
    return b"".join((tag, _size(len(name) + 1 + len(length) + len(body)), name, b"\x12", length, body))


def _plain(attributes: Any) -> Mapping[str, Any]:
    """The SDK's own mappings copy themselves into a dict much faster than they are walked."""
    copy = getattr(attributes, "copy", None)
    return attributes if copy is None else copy()  # type: ignore[no-any-return]


def _pairs(tag: bytes, attributes: Mapping[str, Any] | None) -> tuple[bytes, int]:
    """Attributes of anything but a span, and how many had to be left out."""
    parts, lost = [], 0
    for key, value in _plain(attributes).items() if attributes else ():
        try:
            parts.append(_pair(tag, key, value))
        except Exception:  # noqa: BLE001 - one value must not cost the rest
            lost += 1
    return b"".join(parts), lost


def _span_attributes(attributes: Mapping[str, Any] | None, parts: list[bytes]) -> int:
    """Append those of a span, where the time goes; returns how many had to be left out."""
    lost = 0
    for key, value in _plain(attributes).items() if attributes else ():
        try:
            if type(value) is not str:
                parts.append(_pair(b"\x4a", key, value))
            elif len(value) > _TEXT_LENGTH:
                _long_text(key, value, parts)
            else:
                known = _texts.get(key)
                if known is None or value not in known:
                    parts.append(_short_text(key, value))
                else:
                    parts.append(known[value])
        except Exception:  # noqa: BLE001 - one value must not cost the span
            lost += 1
    return lost


def _long_text(key: str, value: str, parts: list[bytes]) -> None:
    """Append in pieces: a prompt may have megabytes, so it is copied as seldom as can be."""
    text, name = _utf8(value), _keys.get(key) or _key(key)
    size = _size(len(text))
    inner = 1 + len(size) + len(text)
    length = _size(inner)
    outer = _size(len(name) + 1 + len(length) + inner)
    parts += (b"\x4a", outer, name, b"\x12", length, b"\x0a", size, text)


def _short_text(key: str, value: str) -> bytes:
    entry = _pair(b"\x4a", key, value)
    known = _texts.get(key)
    if known is None:
        if len(_texts) >= _KEYS_LIMIT or len(key) > _TEXT_LENGTH:
            return entry
        known = _texts[key] = {}
    if len(known) < _TEXTS_LIMIT:
        known[value] = entry
    return entry


# --- resources and scopes: few, so each is written once ---

_KEPT = 64
_resources: dict[int, tuple[Resource, bytes]] = {}
_scopes: dict[int, tuple[InstrumentationScope | None, bytes]] = {}
"""By identity, since hashing a resource writes it out as JSON; the object is kept, so its id stays."""


def _resource(resource: Resource) -> bytes:
    known = _resources.get(id(resource))
    if known is not None:
        return known[1]
    pairs, lost = _pairs(b"\x0a", resource.attributes)
    written = _framed(b"\x0a", pairs + _count(b"\x10", lost)) + _text(b"\x1a", resource.schema_url)
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
        pairs, lost = _pairs(b"\x1a", scope.attributes)
        body = _text(b"\x0a", scope.name) + _text(b"\x12", scope.version) + pairs + _count(b"\x20", lost)
        written = _framed(b"\x0a", body) + _text(b"\x1a", scope.schema_url)
    if len(_scopes) >= _KEPT:
        _scopes.clear()
    _scopes[id(scope)] = (scope, written)
    return written


def _text(tag: bytes, text: str | None) -> bytes:
    return _framed(tag, _utf8(text)) if text else b""


def _count(tag: bytes, number: int) -> bytes:
    return tag + _size(number) if number else b""


# --- spans ---

_KINDS_OF_SPANS = {kind: b"\x30" + _VARINTS[kind.value + 1] for kind in SpanKind}
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
    lost = _span_attributes(span.attributes, parts) + span.dropped_attributes
    if lost:
        parts.append(_count(b"\x50", lost))
    _more(span, parts)
    length = sum(map(len, parts))
    return b"".join((b"\x12", _size(length), *parts))


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
    return _pack_ids(b"\x0a\x10", trace_id >> 64, trace_id & _UNSIGNED, b"\x12\x08", context.span_id)


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
    return _framed(b"\x7a", _text(b"\x12", message) + (b"\x18" + _VARINTS[code] if code else b""))


def _event(event: Event) -> bytes:
    pairs, lost = _pairs(b"\x1a", event.attributes)
    lost += event.dropped_attributes
    body = _time(b"\x09", event.timestamp) + _text(b"\x12", event.name) + pairs + _count(b"\x20", lost)
    return _framed(b"\x5a", body)


def _link(link: Link) -> bytes:
    context = link.context
    pairs, lost = _pairs(b"\x22", link.attributes)
    lost += link.dropped_attributes
    flags = b"\x35" + struct.pack("<I", 0x300 if context.is_remote else 0x100)
    return _framed(b"\x6a", _ids(context) + pairs + _count(b"\x28", lost) + flags)
