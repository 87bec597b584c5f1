"""Where live spans stand among each other, so that calls inside and around one another are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_agentops.accounting.once import Counted
    from otel_agentops.accounting.scopes import Scope
    from otel_agentops.records import ModelCall

__all__ = ["Place"]

_DEPTH = 64


class Place:
    """Where a live span stands.

    Attributes:
        emitter: Instrumentation scope of the span.
        trace_id: Its trace.
        span_id: Its id; 0 for a call without a span.
        scope: What it was started in; None for the process alone.
        depth: How many live spans are around it.
        parent: The live span around it; None for a root, or where that is not ours to see.
        told: The call that was counted for it itself; None for none.
        priced: Whether the call that it tells of was counted with a cost.
        unpriced: Whether it was counted as a call without one.
        below: Calls counted inside it so far; None for none.
        end_ns: UTC end that the emitter gives, in nanoseconds; 0 for now.
        inner: A call of ours that this span tells of; None for none.
        gate: A call that was checked before it was sent, inside of which this span is; None for none.
        root: Whether its span has no local parent.
        silent: Whether nothing but its own attributes can tell of a call: no log record, no call of ours.
        heard: Attributes that log records about the call had.
        said: Messages that log records say were sent.
        counted: Whether it turned out to be a model call.
        answered: Whether that was counted with its usage.
        refused: Whether the call that it tells of was stopped before it was sent.
    """

    # most spans keep these defaults, and there is one of these for every span
    scope: Scope | None = None
    depth = 0
    parent: Place | None = None
    priced = False
    unpriced = False
    told: Counted | None = None
    below: list[Counted] | None = None
    end_ns = 0
    inner: ModelCall | None = None
    gate: Any = None
    counted = False
    answered = False
    refused = False
    open = True
    silent = True
    heard: dict[str, Any] | None = None
    said: list[Any] | None = None

    def __init__(
        self, emitter: str, trace_id: int, parent: Place | None, span_id: int = 0, root: bool = False
    ) -> None:
        self.emitter = emitter
        self.trace_id = trace_id
        self.span_id = span_id
        self.root = root
        if parent is not None:
            self.depth = depth = parent.depth + 1
            if depth < _DEPTH:  # a chain of ended spans must not live on for ever
                self.parent = parent

    def booked(self, priced: bool, unpriced: bool) -> None:
        """The call that it tells of is in the books: with a cost, as one without, or neither if it failed."""
        self.priced, self.unpriced = priced, unpriced
        if self.told is not None:
            self.told.priced, self.told.unpriced = priced, unpriced

    @property
    def looked_at(self) -> bool:
        """Whether this is inside a span whose call was looked at when it started: it is the same one."""
        around = self.parent
        while around is not None:
            if around.inner is not None and around.inner.step is not None:
                return True
            around = around.parent
        return False
