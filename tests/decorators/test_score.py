"""Scores are the conventions' evaluation events on the span that was judged."""

from __future__ import annotations

import logging

import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture


def test_a_score_is_an_event_of_its_span(captured: Captured) -> None:
    """Name, value, label and explanation arrive on the span of the session or agent that was scored."""
    with ao.session("triage") as session:
        with ao.agent("judge") as agent:
            agent.score("grounded", label="pass")
        session.score("helpful", 0.9, explanation="polite", response_id="r1")
        session.score("fast", 1)
    helpful, fast = captured.span("invoke_workflow triage").events
    assert (helpful.name, fast.name) == ("gen_ai.evaluation.result",) * 2
    assert dict(helpful.attributes or {}) == {
        "gen_ai.evaluation.name": "helpful",
        "gen_ai.evaluation.score.value": 0.9,
        "gen_ai.evaluation.explanation": "polite",
        "gen_ai.response.id": "r1",
    }
    assert dict(fast.attributes or {}) == {
        "gen_ai.evaluation.name": "fast",
        "gen_ai.evaluation.score.value": 1.0,
    }
    (grounded,) = captured.span("invoke_agent judge").events
    assert dict(grounded.attributes or {}) == {
        "gen_ai.evaluation.name": "grounded",
        "gen_ai.evaluation.score.label": "pass",
    }


def test_explanations_are_content() -> None:
    """What somebody wrote about an answer may quote it: it is written with content only."""
    with capture(auto_session=False) as captured:
        with ao.session("triage") as session:
            session.score("helpful", 0.1, explanation="it said: ...")
        (event,) = captured.span("invoke_workflow triage").events
    assert "gen_ai.evaluation.explanation" not in (event.attributes or {})


def test_a_score_never_breaks_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """Too late, after shutdown, or with something that is no number: said once, and the program goes on."""
    with capture(strict=False, auto_session=False) as captured, caplog.at_level(logging.WARNING):
        with ao.session("triage") as session:
            session.score("helpful", "very")  # type: ignore[arg-type]  # what people write
        session.score("helpful", 1)
    assert not captured.span("invoke_workflow triage").events
    assert "score before" in caplog.text
    with ao.session("later") as later:
        later.score("helpful", 1)
