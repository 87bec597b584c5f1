"""OpenAI's SDK keeps to the contract, in every shape of a call."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import otel_agentops as ao
from instrumentation.contract import Call, InstrumentorContract
from instrumentation.test_openai_recordings import HAS_RESPONSES
from otel_agentops.failsafe import failures
from otel_agentops.instrumentation.openai import INSTRUMENTOR
from otel_agentops.testing import Captured, capture
from support.conventions import check_span
from support.replay import ReplayServer, client_kwargs, load_exchanges

CHAT = next(
    exchange for exchange in load_exchanges("openai/openai__test_chat.json", route="chat/completions")
)
STREAM = next(e for e in load_exchanges("openai/openai-v2__test_chat_completion_streaming.json") if e.is_sse)
EMBEDDING = next(iter(load_exchanges("openai/openai__test_embeddings.json", route="embeddings")))
RESPONSE = next(
    iter(load_exchanges("openai/openai__test_responses_with_service_tier.json", route="responses"))
)


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    """A server with one recording of each kind."""
    with ReplayServer([CHAT, STREAM, EMBEDDING, RESPONSE]) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ReplayServer) -> Iterator[openai.OpenAI]:
    """A real client of it."""
    with openai.OpenAI(**client_kwargs(server), max_retries=0) as made:
        yield made


def body(exchange: Any, **more: Any) -> dict[str, Any]:
    """The recorded request."""
    return {**exchange.request, **more}


@pytest.fixture
def calls(client: openai.OpenAI, server: ReplayServer) -> list[Call]:
    """Calls of every shape."""

    async def acreate(arguments: dict[str, Any]) -> Any:
        async with openai.AsyncOpenAI(**client_kwargs(server)) as made:
            answer = await made.chat.completions.create(**arguments)
            return [part async for part in answer] if arguments.get("stream") else answer

    made = [
        Call("chat", lambda a: client.chat.completions.create(**a), body(CHAT)),
        Call("stream", lambda a: list(client.chat.completions.create(**a)), body(STREAM)),
        Call("async", lambda a: asyncio.run(acreate(a)), body(CHAT)),
        Call("async stream", lambda a: asyncio.run(acreate(a)), body(STREAM)),
        Call("embeddings", lambda a: client.embeddings.create(**a), body(EMBEDDING)),
        Call("raw", lambda a: client.chat.completions.with_raw_response.create(**a).parse(), body(CHAT)),
    ]
    if HAS_RESPONSES:
        made.append(Call("responses", lambda a: client.responses.create(**a), body(RESPONSE)))
    return made


class TestContract(InstrumentorContract):
    """The contract's cases."""

    instrumentor = INSTRUMENTOR


