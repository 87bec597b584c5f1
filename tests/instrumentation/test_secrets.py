"""No secret of a request reaches a span: keys, headers, tokens in URLs, also when a call fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture
from support.replay import Exchange, ReplayServer, load_exchanges

PLAIN = load_exchanges("openai/openai__test_chat.json")[0]
STREAM = load_exchanges("openai/openai-v2__test_chat_completion_streaming.json")[0]
EMBEDDING = load_exchanges("openai/openai__test_embeddings.json")[0]
KEY, HEADER, QUERY, USER, BODY = (
    f"{name}-c0rrecthorsebatterystaple-{name}" for name in ("key", "header", "query", "user", "body")
)
SECRETS = (KEY, HEADER, QUERY, USER, BODY)
ASK: dict[str, Any] = {
    "model": "gpt-3.5-turbo",
    "messages": [{"role": "user", "content": "Tell me a joke about opentelemetry"}],
    "extra_headers": {
        "Authorization": f"Bearer {HEADER}",
        "x-api-key": HEADER,
        "Cookie": f"session={HEADER}",
    },
    "extra_query": {"api_key": QUERY, "code": QUERY},
    "extra_body": {"credentials": BODY},
    "user": "u-1",
}


def options(server: ReplayServer) -> dict[str, Any]:
    """A client whose key, base URL, headers and query all hold secrets."""
    return {
        "api_key": KEY,
        "organization": f"org-{KEY}",
        "base_url": server.url.replace("://", f"://admin:{USER}@") + f"/gateway/{KEY}/v1",
        "default_headers": {"proxy-authorization": HEADER},
        "default_query": {"sig": QUERY},
        "max_retries": 0,
    }


def written(captured: Captured) -> str:
    """Everything on the spans, and on what they hang on."""
    return "\n".join(
        [span.to_json() for span in captured.spans]
        + [str(dict(event.attributes or {})) for span in captured.spans for event in span.events]
        + [str(captured.metrics)]
    )


def plain(client: openai.OpenAI) -> None:
    """A plain call."""
    client.chat.completions.create(**ASK)


def stream(client: openai.OpenAI) -> None:
    """A stream."""
    list(client.chat.completions.create(**{**ASK, "stream": True}))


def raw(client: openai.OpenAI) -> None:
    """A raw answer."""
    client.chat.completions.with_raw_response.create(**ASK).parse()


def embed(client: openai.OpenAI) -> None:
    """Embeddings."""
    more = {name: ASK[name] for name in ("extra_headers", "extra_query", "extra_body")}
    client.embeddings.create(model="text-embedding-ada-002", input="x", encoding_format="float", **more)


@pytest.mark.parametrize("call", [plain, stream, raw, embed])
@pytest.mark.parametrize("failing", [False, True], ids=["answered", "refused"])
def test_requests(call: Callable[[openai.OpenAI], None], failing: bool) -> None:
    """With content captured, too: neither an answered nor a refused request leaves a secret."""
    with ReplayServer([PLAIN, STREAM, EMBEDDING]) as server, capture(capture_content=True) as captured:
        if failing:
            server.fail_next(401)
        with openai.OpenAI(**options(server)) as client, ao.session("s"), ao.agent("a"):
            try:
                call(client)
            except openai.APIError:
                assert failing
        sent = server.requests[0]
        assert HEADER in str(sent.headers)  # the secrets were really there
        assert QUERY in str(sent.query)
        text = written(captured)
    assert "127.0.0.1" in text
    assert [secret for secret in SECRETS if secret in text] == []


def echo(secret: str) -> Exchange:
    """A server that repeats the key in its answer, as some do."""
    text = f'{{"error": {{"message": "Incorrect API key provided: {secret}", "code": "invalid_api_key"}}}}'
    return Exchange("openai", "made up", "echo", 0, "POST", "/v1/chat/completions", {}, 401, None, text)


LOOKS_LIKE_A_KEY = "sk-" + "proj-" + "4eC39HqLyjWDarjtT1zdp7dc0123456789"


def test_a_key_in_an_error_message() -> None:
    """A provider that repeats a key in its error message does not get it onto the span."""
    with ReplayServer([echo(LOOKS_LIKE_A_KEY)]) as server, capture() as captured:
        with (
            openai.OpenAI(api_key=LOOKS_LIKE_A_KEY, base_url=f"{server.url}/v1", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError, match="sk-"),
        ):
            client.chat.completions.create(**ASK)
        text = written(captured)
    assert "[REDACTED:key]" in text
    assert LOOKS_LIKE_A_KEY not in text


def test_a_key_that_cannot_be_sent() -> None:
    """A key with a line break makes the HTTP client complain and name it; the stack trace does not."""
    with ReplayServer([PLAIN]) as server, capture() as captured:
        with (
            openai.OpenAI(api_key=f"{KEY}\n", base_url=f"{server.url}/v1", max_retries=0) as client,
            pytest.raises(openai.APIConnectionError),
        ):
            client.chat.completions.create(model="m", messages=[])
        text = written(captured)
    assert "APIConnectionError" in text
    assert KEY not in text


def test_azure_tokens() -> None:
    """A token of a directory is as secret as a key."""

    async def main(server: ReplayServer) -> None:
        async with openai.AsyncAzureOpenAI(
            azure_endpoint=server.url, api_version="2024-10-21", azure_ad_token=KEY, max_retries=0
        ) as client:
            await client.chat.completions.create(**ASK)

    with ReplayServer([PLAIN]) as server, capture(capture_content=True) as captured:
        asyncio.run(main(server))
        text = written(captured)
    assert [secret for secret in SECRETS if secret in text] == []
