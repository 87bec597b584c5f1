"""One model call is one span with one cost, however many layers it went through."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("langchain_openai", reason="needs langchain-openai: pip install -e '.[test-frameworks]'")

import openai
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI, OpenAI
from opentelemetry.context import get_value

import otel_agentops as ao
from frameworks.conftest import ANSWER, COMPLETION, PLAIN, STREAM, run, settings
from otel_agentops.instrumentation.switches import MODELS_SUPPRESSED
from otel_agentops.testing import Captured, capture
from support.conventions import check_span
from support.replay import ReplayServer, client_kwargs, expected, load_exchanges
from support.tree import attribute, tree

MODEL = "gpt-4o"


@pytest.fixture
def llm(server: ReplayServer) -> ChatOpenAI:
    """A chat model that never tries again by itself."""
    return chat(server)


def chat(server: ReplayServer, **more: Any) -> ChatOpenAI:
    """A real chat model of the server."""
    return ChatOpenAI(**{"model": MODEL, **settings(server), **more})


def exact(span: Any, exchange: Any = PLAIN) -> bool:
    """Whether a span has the usage and the id that the provider recorded."""
    facts = expected(exchange)
    return (
        attribute(span, "gen_ai.usage.input_tokens") == facts["input_tokens"]
        and attribute(span, "gen_ai.usage.output_tokens") == facts["output_tokens"]
        and attribute(span, "gen_ai.response.id") == facts["id"]
        and attribute(span, "gen_ai.response.model") == facts["model"]
    )


async def _all(parts: Any) -> list[Any]:
    return [part async for part in parts]


WAYS: dict[str, Callable[[ChatOpenAI], Any]] = {
    "invoke": lambda llm: llm.invoke("hi"),
    "ainvoke": lambda llm: run(llm, lambda llm: llm.ainvoke("hi")),
    "batch": lambda llm: llm.batch(["hi"]),
    "abatch": lambda llm: run(llm, lambda llm: llm.abatch(["hi"])),
    "generate": lambda llm: llm.generate([[HumanMessage("hi")]]),
    "agenerate": lambda llm: run(llm, lambda llm: llm.agenerate([[HumanMessage("hi")]])),
}
STREAMED: dict[str, Callable[[ChatOpenAI], Any]] = {
    "stream": lambda llm: list(llm.stream("hi")),
    "astream": lambda llm: run(llm, lambda llm: _all(llm.astream("hi"))),
    "astream_events": lambda llm: run(llm, lambda llm: _all(llm.astream_events("hi", version="v2"))),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_call_is_one_span(way: str, quiet: Captured, llm: ChatOpenAI, server: ReplayServer) -> None:
    """The span is LangChain's, its usage and server are the SDK's, and it is counted once."""
    with ao.session("one") as session:
        WAYS[way](llm)
    assert tree(quiet.spans) == ["invoke_workflow one", f"  chat {MODEL}"]
    call = quiet.span(f"chat {MODEL}")
    assert exact(call)
    assert attribute(call, "server.address") == "127.0.0.1"
    assert attribute(call, "openai.api.type") == "chat_completions"
    assert (session.total.model_calls, session.total.unpriced_calls) == (1, 0)
    assert session.total.input_tokens == expected(PLAIN)["input_tokens"]


@pytest.mark.parametrize("way", STREAMED)
def test_a_stream_without_usage_has_that_of_the_sdk(way: str, quiet: Captured, llm: ChatOpenAI) -> None:
    """LangChain does not ask this host for usage; the SDK's instrumentation does and says it."""
    with ao.session("one") as session:
        STREAMED[way](llm)
    call = quiet.span(f"chat {MODEL}")
    assert exact(call, STREAM)
    assert attribute(call, "gen_ai.request.stream") is True
    assert isinstance(attribute(call, "gen_ai.response.time_to_first_chunk"), float)
    assert (session.total.model_calls, session.total.unpriced_calls) == (1, 0)


@pytest.mark.parametrize("profile", ["1.41", "latest"])
def test_the_joined_span_keeps_to_the_conventions(profile: str, llm: ChatOpenAI) -> None:
    """What two layers wrote together is what the conventions want, with content as well."""
    with capture(semconv=profile, capture_content=True, auto_session=False) as captured:
        llm.invoke([("system", "Be brief."), ("user", "hi")], temperature=0.5, stop=["x"], seed=7)
        (span,) = captured.spans
    assert check_span(span, profile) == []


