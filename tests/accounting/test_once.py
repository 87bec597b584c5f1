"""Several spans of one call: which one is counted."""

from __future__ import annotations

import itertools

import pytest

from otel_agentops.accounting import Calls
from otel_agentops.records import ModelCall, Usage

_ids = itertools.count(1)


class Live:
    """A live span."""

    def __init__(self, calls: Calls, emitter: str, parent: Live | None = None, start: int = 0) -> None:
        self.calls, self.start = calls, start
        self.id = next(_ids)
        calls.started(self.id, parent.id if parent else 0, 1, emitter)

    def end(self, call: ModelCall | None = None, end: int = 0, boundary: bool = False) -> ModelCall | None:
        """End it, as a model call or as something else."""
        place = self.calls.ending(self.id)
        assert place is not None
        place.end_ns = end
        if call is not None:
            self.calls.count(call, place, self.start)
            if not call.duplicate:
                place.booked(priced=False, unpriced=call.usage is None and call.error_type is None)
        self.calls.leave(place, boundary)
        return call


def chat(sent: int = 1000, received: int = 100, answer: str | None = None, model: str = "m") -> ModelCall:
    """A model call."""
    return ModelCall("p", model, usage=Usage(sent, received), response_id=answer)


@pytest.fixture
def calls() -> Calls:
    """No spans yet."""
    return Calls()


def test_the_innermost_is_counted(calls: Calls) -> None:
    """Those around it, at any distance, are duplicates."""
    outer = Live(calls, "framework")
    between = Live(calls, "framework", outer)
    middle = Live(calls, "vendor", between)
    inner = Live(calls, "sdk", middle)
    results = [inner.end(chat()), middle.end(chat()), between.end(), outer.end(chat())]
    assert [each.duplicate for each in results if each] == [False, True, True]


def test_the_rest_is_counted_around(calls: Calls) -> None:
    """What inner calls do not explain is counted on the outer one, once."""
    top = Live(calls, "third")
    outer = Live(calls, "framework", top)
    Live(calls, "sdk", outer).end(chat(400, 40))
    found = outer.end(chat(1000, 100))
    again = top.end(chat(1000, 100))
    assert found is not None
    assert again is not None
    assert (found.duplicate, found.counted, found.flags) == (False, Usage(600, 60), ("nested_rest",))
    assert again.duplicate


def test_several_calls_inside_explain_one(calls: Calls) -> None:
    """A framework's call that the SDK made in two parts."""
    outer = Live(calls, "framework")
    Live(calls, "sdk", outer).end(chat(400, 40))
    Live(calls, "sdk", outer).end(chat(600, 60))
    found = outer.end(chat(1000, 100))
    assert found is not None
    assert found.duplicate


def test_one_answer_is_one_call(calls: Calls) -> None:
    """With the same id of the answer nothing is left, whatever the outer one counts."""
    outer = Live(calls, "framework")
    Live(calls, "sdk", outer).end(chat(1000, 100, "x"))
    found = outer.end(chat(1000, 101, "x"))
    assert found is not None
    assert found.duplicate


def test_an_outer_call_without_usage_is_the_same(calls: Calls) -> None:
    """A stream whose usage only the inner emitter saw."""
    outer = Live(calls, "framework")
    Live(calls, "sdk", outer).end(chat())
    found = outer.end(ModelCall("p", "m"))
    assert found is not None
    assert found.duplicate


def test_usage_that_only_the_outer_emitter_saw(calls: Calls) -> None:
    """It is that of the call inside, which was counted without; a third span is a duplicate."""
    top = Live(calls, "third")
    outer = Live(calls, "framework", top)
    Live(calls, "sdk", outer).end(ModelCall("p", "m"))
    found = outer.end(chat())
    again = top.end(chat())
    assert found is not None
    assert again is not None
    assert (found.duplicate, found.counted, found.takes_back, found.flags) == (False, Usage(1000, 100), 1, ())
    assert again.duplicate


def test_calls_of_tools_and_agents_are_others(calls: Calls) -> None:
    """A tool that a model call runs makes calls of its own."""
    outer = Live(calls, "framework")
    tool = Live(calls, "framework", outer)
    Live(calls, "sdk", tool).end(chat())
    tool.end(boundary=True)
    found = outer.end(chat())
    assert found is not None
    assert not found.duplicate
    assert found.counted is None


def test_a_child_that_ends_late_still_explains(calls: Calls) -> None:
    """The span between may have ended before the call in it."""
    outer = Live(calls, "framework")
    between = Live(calls, "framework", outer)
    inner = Live(calls, "sdk", between)
    between.end()
    inner.end(chat())
    found = outer.end(chat())
    assert found is not None
    assert found.duplicate


