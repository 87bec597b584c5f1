"""Every OpenAI and Azure recording through the real SDK: what the span says is what the provider said."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture
from support.conventions import check_metrics, check_span
from support.replay import Exchange, ReplayServer, client_kwargs, expected, load_exchanges

ROUTES = ("chat/completions", "completions", "embeddings", "responses")
EXCHANGES = [e for e in load_exchanges() if e.method == "POST" and e.route in ROUTES]
OLD = tuple(int(part) for part in openai.__version__.split(".")[:2])
HAS_RESPONSES = OLD >= (1, 66)


def supported(exchange: Exchange) -> bool:
    """Whether this version of the SDK has the method at all."""
    return HAS_RESPONSES or exchange.route != "responses"


RUNNABLE = [exchange for exchange in EXCHANGES if supported(exchange)]


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Shared by all clients, none of which uses it: reading the certificates is half the time of a test."""


def client_for(exchange: Exchange, server: ReplayServer, asynchronous: bool) -> Any:
    """A real client of the kind that made the recording."""
    http = (openai.DefaultAsyncHttpxClient if asynchronous else openai.DefaultHttpxClient)(verify=NO_TLS)
    if exchange.provider == "azure":
        make = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        where = {"api_key": "test-key", "azure_endpoint": server.url, "api_version": "2024-02-01"}
        return make(**where, http_client=http, max_retries=0)
    make_plain = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    return make_plain(**client_kwargs(server), http_client=http, max_retries=0)


def method_of(client: Any, route: str) -> Callable[..., Any]:
    """The SDK's method for this API."""
    return {
        "chat/completions": lambda: client.chat.completions.create,
        "completions": lambda: client.completions.create,
        "embeddings": lambda: client.embeddings.create,
        "responses": lambda: client.responses.create,
    }[route]()


def arguments(exchange: Exchange) -> dict[str, Any]:
    """The recorded body as keyword arguments; what this SDK has no parameter for goes as extra body."""
    body = dict(exchange.request) if isinstance(exchange.request, dict) else {}
    known = set(KNOWN[exchange.route])
    extra = {name: body.pop(name) for name in list(body) if name not in known}
    body.setdefault("model", "test-deployment")
    return {**body, **({"extra_body": extra} if extra else {})}


def _known() -> dict[str, frozenset[str]]:
    with openai.OpenAI(api_key="test-key") as client:
        return {
            route: frozenset(inspect.signature(method_of(client, route)).parameters)
            for route in ROUTES
            if HAS_RESPONSES or route != "responses"
        }


KNOWN = _known()


def run(exchange: Exchange, server: ReplayServer, asynchronous: bool = False) -> Any:
    """Make the recorded call and read its answer to the end; the parts of it, or the error."""
    try:
        if asynchronous:
            return asyncio.run(_run_async(exchange, server))
        with client_for(exchange, server, False) as client:
            result = method_of(client, exchange.route)(**arguments(exchange))
            return list(result) if exchange.is_sse else result
    except openai.APIError as error:
        return error


async def _run_async(exchange: Exchange, server: ReplayServer) -> Any:
    async with client_for(exchange, server, True) as client:
        result = await method_of(client, exchange.route)(**arguments(exchange))
        return [part async for part in result] if exchange.is_sse else result


@pytest.fixture(params=["1.41", "latest"])
def everything(request: pytest.FixtureRequest) -> Iterator[tuple[Captured, str]]:
    """Recording with content, in both profiles."""
    with capture(capture_content=True, auto_session=False, semconv=request.param) as captured:
        yield captured, request.param


def reasons(facts: dict[str, Any], exchange: Exchange) -> list[str]:
    """What the conventions call the recorded finish reasons."""
    if exchange.route != "responses":
        return [reason or "error" for reason in facts["finish_reasons"]]
    if facts["incomplete_reason"]:
        return [{"max_output_tokens": "length"}.get(facts["incomplete_reason"], facts["incomplete_reason"])]
    if facts["status"] == "completed":
        return ["tool_calls"] if facts["tool_calls"] else ["stop"]
    return ["error"]


USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


