"""LangChain's open runs: their records, how they are made current and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from otel_agentops.instrumentation import langchain_calls as calls
from otel_agentops.records import ModelCall
from otel_agentops.spans import Layer, attach_loosely, join, sent_text, waiting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from otel_agentops.records import Ending
    from otel_agentops.spans import OpenCall, OpenScope, Recorder

__all__ = ["Call", "Run", "announce"]

_NOTHING: dict[str, Any] = {}


class Run:
    """An open run that is no model call.

    Attributes:
        scope: What is recorded for it, or for the run around it where it is passed over; None if neither.
        entered: What leaving the scope needs; None where the scope is not its own.
        node: Whether it is a node of a graph.
        inner: Open runs inside; needed when it is cancelled, as LangChain does not say so of each.
        around: The run around it.
    """

    __slots__ = ("around", "entered", "inner", "node", "scope")

    def __init__(self, scope: OpenScope | None, around: Run | None, node: bool = False) -> None:
        self.scope = scope
        self.entered: Any = None
        self.node = node
        self.inner: set[UUID] = set()
        self.around = around

    def end(self, ending: Ending, error: BaseException | None) -> None:
        """End its record, if it has one of its own."""
        if self.entered is None or self.scope is None:
            return
        self.scope.leave(self.entered)
        _finish(self.scope, ending, error)


class Call:
    """An open run of a model.

    Attributes:
        several: Whether one request makes several calls.
    """

    __slots__ = ("announced", "around", "attached", "call", "several", "stand_in", "streams")

    def __init__(self, call: OpenCall, around: Run | None, several: bool) -> None:
        self.call = call
        self.around = around
        self.several = several
        self.announced: Any = None
        self.attached: Any = None
        self.stand_in: Any = None
        self.streams = False

    def end(self, ending: Ending, error: BaseException | None) -> None:
        """End its record."""
        self.call.detach(self.attached)
        _finish(self.call, ending, error)


def _finish(opened: OpenCall | OpenScope, ending: Ending, error: BaseException | None) -> None:
    if error is None:
        opened.finish(ending)
    elif any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__):
        # how LangGraph stops a node to go on later or elsewhere; the caller sees no exception
        opened.finish("interrupted" if "Interrupt" in type(error).__name__ else "complete")
    else:
        opened.fail(error)


def announce(
    recorder: Recorder,
    call: ModelCall,
    prompt: Any,
    params: Mapping[str, Any],
    around: Run | None,
    batch_size: int,
    apart: bool,
) -> Call:
    """Start a model call, make it current and let an SDK below know of it.

    Args:
        recorder: What records it.
        call: Its record.
        prompt: What LangChain says it is called with.
        params: Arguments of the request; the same object for all calls of one request.
        around: The run around it.
        batch_size: How many calls there are in the request.
        apart: Whether this runs in a task of its own, whose context the call's body does not see.
    """
    layer, capture = (
        Layer.adrift(params) if apart and batch_size > 1 else None,
        recorder.encoder.capture_content,
    )
    layer = waiting(anywhere=False) if layer is None else layer
    together = batch_size > 1 and layer is not None and layer.key is params
    if together and layer is not None:  # not inside the others of its batch but beside them
        otel_context.attach(layer.context)
    if capture or (layer is not None and not together):
        calls.content(call, prompt, params)
    parent = around.scope if around is not None else None
    joined = join(recorder, layer, call, capture) if layer is not None and not together else None
    opened = joined or recorder.start_call(call, parent)
    if layer is None or not together:
        layer = Layer.enter(params)
    run = Call(opened, around, batch_size > 1)
    run.announced = layer.add(opened, lambda: _text(call, prompt))
    if apart:
        layer.drift()
    before, ours, run.stand_in = attach_loosely(opened)
    run.attached = before, ours
    return run


def _text(call: ModelCall, prompt: Any) -> str:
    """What a call sends, whether or not its content is kept."""
    if call.input_messages is not None:
        return sent_text(call)
    read = ModelCall()
    calls.content(read, prompt, _NOTHING)
    return sent_text(read)
