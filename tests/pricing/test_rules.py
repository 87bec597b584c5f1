"""Rules of the user: which one wins, and what it does to the price."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otel_agentops.pricing import Adjust, Alias, Price, PriceBook
from otel_agentops.records import Cost

MILLION = {"input_tokens": 1_000_000, "output_tokens": 0}
Run = Callable[..., Cost]


def rule(match: str, usd: int, **more: Any) -> Price:
    """A price for OpenAI models that is easy to recognise."""
    return Price(provider=more.pop("provider", "openai"), match=match, input=usd, output=0, **more)


@pytest.mark.parametrize(
    "rules",
    [
        [rule("gpt-4o", 7), rule("gpt-*", 1)],
        [rule("gpt-4?", 7), rule("re:gpt-.*", 1)],
        [rule("re:gpt-.*", 7), rule("*", 1)],
        [rule("gpt-*", 1), rule("gpt-*", 7)],
        [rule("*", 7), rule("*", 1, provider="*")],
        [rule("gpt-4o", 7, when={"operation": "chat"}), rule("gpt-4o", 1)],
        [rule("gpt-4o", 7), rule("gpt-4o", 1, until="2026-01-01")],
        [rule("gpt-4o", 7), rule("gpt-4o", 1, from_="2027-01-01")],
        [rule("GPT-4O", 7), rule("gpt-5", 1)],
    ],
    ids=["exact", "glob", "regex", "later", "provider", "condition", "ended", "not begun", "case"],
)
def test_most_specific_rule_wins(price: Run, rules: list[Price]) -> None:
    """Exact beats glob beats regular expression beats `*`; then the rule that was added later."""
    model = "gpt-4x" if rules[0].match == "gpt-4?" else "gpt-4o"
    cost = price("openai", model, book=PriceBook(rules), **MILLION)
    assert cost == Cost(Decimal(7), "override")


def test_a_rule_holds_from_its_first_until_its_last_day(price: Run) -> None:
    """`from` is the first day of a rule, `until` the first day without it."""
    book = PriceBook([rule("gpt-4o", 7, from_="2026-05-01", until="2026-05-03")])
    moments = ["2026-04-30T23:59:59Z", "2026-05-01T00:00:00Z", "2026-05-02T23:59:59Z", "2026-05-03T00:00:00Z"]
    costs = [price("openai", "gpt-4o", at=at, book=book, **MILLION).source for at in moments]
    assert costs == ["genai-prices", "override", "override", "genai-prices"]


def test_a_rule_can_hold_on_some_days(price: Run) -> None:
    """Days of the week are those of UTC; the plan of a Friday is not used on Saturday."""
    book = PriceBook([rule("gpt-4o", 7, days=("sat", "sun"))])
    moments = [f"2026-11-{day}T{time}Z" for day in (20, 21, 22, 23) for time in ("00:00:00", "23:59:59")]
    costs = [price("openai", "gpt-4o", at=at, book=book, **MILLION).source for at in moments]
    assert costs == ["genai-prices"] * 2 + ["override"] * 4 + ["genai-prices"] * 2


def test_rules_in_code_win_over_files(price: Run, tmp_path: Path) -> None:
    """What is said in code beats what is said in a file, however specific the file is."""
    file = tmp_path / "prices.json"
    file.write_text('{"price": [{"provider": "openai", "match": "gpt-4o", "input": 1}]}')
    assert price("openai", "gpt-4o", book=PriceBook([rule("*", 7)], [file]), **MILLION).usd == 7
    assert price("openai", "gpt-4o", book=PriceBook(files=[file]), **MILLION).usd == 1


def test_price_replaces_the_card(price: Run) -> None:
    """A whole price does not keep a rate of the card: cached tokens cost what input costs."""
    book = PriceBook([Price(provider="openai", match="gpt-4o", input=4, output=8)])
    cost = price("openai", "gpt-4o", book=book, cache_read_input_tokens=500_000, **MILLION)
    assert (cost.usd, cost.flags) == (Decimal(4), ("missing_rate",))


def test_patch_keeps_the_other_rates(price: Run) -> None:
    """A patch replaces what it names; the card's cache rate of 1.25 stays."""
    book = PriceBook([Price(provider="openai", match="gpt-4o", input=4, patch=True)])
    cost = price("openai", "gpt-4o", book=book, cache_read_input_tokens=500_000, **MILLION)
    assert cost == Cost(Decimal("2.625"), "override")


def test_patches_add_up(price: Run) -> None:
    """Patches lie over each other and over the price below."""
    book = PriceBook(
        [
            rule("*", 7),
            rule("gpt-*", 3, patch=True),
            Price(provider="*", match="*", request="0.5", patch=True),
        ]
    )
    assert price("openai", "gpt-4o", book=book, **MILLION).usd == 3


def test_free_is_zero_and_priced(price: Run) -> None:
    """A rate of 0 means free, which is not the same as unknown."""
    book = PriceBook([Price(provider="acme", match="*", input=0, output=0)])
    assert price("acme", "anything", book=book) == Cost(Decimal(0), "override")


def test_fees_and_long_prompts(price: Run) -> None:
    """A request fee, a fee for each search, and rates above a number of input tokens."""
    book = PriceBook(
        [
            Price(
                provider="acme",
                match="m",
                input="1",
                output="2",
                request="0.01",
                tool={"web_search": "0.25"},
                above={"tokens": 100, "input": "10"},
            )
        ]
    )
    at = price("acme", "m", book=book, input_tokens=100, output_tokens=10, web_searches=2)
    over = price("acme", "m", book=book, input_tokens=101, output_tokens=10, web_searches=2)
    assert (at.usd, over.usd) == (Decimal("0.51012"), Decimal("0.51103"))


