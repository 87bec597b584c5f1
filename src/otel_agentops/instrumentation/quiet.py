"""Asking other instrumentations to keep quiet inside a call that has a span of ours.

OpenLLMetry looks for a flag in the context. OpenTelemetry's own GenAI packages look for a place where an
outer instrumentation wants to be told what they see, and then make no span; where their helper package
is loaded, they get one, which nobody reads.
"""

from __future__ import annotations

import sys

from opentelemetry.context import Context

from otel_agentops.failsafe import swallowed
from otel_agentops.instrumentation.switches import MODELS_SUPPRESSED

__all__ = ["quiet"]

_HELPER = "opentelemetry.util.genai.invocation"
_PLACES = (
    ("CLIENT_INFERENCE_CONTEXT_KEY", "InferenceData"),
    ("CLIENT_EMBEDDING_CONTEXT_KEY", "EmbeddingData"),
    ("CLIENT_FETCH_RESPONSE_CONTEXT_KEY", "FetchResponseData"),
)


def quiet(context: Context) -> Context:
    """A context in which others that can do so leave the call to us."""
    keys: dict[str, object] = {**context, MODELS_SUPPRESSED: True}
    helper = sys.modules.get(_HELPER)
    if helper is not None:
        try:
            keys.update((getattr(helper, key), getattr(helper, kind)()) for key, kind in _PLACES)
        except Exception as error:  # noqa: BLE001 - another version of it, which then makes spans of its own
            swallowed("asking others to keep quiet", error)
    return Context(keys)
