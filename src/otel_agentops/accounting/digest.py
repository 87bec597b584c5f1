"""A keyed digest of what is sent to a model: equal digests mean equal prompts.

It is taken from the caller's own structures, without JSON, before any redaction, and whether or not
content is captured. With the default key, which is random per process, a digest tells an outsider
nothing about the prompt.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

__all__ = ["digest"]

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
    try:
        # plain data in one go: version 2 is length-framed and, unlike later ones, knows no references
        framed = marshal.dumps(parts, 2)
    except ValueError:  # something that is no plain data, a cycle, or too deep
        pieces: list[bytes] = []
        for part in parts:
            _frame(part, pieces, 0)
        framed = b"".join(pieces)
    return blake2b(framed, digest_size=_SIZE, key=key).hexdigest()


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
