"""A keyed digest of what is sent to a model: equal digests mean equal prompts.

It is taken from the caller's own structures, without JSON, before any redaction, and whether or not
content is captured. With the default key, which is random per process, a digest tells an outsider
nothing about the prompt.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from otel_agentops.records import ModelCall

__all__ = ["digest", "digest_of_arguments", "take_digest"]

_SIZE = 16
_PIECES = 100_000
_DEPTH = 32
"""Deeper structures than this are cut: they are cycles or not prompts."""


def digest(key: bytes, *parts: Any) -> str:
    """32 hex digits over the parts, in order; length-framed, so that moving a border changes it.

    Args:
        key: At most 64 bytes.
        parts: Texts, numbers, bytes, mappings, sequences or objects with readable fields. A part of
            any other kind counts by its type alone, and nothing is ever iterated that iteration
            would consume.
    """
    return blake2b(_framed(parts), digest_size=_SIZE, key=key).hexdigest()


def take_digest(call: ModelCall, key: bytes, *parts: Any, weigh: bool = False) -> None:
    """Set the digest of a call that is about to be sent, and about how long it is.

    Args:
        call: Whose digest it is.
        key: At most 64 bytes.
        parts: What is sent.
        weigh: Whether somebody will take its length for a number of tokens: then a picture or a sound
            counts as what is usual for one, however many bytes it has.
    """
    framed = _framed(parts)
    call.input_bytes = len(framed)
    if weigh and len(framed) > _FILE:
        call.input_bytes -= _too_heavy(framed)
    call.digest = blake2b(framed, digest_size=_SIZE, key=key).hexdigest()


_FILE = 8_000
"""Bytes of text that are as many tokens as a picture or a minute of sound usually is: about 2,000."""
_PICTURE = b";base64,"
_SOUND = b"input_audio{u\x04\0\0\0datau"
_LENGTH = 4


def _too_heavy(framed: bytes) -> int:
    """Bytes of files beyond what is usual for one; in plain data, each text's length stands before it."""
    extra, at = 0, framed.find(_PICTURE)
    while at >= 0:
        begin = framed.rfind(b"data:", max(0, at - 128), at)
        size = _size(framed, begin) if begin > _LENGTH else 0
        extra += max(0, size - _FILE)
        at = framed.find(_PICTURE, max(at, begin + size) + 1)
    at = framed.find(_SOUND)
    while at >= 0:
        begin = at + len(_SOUND) + _LENGTH
        size = _size(framed, begin)
        extra += max(0, size - _FILE)
        at = framed.find(_SOUND, begin + size)
    return extra


def _size(framed: bytes, begin: int) -> int:
    """Length of the text that begins here; 0 if none does."""
    size = int.from_bytes(framed[begin - _LENGTH : begin], "little")
    return size if framed[begin - _LENGTH - 1] == _TEXT and size <= len(framed) - begin else 0


_TEXT = ord("u")


def _framed(parts: tuple[Any, ...]) -> bytes:
    try:
        # plain data in one go: version 2 is length-framed and, unlike later ones, knows no references
        return marshal.dumps(parts, 2)
    except ValueError:  # something that is no plain data, a cycle, or too deep
        pieces: list[bytes] = []
        for part in parts:
            _frame(part, pieces, 0)
        return b"".join(pieces)


def digest_of_arguments(key: bytes, name: str, arguments: Any) -> str | None:
    """The same for a tool call, whose arguments may be anything; None where equal ones cannot be told.

    Args:
        key: At most 64 bytes.
        name: Name of the tool.
        arguments: All of them in one structure. Objects of which one cannot tell when they are equal
            make the whole call one of a kind: to call two different calls the same would be worse.
    """
    try:
        framed = marshal.dumps((name, arguments), 2)
    except ValueError:
        try:
            framed = marshal.dumps((name, _told(arguments, 0)), 2)
        except (ValueError, _UntellableError):
            return None
    return blake2b(framed, digest_size=_SIZE, key=key).hexdigest()


class _UntellableError(Exception):
    """One cannot tell when two of these are equal."""


_ARGUMENT_DEPTH = 6
_ARGUMENT_ITEMS = 1000
_NAMED: tuple[Any, ...] = (date, time, timedelta, Decimal, UUID, PurePath, Enum)
"""Values that say all about themselves in their own words."""


def _told(value: Any, depth: int) -> Any:
    """Plain data that is equal where the value is."""
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    if isinstance(value, _NAMED):
        return type(value).__qualname__, str(value)
    fields = value if isinstance(value, Mapping) else getattr(value, "__dict__", None)
    items = value if isinstance(value, list | tuple) else fields
    if items is None or depth > _ARGUMENT_DEPTH or len(items) > _ARGUMENT_ITEMS:
        raise _UntellableError
    if fields is None:
        return [_told(item, depth + 1) for item in items]
    if fields is not value and not (hasattr(value, "model_fields") or hasattr(value, "__dataclass_fields__")):
        raise _UntellableError  # what is in an object need not be all that it is
    pairs = [(_told(name, depth + 1), _told(item, depth + 1)) for name, item in fields.items()]
    return type(value).__qualname__, pairs


def _frame(value: Any, out: list[bytes], depth: int) -> None:
    if len(out) > _PIECES:  # an object graph that refers back to itself, not a prompt
        return
    for kind, frame in _FRAMES:
        if isinstance(value, kind):
            frame(value, out, depth)
            return
    _other(value, out, depth)


def _text(value: str, out: list[bytes], _depth: int) -> None:
    data = value.encode("utf-8", "surrogatepass")
    out.append(b"s%d:" % len(data))
    out.append(data)


def _bytes(value: bytes, out: list[bytes], _depth: int) -> None:
    out.append(b"b%d:" % len(value))
    out.append(bytes(value))


def _mapping(value: Mapping[Any, Any], out: list[bytes], depth: int) -> None:
    if depth > _DEPTH:
        out.append(b"~")
        return
    out.append(b"m%d:" % len(value))
    for name, item in value.items():
        _frame(name, out, depth + 1)
        _frame(item, out, depth + 1)


def _sequence(value: Sequence[Any], out: list[bytes], depth: int) -> None:
    if depth > _DEPTH:
        out.append(b"~")
        return
    out.append(b"l%d:" % len(value))
    for item in value:
        _frame(item, out, depth + 1)


def _number(value: object, out: list[bytes], _depth: int) -> None:
    out.append(f"n{value!r};".encode())


def _other(value: Any, out: list[bytes], depth: int) -> None:
    fields = getattr(value, "__dict__", None)
    if isinstance(fields, dict) and not hasattr(value, "__next__") and not callable(value):
        _mapping({name: item for name, item in fields.items() if not name.startswith("_")}, out, depth)
    else:
        out.append(b"o%s;" % type(value).__qualname__.encode())


_FRAMES: tuple[tuple[Any, Callable[[Any, list[bytes], int], None]], ...] = (
    (str, _text),
    (bytes | bytearray, _bytes),
    (bool | int | float | None, _number),
    (Mapping, _mapping),
    (Sequence, _sequence),
)
"""Kinds of values, the first that fits."""
