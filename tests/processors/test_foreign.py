"""What is written on other instrumentations' spans, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_agentops as ao
from otel_agentops.testing import capture

OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o-mini",
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 100,
    "llm.token_count.prompt_details.cache_read": 0,
}
COST_USD = 0.00021


class Foreign:
    """Spans of somebody else on a provider with our processor."""

    def __init__(self, limits: SpanLimits | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, span_limits=limits)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        self.tracer = self.provider.get_tracer("openinference.instrumentation.openai")

    def ended(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Attributes of a span that was started without any, as the exporter saw them."""
        span = self.tracer.start_span("call")
        span.set_attributes(attributes)
        span.end()
        return dict(self.spans[-1].attributes or {})

    @property
    def spans(self) -> list[ReadableSpan]:
        """Ended spans."""
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    """With defaults."""
    with capture(auto_session=False, instrument=[]):
        yield Foreign()


def test_missing_names_are_added(foreign: Foreign) -> None:
    """The conventions' names stand beside the emitter's own, which stay as they were."""
    attributes = foreign.ended(OPENINFERENCE)
    assert {name: attributes[name] for name in OPENINFERENCE} == OPENINFERENCE
    added = {name: value for name, value in attributes.items() if name not in OPENINFERENCE}
    assert added.pop("gen_ai.usage.cost") == pytest.approx(COST_USD, rel=1e-12)
    assert added == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "otel_agentops.cost.source": "genai-prices",
        "otel_agentops.cost.status": "priced",
    }


def test_nothing_but_the_cost_if_asked() -> None:
    """With `foreign_spans="cost"` a span keeps its names, also inside a session."""
    with capture(auto_session=False, instrument=[], foreign_spans="cost"):
        foreign = Foreign()
        with ao.session("s") as session:
            attributes = foreign.ended(OPENINFERENCE)
        added = set(attributes) - set(OPENINFERENCE)
        assert added == {"gen_ai.usage.cost", "otel_agentops.cost.source", "otel_agentops.cost.status"}
        assert session.total.model_calls == 1


@pytest.mark.parametrize("written", ["cache_write", "cache_creation"])
@pytest.mark.parametrize("semconv", ["1.41", "latest"])
def test_one_count_has_one_name(written: str, semconv: str) -> None:
    """A count is not written again in another version's name: back ends would bill it twice."""
    theirs = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        f"gen_ai.usage.{written}.input_tokens": 200,
    }
    with capture(auto_session=False, instrument=[], semconv=semconv):
        attributes = Foreign().ended(theirs)
    numbers = {name for name in attributes if name.startswith("gen_ai.usage.")}
    assert numbers == {name for name in theirs if name.startswith("gen_ai.usage.")} | {"gen_ai.usage.cost"}


def test_a_duplicate_gets_no_numbers(foreign: Foreign) -> None:
    """The span around a counted call is marked, and neither priced nor given counts."""
    with ao.session("s") as session, foreign.tracer.start_as_current_span("outer") as outer:
        outer.set_attributes({**OPENINFERENCE, "llm.cost.total": 0.5})
        foreign.ended(OPENINFERENCE)
    attributes = dict(foreign.spans[-1].attributes or {})
    assert attributes["otel_agentops.duplicate"] is True
    assert attributes["otel_agentops.cost.emitter_usd"] == 0.5
    assert not any(name.startswith("gen_ai.usage.") for name in attributes)
    assert session.total.model_calls == 1


def test_a_duplicates_own_cost_is_not_added_up(foreign: Foreign) -> None:
    """Where a duplicate's emitter wrote a cost under our name, it becomes 0 and theirs moves."""
    with foreign.tracer.start_as_current_span("outer") as outer:
        outer.set_attributes({**OPENINFERENCE, "gen_ai.usage.cost": 0.5})
        foreign.ended(OPENINFERENCE)
    attributes = dict(foreign.spans[-1].attributes or {})
    assert attributes["gen_ai.usage.cost"] == 0.0
    assert attributes["otel_agentops.cost.emitter_usd"] == 0.5


