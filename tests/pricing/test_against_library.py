"""The shipped cards give what genai-prices itself gives, whatever the call.

The library is the oracle: it gets the usage that the conventions' counts mean, and its answer has to
be ours to the last digit. Corrections are off, so that only the cards speak.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

import genai_prices
from genai_prices import data
from genai_prices.types import StartDateConstraint, TieredPrices, TimeOfDateConstraint
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from otel_agentops.pricing import PriceBook
from otel_agentops.records import Cost, ModelCall, Usage

PROVIDERS = data.providers
BY_ID = {provider.id: provider for provider in PROVIDERS}
BOOK = PriceBook(corrections=False)
BRANCHES: Counter[str] = Counter()
ALL_BRANCHES = {
    "dated window",
    "daily window",
    "context tier",
    "service tier",
    "batch",
    "overlapping variants",
    "cached",
    "cache write",
    "one-hour cache write",
    "reasoning rate",
    "audio",
    "cached audio",
    "image",
    "tool fee",
    "request fee",
    "fallback",
    "azure list",
    "no token rate",
    "unknown",
}


def stages(model: Any) -> list[Any]:
    """The model's prices, each with its constraint."""
    return model.prices if isinstance(model.prices, list) else []


def all_prices(model: Any) -> list[Any]:
    """Every set of prices the model ever has."""
    own = [stage.prices for stage in stages(model)] or [model.prices]
    return [*own, *(variant.prices for variant in model.price_variants or ())]


def has_key(*keys: str) -> Any:
    """A test for models that price one of these."""
    return lambda model: any(key in price.__dict__ for price in all_prices(model) for key in keys)


def has_constraint(kind: type) -> Any:
    """A test for models with a price that holds only at times."""
    return lambda model: any(isinstance(stage.constraint, kind) for stage in stages(model))


def has_variant(key: str) -> Any:
    """A test for models whose price depends on a condition."""
    return lambda model: any(key in variant.when for variant in model.price_variants or ())


def tiered(model: Any) -> bool:
    """Whether long prompts cost more."""
    values = (value for price in all_prices(model) for value in price.__dict__.values())
    return any(isinstance(value, TieredPrices) for value in values)


def overlapping(model: Any) -> bool:
    """Whether two variants have the same condition, so that their order decides."""
    conditions = [repr(variant.when) for variant in model.price_variants or ()]
    return len(set(conditions)) < len(conditions)


KINDS = (
    overlapping,
    lambda _: True,
    has_constraint(StartDateConstraint),
    has_constraint(TimeOfDateConstraint),
    tiered,
    has_variant("processing"),
    has_variant("service_tier"),
    has_key("cache_audio_read_mtok"),
    has_key("input_audio_mtok", "output_audio_mtok"),
    has_key("output_reasoning_mtok"),
    has_key("requests_kcount"),
    lambda model: not any(key.endswith("_mtok") for price in all_prices(model) for key in price.__dict__),
    has_key("cache_write_1h_mtok"),
    has_key("web_searches_kcount"),
    has_key("input_image_mtok", "output_image_mtok"),
)
POOLS = [[(p, m) for p in PROVIDERS for m in p.models if kind(m)] for kind in KINDS]
POOLS.append([(BY_ID["azure"], model) for model in BY_ID["openai"].models])
POOLS.append([(BY_ID["google"], model) for model in BY_ID["anthropic"].models])


def names(clause: Any) -> list[str]:
    """Some names that a clause may match."""
    parts = getattr(clause, "or_", None) or getattr(clause, "and_", None) or ()
    texts = [getattr(clause, key, "") for key in ("equals", "starts_with", "ends_with", "contains")]
    return [text for text in texts if text] + [name for part in parts for name in names(part)]