def test_the_price_is_that_of_a_direct_call(quiet: Captured, llm: ChatOpenAI, server: ReplayServer) -> None:
    """A call through LangChain costs what the same call costs without it."""
    llm.invoke("hi")
    with openai.OpenAI(**client_kwargs(server)) as client:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
    through, direct = quiet.spans
    assert attribute(through, "gen_ai.usage.cost") == attribute(direct, "gen_ai.usage.cost") is not None


@pytest.mark.parametrize("text", ["hi", "something else"])
def test_a_direct_call_after_ainvoke_is_its_own(
    text: str, quiet: Captured, llm: ChatOpenAI, server: ReplayServer
) -> None:
    """What LangChain left in the task's context does not swallow or adopt the next call."""

    async def program(llm: ChatOpenAI) -> None:
        await llm.ainvoke("hi")
        async with openai.AsyncOpenAI(**client_kwargs(server)) as client:
            await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
        with quiet.provider.get_tracer("user").start_as_current_span("theirs"):
            pass

    with ao.session("two") as session:
        run(llm, program)
    assert tree(quiet.spans) == [
        "invoke_workflow two",
        f"  chat {MODEL}",
        f"  chat {MODEL}",
        "  theirs",
    ]
    assert all(exact(span) for span in quiet.named("chat"))
    assert session.total.model_calls == 2


def test_a_task_that_never_ends_starts_a_trace_for_each_call(quiet: Captured, llm: ChatOpenAI) -> None:
    """In a worker's loop no call is a child of one that ended before it, and nothing piles up."""

    async def worker(llm: ChatOpenAI) -> None:
        for _ in range(5):
            await llm.ainvoke("hi")

    run(llm, worker)
    assert [span.parent for span in quiet.spans] == [None] * 5
    assert len({span.context.trace_id for span in quiet.spans if span.context}) == 5


@pytest.mark.filterwarnings("ignore:Unexpected type for token usage")  # langchain-openai about counts of None
@pytest.mark.parametrize("texts", [("one", "two"), ("same", "same")])
@pytest.mark.parametrize("way", ["sync", "async"])
def test_generate_with_two_prompts(
    texts: tuple[str, str], way: str, quiet: Captured, llm: ChatOpenAI, server: ReplayServer
) -> None:
    """Two prompts are two calls beside each other, each with what the provider said of it."""
    before, messages = len(server.requests), [[HumanMessage(text)] for text in texts]
    with ao.session("two") as session:
        llm.generate(messages) if way == "sync" else run(llm, lambda llm: llm.agenerate(messages))
    assert len(server.requests) == before + 2
    assert tree(quiet.spans) == ["invoke_workflow two", f"  chat {MODEL}", f"  chat {MODEL}"]
    assert all(exact(span) for span in quiet.named("chat"))
    assert session.total.model_calls == 2
    assert session.total.input_tokens == 2 * expected(PLAIN)["input_tokens"]


def test_two_completions_in_one_request_are_counted_once(quiet: Captured, server: ReplayServer) -> None:
    """Where LangChain sends two prompts at once, the usage is there once, and no call lacks a price."""
    with ao.session("two") as session:
        OpenAI(model="davinci-002", **settings(server)).generate(["one", "two"])
    first, second = quiet.named("text_completion")
    assert tree(quiet.spans)[1:] == ["  text_completion davinci-002", "  text_completion davinci-002"]
    assert exact(first, COMPLETION)
    assert attribute(second, "otel_agentops.duplicate") is True
    assert attribute(second, "gen_ai.usage.cost") is None
    assert (session.total.model_calls, session.total.unpriced_calls) == (1, 0)


def test_a_cache_hit_costs_nothing(quiet: Captured, server: ReplayServer) -> None:
    """The second answer comes from LangChain's cache: no request, no tokens, no cost."""
    llm = chat(server, cache=InMemoryCache())
    before = len(server.requests)
    with ao.session("cache") as session:
        first, second = llm.invoke("hi"), llm.invoke("hi")
    assert first.content == second.content
    assert len(server.requests) == before + 1
    paid, cached = quiet.named("chat")
    assert exact(paid)
    assert attribute(cached, "gen_ai.usage.cost") == 0.0
    assert attribute(cached, "gen_ai.usage.input_tokens") == 0
    assert attribute(cached, "otel_agentops.cache_hit") is True
    assert attribute(paid, "otel_agentops.cache_hit") is None
    assert session.total.cost_usd == Decimal(str(attribute(paid, "gen_ai.usage.cost")))
    assert session.total.unpriced_calls == 0


# --- models that are made of models


