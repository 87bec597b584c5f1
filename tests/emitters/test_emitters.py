"""Real emitters, driven by the real SDKs on recorded answers: every call counted once, at its price."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

from emitters.billing import Billed, billed
from emitters.golden import run

NEEDS: dict[str, tuple[str, ...]] = {
    "openllmetry-openai": ("opentelemetry-instrumentation-openai",),
    "openllmetry-anthropic": ("opentelemetry-instrumentation-anthropic",),
    "openllmetry-langchain": ("opentelemetry-instrumentation-langchain", "langchain-anthropic"),
    "openinference-openai": ("openinference-instrumentation-openai",),
    "openinference-anthropic": ("openinference-instrumentation-anthropic",),
    "openinference-langchain": ("openinference-instrumentation-langchain", "langchain-anthropic"),
    "genai-openai": ("opentelemetry-instrumentation-genai-openai",),
    "native-anthropic": ("anthropic>=2",),
    "pydantic-ai": ("pydantic-ai-slim",),
    "logfire": ("logfire", "pydantic-ai-slim"),
    "openlit": ("openlit",),
    "autogen": ("autogen-agentchat", "openinference-instrumentation-openai"),
    "mcp": ("mcp", "autogen-agentchat"),
    "strands": ("strands-agents",),
    "ag2": ("ag2",),
    "three-vendors-openai": (
        "opentelemetry-instrumentation-openai",
        "openinference-instrumentation-openai",
        "opentelemetry-instrumentation-genai-openai",
    ),
    "three-vendors-anthropic": (
        "opentelemetry-instrumentation-anthropic",
        "openinference-instrumentation-anthropic",
    ),
    "langchain-and-providers": (
        "opentelemetry-instrumentation-langchain",
        "openinference-instrumentation-langchain",
        "langchain-anthropic",
    ),
    "ours-and-vendors": (
        "opentelemetry-instrumentation-openai",
        "opentelemetry-instrumentation-genai-openai",
    ),
    "vendors-and-ours": (
        "opentelemetry-instrumentation-openai",
        "opentelemetry-instrumentation-genai-openai",
    ),
}
"""Programs, and the distributions without which each is skipped, perhaps with the least major version."""


@pytest.fixture(scope="module", params=NEEDS)
def ran(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What one program printed."""
    for need in NEEDS[request.param]:
        name, _, least = need.partition(">=")
        try:
            found = version(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
        if int(found.partition(".")[0]) < int(least or 0):
            pytest.skip(f"{name} {found} is too old")
    return run(request.param)


def counted(ran: dict[str, Any]) -> list[Decimal]:
    """Costs on all spans, smallest first."""
    return sorted(
        Decimal(repr(span["attributes"]["gen_ai.usage.cost"]))
        for span in ran["spans"]
        if span["attributes"].get("gen_ai.usage.cost")
    )


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
    expected = sorted(each.cost_usd for each in answers)
    assert [float(each) for each in counted(ran)] == pytest.approx([float(e) for e in expected], rel=1e-12)


def test_every_span_is_in_the_session(ran: dict[str, Any]) -> None:
    """Foreign spans are stamped with the session they belong to."""
    spans = [span for span in ran["spans"] if span["scope"] != "otel_agentops"]
    assert spans
    assert {span["attributes"].get("session.id") for span in spans} == {"the session"}
