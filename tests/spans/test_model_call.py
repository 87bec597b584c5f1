"""Model calls of the program's own making."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture
from support.conventions import check_metrics, check_span


def test_everything_that_can_be_said(profile: str) -> None:
    """A call with all its fields is valid in each profile."""
    with capture(semconv=profile, capture_content=True, auto_session=False) as captured:
        with ao.model_call(
            provider="anthropic",
            model="claude-sonnet-4-5",
            messages=[{"role": "user", "content": "hi"}],
            system="be brief",
            tools=[{"type": "function", "name": "f"}],
            stream=True,
            temperature=0.1,
            top_p=0.5,
            max_tokens=5,
            conversation_id="c",
            server_address="api.anthropic.com",
            server_port=443,
        ) as call:
            call.first_chunk()
            call.response(
                model="claude-sonnet-4-5-20250929",
                usage=ao.Usage(
                    input_tokens=12000,
                    output_tokens=500,
                    cache_read_input_tokens=8000,
                    cache_write_input_tokens=3000,
                    cache_write_1h_input_tokens=2000,
                ),
                finish_reasons=["stop"],
                output="hello",
                response_id="r",
            )
        assert call.cost_usd == Decimal("0.02865")
        (span,) = captured.spans
        assert check_span(span, profile) == []
        assert check_metrics(captured.metrics, profile) == []
        written = {"1.41": "cache_creation", "latest": "cache_write"}[profile]
        attributes = span.attributes or {}
        assert attributes[f"gen_ai.usage.{written}.input_tokens"] == 3000
        assert attributes["otel_agentops.usage.cache_creation_1h_input_tokens"] == 2000
        (message,) = json.loads(str(attributes["gen_ai.output.messages"]))
        assert message["parts"] == [{"type": "text", "content": "hello"}]


def test_reported_cost_wins(captured: Captured) -> None:
    """What the provider says it costs is what it costs."""
    with ao.model_call(provider="openai", model="gpt-4o-mini") as call:
        call.response(usage=ao.Usage(input_tokens=10, output_tokens=2), cost_usd="0.5")
    attributes = captured.spans[0].attributes or {}
    assert attributes["gen_ai.usage.cost"] == 0.5
    assert attributes["otel_agentops.cost.source"] == "reported"


def test_batch_costs_half(captured: Captured) -> None:
    """A call billed as a batch is priced as one."""
    costs = []
    for processing in (None, "batch"):
        with ao.model_call(provider="openai", model="gpt-4o-mini", processing=processing) as call:
            call.response(usage=ao.Usage(input_tokens=1000, output_tokens=1000))
        costs.append(call.cost_usd)
    assert costs[0] == 2 * costs[1]  # type: ignore[operator]
    assert (captured.spans[1].attributes or {})["otel_agentops.request.processing"] == "batch"


def test_cost_names_of_the_proposal() -> None:
    """The open proposal's names are written instead of ours, not besides."""
    with (
        capture(cost_names="otel-443", auto_session=False) as captured,
        ao.model_call(provider="openai", model="gpt-4o-mini") as call,
    ):
        call.response(usage=ao.Usage(input_tokens=10, output_tokens=2))
    attributes = captured.spans[0].attributes or {}
    assert "gen_ai.usage.cost" not in attributes
    assert attributes["gen_ai.usage.cost.amount"] == pytest.approx(2.7e-6)
    assert attributes["gen_ai.usage.cost.currency"] == "USD"
    assert attributes["gen_ai.usage.cost.source"] == "local"


def test_core_attributes_survive_the_limit() -> None:
    """With a small attribute limit, tokens and cost are what is left."""
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=5))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    ao.init(tracer_provider=provider, auto_session=False)
    try:
        with ao.model_call(provider="openai", model="gpt-4o-mini") as call:
            for number in range(20):
                call.span.set_attribute(f"mine.{number}", number)  # type: ignore[union-attr]
            call.response(usage=ao.Usage(input_tokens=10, output_tokens=2))
    finally:
        ao.shutdown()
    assert set(exporter.get_finished_spans()[0].attributes or {}) >= {
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cost",
    }


def test_odd_input_never_raises(captured: Captured) -> None:
    """Whatever is handed over, the block runs."""
    with ao.model_call(provider="openai", model="m", messages=object(), tools=None) as call:
        call.response(usage=None, finish_reasons="stop", output=object())
    assert len(captured.spans) == 1


def test_content_is_off_unless_asked() -> None:
    """Messages given to a call are not written without the setting."""
    with (
        capture(auto_session=False) as captured,
        ao.model_call(provider="openai", model="m", messages="secret", system="secret") as call,
    ):
        call.response(output="secret")
    assert "secret" not in str(dict(captured.spans[0].attributes or {}))
