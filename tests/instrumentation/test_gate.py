"""Calls that are only checked: budgets and loops hold, and whoever has a span of the call keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_agentops as ao
from otel_agentops.config import ConfigError
from otel_agentops.instrumentation import anthropic
from otel_agentops.spans import current
from otel_agentops.testing import Captured, capture
from support.replay import ReplayServer, client_kwargs, load_exchanges

CHAT = load_exchanges("openai/openai__test_openai_prompt_caching_async.json", route="chat/completions")[1]
STREAM = next(e for e in load_exchanges("openai/openai-v2__test_chat_completion_streaming.json") if e.is_sse)
USED = (1150, 307)
COST_USD = 0.0002799
THEIRS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
ANSWERED = {
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.input_tokens": 1150,
    "gen_ai.usage.output_tokens": 307,
    "gen_ai.usage.cache_read.input_tokens": 1024,
}


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    """Recorded answers."""
    with ReplayServer([CHAT, STREAM]) as made:
        yield made


@pytest.fixture(scope="module")
def client(server: ReplayServer) -> Iterator[openai.OpenAI]:
    """A real client of them."""
    with openai.OpenAI(**client_kwargs(server), max_retries=0) as made:
        yield made


@pytest.fixture
def gated() -> Iterator[Captured]:
    """Calls of openai are checked; the provider has our processor."""
    with capture(auto_session=False, instrument=[], gate=["openai"]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        yield captured


class Peer:
    """Another instrumentation, which wraps the call when it is made and has a span around the request.

    Args:
        captured: Whose provider it writes to.
        client: What it instruments.
        answered: What it writes of the answer.
    """

    def __init__(self, captured: Captured, client: openai.OpenAI, answered: dict[str, Any]) -> None:
        self._tracer = captured.provider.get_tracer("somebody.else")
        self._answered = answered
        self._send = client._client.send  # below our wrapper: the HTTP client
        self._client = client

    def __enter__(self) -> Peer:
        def send(*args: Any, **kwargs: Any) -> Any:
            with self._tracer.start_as_current_span("theirs", attributes=THEIRS) as span:
                answer = self._send(*args, **kwargs)
                span.set_attributes(self._answered)
                return answer

        self._client._client.send = send  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        self._client._client.send = self._send  # type: ignore[method-assign]


def chat(client: openai.OpenAI) -> Any:
    """One call."""
    return client.chat.completions.create(**CHAT.request)  # type: ignore[arg-type]


def test_their_span_is_the_only_one(gated: Captured, client: openai.OpenAI) -> None:
    """No span of ours; theirs has the cost and the digest that was taken before the call was sent."""
    with ao.session("s") as session, Peer(gated, client, ANSWERED):
        chat(client)
    assert [span.name for span in gated.spans] == ["theirs", "invoke_workflow s"]
    attributes = dict(gated.span("theirs").attributes or {})
    assert attributes["gen_ai.usage.cost"] == pytest.approx(COST_USD, rel=1e-12)
    assert len(attributes["otel_agentops.input.digest"]) == 32
    assert (session.total.input_tokens, session.total.output_tokens) == USED
    assert session.total.model_calls == 1


def test_a_budget_stops_the_next_call(gated: Captured, client: openai.OpenAI, server: ReplayServer) -> None:
    """The call that does not fit is not sent and has no span of theirs either."""
    before = len(server.requests)
    with ao.session("s", budget=ao.Budget(calls=2)) as session, Peer(gated, client, ANSWERED):
        chat(client)
        chat(client)
        with pytest.raises(ao.BudgetExceeded):
            chat(client)
    assert len(server.requests) - before == 2
    assert session.total.model_calls == 2
    assert len([span for span in gated.spans if span.name == "theirs"]) == 2


def test_what_a_call_holds_is_what_it_then_used(gated: Captured, client: openai.OpenAI) -> None:
    """The estimate is freed and what their span says is spent."""
    with ao.session("s", budget=ao.Budget(tokens=5_000)) as session, Peer(gated, client, ANSWERED):
        chat(client)
        assert session.remaining == {"tokens": 5_000 - sum(USED)}


def test_a_loop_is_on_their_spans(gated: Captured, client: openai.OpenAI) -> None:
    """Their spans have no content, and the third is marked all the same."""
    with ao.session("s") as session, Peer(gated, client, ANSWERED):
        for _ in range(3):
            chat(client)
    third = [span for span in gated.spans if span.name == "theirs"][2]
    found = dict(third.attributes or {})
    assert [finding.kind for finding in session.findings] == ["repeated_prompt"]
    assert found["otel_agentops.finding.kinds"] == ("repeated_prompt",)
    assert found["otel_agentops.finding.last_span_id"] == f"{third.context.span_id:016x}"


def test_a_loop_is_stopped(gated: Captured, client: openai.OpenAI) -> None:
    """`loops="raise"` works where nothing but a gate of ours is."""
    with ao.session("s", loops="raise"), Peer(gated, client, ANSWERED):
        chat(client)
        chat(client)
        with pytest.raises(ao.LoopDetected):
            chat(client)


def test_a_call_that_nobody_records(gated: Captured, client: openai.OpenAI) -> None:
    """It has no span, and is counted: the totals and the budget know it."""
    with ao.session("s", budget=ao.Budget(calls=9)) as session:
        chat(client)
        assert session.remaining == {"calls": 8}
    assert [span.name for span in gated.spans] == ["invoke_workflow s"]
    assert (session.total.input_tokens, session.total.output_tokens) == USED
    assert float(session.total.cost_usd) == pytest.approx(COST_USD, rel=1e-12)


def test_a_span_that_tells_of_it_afterwards(gated: Captured, client: openai.OpenAI) -> None:
    """A framework's span that was not current gets the cost; the totals have it once."""
    tracer = gated.provider.get_tracer("framework")
    with ao.session("s", budget=ao.Budget(calls=9)) as session:
        span = tracer.start_span("theirs", attributes=THEIRS)
        chat(client)
        span.set_attributes(ANSWERED)
        span.end()
        assert session.remaining == {"calls": 8}
    attributes = dict(gated.span("theirs").attributes or {})
    assert attributes["gen_ai.usage.cost"] == pytest.approx(COST_USD, rel=1e-12)
    assert "otel_agentops.duplicate" not in attributes
    assert session.total.model_calls == 1
    assert (session.total.input_tokens, session.total.output_tokens) == USED


