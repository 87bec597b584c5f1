"""Our instrumentation below another one's span: one call, one span, one count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.context import get_value
from opentelemetry.sdk.trace import TracerProvider

import otel_agentops as ao
from otel_agentops.spans import current
from otel_agentops.testing import Captured, capture
from support.replay import ReplayServer, client_kwargs, load_exchanges

CHAT = load_exchanges("openai/openai__test_openai_prompt_caching_async.json", route="chat/completions")[1]
EMBEDDING = next(iter(load_exchanges("openai/openai__test_embeddings.json", route="embeddings")))
STREAM = next(e for e in load_exchanges("openai/openai-v2__test_chat_completion_streaming.json") if e.is_sse)
USED = (1150, 307)
COST_USD = 0.0002799

THEIRS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
ANSWERED = {"gen_ai.usage.input_tokens": 1150, "gen_ai.usage.output_tokens": 307}


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    """A real client of recorded answers."""
    with (
        ReplayServer([CHAT, EMBEDDING, STREAM]) as server,
        openai.OpenAI(**client_kwargs(server), max_retries=0) as made,
    ):
        yield made


@pytest.fixture
def both() -> Iterator[Captured]:
    """Ours is switched on, and the provider has our processor, as after any `init()`."""
    with capture(auto_session=False, instrument=["openai"]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        yield captured


def chat(client: openai.OpenAI) -> Any:
    """One call."""
    return client.chat.completions.create(**CHAT.request)  # type: ignore[arg-type]


def tracer(captured: Captured) -> trace.Tracer:
    """Of another instrumentation."""
    return captured.provider.get_tracer("somebody.else")


def test_their_span_learns_what_we_know(both: Captured, client: openai.OpenAI) -> None:
    """Theirs is the only span; usage that it lacks, its price and the digest come from us."""
    with ao.session("s") as session, tracer(both).start_as_current_span("theirs", attributes=THEIRS):
        chat(client)
    attributes = dict(both.span("theirs").attributes or {})
    assert [span.name for span in both.spans] == ["theirs", "invoke_workflow s"]
    assert attributes["gen_ai.usage.cost"] == pytest.approx(COST_USD, rel=1e-12)
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 1024
    assert attributes["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert len(attributes["otel_agentops.input.digest"]) == 32
    assert (session.total.input_tokens, session.total.output_tokens) == USED
    assert session.total.model_calls == 1


def test_what_they_know_stands(both: Captured, client: openai.OpenAI) -> None:
    """Their own counts are those that are counted."""
    with ao.session("s") as session, tracer(both).start_as_current_span("theirs", attributes=THEIRS) as span:
        chat(client)
        span.set_attributes({"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3})
    assert (session.total.input_tokens, session.total.output_tokens) == (7, 3)
    assert session.total.model_calls == 1


def test_two_calls_inside_one_span(both: Captured, client: openai.OpenAI) -> None:
    """A second call is one by itself, and then so is the first; their total is not counted again."""
    with ao.session("s") as session, tracer(both).start_as_current_span("theirs", attributes=THEIRS) as span:
        chat(client)
        chat(client)
        span.set_attributes({"gen_ai.usage.input_tokens": 2300, "gen_ai.usage.output_tokens": 614})
    assert (session.total.input_tokens, session.total.output_tokens) == (2300, 614)
    assert session.total.model_calls == 2
    assert (both.span("theirs").attributes or {})["otel_agentops.duplicate"] is True


def test_the_first_of_two_calls_has_the_price_of_its_time(client: openai.OpenAI) -> None:
    """Counted late, it is priced by when it was made, not by a price of years ago."""
    before = ao.Price(
        provider="openai", match="gpt-4o-mini-2024-07-18", until="2025-01-01", input=1000, output=1000
    )
    with capture(auto_session=False, instrument=["openai"], price_rules=[before]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        with ao.session("s") as session, tracer(captured).start_as_current_span("theirs", attributes=THEIRS):
            chat(client)
            chat(client)
    assert float(session.total.cost_usd) == pytest.approx(2 * COST_USD, rel=1e-12)


def test_a_stream_that_ends_after_their_span(both: Captured, client: openai.OpenAI) -> None:
    """The usage of a call that was counted without is counted when it is known."""
    with ao.session("s") as session:
        with tracer(both).start_as_current_span(
            "theirs", attributes={**THEIRS, "gen_ai.request.model": "gpt-4"}
        ):
            stream = client.chat.completions.create(**STREAM.request)  # type: ignore[arg-type]
        assert session.total.unpriced_calls == 1
        list(stream)
        assert (session.total.input_tokens, session.total.output_tokens) == (12, 5)
        assert (session.total.model_calls, session.total.unpriced_calls) == (1, 0)
        assert float(session.total.cost_usd) == pytest.approx(0.00066)


def test_another_kind_of_call_is_another_call(both: Captured, client: openai.OpenAI) -> None:
    """Embeddings made during a chat have a span of their own."""
    with tracer(both).start_as_current_span("theirs", attributes=THEIRS):
        client.embeddings.create(**EMBEDDING.request)  # type: ignore[arg-type]
    assert both.named("embeddings")


def test_a_span_that_is_no_call(both: Captured, client: openai.OpenAI) -> None:
    """Below agents and other steps a call has its span."""
    with tracer(both).start_as_current_span("step", attributes={"gen_ai.operation.name": "invoke_agent"}):
        chat(client)
    assert len(both.named("chat ")) == 1


def test_a_span_that_goes_elsewhere(both: Captured, client: openai.OpenAI) -> None:
    """A span of a provider that is not ours is another back end's."""
    elsewhere = TracerProvider(shutdown_on_exit=False).get_tracer("somebody.else")
    with elsewhere.start_as_current_span("theirs", attributes=THEIRS):
        chat(client)
    assert len(both.named("chat ")) == 1


def test_nothing_stays_behind(both: Captured, client: openai.OpenAI) -> None:
    """After the calls nothing is remembered of them."""
    for _ in range(3):
        with tracer(both).start_as_current_span("theirs", attributes=THEIRS):
            chat(client)
    recorder = current()
    assert recorder is not None
    assert recorder.calls._live == {}
    assert recorder.scopes._by_span == {}


@pytest.mark.parametrize("recorded", [True, False])
def test_others_are_asked_to_keep_quiet(client: openai.OpenAI, recorded: bool) -> None:
    """Inside a call with a span of ours the flag is set that others look at, and only there."""
    seen: list[object] = []
    provider = None if recorded else trace.NoOpTracerProvider()

    class Hooked(type(client._client)):  # type: ignore[misc]  # whichever HTTP library it is
        def send(self, *args: Any, **kwargs: Any) -> Any:
            seen.append(get_value("suppress_language_model_instrumentation"))
            return super().send(*args, **kwargs)

    with capture(auto_session=False, instrument=["openai"]):
        if provider is not None:
            ao.shutdown()
            ao.init(tracer_provider=provider, auto_session=False, instrument=["openai"])
        with openai.OpenAI(
            base_url=client.base_url, api_key="none", max_retries=0, http_client=Hooked()
        ) as hooked:
            chat(hooked)
    assert seen == [True if recorded else None]
    assert get_value("suppress_language_model_instrumentation") is None
