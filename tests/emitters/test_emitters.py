"""Real emitters, driven by the real SDKs on recorded answers: every call counted once, at its price.

Each row of the table in `docs/emitters.md` is made anew by these runs.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from emitters import table
from emitters.billing import Billed, billed
from emitters.golden import run
from emitters.turns import HELPED, ROUNDS, TURNS


def _skip(name: str) -> None:
    reason = table.missing(name)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module", params=table.EMITTERS)
def ran(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What one program printed."""
    _skip(request.param)
    return {"name": request.param, **run(request.param)}


@pytest.fixture(scope="module", params=TURNS)
def went(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What one program printed that goes round and round."""
    _skip(request.param)
    found = table.go_round(request.param)
    assert found is not None
    return {"name": request.param, **found}


def test_the_session_is_what_the_provider_billed(ran: dict[str, Any]) -> None:
    """Calls, tokens and dollars of the session are those of the answers that were served."""
    answers = [billed(each) for each in ran["served"]]
    total = ran["total"]
    assert total["model_calls"] == len(answers)
    assert total["input_tokens"] == sum(each.input_tokens for each in answers)
    assert total["output_tokens"] == sum(each.output_tokens for each in answers)
    assert Decimal(total["cost_usd"]) == sum((each.cost_usd for each in answers), Decimal(0))
    assert total["unpriced_calls"] == 0


def test_the_budget_has_what_was_not_billed(ran: dict[str, Any]) -> None:
    """A budget is used up by calls of others as by ours: by what the provider billed, each call once."""
    answers = [billed(each) for each in ran["served"]]
    tokens = sum(each.input_tokens + each.output_tokens for each in answers)
    cost_usd = sum((each.cost_usd for each in answers), Decimal(0))
    assert {name: Decimal(amount) for name, amount in ran["left"].items()} == {
        "usd": 1000 - cost_usd,
        "tokens": 10_000_000 - tokens,
        "calls": 10_000 - len(answers),
    }


def test_every_call_has_its_cost_on_one_span(ran: dict[str, Any]) -> None:
    """The costs on the exported spans are those of the answers, one by one."""
    answers: list[Billed] = [billed(each) for each in ran["served"]]
    expected = sorted(float(each.cost_usd) for each in answers)
    assert table.counted(ran) == pytest.approx(expected, rel=1e-12)


def test_every_span_is_in_the_session(ran: dict[str, Any]) -> None:
    """Foreign spans are stamped with the session they belong to."""
    spans = [span for span in ran["spans"] if span["scope"] != "otel_agentops"]
    assert spans
    assert {span["attributes"].get("session.id") for span in spans} == {"the session"}


def test_what_the_page_says_of_the_books(ran: dict[str, Any]) -> None:
    """The first half of the row in the docs is what this run has proven."""
    made = table.row(ran["name"], ran, None).split(" | ")[:5]
    assert table.rows()[table.EMITTERS[ran["name"]][0]].split(" | ")[:5] == made


def test_a_loop_is_on_the_spans_of_the_emitter(went: dict[str, Any]) -> None:
    """With the gate each round from the third on is marked, as one loop and nothing else."""
    loop = went["gate"]["loop"]
    assert loop["findings"] == ["repeated_prompt"]
    assert loop["marked"] == [["repeated_prompt"]] * (ROUNDS - 2)
    assert (loop["served"], loop["calls"], loop["stopped"]) == (ROUNDS, ROUNDS, [])


@pytest.mark.parametrize("place", [(), ("--inside",)], ids=["outside", "inside"])
@pytest.mark.parametrize("name", HELPED)
def test_a_loop_of_streams_by_a_helper_is_one_loop(name: str, place: tuple[str, ...]) -> None:
    """The gate and the emitter's span tell of one prompt each round, although they see it apart."""
    _skip(name)
    loop = run(name, "--helper", *place, module="turns")["gate"]["loop"]
    assert loop["findings"] == ["repeated_prompt"]
    assert (loop["served"], loop["calls"], loop["stopped"]) == (ROUNDS, ROUNDS, [])


def test_a_budget_stops_the_next_call(went: dict[str, Any]) -> None:
    """With the gate the call beyond the budget is not sent, and the program gets the exception."""
    assert table.stopped(went["gate"]["budget"]), went["gate"]["budget"]


def test_a_budget_warns_without_the_gate(went: dict[str, Any]) -> None:
    """Calls that nobody can stop are counted, and it is told when they are too many."""
    assert table.warned(went["alone"]["budget"]), went["alone"]["budget"]


def test_what_the_page_says_of_loops_and_budgets(went: dict[str, Any]) -> None:
    """The second half of the row in the docs is what this run has proven."""
    made = table.watched(went)
    assert tuple(table.rows()[table.EMITTERS[went["name"]][0]].strip("| ").split(" | ")[5:]) == made