class TestBeside:
    """Spans of one call that do not nest, because an emitter does not make its span current."""

    def two(self, calls: Calls, first: ModelCall, second: ModelCall, apart: bool = False) -> ModelCall:
        """Two emitters' spans below one parent; the second one's ends last."""
        parent = Live(calls, "app")
        outer = Live(calls, "vendor", parent, 30 if apart else 10)
        inner = Live(calls, "sdk", parent, 11)
        inner.end(first, 20)
        found = outer.end(second, 40)
        assert found is not None
        return found

    def test_same_answer(self, calls: Calls) -> None:
        """The id of the answer tells, whatever they count."""
        assert self.two(calls, chat(1000, 100, "x"), chat(1000, 101, "x")).duplicate

    def test_other_answer(self, calls: Calls) -> None:
        """Equal counts with another id are another call."""
        assert not self.two(calls, chat(answer="x"), chat(answer="y")).duplicate

    def test_same_counts(self, calls: Calls) -> None:
        """Without an id, the same counts and model at the same time tell."""
        assert self.two(calls, chat(model="m-2024"), chat(model="m")).duplicate

    def test_lost_counts(self, calls: Calls) -> None:
        """Some emitters lose the input of a stream."""
        assert self.two(calls, chat(1000, 100), chat(0, 100)).duplicate

    def test_other_model(self, calls: Calls) -> None:
        """Another model is another call."""
        assert not self.two(calls, chat(), chat(model="other")).duplicate

    def test_other_counts(self, calls: Calls) -> None:
        """Other counts are another call."""
        assert not self.two(calls, chat(1000, 100), chat(999, 99)).duplicate

    def test_one_after_the_other(self, calls: Calls) -> None:
        """A span that began when the other had ended is another call, even with the same id."""
        assert not self.two(calls, chat(answer="x"), chat(answer="x"), apart=True).duplicate

    def test_one_emitter_tells_of_each_call_once(self, calls: Calls) -> None:
        """Parallel calls of one emitter with the same answer are as many calls."""
        parent = Live(calls, "app")
        spans = [Live(calls, "sdk", parent, 1) for _ in range(5)]
        found = [span.end(chat(answer="x"), 10) for span in spans]
        assert not any(each.duplicate for each in found if each)

    @pytest.mark.parametrize("answer", ["x", None])
    def test_parallel_calls_of_two_emitters(self, calls: Calls, answer: str | None) -> None:
        """Each of the one belongs to one of the other."""
        parent = Live(calls, "app")
        outer = [Live(calls, "vendor", parent, 1) for _ in range(5)]
        inner = [Live(calls, "sdk", parent, 2) for _ in range(5)]
        found = [span.end(chat(answer=answer), 10) for span in (*inner, *outer)]
        assert [each.duplicate for each in found if each] == [False] * 5 + [True] * 5

    def test_separate_traces(self, calls: Calls) -> None:
        """Emitters without a common parent start a trace each."""
        outer, inner = Live(calls, "vendor", start=1), Live(calls, "sdk", start=2)
        inner.end(chat(), 10)
        found = outer.end(chat(), 11)
        assert found is not None
        assert found.duplicate


def test_nothing_is_kept(calls: Calls) -> None:
    """Live spans go, and what is remembered of ended ones is bounded."""
    for number in range(50_000):
        span = next(_ids)
        calls.started(span, span - 1, number, "sdk")
        place = calls.ending(span)
        assert place is not None
        calls.count(chat(answer=str(number)), place, 0)
        calls.leave(place)
    assert calls._live == {}
    assert len(calls._by_id) <= 4096
    assert len(calls._by_trace) <= 2048


def test_spans_that_never_end_are_forgotten(calls: Calls) -> None:
    """Their number is bounded, and so is a chain of ended ones."""
    for span in range(1, 100_102):
        calls.started(span, span - 1, 1, "sdk")
    assert len(calls._live) == 100_000
    place, length = calls.ending(100_101), 0
    while place is not None:
        place, length = place.parent, length + 1
    assert length <= 65


def test_a_span_inside_that_ends_after_the_one_around_it(calls: Calls) -> None:
    """Of a stream that nobody reads to its end: one call, whoever of the two ends first."""
    outer = Live(calls, "vendor")
    inner = Live(calls, "sdk", outer)
    unknown = ModelCall("p", "m")
    assert [each.duplicate for each in (outer.end(unknown), inner.end(ModelCall("p", "m"))) if each] == [
        False,
        True,
    ]


def test_what_is_known_later_is_counted_once(calls: Calls) -> None:
    """The one around told of the call without what it used; the one inside has that, and no further call."""
    outer = Live(calls, "vendor")
    inner = Live(calls, "sdk", outer)
    outer.end(ModelCall("p", "m"))
    found = inner.end(chat(1000, 100))
    assert found is not None
    assert (found.duplicate, found.counted, found.takes_back) == (False, Usage(1000, 100), 1)


def test_another_call_after_the_one_around_is_another(calls: Calls) -> None:
    """Another model, or another answer, is no part of what has ended."""
    for more in (chat(model="other"), chat(answer="b")):
        outer = Live(calls, "vendor")
        inner = Live(calls, "sdk", outer)
        outer.end(chat(answer="a"))
        found = inner.end(more)
        assert found is not None
        assert not found.duplicate


def test_many_parallel_calls_of_two_emitters(calls: Calls) -> None:
    """Two hundred calls at once whose two spans lie beside each other are two hundred calls."""
    first = [Live(calls, "sdk") for _ in range(200)]
    second = [Live(calls, "vendor") for _ in range(200)]
    found = [each.end(chat(answer=f"a{n}")) for n, each in enumerate(first)]
    found += [each.end(chat(sent=1000, model="m")) for each in second]
    assert sum(not call.duplicate for call in found if call) == 200