class Composed(BaseChatModel):
    """A model of the program's own.

    Attributes:
        steps: Each makes an answer of the messages; the last one's is the model's.
        usage: What the model says it used.
    """

    steps: Any
    usage: Any = None

    @property
    def _llm_type(self) -> str:
        return "composed"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        text = [step(messages) for step in self.steps][-1]
        message = AIMessage(content=text, usage_metadata=self.usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def ask(server: ReplayServer) -> Iterator[Callable[[str], Callable[[Any], str]]]:
    """A step that calls the SDK directly; `None` sends what the model was given."""
    with openai.OpenAI(**client_kwargs(server), max_retries=0) as client:

        def sending(text: str | None) -> Callable[[Any], str]:
            def step(messages: Any) -> str:
                sent = messages[-1].content if text is None else text
                answer = client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": sent}]
                )
                return str(answer.choices[0].message.content)

            return step

        yield sending


TOKENS = expected(PLAIN)
PLAIN_USAGE = {
    "input_tokens": TOKENS["input_tokens"],
    "output_tokens": TOKENS["output_tokens"],
    "total_tokens": TOKENS["input_tokens"] + TOKENS["output_tokens"],
}


def times(factor: int) -> dict[str, int]:
    """The recorded usage, several times."""
    return {name: count * factor for name, count in PLAIN_USAGE.items()}


@pytest.mark.parametrize("usage", [None, times(2)], ids=["silent", "adds up"])
def test_a_model_that_makes_two_different_calls(usage: Any, quiet: Captured, ask: Any) -> None:
    """Each call has its span and its cost; the model's own span repeats neither."""
    with ao.session("composed") as session:
        Composed(steps=[ask("draft"), ask("review")], usage=usage).invoke("hi")
    assert tree(quiet.spans) == [
        "invoke_workflow composed",
        "  chat",
        f"    chat {MODEL}",
        f"    chat {MODEL}",
    ]
    outer = quiet.span("chat")
    assert attribute(outer, "otel_agentops.duplicate") is True
    assert attribute(outer, "gen_ai.usage.cost") is None
    assert (session.total.model_calls, session.total.unpriced_calls) == (2, 0)
    assert session.total.input_tokens == 2 * TOKENS["input_tokens"]
    assert float(session.total.cost_usd) == pytest.approx(
        sum(float(str(attribute(span, "gen_ai.usage.cost"))) for span in quiet.named("chat gpt"))
    )


def test_usage_beyond_the_calls_inside_is_counted(quiet: Captured, ask: Any) -> None:
    """A model that says it used more than the calls we saw inside is counted with the rest."""
    with ao.session("more") as session:
        Composed(steps=[ask("draft")], usage=times(3)).invoke("hi")
    outer = quiet.span("chat")
    assert attribute(outer, "gen_ai.usage.input_tokens") == 3 * TOKENS["input_tokens"]
    assert "otel_agentops.duplicate" not in (outer.attributes or {})
    assert session.total.input_tokens == 3 * TOKENS["input_tokens"]
    assert session.total.model_calls == 1


def test_a_model_that_passes_its_messages_on(quiet: Captured, ask: Any) -> None:
    """A thin wrapper around the SDK is one call, also where it says no usage of its own."""
    with ao.session("thin") as session:
        Composed(steps=[ask(None)]).invoke("hi")
    assert tree(quiet.spans) == ["invoke_workflow thin", f"  chat {MODEL}"]
    assert exact(quiet.span(f"chat {MODEL}"))
    assert session.total.model_calls == 1


def test_a_model_around_another_langchain_model(quiet: Captured, llm: ChatOpenAI) -> None:
    """Three layers of the same call are still one span."""
    with ao.session("deep") as session:
        Composed(steps=[lambda messages: str(llm.invoke(messages).content)], usage=PLAIN_USAGE).invoke("hi")
    assert tree(quiet.spans) == ["invoke_workflow deep", f"  chat {MODEL}"]
    assert exact(quiet.span(f"chat {MODEL}"))
    assert session.total.model_calls == 1


def test_the_same_request_twice_is_paid_twice(quiet: Captured, ask: Any) -> None:
    """Only one of two equal requests is the call that the framework announced."""
    with ao.session("twice") as session:
        Composed(steps=[ask(None), ask(None)]).invoke("hi")
    assert session.total.model_calls == 2
    assert session.total.input_tokens == 2 * TOKENS["input_tokens"]
    assert len(quiet.named("chat")) == 2