def test_a_span_around_it(gated: Captured, client: openai.OpenAI) -> None:
    """A span of the call that is current is told what we know, as always."""
    tracer = gated.provider.get_tracer("framework")
    with ao.session("s") as session, tracer.start_as_current_span("theirs", attributes=THEIRS):
        chat(client)
    attributes = dict(gated.span("theirs").attributes or {})
    assert attributes["gen_ai.usage.cost"] == pytest.approx(COST_USD, rel=1e-12)
    assert session.total.model_calls == 1


def test_a_refused_call_with_a_span_around_it(gated: Captured, client: openai.OpenAI) -> None:
    """Their span ends with our error; it is no call, since nothing was sent."""
    tracer = gated.provider.get_tracer("framework")
    with ao.session("s", budget=ao.Budget(calls=0)) as session:
        with pytest.raises(ao.BudgetExceeded), tracer.start_as_current_span("theirs", attributes=THEIRS):
            chat(client)
        assert session.total.model_calls == 0
        assert session.total.errors == 0
    assert "otel_agentops.cost.status" not in (gated.span("theirs").attributes or {})


def test_a_stream_whose_span_ends_with_the_request(gated: Captured, client: openai.OpenAI) -> None:
    """Their span knows no usage; what the stream says is counted when it is over."""
    theirs = {"gen_ai.request.model": "gpt-4"}
    with ao.session("s", budget=ao.Budget(calls=9)) as session, Peer(gated, client, theirs):
        stream = client.chat.completions.create(**STREAM.request)  # type: ignore[arg-type]
        assert session.total.model_calls == 1
        list(stream)
        assert session.remaining == {"calls": 8}
    assert (session.total.input_tokens, session.total.output_tokens) == (12, 5)
    assert (session.total.model_calls, session.total.unpriced_calls) == (1, 0)


