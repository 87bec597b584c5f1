"""The price book: sources in order, flags, reasons, and what it never does."""

from __future__ import annotations

import decimal
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from otel_agentops import failsafe
from otel_agentops.pricing import FLAGS, REASONS, SOURCES, Price, PriceBook
from otel_agentops.pricing.outcome import ADVICE
from otel_agentops.records import Cost, ModelCall, Usage

from .calls import NOON, model_call, nanoseconds

Run = Callable[..., Cost]
RULE = Price(provider="openai", match="gpt-4o", input=7, output=7)


def test_sources_in_order(price: Run) -> None:
    """Reported beats hook beats rule beats correction beats cards."""
    book = PriceBook([RULE], price_hook=lambda call: Decimal(3) if call.seed else None)
    costs = [
        price("openai", "gpt-4o", book=book, reported_cost_usd=Decimal("0.1"), seed=1),
        price("openai", "gpt-4o", book=book, seed=1),
        price("openai", "gpt-4o", book=book),
        price("openai", "ft:gpt-4.1:a", book=book),
        price("openai", "gpt-5", book=book),
    ]
    assert tuple(cost.source for cost in costs) == SOURCES


def test_a_failing_hook_is_passed_over(price: Run) -> None:
    """A hook that raises or returns nonsense leaves the price to the others."""
    failsafe.reraise(False)
    for answer in (lambda _: 1 / 0, lambda _: "cheap", lambda _: Decimal(-1), lambda _: Decimal("nan")):
        assert price("openai", "gpt-4o", book=PriceBook(price_hook=answer)).source == "genai-prices"


@pytest.mark.parametrize("reported", [Decimal("-1"), Decimal("inf"), "much", True])
def test_a_reported_cost_that_is_none(price: Run, reported: Any) -> None:
    """What is reported but is not an amount is not believed."""
    assert price("openai", "gpt-4o", reported_cost_usd=reported).source == "genai-prices"


REASON_CASES: dict[str, dict[str, Any]] = {
    "no_usage": {"provider": "openai", "model": "gpt-4o", "usage": None},
    "no_provider": {"provider": None, "model": "gpt-4o"},
    "unknown_provider": {"provider": "acme_ai", "model": "gpt-4o"},
    "no_model": {"provider": "openai", "model": None},
    "unknown_model": {"provider": "openai", "model": "totally-new-model-9"},
    "no_token_rate": {"provider": "openai", "model": "whisper-1"},
    "invalid_usage": {"provider": "openai", "model": "gpt-4o", "input_tokens": -1},
}


@pytest.mark.parametrize("reason", REASON_CASES)
def test_unpriced_has_a_reason(price: Run, reason: str) -> None:
    """No price is no amount, and one of the documented reasons."""
    assert price(**REASON_CASES[reason]) == Cost(None, reason=reason)


def test_every_reason_has_a_case_and_advice() -> None:
    """The tables are whole; the reason without a case needs a bug of ours."""
    assert set(REASONS) == {*REASON_CASES, "internal_error"} == set(ADVICE)


FLAG_CASES: dict[str, dict[str, Any]] = {
    "tier_not_applied": {"provider": "openai", "model": "gpt-4o", "service_tier": "scale"},
    "missing_rate": {
        "provider": "openai",
        "model": "gpt-audio",
        "input_tokens": 9,
        "cache_read_input_tokens": 5,
        "output_tokens": 1,
    },
    "provider_fallback": {"provider": "azure.ai.openai", "model": "gpt-4o"},
    "azure_list_estimate": {"provider": "azure.ai.openai", "model": "gpt-4o", "processing": "batch"},
    "partial_usage": {"provider": "openai", "model": "gpt-4o", "input_tokens": 5},
    "usage_normalized": {
        "provider": "anthropic",
        "model": "claude-opus-5",
        "input_tokens": 5,
        "cache_read_input_tokens": 9,
        "output_tokens": 1,
    },
}


@pytest.mark.parametrize("flag", FLAGS)
def test_an_estimate_is_flagged(price: Run, flag: str) -> None:
    """Each flag says what may be inexact; the call still has a price."""
    cost = price(**FLAG_CASES[flag])
    assert cost.flags == (flag,)
    assert cost.usd is not None


@pytest.mark.parametrize("tier", [None, "", "auto", "default", "standard", "STANDARD", "on_demand"])
def test_standard_tiers_are_the_list_price(price: Run, tier: str | None) -> None:
    """A tier that means nothing special is no condition and no flag."""
    assert price("openai", "gpt-4o", service_tier=tier) == price("openai", "gpt-4o")


def test_embeddings_have_no_output(price: Run) -> None:
    """Embeddings report only input, and that is all there is."""
    cost = price("openai", "text-embedding-3-small", operation="embeddings", input_tokens=1000)
    assert cost == Cost(Decimal("0.00002"), "genai-prices")


