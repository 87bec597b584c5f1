"""The usage of chat streams whose caller did not ask for it.

OpenAI tells the token counts of a stream only on request, in one more chunk at the end. Where the
server is known to understand the request, we add it and take every trace of it off the chunks again;
everywhere else the call stays as it is and its cost unknown.

Source: `stream_options` in OpenAI's API reference; Azure's list of API versions (data plane
2024-09-01-preview is the first that takes it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otel_agentops.failsafe import swallowed
from otel_agentops.instrumentation.base import ABSENT, given
from otel_agentops.instrumentation.stainless import host_of

if TYPE_CHECKING:
    from otel_agentops.instrumentation.base import Conceal
    from otel_agentops.spans import Recorder

__all__ = ["ask_for_usage"]

_AZURE_SINCE = "2024-09-01"
_RAW_HEADER = "X-Stainless-Raw-Response"


def ask_for_usage(
    resource: Any, kwargs: dict[str, Any], recorder: Recorder
) -> tuple[dict[str, Any], Conceal | None]:
    """The arguments to send, and what hides the difference; unchanged where we must not ask."""
    if not kwargs.get("stream") or not recorder.config.stream_usage or not _may_ask(kwargs):
        return kwargs, None
    address = host_of(resource).address
    if not (
        address == "api.openai.com"
        or address in recorder.config.stream_usage_hosts
        or _azure_understands(resource, address)
    ):
        return kwargs, None
    return {**kwargs, "stream_options": {"include_usage": True}}, _conceal


def _may_ask(kwargs: Mapping[str, Any]) -> bool:
    """Not against the caller's own word, not for raw answers, not with Azure's own data."""
    if kwargs.get("stream") is not True:
        return False
    if "stream_options" in kwargs and type(kwargs["stream_options"]).__name__ not in ABSENT:
        return False
    headers = given(kwargs.get("extra_headers"))
    if isinstance(headers, Mapping) and any(name.lower() == _RAW_HEADER.lower() for name in headers):
        return False
    body = given(kwargs.get("extra_body"))
    return not (isinstance(body, Mapping) and ("data_sources" in body or "stream_options" in body))


def _azure_understands(resource: Any, address: str | None) -> bool:
    if address is None or not address.endswith((".openai.azure.com", ".cognitiveservices.azure.com")):
        return False
    version = (getattr(getattr(resource, "_client", None), "default_query", None) or {}).get("api-version")
    if version is None:  # the v1 API has no dated versions
        return "/openai/v1" in str(getattr(resource._client, "base_url", ""))
    return isinstance(version, str) and (version >= _AZURE_SINCE or version in ("preview", "latest", "v1"))


def _conceal(part: Any) -> bool:
    """Undo what asking changed: `usage: null` on every chunk, and the extra chunk at the end."""
    try:
        if part.usage is not None:
            if not part.choices:
                return True
            part.usage = None
        part.model_fields_set.discard("usage")
    except Exception as error:  # noqa: BLE001 - a chunk of another kind is passed on as it is
        swallowed("hiding our request for usage", error)
    return False
