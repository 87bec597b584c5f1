"""Values as JSON texts that can always be exported."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from otel_agentops.messages import settled

__all__ = ["to_json"]


def to_json(value: Any) -> str:
    """Compact JSON; models by their fields, bytes as text or else base64, anything else as text.

    Where pydantic's serialiser is loaded anyway (every current provider SDK does), it does the work in a
    third of the time; what it refuses goes the long way.
    """
    core = sys.modules.get("pydantic_core")
    if core is not None:
        try:
            return str(core.to_json(value, inf_nan_mode="null", fallback=_fallback), "utf-8")
        except Exception:  # noqa: BLE001, S110 - whatever it was, the standard library decides
            pass
    text = _encode(_JSON, value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates cannot be exported: escape them
        return _encode(_ASCII_JSON, value)
    return text


def _fallback(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return base64.b64encode(bytes(value)).decode()
    if isinstance(value, set | frozenset):
        return list(value)
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)


def _encode(encoder: json.JSONEncoder, value: Any) -> str:
    try:
        return encoder.encode(value)
    except ValueError:  # NaN or infinity, which JSON has no way to write
        return encoder.encode(settled(value))


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_fallback)
_ASCII_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_fallback)
