"""Anthropic's SDK, whose calls are only checked: it makes spans by itself, and so do others.

Source: the API reference of Anthropic (objects `message` and the events of its stream).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agentops.instrumentation.arguments import Rows, fill, number, whole, word, yes
from otel_agentops.instrumentation.base import Instrumentor, Target
from otel_agentops.instrumentation.stainless import follow_stainless, host_of
from otel_agentops.messages import get
from otel_agentops.records import ModelCall, Usage
from otel_agentops.semconv import provider_of_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["INSTRUMENTOR"]

_REQUEST: Rows = {
    "model": ("request_model", word),
    "max_tokens": ("max_tokens", whole),
    "stream": ("stream", yes),
    "temperature": ("temperature", number),
}


def _request(resource: Any, kwargs: Mapping[str, Any], _capture: bool) -> ModelCall:
    host = host_of(resource)
    provider = provider_of_host(host.address) if host.address else None
    call = ModelCall(provider or "anthropic", operation="chat")
    call.server_address, call.server_port = host
    fill(call, _REQUEST, kwargs)
    return call


def _response(call: ModelCall, answer: Any) -> None:
    call.response_id = word(get(answer, "id"))
    call.response_model = word(get(answer, "model"))
    reason = word(get(answer, "stop_reason"))
    call.finish_reasons = (reason,) if reason else None
    _count(call, get(answer, "usage"))


def _event(call: ModelCall, event: Any) -> None:
    if (message := get(event, "message")) is not None:
        _response(call, message)
    if (reason := word(get(get(event, "delta"), "stop_reason"))) is not None:
        call.finish_reasons = (reason,)
    _count(call, get(event, "usage"))


_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_PARTS = (
    ("cache_creation", "ephemeral_1h_input_tokens"),
    ("server_tool_use", "web_search_requests"),
)


def _count(call: ModelCall, said: Any) -> None:
    """Anthropic counts what it cached apart; a stream tells the output at its end."""
    if said is None:
        return
    known: dict[str, int] = call.scratch or {}
    known.update({name: count for name in _COUNTS if (count := whole(get(said, name))) is not None})
    parts = {name: get(get(said, group), name) for group, name in _PARTS}
    known.update({name: count for name, count in parts.items() if whole(count) is not None})
    call.scratch = known
    call.service_tier = word(get(said, "service_tier")) or call.service_tier
    sent, read, written = (known.get(name) for name in _COUNTS[:3])
    call.usage = Usage(
        input_tokens=None if sent is None else sent + (read or 0) + (written or 0),
        output_tokens=known.get("output_tokens"),
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=known.get("ephemeral_1h_input_tokens") or None,
        web_searches=known.get("web_search_requests") or None,
    )


def _targets() -> Iterator[Target]:
    for module, former in (
        ("anthropic.resources.messages.messages", False),
        ("anthropic.resources.messages", True),
        ("anthropic.resources.beta.messages.messages", False),
    ):
        for kind in ("Messages", "AsyncMessages"):
            # `stream` only returns what sends the request later on, and that is not read here
            for method, reads in (("create", True), ("parse", True), ("stream", False)):
                yield Target(
                    module,
                    f"{kind}.{method}",
                    _request,
                    _response if reads else _ignore,
                    _event,
                    prompt=("system", "messages", "tools"),
                    follow=follow_stainless,
                    former=former or method == "parse",
                )


def _ignore(_call: ModelCall, _answer: Any) -> None:
    """There is no answer yet."""


INSTRUMENTOR = Instrumentor("anthropic", tuple(_targets()), only_gate=True)
"""Used where it is named: `init(gate=["anthropic"])`."""