def test_an_error_of_the_provider(gated: Captured, client: openai.OpenAI, server: ReplayServer) -> None:
    """It passes unchanged, is counted once, and holds nothing of the budget any more."""
    with ao.session("s", budget=ao.Budget(tokens=5_000)) as session:
        server.fail_next(404)
        with pytest.raises(openai.NotFoundError):
            chat(client)
        assert session.remaining == {"tokens": 5_000}
    assert (session.total.model_calls, session.total.errors) == (1, 1)


def test_peers_that_record_elsewhere_do_not_matter(gated: Captured, client: openai.OpenAI) -> None:
    """Whoever asks for quiet because it records the call itself does not open the gate."""
    from opentelemetry import context as otel_context

    token = otel_context.attach(otel_context.set_value("suppress_language_model_instrumentation", True))
    try:
        with ao.session("s", budget=ao.Budget(calls=0)), pytest.raises(ao.BudgetExceeded):
            chat(client)
    finally:
        otel_context.detach(token)


def test_nothing_stays_behind(gated: Captured, client: openai.OpenAI) -> None:
    """After the calls nothing is remembered of them."""
    for _ in range(3):
        with Peer(gated, client, ANSWERED):
            chat(client)
        chat(client)
    recorder = current()
    assert recorder is not None
    assert recorder.calls._live == {}
    assert recorder.scopes._by_span == {}
    assert recorder.budgets._held == {}


def test_without_sampling(client: openai.OpenAI) -> None:
    """A peer's span that is not sampled is seen by nobody; the call is counted all the same."""
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(ao.AgentOpsSpanProcessor())
    ao.init(tracer_provider=provider, auto_session=False, instrument=[], gate=["openai"])
    try:
        with ao.session("s") as session, provider.get_tracer("peer").start_as_current_span("theirs"):
            chat(client)
        assert (session.total.input_tokens, session.total.output_tokens) == USED
    finally:
        ao.shutdown()


def test_the_gate_goes_with_the_runtime(client: openai.OpenAI) -> None:
    """An `init()` without it makes spans again."""
    with capture(auto_session=False, instrument=[], gate="openai") as captured:
        chat(client)
        assert captured.spans == []
    with capture(auto_session=False, instrument=["openai"]) as captured:
        chat(client)
        assert len(captured.spans) == 1


def test_what_can_be_a_gate() -> None:
    """A library whose calls are not wrapped cannot be checked there; the error says what can."""
    with pytest.raises(ConfigError, match=r"gate='langchain'.*all, .*openai"):
        ao.init(tracer_provider=trace.NoOpTracerProvider(), gate=["langchain"])


def test_a_refused_call_of_which_the_message_is_left(gated: Captured, client: openai.OpenAI) -> None:
    """A framework that ends its span later, with no more than the message of the exception."""
    from opentelemetry.trace import Status, StatusCode

    with ao.session("s", budget=ao.Budget(calls=0)) as session:
        span = gated.provider.get_tracer("framework").start_span("theirs", attributes=THEIRS)
        with pytest.raises(ao.BudgetExceeded) as refused:
            chat(client)
        span.set_status(Status(StatusCode.ERROR, f"failed: {refused.value}"))
        span.end()
        assert session.total.model_calls == 0


def test_a_refused_call_of_which_the_exception_is_left(gated: Captured, client: openai.OpenAI) -> None:
    """The same, for one that records the exception and says nothing in its status."""
    with ao.session("s", budget=ao.Budget(calls=0)) as session:
        span = gated.provider.get_tracer("framework").start_span("theirs", attributes=THEIRS)
        with pytest.raises(ao.BudgetExceeded) as refused:
            chat(client)
        span.record_exception(refused.value)
        span.end()
        assert session.total.model_calls == 0


