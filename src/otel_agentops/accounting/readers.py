"""Foreign spans as records: what an emitter wrote about a model call, read by table.

Here: emitters that speak the current conventions, in both of our profiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.records import ModelCall, Usage
from otel_agentops.semconv import PROFILES, own

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MODEL_OPERATIONS", "model_call"]

MODEL_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""Operations that are billed; agent, tool and workflow spans repeat what is inside them."""

_CALL: dict[str, str] = {
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.request.model": "request_model",
    "gen_ai.response.model": "response_model",
    "gen_ai.response.id": "response_id",
    "server.address": "server_address",
    "openai.api.type": "api_type",
    "openai.response.service_tier": "service_tier",
    "anthropic.response.service_tier": "service_tier",
    own.PROCESSING: "processing",
    own.INFERENCE_GEO: "inference_geo",
    "error.type": "error_type",
}
_USAGE: dict[str, str] = {name: field for profile in PROFILES.values() for field, name in profile.usage}


def model_call(attributes: Mapping[str, Any]) -> ModelCall | None:
    """The model call that a span with these attributes describes; None if it describes none."""
    if attributes.get("gen_ai.operation.name") not in MODEL_OPERATIONS:
        return None
    call = ModelCall()
    usage = Usage()
    for name, value in attributes.items():
        if (field := _CALL.get(name)) is not None:
            if isinstance(value, str):
                setattr(call, field, value)
        elif (field := _USAGE.get(name)) is not None and _count(value):
            setattr(usage, field, int(value))
            call.usage = usage
    call.ending = "error" if call.error_type else "complete"
    return call


def _count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