def test_nothing_is_imported_for_us() -> None:
    """Switching on does not import the SDK; importing it later is enough."""
    import subprocess

    code = """
import sys, otel_agentops as ao
ao.init(exporters=["none"])
assert "openai" not in sys.modules
import inspect, openai.resources.chat.completions as module
inner = sys.modules.get("openai.resources.chat.completions.completions", module)
import openai
client = openai.OpenAI(api_key="k")
client.chat
method = inspect.getattr_static(type(client.chat.completions), "create")
assert type(method).__module__.startswith("otel_agentops")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_request_attributes(captured: Captured, client: openai.OpenAI) -> None:
    """Every request parameter that the conventions name is on the span."""
    client.chat.completions.create(
        **body(
            CHAT,
            temperature=0.5,
            top_p=0.9,
            max_tokens=7,
            n=2,
            seed=3,
            stop=["a", "b"],
            frequency_penalty=0.1,
            presence_penalty=0.2,
            response_format={"type": "json_object"},
            service_tier="default",
        )
    )
    attributes = dict(captured.spans[0].attributes or {})
    assert {name: attributes.get(name) for name in REQUEST} == REQUEST


REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": CHAT.request["model"],  # type: ignore[index]
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.max_tokens": 7,
    "gen_ai.request.choice.count": 2,
    "gen_ai.request.seed": 3,
    "gen_ai.request.stop_sequences": ("a", "b"),
    "gen_ai.request.frequency_penalty": 0.1,
    "gen_ai.request.presence_penalty": 0.2,
    "gen_ai.output.type": "json",
    "openai.request.service_tier": "default",
    "openai.api.type": "chat_completions",
    "server.address": "127.0.0.1",
}


HOSTS = {
    "https://api.groq.com/openai/v1": "groq",
    "https://api.deepseek.com": "deepseek",
    "https://api.x.ai/v1": "x_ai",
    "https://openrouter.ai/api/v1": "openrouter",
    "https://example.openai.azure.com/openai/v1": "azure.ai.openai",
    "https://eu.api.openai.com/v1": "openai",
    "https://llm.example.internal/v1": "openai",
}


@pytest.mark.parametrize("url", HOSTS)
def test_the_host_tells_the_provider(url: str, captured: Captured) -> None:
    """A client pointed at another vendor's host is that vendor's."""
    from openai import APIConnectionError

    httpx = sys.modules.get("httpx2") if int(openai.__version__[0]) >= 3 else sys.modules["httpx"]

    def refuse(_request: Any) -> Any:
        raise httpx.ConnectError("no network in tests")

    http_client = httpx.Client(transport=httpx.MockTransport(refuse))
    with (
        openai.OpenAI(api_key="k", base_url=url, max_retries=0, http_client=http_client) as client,
        pytest.raises(APIConnectionError),
    ):
        client.chat.completions.create(**body(CHAT))
    span = captured.spans[0]
    assert (span.attributes or {})["gen_ai.provider.name"] == HOSTS[url]
    assert (span.attributes or {})["error.type"] == "openai.APIConnectionError"


def test_error_passes_unchanged(captured: Captured, client: openai.OpenAI, server: ReplayServer) -> None:
    """The caller's exception is the SDK's own; the span has its type, message and one event."""
    server.fail_next(429)
    with pytest.raises(openai.RateLimitError) as raised, ao.session("errors"):
        client.chat.completions.create(**body(CHAT))
    call, session = captured.span(f"chat {CHAT.request['model']}"), captured.span("invoke_workflow errors")
    assert (call.attributes or {})["error.type"] == "openai.RateLimitError"
    assert call.status.description == str(raised.value)
    assert [event.name for event in call.events] == ["exception"]
    assert session.events == ()
    assert (session.attributes or {})["otel_agentops.total.errors"] == 1
    assert "otel_agentops.total.unpriced_calls" not in (session.attributes or {})


ODD: list[dict[str, Any]] = [
    {"temperature": "hot"},
    {"stop": 5},
    {"seed": True},
    {"tools": [object()]},
    {"response_format": 3},
    {"n": "two"},
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: next(iter(odd)))
def test_odd_arguments_never_raise(odd: dict[str, Any], captured: Captured) -> None:
    """What cannot be read is counted and left out; the SDK decides whether the call is wrong."""
    request = INSTRUMENTOR.targets[0].request(object(), {**body(CHAT), **odd}, True)
    assert request.request_model == CHAT.request["model"]  # type: ignore[index]
    if "tools" not in odd:
        assert failures[f"unreadable argument {next(iter(odd))}"] == 1


def test_generators_are_not_consumed(captured: Captured, client: openai.OpenAI) -> None:
    """A generator of messages reaches the provider whole."""
    messages = body(CHAT)["messages"]
    seen: list[Any] = []

    def generate() -> Iterator[Any]:
        for message in messages:
            seen.append(message)
            yield message

    client.chat.completions.create(**{**body(CHAT), "messages": generate()})
    assert seen == messages
    assert "gen_ai.input.messages" not in (captured.spans[0].attributes or {})


def test_equal_prompts_have_equal_digests(captured: Captured, client: openai.OpenAI) -> None:
    """The digest is the same for the same messages, another for others, and never the messages."""
    for text in ("one", "one", "two"):
        client.chat.completions.create(**{**body(CHAT), "messages": [{"role": "user", "content": text}]})
    first, second, third = [(s.attributes or {})["otel_agentops.input.digest"] for s in captured.spans]
    assert first == second != third
    assert len(str(first)) == 32


@pytest.mark.skipif(not HAS_RESPONSES, reason="this version of openai has no Responses API")
def test_fetching_a_response_again_counts_nothing(
    captured: Captured, client: openai.OpenAI, server: ReplayServer
) -> None:
    """`retrieve` is a span without usage, and costs nothing."""
    with ao.session("fetch") as session:
        created = client.responses.create(**body(RESPONSE))
        before = session.total.cost_usd
        fetched = client.responses.retrieve(created.id)
    assert fetched.id == created.id
    span = captured.span("fetch_response")
    assert session.total.cost_usd == before
    assert session.total.model_calls == 1
    assert not [name for name in span.attributes or {} if "usage" in name or "cost" in name]
    assert (span.attributes or {})["gen_ai.response.id"] == created.id


@pytest.mark.skipif(not HAS_RESPONSES, reason="this version of openai has no Responses API")
def test_fetching_what_is_not_there(captured: Captured, client: openai.OpenAI, profile: str) -> None:
    """A failed `retrieve` still says which response was asked for."""
    with capture(semconv=profile, auto_session=False) as recorded:
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve("resp_nope")
        (span,) = recorded.spans
    assert (span.attributes or {})["gen_ai.response.id"] == "resp_nope"
    assert check_span(span, profile) == []


def test_concurrent_async_calls_do_not_mix(captured: Captured, server: ReplayServer) -> None:
    """Tasks that run at once are each under their own agent."""

    @ao.agent
    async def worker(client: openai.AsyncOpenAI) -> Any:
        return await client.chat.completions.create(**body(CHAT))

    async def main() -> None:
        async with openai.AsyncOpenAI(**client_kwargs(server)) as client:
            await asyncio.gather(*(worker(client) for _ in range(20)))

    asyncio.run(main())
    agents = {span.context.span_id for span in captured.named("invoke_agent")}
    parents = {span.parent.span_id for span in captured.named("chat") if span.parent}
    assert len(agents) == 20
    assert parents == agents


def test_azure_client(captured: Captured, server: ReplayServer) -> None:
    """The Azure client on a host nobody knows is still Azure."""
    with openai.AzureOpenAI(api_key="k", azure_endpoint=server.url, api_version="2024-10-21") as client:
        client.chat.completions.create(model="my-deployment", messages=[{"role": "user", "content": "x"}])
    attributes = captured.spans[0].attributes or {}
    assert attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert attributes["gen_ai.request.model"] == "my-deployment"