def test_alias_of_a_deployment(price: Run) -> None:
    """An Azure deployment is priced as the model behind it, by its request name."""
    book = PriceBook([Alias(provider="azure.ai.openai", match="prod-*", model="gpt-4o")])
    assert price("azure.ai.openai", "prod-eu", book=book).usd == price("azure", "gpt-4o").usd
    assert price("azure.ai.openai", "prod-eu").reason == "unknown_model"


def test_alias_of_a_profile_arn(price: Run) -> None:
    """An inference profile's ARN is a name like any other."""
    arn = "arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc"
    book = PriceBook([Alias(provider="aws.bedrock", match=arn, model="amazon.nova-pro-v1:0")])
    assert price("aws.bedrock", arn, book=book).usd == price("aws.bedrock", "amazon.nova-pro-v1:0").usd


def test_alias_leads_to_a_price_rule(price: Run) -> None:
    """An alias may point to a model that only a rule prices."""
    book = PriceBook([Alias(provider="*", match="re:my-(.*)", model=r"\1"), rule("big", 7)])
    assert price("openai", "my-big", book=book, **MILLION).usd == 7


def test_adjust_multiplies_tokens_not_fees(price: Run) -> None:
    """A discount is on tokens; a web search costs what it costs."""
    book = PriceBook([Adjust(provider="openai", match="*", multiply="0.5")])
    cost = price("openai", "gpt-4o", book=book, web_searches=1, **MILLION)
    assert cost == Cost(Decimal("1.26"), "override")


def test_a_discount_at_openai_is_none_at_azure(price: Run) -> None:
    """A rule is about the provider it names, even where another one sells by the same list."""
    book = PriceBook([Adjust(provider="openai", match="*", multiply="0.5")])
    assert price("azure.ai.openai", "gpt-4o", book=book) == price("azure.ai.openai", "gpt-4o")


def test_a_rule_is_about_who_answers(price: Run) -> None:
    """A discount at OpenAI is none for OpenAI's client that is pointed at Groq."""
    book = PriceBook([Adjust(provider="openai", match="*", multiply="0.5")])
    call = {"provider": "openai", "model": "llama-3.3-70b-versatile", "server_address": "api.groq.com"}
    assert price(**call, book=book) == price(**call)


def test_adjusts_of_different_conditions_multiply(price: Run) -> None:
    """A discount for all calls and a surcharge for some go together; of the same kind, one counts."""
    book = PriceBook(
        [
            Adjust(provider="anthropic", match="*", multiply="0.9"),
            Adjust(provider="anthropic", match="claude-*", multiply="0.8"),
        ]
    )
    cost = price("anthropic", "claude-opus-5", book=book, inference_geo="us", **MILLION)
    assert cost.usd == Decimal(5) * Decimal("0.8") * Decimal("1.1")


def test_our_corrections_leave_the_users_price_alone(price: Run) -> None:
    """Who names a price means it: our surcharges are not put on top."""
    book = PriceBook([rule("*", 7, provider="anthropic")])
    assert price("anthropic", "claude-opus-5", book=book, inference_geo="us", **MILLION).usd == 7


def test_a_rule_can_name_a_tier(price: Run) -> None:
    """A condition picks the calls, and the tier then counts as applied."""
    book = PriceBook([rule("gpt-4o", 7, when={"service_tier": "scale"})])
    assert price("openai", "gpt-4o", book=book, service_tier="scale", **MILLION) == Cost(
        Decimal(7), "override"
    )
    assert price("openai", "gpt-4o", book=book, service_tier="huge", **MILLION).flags == ("tier_not_applied",)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Price(provider="p", match="m", input=-1), "input"),
        (lambda: Price(provider="p", match="m", input="many"), "input"),
        (lambda: Price(provider="p", match="m", input=float("nan")), "input"),
        (lambda: Price(provider="p", match="m"), "no price given"),
        (lambda: Price(provider="", match="m", input=1), "provider"),
        (lambda: Price(provider=[], match="m", input=1), "provider"),
        (lambda: Price(provider="p", match="re:(", input=1), "match"),
        (lambda: Price(provider="p", match="m", input=1, from_="soon"), "from"),
        (lambda: Price(provider="p", match="m", input=1, days=["Sunday"]), "days"),
        (lambda: Price(provider="p", match="m", input=1, days="sun"), "days"),
        (lambda: Price(provider="p", match="m", input=1, when={"weather": "fine"}), "when.weather"),
        (lambda: Price(provider="p", match="m", input=1, tool={"hammer": 1}), "tool.hammer"),
        (lambda: Price(provider="p", match="m", input=1, above={"input": 2}), "above.tokens"),
        (lambda: Price(provider="p", match="m", input=1, above={"tokens": 5, "output": 2}), "above.output"),
        (lambda: Price(provider="p", match="m", input=1, patch="yes"), "patch"),
        (lambda: Alias(provider="p", match="m", model=""), "model"),
        (lambda: Adjust(provider="p", match="m", multiply=-2), "multiply"),
    ],
)
def test_a_wrong_rule_is_refused_when_it_is_made(make: Callable[[], Any], key: str) -> None:
    """The error names the key, long before any call is priced."""
    with pytest.raises(ValueError, match=key):
        make()
