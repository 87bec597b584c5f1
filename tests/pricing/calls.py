"""Calls for the pricing tests, described in a line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from otel_agentops.records import ModelCall, Usage

NOON = "2026-11-20T12:00:00Z"

USAGE_FIELDS = set(Usage.__dataclass_fields__)


def nanoseconds(text: str) -> int:
    """A moment as spans have it."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def model_call(provider: str | None, model: str | None, **fields: Any) -> ModelCall:
    """A call whose fields may be those of the call or of its usage."""
    counts = {key: fields.pop(key) for key in list(fields) if key in USAGE_FIELDS}
    usage = Usage(**counts) if counts else Usage(input_tokens=1000, output_tokens=100)
    return ModelCall(provider, model, **{"usage": usage, **fields})
