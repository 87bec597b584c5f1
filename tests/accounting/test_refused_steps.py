"""A call that is refused while another one starts leaves nothing behind that hides or makes up a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture


@pytest.fixture
def captured() -> Iterator[Captured]:
    """Everything into memory."""
    with capture(auto_session=False, instrument=[]) as everything:
        yield everything


def look() -> None:
    """One execution of a tool."""
    with ao.tool("look", arguments={"at": "the same"}) as tool:
        tool.result("the same")


def ask() -> None:
    """One call of a model."""
    with ao.model_call(provider="openai", model="gpt-4o-mini", messages="what now?") as call:
        call.response(usage=ao.Usage(input_tokens=10, output_tokens=5), output="go on")


def refused(call: Callable[[], None], meanwhile: Callable[[], None], **limits: Any) -> None:
    """The call is looked at and does not fit; whoever decides that makes another one before it is refused."""

    def decide(exceeded: ao.BudgetExceeded) -> None:
        meanwhile()
        raise exceeded

    budget = ao.Budget(**limits, on_exceeded=decide)
    with pytest.raises(ao.BudgetExceeded), ao.operation("a step", budget=budget):
        call()


def loops(session: Any) -> list[tuple[str, int, str | None]]:
    """Loops of a session: kind, how often, and the first span."""
    found = [finding for finding in session.findings if finding.kind != "budget_exceeded"]
    return [(finding.kind, finding.count, finding.first_span_id) for finding in found]


def span_ids(captured: Captured, name: str) -> list[str]:
    """Ids of the spans with such a name."""
    return [f"{span.context.span_id:016x}" for span in captured.named(name)]


@pytest.mark.parametrize("made_before", [0, 1])
def test_the_refused_call_is_no_step(captured: Captured, made_before: int) -> None:
    """It is a loop with the third that is made, whenever one was refused; not before, and not never."""
    with ao.session("s") as session:
        for _ in range(made_before):
            look()
        refused(look, ask, tool_calls=0)
        for _ in range(2 - made_before):
            look()
        assert loops(session) == []
        look()
        look()
        assert loops(session) == [("repeated_tool_call", 4, span_ids(captured, "execute_tool")[0])]


@pytest.mark.parametrize("several", [1, 2, 3])
def test_the_call_made_meanwhile_is_a_step(captured: Captured, several: int) -> None:
    """What was called while another call was refused counts like any other."""
    with ao.session("s") as session:
        for _ in range(several):
            refused(look, ask, tool_calls=0)
        for _ in range(2 - several):
            ask()
        assert bool(loops(session)) == (several > 2)
        for _ in range(min(1, 3 - several)):
            ask()
        assert loops(session) == [("repeated_prompt", 3, span_ids(captured, "chat")[0])]
        assert len(captured.named("execute_tool")) == 0


def test_a_loop_that_is_found_by_the_refused_call() -> None:
    """The agent wanted it a third time: that is a loop, and it is told although nothing was sent."""
    told: list[ao.Finding] = []
    with capture(auto_session=False, instrument=[], on_finding=told.append) as captured:
        with ao.session("s") as session:
            look()
            look()
            refused(look, ask, tool_calls=0)
            look()
            assert loops(session) == [("repeated_tool_call", 4, span_ids(captured, "execute_tool")[0])]
        assert [finding.kind for finding in told] == ["budget_exceeded", "repeated_tool_call"]
        assert len(captured.span("invoke_workflow s").events) == 2


def test_both_ways(captured: Captured) -> None:
    """A refused model call and a tool that ran meanwhile."""
    with ao.session("s") as session:
        for _ in range(2):
            refused(ask, look, calls=0)
        look()
        ask()
        ask()
        assert loops(session) == [("repeated_tool_call", 3, span_ids(captured, "execute_tool")[0])]
        ask()
        assert [kind for kind, _, _ in loops(session)] == ["repeated_tool_call", "repeated_prompt"]
