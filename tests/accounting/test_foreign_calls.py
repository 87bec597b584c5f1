"""Budgets and loops of calls that only another instrumentation sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.trace import Span

import otel_agentops as ao
from otel_agentops.testing import Captured, capture

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}
USAGE = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
PROMPT = {"gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]'}


@pytest.fixture
def captured() -> Iterator[Captured]:
    """The processor alone."""
    with capture(auto_session=False, instrument=[]) as found:
        found.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        yield found


@contextmanager
def their_call(captured: Captured, emitter: str = "somebody.else", **attributes: Any) -> Iterator[Span]:
    """A span of another instrumentation."""
    tracer = captured.provider.get_tracer(emitter)
    with tracer.start_as_current_span("theirs", attributes={**CALL, **USAGE, **attributes}) as span:
        yield span


def test_it_is_told_once_that_a_budget_is_exceeded(captured: Captured) -> None:
    """Nobody can stop them; the finding comes with the call that is too many, and only then."""
    with ao.session("s", budget=ao.Budget(calls=2)) as session:
        for number in range(5):
            with their_call(captured):
                pass
            assert len(session.findings) == (number >= 2)
        assert [finding.kind for finding in session.findings] == ["budget_exceeded"]
        assert session.remaining == {"calls": 0}


def test_ours_are_refused_from_then_on(captured: Captured) -> None:
    """A call that can be stopped is, even if it would be a small one."""
    with ao.session("s", budget=ao.Budget(tokens=1500)):
        for _ in range(2):
            with their_call(captured):
                pass
        with pytest.raises(ao.BudgetExceeded), ao.model_call(provider="openai", model="gpt-4o-mini"):
            pass


@pytest.mark.parametrize("fails", [None, ValueError("broken"), "refuse"])
def test_a_function_is_asked_once(captured: Captured, fails: Any) -> None:
    """Whatever it does, their spans end and the program goes on."""
    seen = []

    def exceeded(error: ao.BudgetExceeded) -> None:
        seen.append(error.limit)
        if fails is not None:
            raise error if fails == "refuse" else fails

    with ao.session("s", budget=ao.Budget(calls=1, on_exceeded=exceeded)):
        for _ in range(3):
            with their_call(captured):
                pass
        assert seen == ["calls"]
        if fails is None:
            with ao.model_call(provider="openai", model="gpt-4o-mini"):
                pass
        else:
            with pytest.raises(ao.BudgetExceeded), ao.model_call(provider="openai", model="gpt-4o-mini"):
                pass
    assert len([span for span in captured.spans if span.name == "theirs"]) == 3


def test_the_prompt_may_be_on_the_outer_span(captured: Captured) -> None:
    """The counted span is without content, the one around it shows the prompt: that one is compared."""
    with ao.session("s") as session:
        for _ in range(3):
            with their_call(captured, "outer", **PROMPT), their_call(captured, "inner"):
                pass
    assert [finding.kind for finding in session.findings] == ["repeated_prompt"]
    assert session.findings[0].count == 3
    assert session.total.model_calls == 3


def test_prompts_on_both_spans_are_one(captured: Captured) -> None:
    """Where both show it, in their own words, it is compared once."""
    other = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hello"}
    with ao.session("s") as session:
        for _ in range(3):
            with their_call(captured, "outer", **PROMPT), their_call(captured, "inner", **other):
                pass
    assert [(finding.kind, finding.count) for finding in session.findings] == [("repeated_prompt", 3)]


def test_a_span_inside_one_that_was_looked_at(captured: Captured) -> None:
    """Ours looked at the call before it was sent; another one's span of it below is not a second step."""
    from otel_agentops.records import ModelCall
    from otel_agentops.spans import current, start_annotated

    recorder = current()
    assert recorder is not None
    with ao.session("s") as session:
        for _ in range(3):
            with their_call(captured, "outer"):
                call = start_annotated(recorder, ModelCall("openai", "gpt-4o-mini", digest="d" * 32))
                assert call is not None
                with their_call(captured, "inner", **PROMPT):
                    pass
                call.finish()
    assert [(finding.kind, finding.count) for finding in session.findings] == [("repeated_prompt", 3)]