def test_usage_of_the_outer_span_prices_the_call(foreign: Foreign) -> None:
    """A stream whose usage only the outer emitter saw is one priced call, not an unpriced one more."""
    with ao.session("s") as session, foreign.tracer.start_as_current_span("outer") as outer:
        foreign.ended({"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini"})
        outer.set_attributes(OPENINFERENCE)
    assert (session.total.model_calls, session.total.unpriced_calls) == (1, 0)
    assert float(session.total.cost_usd) == pytest.approx(COST_USD)


FILL = {f"llm.input_messages.{number}.message.content": "x" for number in range(200)}


@pytest.mark.parametrize("at_start", [False, True], ids=["set later", "given at the start"])
@pytest.mark.parametrize("one_by_one", [False, True], ids=["at once", "one by one"])
def test_a_span_with_200_attributes(foreign: Foreign, at_start: bool, one_by_one: bool) -> None:
    """What the SDK threw out still decides the price, and nothing is thrown out for us."""
    span = foreign.tracer.start_span("call", attributes=OPENINFERENCE if at_start else None)
    for name, value in {**({} if at_start else OPENINFERENCE), **FILL}.items():
        if one_by_one:
            span.set_attribute(name, value)
    if not one_by_one:
        span.set_attributes({**({} if at_start else OPENINFERENCE), **FILL})
    span.end()
    attributes = dict(foreign.spans[-1].attributes or {})
    assert attributes.pop("gen_ai.usage.cost") == pytest.approx(COST_USD, rel=1e-12)
    assert attributes.pop("otel_agentops.cost.status") == "priced"
    assert list(attributes) == list(FILL)[-128:]


@pytest.mark.parametrize(("count", "added"), [(112, 8), (113, 2), (127, 2), (128, 2)])
def test_a_span_with_little_room(foreign: Foreign, count: int, added: int) -> None:
    """With fewer than 16 free places only the cost and its status are added."""
    theirs = {**OPENINFERENCE, **dict(list(FILL.items())[: count - len(OPENINFERENCE)])}
    attributes = foreign.ended(theirs)
    assert {name: attributes[name] for name in theirs} == theirs
    assert len(attributes) >= count + added
    assert ("gen_ai.provider.name" in attributes) == (added > 2)


def test_other_limits() -> None:
    """The same with a provider's own limit."""
    with capture(auto_session=False, instrument=[]):
        foreign = Foreign(SpanLimits(max_span_attributes=8))
        attributes = foreign.ended({**OPENINFERENCE, **FILL})
        assert attributes.pop("gen_ai.usage.cost") == pytest.approx(COST_USD, rel=1e-12)
        attributes.pop("otel_agentops.cost.status")
        assert list(attributes) == list(FILL)[-8:]


def test_equal_prompts_have_equal_digests(foreign: Foreign) -> None:
    """Content of any shape gives a digest; parameters of the request are no part of it."""
    prompt = {"llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "hello"}
    first = foreign.ended({**OPENINFERENCE, **prompt, "llm.invocation_parameters": "{}"})
    second = foreign.ended({**OPENINFERENCE, **prompt, "llm.invocation_parameters": '{"seed": 1}'})
    other = foreign.ended({**OPENINFERENCE, **prompt, "llm.input_messages.0.message.content": "hello!"})
    digests = [each["otel_agentops.input.digest"] for each in (first, second, other)]
    assert digests[0] == digests[1] != digests[2]
    assert "otel_agentops.input.digest" not in foreign.ended(OPENINFERENCE)


@pytest.mark.parametrize("name", [b"bytes", 7, "", None, ()])
def test_keys_that_are_none_are_the_sdks_to_judge(foreign: Foreign, name: Any) -> None:
    """Setting an odd attribute does what it does without us."""
    span = foreign.tracer.start_span("call", attributes=OPENINFERENCE)
    span.set_attribute(name, "x")
    span.set_attributes({name: "x"})
    span.end()
    assert (foreign.spans[-1].attributes or {})["gen_ai.usage.cost"] == pytest.approx(COST_USD)
