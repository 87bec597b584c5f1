"""Each shipped correction is still needed, and says where its numbers can be checked."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import otel_agentops.pricing
from otel_agentops.pricing import PriceBook
from otel_agentops.pricing.rulefiles import read_rules
from otel_agentops.records import Cost

RULES = read_rules(Path(otel_agentops.pricing.__file__).with_name("corrections.toml"))
CARDS_ALONE = PriceBook(corrections=False)

TOKENS = {"input_tokens": 150_000, "output_tokens": 1000}
AUDIO = {**TOKENS, "audio_input_tokens": 1000, "audio_output_tokens": 500}

# One call for each rule, in the order of the file: what it costs with the rule.
EXAMPLES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"provider": "deepseek", "model": "deepseek-chat", "at": "2026-03-01T03:00:00Z"}, "0.04242"),
    ({"provider": "deepseek", "model": "deepseek-v4-flash", "at": "2026-06-25T02:00:00Z"}, "0.02128"),
    ({"provider": "deepseek", "model": "deepseek-v4-pro", "at": "2026-06-25T02:00:00Z"}, "0.06612"),
    ({"provider": "deepseek", "model": "deepseek-flash", "at": "2026-11-21T02:00:00Z"}, "0.0231"),
    ({"provider": "deepseek", "model": "deepseek-v4-pro", "at": "2026-11-22T07:00:00Z"}, "0.10098"),
    ({"provider": "perplexity", "model": "sonar"}, "0.156"),
    ({"provider": "perplexity", "model": "sonar-pro"}, "0.471"),
    ({"provider": "openai", "model": "gpt-4o-audio-preview", **AUDIO}, "0.4575"),
    ({"provider": "openai", "model": "ft:gpt-4.1-2025-04-14:acme::x"}, "0.462"),
    ({"provider": "x_ai", "model": "grok-4-0709"}, "0.93"),
    ({"provider": "openai", "model": "ft:gpt-4o-mini:acme::x"}, "0.0462"),
    ({"provider": "openai", "model": "text-embedding-3-large", "processing": "batch"}, "0.00975"),
    (
        {"provider": "anthropic", "model": "claude-opus-5", "processing": "batch", "at": "2026-09-01T00:00Z"},
        "0.3875",
    ),
    ({"provider": "anthropic", "model": "claude-opus-5", "inference_geo": "us"}, "0.8525"),
)


@pytest.mark.parametrize(
    ("rule", "example", "usd"),
    [(rule, *example) for rule, example in zip(RULES, EXAMPLES, strict=True)],
    ids=[f"{rule.provider[0]}:{rule.match}" for rule in RULES],
)
def test_correction_is_still_needed(
    price: Callable[..., Cost], rule: Any, example: dict[str, Any], usd: str
) -> None:
    """With the rule the price is the vendor's; once genai-prices agrees, this fails and the rule goes."""
    call = {**TOKENS, **example}
    assert price(**call).usd == Decimal(usd)
    assert price(**call, book=CARDS_ALONE).usd != Decimal(usd), f"genai-prices agrees now: remove {rule}"


@pytest.mark.parametrize("rule", RULES, ids=[rule.match for rule in RULES])
def test_correction_names_its_page(rule: Any) -> None:
    """Nobody has to believe a correction: it has an address to check and a reason."""
    assert all(url.startswith("https://") for url in rule.url.split())
    assert rule.url
    assert rule.note


def test_corrections_are_few() -> None:
    """Corrections are for what genai-prices has wrong today; a price list of our own is not wanted."""
    assert len(RULES) <= 14


def test_old_claude_has_no_regional_surcharge(price: Callable[..., Cost]) -> None:
    """Models before Opus 4.6 do not have the setting, so their price stays."""
    with_geo = price("anthropic", "claude-sonnet-4-5", inference_geo="us")
    assert with_geo == price("anthropic", "claude-sonnet-4-5")