def test_a_second_try_after_an_error_is_the_call(quiet: Captured, ask: Any, server: ReplayServer) -> None:
    """A model that catches the SDK's error and asks again is one call with one answer."""
    once = ask(None)

    def persistent(messages: Any) -> str:
        try:
            return str(once(messages))
        except openai.APIStatusError:
            return str(once(messages))

    server.fail_next(500)
    with ao.session("again") as session:
        Composed(steps=[persistent]).invoke("hi")
    assert tree(quiet.spans) == ["invoke_workflow again", f"  chat {MODEL}"]
    assert exact(quiet.span(f"chat {MODEL}"))
    assert (session.total.model_calls, session.total.errors) == (1, 0)


def test_embeddings_inside_are_no_answer(quiet: Captured, server: ReplayServer) -> None:
    """What a model spends on embeddings does not explain what it spends on its answer."""
    from support.replay import load_exchanges

    embedding = next(iter(load_exchanges("openai/openai__test_embeddings.json", route="embeddings")))
    with ReplayServer([embedding]) as other, openai.OpenAI(**client_kwargs(other)) as client:

        def look_up(messages: Any) -> str:
            client.embeddings.create(**embedding.request)  # type: ignore[arg-type]
            return "found"

        with ao.session("embeds") as session:
            Composed(steps=[look_up], usage=PLAIN_USAGE).invoke("hi")
    assert attribute(quiet.span("chat"), "otel_agentops.duplicate") is None
    assert session.total.model_calls == 2
    assert session.total.output_tokens == TOKENS["output_tokens"]


# --- errors, cancellation, threads


def test_a_fallback_chain(quiet: Captured, llm: ChatOpenAI, server: ReplayServer) -> None:
    """The call that failed and the one that answered are two spans, one of them an error."""
    server.fail_next(429)
    with ao.session("fallback") as session:
        chat(server, model="gpt-4o-mini").with_fallbacks([llm]).invoke("hi")
    failed, answered = quiet.named("chat")
    assert (failed.status.is_ok, answered.status.is_ok) == (False, True)
    assert "RateLimitError" in str(attribute(failed, "error.type"))
    assert attribute(failed, "server.address") == "127.0.0.1"
    assert exact(answered)
    assert (session.total.model_calls, session.total.errors, session.total.unpriced_calls) == (2, 1, 0)


def test_a_cancelled_call_ends(quiet: Captured, server: ReplayServer) -> None:
    """LangChain does not say that a call was cancelled; the SDK below does, and the span ends."""

    async def program(llm: ChatOpenAI) -> None:
        server.event_delay_s = 0.5
        task = asyncio.create_task(llm.ainvoke("hi"))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        run(chat(server, streaming=True), program)
    finally:
        server.event_delay_s = 0.0
    (call,) = quiet.spans
    assert attribute(call, "otel_agentops.ending") == "cancelled"
    assert call.status.is_ok


def test_batch_in_threads(quiet: Captured, llm: ChatOpenAI, server: ReplayServer) -> None:
    """Calls on LangChain's threads stay in the session, beside each other."""
    with ao.session("batch") as session:
        llm.batch([f"question {number}" for number in range(8)], config={"max_concurrency": 4})
    assert tree(quiet.spans) == ["invoke_workflow batch", *[f"  chat {MODEL}"] * 8]
    assert all(exact(span) for span in quiet.named("chat"))
    assert session.total.model_calls == 8


def test_concurrent_chains_do_not_mix(quiet: Captured, llm: ChatOpenAI) -> None:
    """Each of many chains in one loop has its own call, also where all send the same."""

    async def step(question: str) -> str:
        return str((await llm.ainvoke(question)).content)

    async def program(_: ChatOpenAI) -> None:
        chain = RunnableLambda(step).with_config(run_name="one")
        await asyncio.gather(*(chain.ainvoke("hi") for _ in range(10)))

    run(llm, program)
    chains = {span.context.span_id for span in quiet.named("one") if span.context}
    assert {span.parent.span_id for span in quiet.named("chat") if span.parent} == chains
    assert len(chains) == 10


def test_without_the_sdk_langchain_tells_the_usage(quiet: Captured, llm: ChatOpenAI) -> None:
    """Where the provider's SDK is not instrumented, LangChain's own numbers are taken."""
    ao.uninstrument("openai")
    with ao.session("alone") as session:
        llm.invoke("hi")
    call, facts = quiet.span(f"chat {MODEL}"), expected(PLAIN)
    assert attribute(call, "gen_ai.usage.input_tokens") == facts["input_tokens"]
    assert attribute(call, "gen_ai.usage.output_tokens") == facts["output_tokens"]
    assert attribute(call, "gen_ai.response.finish_reasons") == ("stop",)
    assert attribute(call, "gen_ai.usage.cost") is not None
    assert session.total.model_calls == 1


