"""One call, one count: several spans may tell of the same model call.

Where spans of one call nest, the first that ends is counted, normally the innermost; one around it is a
duplicate if the calls counted inside explain its usage, and else only the rest is counted there. Some
emitters do not make their span current, so that the next one's span lies beside theirs: then the answer's
id, or the same counts at the same time from another emitter, tell that both are one call.

Everything here is bounded: live spans by number, counted calls by trace and by number.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from decimal import Decimal
from threading import RLock
from typing import TYPE_CHECKING

from otel_agentops.accounting.normal import rest_of
from otel_agentops.accounting.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_agentops.records import ModelCall, Usage

__all__ = ["GATE", "Calls", "Counted", "know_later"]

GATE = "otel_agentops.gate"
"""Stands for the emitter of calls that are counted without a span."""

_MAX_SPANS = 100_000
_MAX_COUNTED = 8_192
_MAX_IDS = 4_096
_PER_TRACE = 1_024
_SOON_NS = 1_000_000_000
"""Until a request is on its way after the helper that sends it was made."""
_BELOW = 64

_lock = RLock()


def _unlock_child() -> None:
    global _lock  # noqa: PLW0603 - the parent may have held it while forking
    _lock = RLock()


os.register_at_fork(after_in_child=_unlock_child)


class Counted:
    """A call that was counted."""

    __slots__ = (
        "digested",
        "embeds",
        "emitters",
        "end_ns",
        "failed",
        "findings",
        "models",
        "priced",
        "response_id",
        "spanless",
        "start_ns",
        "unpriced",
        "unread",
        "usage",
    )

    def __init__(self, call: ModelCall, emitter: str, start_ns: int, end_ns: int) -> None:
        self.emitters = [emitter]
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.response_id = call.response_id
        self.models = _models(call)
        self.usage = call.usage
        self.embeds = _embeds(call)
        self.failed = call.error_type is not None
        self.priced = self.unpriced = self.unread = False
        self.digested = call.digest is not None
        self.spanless = emitter == GATE  # the first span that tells of it gets its cost
        self.findings = call.findings if self.spanless else None


class Calls:
    """The live spans of one runtime, and which calls among them are counted."""

    def __init__(self) -> None:
        self._live: dict[int, Place] = {}
        self._emitter: str | None = None
        self._several = False
        # ordered ones, since a plain dict takes ever longer to find its first key
        self._by_id: OrderedDict[str, Counted] = OrderedDict()
        self._by_trace: OrderedDict[int, list[Counted]] = OrderedDict()
        self._in_traces = 0

    # --- spans ---

    def started(self, span_id: int, parent_id: int, trace_id: int, emitter: str) -> Place:
        """A span has started, and this is where it stands; `leave` must follow.

        Args:
            span_id: Its id.
            parent_id: Id of its local parent; 0 if there is none.
            trace_id: Its trace.
            emitter: Its instrumentation scope.
        """
        if emitter != self._emitter and not self._several:
            self._emitter, self._several = emitter, self._emitter is not None
        live = self._live
        if len(live) >= _MAX_SPANS:  # somebody never ends spans
            live.pop(next(iter(live)), None)
        place = Place(emitter, trace_id, live.get(parent_id) if parent_id else None, span_id, not parent_id)
        live[span_id] = place
        return place

    def expect_several(self) -> None:
        """Calls are counted without spans, too: a span may tell of one of these."""
        self._several = True

    def at(self, span_id: int) -> Place | None:
        """Where a live span stands; None for one that is not known."""
        return self._live.get(span_id)

    @staticmethod
    def inside(place: Place) -> Place:
        """A place right inside another one, for a call without a span; `leave` must follow."""
        return Place(place.emitter, place.trace_id, place)

    def live(self, span_id: int) -> bool:
        """Whether a span is one of the live ones."""
        return span_id in self._live

    def ending(self, span_id: int) -> Place | None:
        """A span is about to end; None for one that is not known, or not any more."""
        return self._live.pop(span_id, None)

    @staticmethod
    def unsent(place: Place) -> bool:
        """Whether a span tells of a call that was refused, and of no other; so does one around it then."""
        if not place.refused or place.below is not None:
            return False
        if place.parent is not None:
            place.parent.refused = True
        return True

    @staticmethod
    def leave(place: Place, boundary: bool = False) -> None:
        """A span has been accounted for: what was counted inside it is inside its parent, too.

        Args:
            place: From `ending`.
            boundary: Whether it is a tool or an agent: calls inside it are no part of a call around it.
        """
        place.open = False
        if place.below is None:
            return
        if boundary:
            for counted in place.below:
                counted.end_ns = 0  # nor are they told of by a span that goes on outside
            return
        around = place.parent
        while around is not None and not around.open:
            around = around.parent
        if around is not None:
            with _lock:
                if around.below is None:
                    around.below = []
                around.below.extend(place.below[: _BELOW - len(around.below)])

    # --- calls ---

    def count(self, call: ModelCall, place: Place, start_ns: int) -> None:
        """Find out what of an ended call is still to be counted, and say so in the record."""
        if place.below is None and place.parent is None and not self._several:
            return  # nobody else has a span that could tell of it
        with _lock:
            if place.below is not None:
                below = [each for each in place.below if each.embeds == _embeds(call)]
                if below:
                    self._nested(call, place, below)
                    return
            late = _around(call, place)
            if late is not None:
                self._late(call, place, late)
                return
            end_ns = place.end_ns or time.time_ns()
            same = self._beside(call, place, start_ns)
            if same is not None:
                same.emitters.append(place.emitter)
                same.end_ns = max(same.end_ns, end_ns)
                self._duplicate(call, (same,))
                place.below = [*(place.below or ()), same]
                return
            known = self._known(call, place, start_ns)
            counted = Counted(call, place.emitter, start_ns, end_ns)
            counted.digested = counted.digested or known
            place.below = [counted] if place.below is None else [*place.below, counted]
            place.told = counted
            self._remember(counted, place)

    def noted(self, call: ModelCall, place: Place, start_ns: int) -> None:
        """A call was sent whose answer is read elsewhere: the span that tells of it counts it, later.

        Its prompt is in the history already, in other words than those of that span.
        """
        counted = Counted(call, place.emitter, start_ns, time.time_ns() + _SOON_NS)
        counted.unread = True
        with _lock:
            self._remember(counted, place)

    def _known(self, call: ModelCall, place: Place, start_ns: int) -> bool:
        """Whether a call that is to be counted was noted before; its prompt is not noted again then."""
        recent = self._by_trace.get(0 if place.root else place.trace_id, ())
        for counted in recent:
            if counted.unread and counted.end_ns > start_ns and _related(_models(call), counted.models):
                counted.unread = False
                counted.end_ns = 0  # nobody else is beside it
                call.digest, call.findings = None, counted.findings
                return True
        return False

    def _late(self, call: ModelCall, place: Place, counted: Counted) -> None:
        """The span around ended first, as with streams, and told of the call, perhaps not what it used."""
        counted.emitters.append(place.emitter)
        if counted.usage is None and call.usage is not None and not counted.spanless:
            know_later(call, counted.priced, int(counted.unpriced))
            counted.usage = call.usage
        else:
            self._duplicate(call, (counted,))

    def _duplicate(self, call: ModelCall, counted: Sequence[Counted]) -> None:
        if all(each.spanless for each in counted):
            call.spent, call.findings = True, counted[0].findings
            for each in counted:
                each.spanless = False
            return
        call.duplicate = True
        if call.digest is not None and not any(each.digested for each in counted):
            call.shows_prompt = counted[0].digested = True

    def _nested(self, call: ModelCall, place: Place, below: list[Counted]) -> None:
        for counted in below:
            counted.emitters.append(place.emitter)
        rest = None
        if call.usage is not None:
            if all(each.usage is None and not each.failed for each in below):
                # the inner emitter did not see the usage: this one's is that of the call
                priced = all(each.priced for each in below)
                know_later(call, priced, sum(each.unpriced for each in below))
                for counted in below:
                    counted.usage = call.usage
                return
            if not any(_same_answer(call, each) for each in below):
                rest = rest_of(call.usage, [each.usage for each in below if each.usage is not None])
        if rest is None:
            self._duplicate(call, below)
        else:
            call.counted = rest
            call.flags = (*call.flags, "nested_rest")
            own = Counted(call, place.emitter, 0, 0)
            own.usage = rest
            (place.below if place.below is not None else below).append(own)

    def _beside(self, call: ModelCall, place: Place, start_ns: int) -> Counted | None:
        emitter = place.emitter
        if call.response_id is not None:
            found = self._by_id.get(call.response_id)
            if found is not None and found.end_ns > start_ns and emitter not in found.emitters:
                return found
        trace_id = 0 if place.root else place.trace_id
        for counted in reversed(self._by_trace.get(trace_id, ())):
            if counted.end_ns <= start_ns and counted.end_ns:
                break  # had ended before this one began, and so had those before it
            if (
                counted.end_ns
                and not counted.unread
                and emitter not in counted.emitters
                and (_same(call, counted, start_ns) if trace_id else _equal(call, counted))
            ):
                return counted
        return None

    def _remember(self, counted: Counted, place: Place) -> None:
        if counted.response_id:
            self._by_id[counted.response_id] = counted
            if len(self._by_id) > _MAX_IDS:
                self._by_id.popitem(last=False)
        traces = self._by_trace
        trace_id = 0 if place.root else place.trace_id  # roots are not beside anything in theirs
        recent = traces.get(trace_id)
        if recent is None:
            traces[trace_id] = [counted]
        else:
            recent.append(counted)
            traces.move_to_end(trace_id)
            if len(recent) > _PER_TRACE:
                del recent[0]
                return
        self._in_traces += 1
        if self._in_traces > _MAX_COUNTED:
            self._in_traces -= len(traces.popitem(last=False)[1])


def know_later(call: ModelCall, priced: bool, unpriced: int) -> None:
    """A call was counted without what it used, which this tells: tokens, and the cost if there is none yet.

    Args:
        call: What was read now.
        priced: Whether it has a cost already, as gateways and hooks tell one without usage.
        unpriced: So many calls were counted as calls without a price because of it.
    """
    call.counted, call.takes_back = call.usage, unpriced
    if priced:
        call.reported_cost_usd = Decimal(0)


def _around(call: ModelCall, place: Place) -> Counted | None:
    """What an ended span around this one has told of the same call."""
    around = place.parent
    while around is not None:
        told = around.told
        if (
            told is not None
            and not around.open
            and place.emitter not in told.emitters
            and told.embeds == _embeds(call)
            and (_equal(call, told) or None in (call.usage, told.usage))
            and not (call.response_id and told.response_id and call.response_id != told.response_id)
            and _related(_models(call), told.models)
        ):
            return told
        around = around.parent
    return None


def _embeds(call: ModelCall) -> bool:
    """Embeddings that are made for an answer are no part of its usage."""
    return call.operation == "embeddings"


def _same_answer(call: ModelCall, counted: Counted) -> bool:
    return call.response_id is not None and call.response_id == counted.response_id


def _same(call: ModelCall, counted: Counted, start_ns: int) -> bool:
    """Whether a span tells of a counted call of the same trace."""
    if call.response_id and counted.response_id:
        return call.response_id == counted.response_id
    if _equal(call, counted):
        return True
    if counted.start_ns < start_ns or call.usage is None or counted.usage is None:
        return False
    # some lose a part of the counts of a stream
    ours, theirs = _pair(call.usage), _pair(counted.usage)
    some = ours[0] == theirs[0] or ours[1] == theirs[1]
    return some and ours[0] <= theirs[0] and ours[1] <= theirs[1] and _related(_models(call), counted.models)


def _equal(call: ModelCall, counted: Counted) -> bool:
    if call.response_id and counted.response_id and call.response_id != counted.response_id:
        return False
    if (call.usage is None) != (counted.usage is None):
        return False
    if call.usage is not None and counted.usage is not None and _pair(call.usage) != _pair(counted.usage):
        return False
    return _related(_models(call), counted.models)


def _pair(usage: Usage) -> tuple[int, int]:
    return usage.input_tokens or 0, usage.output_tokens or 0


def _models(call: ModelCall) -> tuple[str, ...]:
    asked, answered = call.request_model, call.response_model
    if asked and answered:
        return asked, answered
    return (asked or answered,) if asked or answered else ()  # type: ignore[return-value]  # one of them is


def _related(ours: Iterable[str], theirs: tuple[str, ...]) -> bool:
    """Whether one name of a model is another one's beginning, as `gpt-4o` is of a dated name."""
    return any(one.startswith(other) or other.startswith(one) for one in ours for other in theirs)