def moments(model: Any) -> st.SearchStrategy[datetime]:
    """Moments, many of them near a change of price."""
    constraints = [each.constraint for each in (*stages(model), *(model.price_variants or ()))]
    days = [each.start_date for each in constraints if isinstance(each, StartDateConstraint)]
    near = [day + timedelta(days=shift) for day in days or [date(2026, 11, 20)] for shift in (-1, 0, 1)]
    day = st.one_of(st.sampled_from(near), st.dates(date(2024, 1, 1), date(2028, 1, 1)))
    times = [each for each in constraints if isinstance(each, TimeOfDateConstraint)]
    edges = [
        edge.hour * 3600 + edge.minute * 60 for each in times for edge in (each.start_time, each.end_time)
    ]
    second = st.one_of(
        st.integers(0, 86_399), st.sampled_from([s + d for s in edges or [3600] for d in (-1, 0)])
    )
    return st.builds(
        lambda d, s: datetime(d.year, d.month, d.day, tzinfo=UTC) + timedelta(seconds=s), day, second
    )


EDGES = (0, 1, 31_999, 128_000, 128_001, 199_999, 200_000, 200_001, 272_000, 272_001, 524_289)
TOKENS = st.one_of(st.sampled_from(EDGES), st.integers(0, 2_000_000))
PART = st.one_of(st.just(0), st.just(0), st.integers(0, 1_000_000))


@st.composite
def usages(draw: Any) -> Usage:
    """Counts that do not contradict each other."""
    total, output = draw(TOKENS), draw(TOKENS)
    audio = min(draw(PART), total)
    image = min(draw(PART), total - audio)
    written = min(draw(PART), total - audio - image)
    audio_out = min(draw(PART), output)
    image_out = min(draw(PART), output - audio_out)
    return Usage(
        input_tokens=total,
        output_tokens=output,
        cache_read_input_tokens=min(draw(PART), total - written),
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=min(draw(PART), written),
        reasoning_output_tokens=min(draw(PART), output - audio_out - image_out),
        audio_input_tokens=audio,
        image_input_tokens=image,
        audio_output_tokens=audio_out,
        image_output_tokens=image_out,
        web_searches=draw(st.integers(0, 5)),
    )


@st.composite
def calls(draw: Any) -> tuple[ModelCall, datetime, Any]:
    """A call, its start, and the model it was drawn for."""
    provider, model = draw(st.sampled_from(draw(st.sampled_from(POOLS))))
    name = draw(st.sampled_from([model.id, *names(model.match)]))
    name = draw(st.sampled_from([name, name, name, name.upper(), f"{name}-20260801", f"no-{name}-such"]))
    tier = draw(st.sampled_from([None, None, "default", "flex", "priority", "fast", "batch", "scale"]))
    call = ModelCall(provider.id, name, usage=draw(usages()), service_tier=tier)
    call.processing = draw(st.sampled_from([None, None, "batch"]))
    return call, draw(moments(model)), model


def context_of(call: ModelCall) -> dict[str, str]:
    """What the adapter tells the library about tier and batch."""
    context = {} if call.service_tier in (None, "default") else {"service_tier": str(call.service_tier)}
    if call.service_tier == "batch" or call.processing == "batch":
        context["processing"] = "batch"
    if call.service_tier == "batch":
        del context["service_tier"]
    if call.provider == "anthropic" and call.service_tier == "fast":
        context["speed"] = context.pop("service_tier")
    return context


def library_usage(usage: Usage) -> genai_prices.Usage:
    """The library's usage: cached tokens are text first, then audio, then images."""
    counts = {key: getattr(usage, key) or 0 for key in Usage.__dataclass_fields__}
    text = counts["input_tokens"] - sum(
        counts[f"{kind}_input_tokens"] for kind in ("audio", "image", "cache_write")
    )
    read = counts["cache_read_input_tokens"]
    read_audio = min(max(read - text, 0), counts["audio_input_tokens"])
    return genai_prices.Usage(
        input_tokens=counts["input_tokens"],
        output_tokens=counts["output_tokens"],
        cache_read_tokens=read,
        cache_write_tokens=counts["cache_write_input_tokens"],
        cache_write_1h_tokens=counts["cache_write_1h_input_tokens"],
        cache_audio_read_tokens=read_audio,
        cache_image_read_tokens=max(read - text - read_audio, 0),
        input_audio_tokens=counts["audio_input_tokens"],
        input_image_tokens=counts["image_input_tokens"],
        output_audio_tokens=counts["audio_output_tokens"],
        output_image_tokens=counts["image_output_tokens"],
        output_reasoning_tokens=counts["reasoning_output_tokens"],
        web_searches=counts["web_searches"],
    )


