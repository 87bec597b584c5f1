"""A keyed digest of what is sent to a model: equal digests mean equal prompts.

It is taken from the caller's own structures, without JSON, before any redaction, and whether or not
content is captured. With the default key, which is random per process, a digest tells an outsider
nothing about the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

__all__ = ["digest"]

_SIZE = 16
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
    state = blake2b(digest_size=_SIZE, key=key)
    pieces: list[bytes] = []
    for part in parts:
        _frame(part, pieces, 0)
    state.update(b"".join(pieces))
    return state.hexdigest()


def _frame(value: Any, out: list[bytes], depth: int) -> None:
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        out.append(b"s%d:" % len(data))
        out.append(data)
    elif depth > _DEPTH:
        out.append(b"~")
    elif isinstance(value, Mapping):
        out.append(b"m%d:" % len(value))
        for name, item in value.items():
            _frame(name, out, depth + 1)
            _frame(item, out, depth + 1)
    elif isinstance(value, bytes | bytearray):
        out.append(b"b%d:" % len(value))
        out.append(bytes(value))
    elif isinstance(value, Sequence):
        out.append(b"l%d:" % len(value))
        for item in value:
            _frame(item, out, depth + 1)
    else:
        _frame_other(value, out, depth)


def _frame_other(value: Any, out: list[bytes], depth: int) -> None:
    if value is None or isinstance(value, bool | int | float):
        out.append(b"n%r;" % value)
        return
    fields = getattr(value, "__dict__", None)
    if isinstance(fields, dict) and not hasattr(value, "__next__") and not callable(value):
        _frame({name: item for name, item in fields.items() if not name.startswith("_")}, out, depth + 1)
    else:
        out.append(b"o%s;" % type(value).__qualname__.encode())
