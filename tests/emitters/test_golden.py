"""Spans that real emitters wrote, played back: every call counted once, at its price."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import otel_agentops as ao
from emitters.golden import FOLDER
from otel_agentops.testing import capture

FILES = sorted(FOLDER.glob("*.json"))

BEGIN_NS = 1_795_000_000_000_000_000


def play(spans: list[dict[str, Any]], provider: TracerProvider) -> None:
    """Start and end the spans in the order of their times."""
    live: dict[int, Any] = {}
    moments = sorted(
        [(span["start_us"], 0, span["id"], span) for span in spans]
        + [(span["end_us"], 1, -span["id"], span) for span in spans],
        key=lambda each: each[:3],
    )
    for at_us, ends, _, span in moments:
        if ends:
            live[span["id"]].set_attributes(span["attributes"])
            live[span["id"]].end(BEGIN_NS + at_us * 1000)
        else:
            parent = live.get(span["parent"])
            context = trace.set_span_in_context(parent) if parent is not None else None
            tracer = provider.get_tracer(span["scope"])
            live[span["id"]] = tracer.start_span(span["name"], context, start_time=BEGIN_NS + at_us * 1000)


def test_there_are_golden_spans() -> None:
    """The data are there."""
    assert len(FILES) >= 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_session_is_what_the_provider_billed(path: Any) -> None:
    """Calls, tokens and dollars of the session are those of the recorded answers."""
    golden = json.loads(path.read_text("utf-8"))
    with capture(auto_session=False, instrument=[]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        with ao.session("s") as session:
            play(golden["spans"], captured.provider)
    total, served = session.total, golden["served"]
    assert total.model_calls == len(served)
    assert total.input_tokens == sum(each["input_tokens"] for each in served)
    assert total.output_tokens == sum(each["output_tokens"] for each in served)
    assert total.cost_usd == sum((Decimal(each["cost_usd"]) for each in served), Decimal(0))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_emitters_wrote_stays(path: Any) -> None:
    """No attribute of theirs is changed but their own estimate of the cost."""
    golden = json.loads(path.read_text("utf-8"))
    with capture(auto_session=False, instrument=[]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        play(golden["spans"], captured.provider)
        found = [dict(span.attributes or {}) for span in captured.spans]
    for span in golden["spans"]:
        wrote = {key: tuple(v) if isinstance(v, list) else v for key, v in span["attributes"].items()}
        wrote.pop("gen_ai.usage.cost", None)
        assert any(wrote.items() <= each.items() for each in found), span["name"]
