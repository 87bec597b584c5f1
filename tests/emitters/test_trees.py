"""Traces of emitters that do not run here, put together from the names that they publish.

`tests/data/dialect_trees.json` has the spans, in the order of their starts, and what the provider answered.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from opentelemetry import trace

import otel_agentops as ao
from otel_agentops.testing import Captured, capture

TREES: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "dialect_trees.json").read_text("utf-8")
)


def play(tree: dict[str, Any], captured: Captured) -> None:
    """Start and end the spans; one ends when the next one does not stand inside it."""
    tracer = captured.provider.get_tracer(tree["scope"])
    spans = tree["spans"]

    def run(number: int) -> None:
        with tracer.start_as_current_span(spans[number]["name"]) as span:
            for inner, each in enumerate(spans):
                if each["parent"] == number:
                    run(inner)
            span.set_attributes(spans[number]["attributes"])

    for number, span in enumerate(spans):
        if span["parent"] is None:
            run(number)


def price(served: dict[str, Any]) -> Decimal:
    """What genai-prices itself makes of an answer."""
    usage = Usage(
        input_tokens=served["input_tokens"],
        output_tokens=served["output_tokens"],
        cache_read_tokens=served["cache_read_tokens"],
        cache_write_tokens=served["cache_write_tokens"],
    )
    return calc_price(usage, served["model"], provider_id=served["provider"]).total_price


@pytest.mark.parametrize("name", TREES)
def test_a_trace_is_what_the_provider_billed(name: str) -> None:
    """Each call is counted once, at its price, whatever the spans around it repeat."""
    tree = TREES[name]
    with capture(auto_session=False, instrument=[]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        with ao.session("s") as session:
            play(tree, captured)
        spans = [dict(span.attributes or {}) for span in captured.spans]
    total, served = session.total, tree["served"]
    costs = sorted(price(each) for each in served)
    assert total.model_calls == len(served)
    assert total.input_tokens == sum(each["input_tokens"] for each in served)
    assert total.output_tokens == sum(each["output_tokens"] for each in served)
    assert total.cost_usd == sum(costs)
    found = sorted(cost for each in spans if (cost := each.get("gen_ai.usage.cost")))
    assert found == pytest.approx([float(cost) for cost in costs], rel=1e-12)


@pytest.mark.parametrize("name", TREES)
def test_every_span_joins_the_session(name: str) -> None:
    """Also agents, tools and steps, which are no calls; parents stay what they were."""
    tree = TREES[name]
    with capture(auto_session=False, instrument=[]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        with ao.session("s", session_id="the session"):
            assert trace.get_current_span().is_recording()
            play(tree, captured)
        theirs = [span for span in captured.spans if span.name != "invoke_workflow s"]
    assert len(theirs) == len(tree["spans"])
    for span in theirs:
        wrote = (span.attributes or {}).get("session.id")
        assert wrote == ("x" if span.name == "claude_code.interaction" else "the session")