def test_a_span_that_follows_the_stream(gated: Captured, client: openai.OpenAI) -> None:
    """Their span ends after ours has seen the last chunk: it is told the digest, and counts the call."""
    tracer = gated.provider.get_tracer("somebody.else")
    begun: list[trace.Span] = []
    send = client._client.send

    def sent(*args: Any, **kwargs: Any) -> Any:
        begun.append(tracer.start_span("theirs", attributes={**THEIRS, "gen_ai.request.model": "gpt-4"}))
        return send(*args, **kwargs)

    client._client.send = sent  # type: ignore[method-assign]
    try:
        with ao.session("s", budget=ao.Budget(calls=9)) as session:
            list(client.chat.completions.create(**STREAM.request))  # type: ignore[arg-type]
            assert session.total.model_calls == 0
            begun[0].end()
            assert session.remaining == {"calls": 8}
    finally:
        client._client.send = send  # type: ignore[method-assign]
    assert "otel_agentops.input.digest" in (gated.span("theirs").attributes or {})
    assert (session.total.input_tokens, session.total.output_tokens) == (12, 5)


def test_a_stream_that_is_closed_counts_as_a_call(gated: Captured, client: openai.OpenAI) -> None:
    """Nobody knows what it used, and the budget of calls stops the next one all the same."""
    with ao.session("s", budget=ao.Budget(calls=2)) as session:
        for _ in range(2):
            stream = client.chat.completions.create(**STREAM.request)  # type: ignore[arg-type]
            next(iter(stream))
            stream.close()
        with pytest.raises(ao.BudgetExceeded):
            client.chat.completions.create(**STREAM.request)  # type: ignore[arg-type]
        assert (session.total.model_calls, session.total.unpriced_calls) == (2, 2)


def test_what_anthropic_bills_besides_tokens() -> None:
    """What is cached for an hour, searches and the tier decide the price of a call that is only checked."""
    target = anthropic.INSTRUMENTOR.targets[0]
    call = target.request(None, {"model": "claude-sonnet-4-5", "max_tokens": 100}, False)
    target.response(
        call,
        {
            "id": "msg_1",
            "model": "claude-sonnet-4-5-20250929",
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 10,
                "output_tokens": 20,
                "cache_creation_input_tokens": 300,
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
                "server_tool_use": {"web_search_requests": 3},
                "service_tier": "priority",
            },
        },
    )
    assert call.usage == ao.Usage(
        input_tokens=310,
        output_tokens=20,
        cache_write_input_tokens=300,
        cache_write_1h_input_tokens=200,
        web_searches=3,
    )
    assert call.service_tier == "priority"


def test_two_processors_of_ours_are_one(gated: Captured, client: openai.OpenAI) -> None:
    """A call with a span inside that is no call is counted once, and holds nothing of the budget any more."""
    gated.provider.add_span_processor(ao.AgentOpsSpanProcessor())
    tracer = gated.provider.get_tracer("http")
    with (
        openai.OpenAI(
            api_key="none", base_url=client.base_url, max_retries=0, http_client=_Traced(tracer)
        ) as traced,
        ao.session("s", budget=ao.Budget(calls=5)) as session,
    ):
        traced.chat.completions.create(**CHAT.request)  # type: ignore[arg-type]
        assert session.total.model_calls == 1
        assert session.remaining == {"calls": 4}


class _Traced(openai.DefaultHttpxClient):
    """An HTTP client with a span around each request."""

    def __init__(self, tracer: trace.Tracer) -> None:
        super().__init__()
        self._own_tracer = tracer

    def send(self, *args: Any, **options: Any) -> Any:
        with self._own_tracer.start_as_current_span("POST"):
            return super().send(*args, **options)
