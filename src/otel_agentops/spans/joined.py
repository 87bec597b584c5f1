"""A call of an SDK that a framework above has announced: no span of its own, it fills the framework's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentops.spans.layers import sent_text
from otel_agentops.spans.opened import OpenCall

if TYPE_CHECKING:
    from otel_agentops.records import ModelCall
    from otel_agentops.spans.layers import Layer, Waiting
    from otel_agentops.spans.recorder import Recorder

__all__ = ["JoinedCall", "join"]

_REQUEST = (
    "provider",
    "request_model",
    "server_address",
    "server_port",
    "api_type",
    "request_service_tier",
    "reasoning_level",
    "processing",
    "inference_geo",
    "stream",
)
_ANSWER = (
    "response_model",
    "response_id",
    "response_status",
    "finish_reasons",
    "usage",
    "service_tier",
    "system_fingerprint",
    "reported_cost_usd",
    "cache_hit",
    "duplicate",
)
"""What the SDK knows better than the framework above it."""


class JoinedCall(OpenCall):
    """An SDK's call that is a framework's.

    Args:
        recorder: Of this runtime.
        record: What the SDK sends; filled with its answer like any other.
        waiting: The framework's calls that it makes: one, or several that share one request.
    """

    __slots__ = ("_others", "_outer", "_waiting")

    def __init__(self, recorder: Recorder, record: ModelCall, waiting: list[Waiting]) -> None:
        outer = waiting[0].call
        super().__init__(recorder, record, outer.span, outer.start_ns, outer.scope)
        self._waiting = waiting
        self._outer = outer
        for each in waiting:
            each.joined = self
        _copy(record, outer.record, _REQUEST)
        if outer.span.is_recording():
            name, attributes = recorder.encoder.call_start(outer.record, {})
            outer.span.update_name(name)
            outer.span.set_attributes(attributes)

    def first_chunk(self) -> None:
        """The first chunk of the answer has arrived."""
        self._outer.first_chunk()

    def give(self) -> None:
        """Hand over what is known of the answer so far; the request's usage is the first call's alone."""
        _copy(self.record, self._outer.record, _ANSWER)
        for other in self._waiting[1:]:
            other.call.record.duplicate = True
            _copy(self.record, other.call.record, (*_REQUEST, "response_model", "response_id"))

    def _close(self, elapsed_ns: int, error: BaseException | None) -> None:
        if self._outer.finished:
            return
        if self.layer is not None:
            self.layer.settle(self)
        self.give()
        for each in self._waiting:
            if self.record.ending == "error":
                each.joined = None  # whoever tries again inside the same call may be it
            elif self.record.ending == "cancelled":
                each.call.finish("cancelled")  # frameworks do not always say so themselves


def _copy(source: ModelCall, target: ModelCall, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(source, name)
        if value is not None:
            setattr(target, name, value)


def join(recorder: Recorder, layer: Layer, call: ModelCall, capture: bool) -> OpenCall | None:
    """Start a call of an SDK below an open framework call, if it is that call; None for one by itself.

    Args:
        recorder: Of this runtime.
        layer: Innermost open layer.
        call: What is sent, read with its content.
        capture: Whether the content is to be kept.
    """
    text = sent_text(call)
    if not capture:
        call.capture = False
        call.system_instructions = call.input_messages = call.tool_definitions = None
    found = layer.claim(text) if text and call.operation != "embeddings" else []
    return JoinedCall(recorder, call, found) if found else None