@pytest.mark.parametrize("exchange", RUNNABLE, ids=lambda exchange: exchange.key)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_span_says_what_the_provider_said(exchange: Exchange, asynchronous: bool) -> None:
    """Tokens, model, finish reasons and tool calls equal the recording's, in the profile's names."""
    facts = expected(exchange)
    with ReplayServer([exchange]) as server, capture(capture_content=True, auto_session=False) as captured:
        result = run(exchange, server, asynchronous)
        (span,) = captured.spans
        assert check_span(span, "1.41") == []
        assert check_metrics(captured.metrics, "1.41") == []
        attributes = dict(span.attributes or {})
        assert attributes.get("error.type") == (
            f"openai.{type(result).__name__}" if isinstance(result, openai.APIError) else None
        )
        if exchange.status != 200:
            return
        assert attributes.get("gen_ai.response.model") == facts["model"]
        assert attributes.get("gen_ai.response.id") == facts["id"]
        assert {name: attributes.get(name) for name in USAGE.values()} == {
            name: facts[fact] for fact, name in USAGE.items()
        }
        if exchange.route != "embeddings":
            assert list(attributes["gen_ai.response.finish_reasons"]) == reasons(facts, exchange)
            assert tool_calls(attributes) == [
                (call["id"], call["name"], parsed(call["arguments"])) for call in facts["tool_calls"]
            ]
        priced = "estimated" if "flags" in str(list(attributes)) else "priced"  # Azure at list prices
        assert attributes["otel_agentops.cost.status"] == (priced if facts["usage"] else "unpriced")


def tool_calls(attributes: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    """Tool calls in the written output messages."""
    messages = json.loads(str(attributes.get("gen_ai.output.messages", "[]")))
    return [
        (part.get("id"), part["name"], part.get("arguments"))
        for message in messages
        for part in message["parts"]
        if part["type"] == "tool_call"
    ]


def parsed(text: str) -> Any:
    """Arguments as JSON where they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize("exchange", RUNNABLE, ids=lambda exchange: exchange.key)
def test_latest_profile(exchange: Exchange) -> None:
    """The same calls in the names of the newest conventions."""
    with (
        ReplayServer([exchange]) as server,
        capture(capture_content=True, auto_session=False, semconv="latest") as captured,
    ):
        run(exchange, server)
        (span,) = captured.spans
        assert check_span(span, "latest") == []
        assert check_metrics(captured.metrics, "latest") == []


PRICED = [
    exchange
    for exchange in RUNNABLE
    if exchange.status == 200
    and expected(exchange)["usage"]
    and '"web_search_call"' not in exchange.response  # a fee a search, which no factor changes
]


@pytest.mark.parametrize("exchange", PRICED, ids=lambda exchange: exchange.key)
def test_twice_the_usage_costs_twice(exchange: Exchange) -> None:
    """A recording with doubled token counts doubles cost and totals."""
    costs = []
    for factor in (1, 2):
        with (
            ReplayServer([exchange], usage_factor=factor) as server,
            capture(auto_session=False) as captured,
        ):
            with ao.session("twice") as session:
                run(exchange, server)
            span = captured.named("invoke_workflow")[0]
            call = next(s for s in captured.spans if s is not span)
            costs.append((session.total.cost_usd, session.total.input_tokens, session.total.output_tokens))
            assert (span.attributes or {})["otel_agentops.total.cost_usd"] == pytest.approx(
                (call.attributes or {})["gen_ai.usage.cost"], rel=1e-12
            )
    (cost, sent, received), (twice, twice_sent, twice_received) = costs
    assert cost > Decimal(0)
    assert (twice, twice_sent, twice_received) == (2 * cost, 2 * sent, 2 * received)


@pytest.mark.parametrize("exchange", RUNNABLE[::7], ids=lambda exchange: exchange.key)
def test_content_is_off_by_default(exchange: Exchange) -> None:
    """Without being asked, nothing that was said is written."""
    with ReplayServer([exchange]) as server, capture(auto_session=False) as captured:
        run(exchange, server)
        (span,) = captured.spans
    written = [name for name in span.attributes or {} if "messages" in name or "instructions" in name]
    assert written == []


@pytest.mark.parametrize("exchange", RUNNABLE, ids=lambda exchange: exchange.key)
def test_same_answer_and_request_as_without_us(exchange: Exchange) -> None:
    """The program gets, and the provider sees, exactly what they do when nothing is recorded."""
    with ReplayServer([exchange]) as server:
        bare = run(exchange, server)
        with capture(auto_session=False):
            ours = run(exchange, server)
        first, second = server.requests
    assert type(ours) is type(bare)
    assert dumped(ours) == dumped(bare)
    assert (first.raw, first.path, comparable(first.headers)) == (
        second.raw,
        second.path,
        comparable(second.headers),
    )


def dumped(result: Any) -> Any:
    """An answer as plain data."""
    if isinstance(result, list):
        return [part.to_dict() for part in result]
    if isinstance(result, Exception):
        return str(result), result.args
    return result.to_dict(warnings=False)  # base64 embeddings are no list of floats


def comparable(headers: dict[str, str]) -> dict[str, str]:
    """Headers without the one that names the port of the client."""
    return {name: value for name, value in headers.items() if name != "host"}
