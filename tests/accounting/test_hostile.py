"""Attributes that no honest emitter writes: read without an exception and without a hang."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agentops.accounting import Calls, model_call, prompt_of
from otel_agentops.accounting.once import _MAX_SPANS
from otel_agentops.pricing import PriceBook
from otel_agentops.records import ModelCall, Usage
from otel_agentops.semconv import dialects, emitters
from support.cases import CASES

NOW_NS = 1_790_000_000_000_000_000
BOOK = PriceBook()

NAMES = sorted(
    {name for _, names in dialects.TEXTS + dialects.COUNTS + dialects.MODALITIES for name in names}
    | {name for name, _ in dialects.KINDS}
    | set(dialects.COSTS)
    | set(dialects.PACKED)
    | set(dialects.PROMPTS)
    | emitters.CACHE_HITS
)
KINDS = [(name, value) for name, values in dialects.KINDS for value in values]
SCOPES = [
    "",
    "openlit.x",
    "strands.telemetry.tracer",
    "logfire.openai",
    "opentelemetry.instrumentation.bedrock",
]

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.sampled_from(["1000", "-5", "1e9", "NaN", "", "{}", "[", '{"input": "x"}', '{"cost": 1e999}']),
    st.lists(st.integers(), max_size=3).map(tuple),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5).map(json.dumps),
)
COUNT = st.one_of(st.integers(0, 10**7), ODD)


@st.composite
def spans(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of a model call in some dialect, or in several at once."""
    name, value = draw(st.sampled_from(KINDS))
    attributes: dict[str, Any] = {
        name: value,
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.system": "openai",
    }
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=12)):
        attributes[name] = draw(COUNT)
    return attributes


def sane(usage: Usage | None) -> bool:
    """Whether what goes into the totals can be."""
    return usage is None or all(value is None or 0 <= value <= 3 * 10**12 for value in vars(usage).values())


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(attributes=spans(), scope=st.sampled_from(SCOPES))
def test_no_attribute_can_break_the_reader(attributes: dict[str, Any], scope: str) -> None:
    """Whatever attributes hold, a record comes out whose counts can be, and a price that can be."""
    before = dict(attributes)
    call = model_call(attributes, scope)
    prompt_of(attributes)
    assert repr(attributes) == repr(before)
    if call is not None:
        assert sane(call.usage)
        cost = BOOK.price(call, NOW_NS)
        assert cost.usd is None or 0 <= cost.usd < 10**9
        assert cost.reason != "internal_error"


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    counts=st.lists(st.integers(0, 10**6), min_size=5, max_size=5),
    provider=st.sampled_from(["openai", "anthropic"]),
)
def test_contradictions_are_unpriced_or_put_right(counts: list[int], provider: str) -> None:
    """Parts that are larger than their whole give no price, unless it is certain what was meant."""
    sent, received, read, written, reasoning = counts
    call = model_call(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5"}[provider],
            "gen_ai.usage.input_tokens": sent,
            "gen_ai.usage.output_tokens": received,
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_write.input_tokens": written,
            "gen_ai.usage.reasoning.output_tokens": reasoning,
        }
    )
    assert call is not None
    cost = BOOK.price(call, NOW_NS)
    apart = provider == "anthropic" and read + written > sent
    possible = (apart or read + written <= sent) and reasoning <= received
    assert (cost.usd is None) == (not possible)
    assert cost.reason == (None if possible else "invalid_usage")


@pytest.mark.parametrize(
    "value", ["1000", -1, 10**18, 1.5, float("nan"), float("inf"), True, b"1000", (1000,), None, {"a": 1}]
)
@pytest.mark.parametrize("name", ["gen_ai.usage.input_tokens", "llm.token_count.completion"])
def test_what_is_no_count_is_invalid(name: str, value: Any) -> None:
    """Such a call is counted, unpriced and says why, also if its emitter has an estimate."""
    call = model_call(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.cost": 0.5,
            name: value,
        }
    )
    assert call is not None
    assert (call.usage, call.invalid_usage) == (None, True)
    cost = BOOK.price(call, NOW_NS)
    assert (cost.usd, cost.reason) == (None, "invalid_usage")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"usage": ' * 50_000,
        '{"input": 5, "x": "' + "y" * 2_000_000 + '"}',
        '{"input": {"deep": 1}}',
        '{"input": 1e400}',
        "\udcff",
        '{"input": ' + "9" * 5_000 + "}",
    ],
    ids=["deep", "open", "megabytes", "wrong kind", "too large", "surrogate", "digits"],
)
def test_json_that_is_no_usage(text: str) -> None:
    """It is passed over or makes the counts invalid; it never raises."""
    call = model_call(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": text,
            "langfuse.observation.cost_details": text,
        }
    )
    assert call is not None
    assert call.usage is None


@settings(max_examples=CASES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    moves=st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 12), st.booleans(), st.integers(0, 5)), max_size=40
    )
)
def test_parents_in_any_order_and_in_circles(moves: list[tuple[int, int, bool, int]]) -> None:
    """Spans that name each other as parents, start twice or end twice: every call is counted at most once."""
    calls, counted, seen = Calls(), 0, itertools.count()
    for span, parent, starts, tokens in moves:
        if starts:
            calls.started(span, parent, 1, f"emitter {next(seen)}")
        elif (place := calls.ending(span)) is not None:
            call = ModelCall("p", "m", usage=Usage(tokens, tokens))
            calls.count(call, place, 0)
            calls.leave(place, boundary=parent == 0)
            counted += not call.duplicate
            assert call.duplicate or call.counted is None or sane(call.counted)
    assert counted <= len(moves)
    assert len(calls._live) <= 12 < _MAX_SPANS
