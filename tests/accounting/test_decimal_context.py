"""Money is exact whatever decimal context the program has set for itself."""

from __future__ import annotations

import decimal
from decimal import Context, Decimal, FloatOperation, Inexact, Rounded
from typing import Any

import openai
import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture
from support.replay import ReplayServer, client_kwargs, load_exchanges

CHAT = load_exchanges("openai/openai__test_openai_prompt_caching_async.json", route="chat/completions")[1]
COST = Decimal("0.0002799")
AMOUNTS = ("gen_ai.usage.cost", "otel_agentops.total.cost_usd")
CONTEXTS = {
    "raises": Context(prec=3, traps=[Inexact, Rounded, FloatOperation]),
    "rounds": Context(prec=3, traps=[]),
    "rounds up": Context(prec=1, rounding=decimal.ROUND_UP, traps=[]),
}


def rules() -> list[ao.Price | ao.Adjust]:
    """Prices of the program's own, made where the context is already set."""
    price = ao.Price(
        provider="openai",
        match="gpt-4o-mini*",
        input="0.15003",
        output=0.60007,
        request="0.00012345",
        above={"tokens": 1000, "input": "0.30011"},
    )
    return [price, ao.Adjust(provider="openai", match="*", multiply="0.987654321")]


def played(own_prices: bool = False) -> dict[str, Any]:
    """Calls of a model until one is refused, tools that cost something, and what is told of all of it."""
    with (
        ReplayServer([CHAT]) as server,
        openai.OpenAI(**client_kwargs(server), max_retries=0) as client,
        capture(
            auto_session=False, instrument=["openai"], price_rules=rules() if own_prices else ()
        ) as captured,
    ):
        steps: list[Any] = []
        with (
            pytest.raises(ao.BudgetExceeded) as stopped,
            ao.session("s", budget=ao.Budget(usd="0.0017"), loops="off") as session,
        ):
            for _ in range(20):
                client.chat.completions.create(**CHAT.request)  # type: ignore[arg-type]
                steps.append((session.total.cost_usd, session.remaining))
        return {
            "calls": steps,
            "refused": (len(server.requests), str(stopped.value), stopped.value.spent.usd),
            "tools": tools(),
            "held": held(),
            "metric": costs(captured),
            "spans": [(span.name, *map(dict(span.attributes or {}).get, AMOUNTS)) for span in captured.spans],
        }


def tools() -> list[Any]:
    """Five executions fit to the last digit; rounded sums would stop the fifth."""
    steps: list[Any] = []
    with (
        pytest.raises(ao.BudgetExceeded) as stopped,
        ao.session("tools", budget=ao.Budget(usd=5.03), loops="off") as session,
    ):
        for _ in range(9):
            with ao.tool("look", cost_usd=1.006):
                steps.append((session.total.cost_usd, session.remaining))
    return [*steps, str(stopped.value), stopped.value.spent.usd, session.remaining]


def held() -> list[Any]:
    """What a call on its way holds, and what it then leaves."""
    with ao.session("held", budget=ao.Budget(usd="1.00001")) as session:
        call = ao.model_call(provider="openai", model="gpt-4o-mini", messages="x" * 4321, max_tokens=77)
        with call:
            during = session.remaining
            call.response(usage=ao.Usage(input_tokens=1237, output_tokens=71))
        return [during, session.remaining, session.total.cost_usd]


def costs(captured: Captured) -> list[tuple[dict[str, Any], Any]]:
    """Attributes and values of the counter of dollars."""
    return [
        (dict(point.attributes or {}), point.value)  # type: ignore[union-attr]
        for resource in captured.metrics.resource_metrics  # type: ignore[union-attr]
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "otel_agentops.cost_usd"
        for point in metric.data.data_points
    ]


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_rate_cards(context: str) -> None:
    """Totals, budgets, refusals, spans and the counter are those of the same run without the context."""
    wanted = played()
    with decimal.localcontext(CONTEXTS[context]):
        assert played() == wanted
    assert [spent for spent, _ in wanted["calls"]] == [COST * n for n in range(1, len(wanted["calls"]) + 1)]
    assert wanted["refused"][0] == len(wanted["calls"]) >= 2
    assert len(wanted["tools"]) - 3 == 5
    assert wanted["tools"][-2:] == [Decimal("5.03"), {"usd": 0}]


@pytest.mark.parametrize("context", CONTEXTS)
def test_prices_of_the_program(context: str) -> None:
    """The same with its own prices, factors and fees, however it wrote them."""
    wanted = played(own_prices=True)
    with decimal.localcontext(CONTEXTS[context]):
        assert played(own_prices=True) == wanted
    assert wanted["calls"][0][0] != COST