def test_an_agents_turn_with_a_tool(quiet: Captured, server: ReplayServer) -> None:
    """Messages with tool calls and results are recognised through both layers."""
    from langchain_core.messages import ToolMessage

    asked = AIMessage("", tool_calls=[{"name": "add_numbers", "args": {"a": 5, "b": 7}, "id": "call_1"}])
    tools = [{"type": "function", "function": {"name": "add_numbers", "parameters": {"type": "object"}}}]
    history = [HumanMessage("Add 5 and 7"), asked, ToolMessage("12", tool_call_id="call_1")]
    chat(server, model="gpt-4o-mini").bind_tools(tools).invoke(history)
    (call,) = quiet.spans
    assert exact(call, ANSWER)


@pytest.mark.parametrize("way", ["agenerate", "ainvoke", "astream_events"])
def test_async_completions_tell_everybody(way: str, quiet: Captured) -> None:
    """LangChain's own listeners hear of an async completion model beside our handler; counted once."""

    async def program(llm: OpenAI) -> Any:
        if way == "astream_events":
            return [event["event"] async for event in llm.astream_events("one", version="v2")]
        return await (llm.ainvoke("one") if way == "ainvoke" else llm.agenerate(["one", "two"]))

    streamed = load_exchanges("openai/openai__test_completion_streaming_with_events_with_no_content.json")[0]
    with ReplayServer([COMPLETION, streamed]) as server, ao.session("one") as session:
        heard = run(OpenAI(model="davinci-002", **settings(server)), program)
    if way == "astream_events":
        assert (heard[0], heard[-1]) == ("on_llm_start", "on_llm_end")
        assert "on_llm_stream" in heard
    calls = quiet.named("text_completion")
    assert len(calls) == (2 if way == "agenerate" else 1)
    assert session.total.model_calls == 1
    if way != "astream_events":
        assert exact(calls[0], COMPLETION)


def test_what_generate_does_not_send_after_a_failure(quiet: Captured, server: ReplayServer) -> None:
    """The first failure ends `generate`: what it then does not send is over, and nobody's parent."""
    server.fail_next(429)
    with pytest.raises(openai.RateLimitError):
        chat(server).generate([[HumanMessage("one")], [HumanMessage("two")]])
    with quiet.provider.get_tracer("user").start_as_current_span("theirs"):
        pass
    assert sorted(tree(quiet.spans)) == [f"chat {MODEL}", f"chat {MODEL}", "theirs"]
    endings = [attribute(span, "otel_agentops.ending") for span in quiet.named("chat")]
    assert "abandoned" in endings


# --- an SDK whose calls are only checked, as others make their spans


@pytest.fixture
def gated() -> Iterator[Captured]:
    """LangChain's spans are ours, those of the SDK are somebody else's."""
    with capture(instrument=["langchain"], gate=["openai"], auto_session=False) as captured:
        yield captured


def test_a_checked_call_is_the_frameworks_own(gated: Captured, llm: ChatOpenAI, server: ReplayServer) -> None:
    """Its exact usage goes to LangChain's span, and whoever makes spans of the SDK is not told to hush."""
    told: list[object] = []
    transport = importlib.import_module("httpx2" if openai.__version__ >= "3" else "httpx")
    client = transport.Client(event_hooks={"request": [lambda _: told.append(get_value(MODELS_SUPPRESSED))]})
    with client, ao.session("one") as session:
        chat(server, http_client=client).invoke("hi")
    assert told == [None]
    assert tree(gated.spans) == ["invoke_workflow one", f"  chat {MODEL}"]
    assert exact(gated.span(f"chat {MODEL}"))
    assert session.total.model_calls == 1


def test_a_checked_call_inside_with_other_words_has_no_span(gated: Captured, server: ReplayServer) -> None:
    """What a model of LangChain's asks besides is counted for itself, and stays without a span of ours."""

    class Rephrasing(FakeListChatModel):
        def _generate(self, *arguments: Any, **named: Any) -> ChatResult:
            with openai.OpenAI(**client_kwargs(server)) as client:
                client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "other"}])
            return super()._generate(*arguments, **named)

    with ao.session("one") as session:
        Rephrasing(responses=["so"]).invoke("hi")
    assert tree(gated.spans) == ["invoke_workflow one", "  chat"]
    assert session.total.input_tokens == expected(PLAIN)["input_tokens"]