def oracle(call: ModelCall, usage: genai_prices.Usage, at: datetime) -> Any:
    """The library's answer; None when it does not know the model."""
    context = context_of(call)
    provider = call.provider
    openai = BY_ID["openai"].find_model(str(call.request_model))
    if provider == "azure" and context and openai:
        provider = "openai"
    with localcontext(Context(prec=80)):
        try:
            return genai_prices.calc_price(
                usage,
                str(call.request_model),
                provider_id=provider,
                genai_request_timestamp=at,
                price_context=context,
            )
        except LookupError:
            return None


def branches(call: ModelCall, at: datetime, answer: Any, cost: Cost) -> set[str]:
    """Which parts of the rate cards had a say in this price."""
    usage, price = call.usage, answer.model_price.__dict__
    assert usage is not None
    context = context_of(call)
    variants = [
        variant
        for variant in answer.model.price_variants or ()
        if variant.when.items() <= context.items()
        and (not variant.constraint or variant.constraint.active(at))
    ]
    total = usage.input_tokens or 0
    steps = [
        tier.start for value in price.values() if isinstance(value, TieredPrices) for tier in value.tiers
    ]
    applied = {key for v in variants for key in v.when} if "tier_not_applied" not in cost.flags else set()
    return {
        *(["dated window"] if has_constraint(StartDateConstraint)(answer.model) else []),
        *(["daily window"] if has_constraint(TimeOfDateConstraint)(answer.model) else []),
        *(["context tier"] if any(total > step for step in steps) else []),
        *(["service tier"] if "service_tier" in applied else []),
        *(["batch"] if "processing" in applied else []),
        *(["overlapping variants"] if len(variants) > 1 and overlapping(answer.model) else []),
        *(["cached"] if usage.cache_read_input_tokens and "cache_read_mtok" in price else []),
        *(["cache write"] if usage.cache_write_input_tokens and "cache_write_mtok" in price else []),
        *(
            ["one-hour cache write"]
            if usage.cache_write_1h_input_tokens and "cache_write_1h_mtok" in price
            else []
        ),
        *(["reasoning rate"] if usage.reasoning_output_tokens and "output_reasoning_mtok" in price else []),
        *(["audio"] if usage.audio_input_tokens and "input_audio_mtok" in price else []),
        *(["cached audio"] if usage.audio_input_tokens and "cache_audio_read_mtok" in price else []),
        *(["image"] if usage.image_input_tokens and "input_image_mtok" in price else []),
        *(["tool fee"] if usage.web_searches and "web_searches_kcount" in price else []),
        *(["request fee"] if "requests_kcount" in price else []),
        *(["fallback"] if "provider_fallback" in cost.flags else []),
        *(["azure list"] if "azure_list_estimate" in cost.flags else []),
    }


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(calls())
def compare(drawn: tuple[ModelCall, datetime, Any]) -> None:
    """One draw: the library's answer and ours are the same."""
    call, at, _ = drawn
    assert call.usage is not None
    usage = library_usage(call.usage)
    cost = BOOK.price(call, int(at.timestamp()) * 1_000_000_000)
    answer = oracle(call, usage, at)
    if answer is None:
        found = {"unknown"}
        assert cost.reason == "unknown_model", (call, cost)
    elif cost.reason == "no_token_rate":
        found = {"no token rate"}
        fees = oracle(call, genai_prices.Usage(web_searches=usage.web_searches), at)
        assert answer.total_price == fees.total_price, (call, answer)
    else:
        found = branches(call, at, answer, cost)
        expected = Context(prec=28).plus(answer.total_price)
        assert cost.usd == expected, (call, at, cost, answer)
        assert isinstance(cost.usd, Decimal)
    for branch in found:
        event(branch)
        BRANCHES[branch] += 1


def test_cards_equal_the_library() -> None:
    """Random calls cost what the library says, and the draws reach every kind of price there is."""
    for _ in range(4):
        compare()
        if set(BRANCHES) == ALL_BRANCHES:
            break
    print(dict(BRANCHES.most_common()))
    assert set(BRANCHES) == ALL_BRANCHES