@pytest.mark.parametrize(
    "counts",
    [
        {"cache_read_input_tokens": 1001},
        {"cache_read_input_tokens": 600, "cache_write_input_tokens": 600},
        {"cache_write_input_tokens": 5, "cache_write_1h_input_tokens": 6},
        {"audio_input_tokens": 1001},
        {"audio_input_tokens": 600, "image_input_tokens": 600},
        {"reasoning_output_tokens": 101},
        {"audio_output_tokens": 101},
        {"input_tokens": -1},
        {"output_tokens": -1},
        {"web_searches": -1},
        {"input_tokens": 1.5},
        {"input_tokens": "many"},
    ],
)
def test_contradicting_counts_are_invalid(price: Run, counts: dict[str, Any]) -> None:
    """A part larger than the whole is never priced, never negative and never raises."""
    whole = {"input_tokens": 1000, "output_tokens": 100}
    assert price("openai", "gpt-4o", **(whole | counts)).reason == "invalid_usage"


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"server_address": "api.x.ai"}, 3000),
        ({"server_address": "https://api.x.ai:443/v1", "api_type": "chat_completions"}, 3000),
        ({"server_address": "api.x.ai", "api_type": "responses"}, 1000),
        ({}, 1000),
        ({"operation": "embeddings", "server_address": "api.x.ai"}, 1000),
    ],
)
def test_xai_chat_leaves_reasoning_out(price: Run, fields: dict[str, Any], output: int) -> None:
    """Only xAI's chat endpoint reports reasoning apart; elsewhere it is a part of the output."""
    counts = {"input_tokens": 0, "reasoning_output_tokens": 2000 if output == 3000 else 500}
    cost = price("x_ai", "grok-4.20-0309-reasoning", output_tokens=1000, **counts, **fields)
    assert cost.usd == Decimal("2.5") * output / 1_000_000


def test_the_applications_decimal_context_does_not_matter(price: Run) -> None:
    """An application that rounds to 4 digits and traps everything gets the same exact price."""
    expected = price("openai", "gpt-4o", input_tokens=123_457, output_tokens=7)
    signals = dict.fromkeys(decimal.Context().traps, True)
    with decimal.localcontext(decimal.Context(prec=4, traps=signals)):
        book = PriceBook([Price(provider="acme", match="m", input="1.23456789", output=0)])
        assert price("openai", "gpt-4o", book=book, input_tokens=123_457, output_tokens=7) == expected
        cost = price("acme", "m", book=book, input_tokens=1, output_tokens=0)
    assert (expected.usd, cost.usd) == (Decimal("0.3087125"), Decimal("0.00000123456789"))


def test_time_goes_both_ways(price: Run) -> None:
    """A remembered plan is not used outside its time, in whatever order calls come."""
    book = PriceBook()
    call = {"provider": "gcp.gemini", "model": "gemini-3.8-flash", "book": book}
    promo = price(**call, at="2026-12-31T23:59:59Z").usd
    later = price(**call, at="2027-01-01T00:00:00Z").usd
    assert promo is not None
    assert later == promo * 2
    assert price(**call, at=NOON).usd == promo


def test_unpriced_calls_are_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Every call is counted; the log has one warning, which says what to do."""
    book = PriceBook()
    with caplog.at_level(logging.WARNING, logger="otel_agentops"):
        for _ in range(3):
            book.price(model_call("openai", "brand-new-1"), 0)
    assert book.unpriced == {("openai", "brand-new-1", "unknown_model"): 3}
    assert len(caplog.records) == 1
    assert "[[alias]]" in caplog.records[0].getMessage()


def test_a_failed_call_without_usage_is_no_loss() -> None:
    """What failed before any usage was not billed, so it is not counted among the unpriced."""
    book = PriceBook()
    failed = model_call("openai", "gpt-4o", usage=None, ending="error")
    assert book.price(failed, 0) == Cost(None, reason="no_usage")
    assert not book.unpriced


def test_nothing_grows_with_traffic() -> None:
    """Ten thousand names are remembered neither as plans nor as unpriced."""
    book = PriceBook()
    for number in range(5000):
        book.price(model_call("openai", f"model-{number}"), 0)
    assert len(book._resolutions) <= 4096
    assert len(book.unpriced) == 4096


def test_a_bug_of_ours_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails inside, the call is unpriced and the caller sees nothing."""
    failsafe.reraise(False)
    book = PriceBook()
    monkeypatch.setattr(book, "_price", lambda *_: 1 / 0)
    assert book.price(model_call("openai", "gpt-4o"), 0).reason == "internal_error"


def test_threads_agree() -> None:
    """Thirty-two threads from a cold start price across a change of price and agree with one."""
    book, at = PriceBook(), [nanoseconds(f"2026-11-20T{hour:02}:30:00Z") for hour in range(24)]
    calls = [model_call(*kind) for kind in (("deepseek", "deepseek-v4-pro"), ("openai", "gpt-4o"))]
    jobs = [(call, moment) for _ in range(40) for call in calls for moment in at]
    with ThreadPoolExecutor(32) as pool:
        many = list(pool.map(lambda job: book.price(*job).usd, jobs))
    alone = PriceBook()
    assert many == [alone.price(*job).usd for job in jobs]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_prices() -> None:
    """After a fork, even with the counter's lock taken, the child prices and counts nothing twice."""
    book = PriceBook()
    call = ModelCall("openai", "gpt-4o", usage=Usage(1000, 100))
    expected = book.price(call, 0)
    book._unpriced._lock.acquire()
    child = os.fork()
    if child == 0:
        same = book.price(call, 0) == expected and book.price(model_call("openai", "x"), 0).usd is None
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
