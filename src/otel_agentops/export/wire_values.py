"""Values and attributes as OTLP protobuf, where most of the time of writing a span goes.

Names, and short texts with their names, are written once and kept; numbers go behind a kept beginning.

Source: `opentelemetry/proto/common/v1/common.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UNSIGNED", "VARINTS", "framed", "pairs", "size", "span_attributes", "utf8"]

# --- numbers ---


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = 2048
_MIDDLE = 1 << 14
"""Below it, a number takes at most two bytes."""
VARINTS = tuple(_varint(number) for number in range(_SMALL))
UNSIGNED = (1 << 64) - 1
_INT64 = 1 << 63

_pack_double = struct.Struct("<d").pack


def size(number: int) -> bytes:
    """A length, 0 or more."""
    return VARINTS[number] if number < _SMALL else _varint(number)


def framed(tag: bytes, body: bytes) -> bytes:
    """A field with its tag and length."""
    return b"".join((tag, size(len(body)), body))


def utf8(text: str) -> bytes:
    """A text; what is not valid Unicode in it becomes `?`."""
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate; receivers refuse a whole batch for it
        return text.encode("utf-8", "replace")


# --- values ---


def _string(value: str) -> bytes:
    return framed(b"\x0a", utf8(value))


def _bool(value: bool) -> bytes:
    return b"\x10\x01" if value else b"\x10\x00"


def _int(value: int) -> bytes:
    if 0 <= value < _SMALL:
        return b"\x18" + VARINTS[value]
    if -_INT64 <= value < _INT64:
        return b"\x18" + _varint(value & UNSIGNED)
    return _string(str(value))


def _float(value: float) -> bytes:
    return b"\x21" + _pack_double(value)


def _array(value: Sequence[Any]) -> bytes:
    return framed(b"\x2a", b"".join([framed(b"\x0a", _value(item)) for item in value]))


def _mapping(value: Mapping[Any, Any]) -> bytes:
    return framed(b"\x32", b"".join([_pair(b"\x0a", str(key), item) for key, item in value.items()]))


def _bytes(value: bytes) -> bytes:
    return framed(b"\x3a", value)


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
_numbers: dict[str, tuple[bytes, bytes, bytes]] = {}
"""Beginnings of such entries up to the number: a short whole one, a longer one, and a fraction."""


def _key(key: str) -> bytes:
    known = _keys.get(key)
    if known is None:
        known = framed(b"\x0a", utf8(key))
        if len(_keys) < _KEYS_LIMIT and len(key) <= _TEXT_LENGTH:
            _keys[key] = known
    return known


def _pair(tag: bytes, key: str, value: Any) -> bytes:
    """A `KeyValue` with the tag of the field that it stands in."""
    name = _keys.get(key) or _key(key)
    body = _value(value)
    length = size(len(body))
    return b"".join((tag, size(len(name) + 1 + len(length) + len(body)), name, b"\x12", length, body))


def _plain(attributes: Any) -> Mapping[str, Any]:
    """The SDK's own mappings copy themselves into a dict much faster than they are walked."""
    copy = getattr(attributes, "copy", None)
    return attributes if copy is None else copy()  # type: ignore[no-any-return]


def pairs(tag: bytes, attributes: Mapping[str, Any] | None) -> tuple[bytes, int]:
    """Attributes of anything but a span, and how many had to be left out."""
    parts, lost = [], 0
    for key, value in _plain(attributes).items() if attributes else ():
        try:
            parts.append(_pair(tag, key, value))
        except Exception:  # noqa: BLE001 - one value must not cost the rest
            lost += 1
    return b"".join(parts), lost


def span_attributes(attributes: Mapping[str, Any] | None, parts: list[bytes]) -> int:
    """Append those of a span, where the time goes; returns how many had to be left out."""
    lost = 0
    for key, value in _plain(attributes).items() if attributes else ():
        try:
            kind = type(value)
            if kind is int and 0 <= value < _MIDDLE:
                short, longer, _ = _numbers.get(key) or _number(key)
                parts += (short, VARINTS[value]) if value < 128 else (longer, _two(value))
            elif kind is float:
                parts += ((_numbers.get(key) or _number(key))[2], _pack_double(value))
            elif kind is not str:
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


def _number(key: str) -> tuple[bytes, bytes, bytes]:
    name = _key(key)
    known = tuple(
        b"".join((b"\x4a", size(len(name) + 2 + length), name, b"\x12", VARINTS[length], tag))
        for tag, length in ((b"\x18", 2), (b"\x18", 3), (b"\x21", 9))
    )
    if len(_numbers) < _KEYS_LIMIT and len(key) <= _TEXT_LENGTH:
        _numbers[key] = known  # type: ignore[assignment]  # three of them
    return known  # type: ignore[return-value]  # as above


def _two(value: int) -> bytes:
    """A whole number that takes two bytes."""
    return VARINTS[value] if value < _SMALL else bytes((value & 127 | 128, value >> 7))


def _long_text(key: str, value: str, parts: list[bytes]) -> None:
    """Append in pieces: a prompt may have megabytes, so it is copied as seldom as can be."""
    text, name = utf8(value), _keys.get(key) or _key(key)
    long = size(len(text))
    inner = 1 + len(long) + len(text)
    length = size(inner)
    outer = size(len(name) + 1 + len(length) + inner)
    parts += (b"\x4a", outer, name, b"\x12", length, b"\x0a", long, text)


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
