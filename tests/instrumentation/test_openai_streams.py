"""Streams: every ending, every side door, and the usage that nobody asked for."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import otel_agentops as ao
from instrumentation.test_openai_recordings import HAS_RESPONSES
from otel_agentops.testing import Captured, capture
from support.replay import (
    ReplayServer,
    client_kwargs,
    expected,
    load_exchanges,
    proxied_client_kwargs,
)

STREAM = next(e for e in load_exchanges("openai/openai-v2__test_chat_completion_streaming.json") if e.is_sse)
FACTS = expected(STREAM)
PROMPT: dict[str, Any] = dict(STREAM.request)  # type: ignore[arg-type]
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    """One streamed answer that has usage, as it was asked for."""
    with ReplayServer([STREAM]) as running:
        yield running


@pytest.fixture
def client(server: ReplayServer) -> Iterator[openai.OpenAI]:
    """A real client of it."""
    with openai.OpenAI(**client_kwargs(server), max_retries=0) as made:
        yield made


def ended(captured: Captured) -> dict[str, Any]:
    """Attributes of the one call that has ended."""
    (span,) = captured.named("chat")
    return dict(span.attributes or {})


def test_full_stream(captured: Captured, client: openai.OpenAI) -> None:
    """A stream read to its end has usage, reason, text and the time to its first chunk."""
    parts = list(client.chat.completions.create(**PROMPT))
    attributes = ended(captured)
    assert len(parts) == len(STREAM.documents())
    assert attributes["gen_ai.usage.input_tokens"] == FACTS["input_tokens"]
    assert attributes["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]
    assert attributes["gen_ai.request.stream"] is True
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 60
    assert "otel_agentops.ending" not in attributes
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    assert message["parts"][0]["content"] == FACTS["texts"][0]


def test_type_and_attributes_stay(captured: Captured, client: openai.OpenAI) -> None:
    """The stream is an `openai.Stream` with everything that one has."""
    stream = client.chat.completions.create(**PROMPT)
    assert isinstance(stream, openai.Stream)
    assert stream.response.status_code == 200
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    assert stream.response is stream.response
    assert next(stream).id == FACTS["id"]
    assert next(iter(stream)).id == FACTS["id"]
    stream.close()


def test_reading_is_lazy(captured: Captured) -> None:
    """A chunk is handed over before the next one is read."""
    with ReplayServer([STREAM], stall_after=2) as slow, openai.OpenAI(**client_kwargs(slow)) as client:
        stream = client.chat.completions.create(**PROMPT)
        assert next(stream).id == FACTS["id"]
        assert captured.spans == []
        slow.release()
        assert len(list(stream)) == len(STREAM.documents()) - 1


def test_loop_left_and_taken_up_again(captured: Captured, client: openai.OpenAI) -> None:
    """Leaving a loop does not end the call: the rest can still be read, as without us."""
    stream = client.chat.completions.create(**PROMPT)
    for _ in stream:
        break
    assert captured.spans == []
    assert len(list(stream)) == len(STREAM.documents()) - 1
    assert ended(captured)["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]


def close(stream: Any) -> None:
    """The stream's own method."""
    next(stream)
    stream.close()


def leave_block(stream: Any) -> None:
    """The stream as a context manager."""
    with stream as entered:
        assert entered is stream
        next(entered)


def close_response(stream: Any) -> None:
    """The HTTP response below it."""
    next(stream)
    stream.response.close()


@pytest.mark.parametrize("end", [close, leave_block, close_response])
def test_closed_early(captured: Captured, client: openai.OpenAI, end: Any) -> None:
    """A stream closed before its end is no error; what was read is known, the price is not."""
    end(client.chat.completions.create(**PROMPT))
    attributes = ended(captured)
    assert attributes["otel_agentops.ending"] == "closed"
    assert attributes["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes["otel_agentops.cost.reason"] == "no_usage"
    assert "error.type" not in attributes
    assert captured.spans[0].status.is_unset


def test_abandoned(captured: Captured, client: openai.OpenAI) -> None:
    """A stream that is dropped ends with its last chunk, without anybody's help."""
    stream = client.chat.completions.create(**PROMPT)
    next(stream)
    del stream
    gc.collect()
    assert ended(captured)["otel_agentops.ending"] == "abandoned"


def test_abandoned_stream_ends_by_itself(captured: Captured, client: openai.OpenAI) -> None:
    """Nobody has to flush for an abandoned stream to end."""
    import time

    next(client.chat.completions.create(**PROMPT))
    gc.collect()
    end = time.monotonic() + 10
    while not captured._exporter.get_finished_spans() and time.monotonic() < end:
        time.sleep(0.01)
    assert len(captured._exporter.get_finished_spans()) == 1


def test_never_read(captured: Captured, client: openai.OpenAI) -> None:
    """A stream that was asked for and never read is a call all the same."""
    client.chat.completions.create(**PROMPT)
    gc.collect()
    attributes = ended(captured)
    assert attributes["otel_agentops.ending"] == "abandoned"
    assert "gen_ai.response.time_to_first_chunk" not in attributes


def test_broken(captured: Captured) -> None:
    """A connection that breaks is the caller's error and the call's."""
    with (
        ReplayServer([STREAM], cut_after=3) as broken,
        openai.OpenAI(**client_kwargs(broken)) as client,
        pytest.raises(Exception) as raised,
    ):
        list(client.chat.completions.create(**PROMPT))
    attributes = ended(captured)
    assert attributes["error.type"].endswith(type(raised.value).__name__)
    assert attributes["gen_ai.response.finish_reasons"] == ("error",)
    assert not captured.spans[0].status.is_unset


def test_double_end_is_one_end(captured: Captured, client: openai.OpenAI) -> None:
    """Read to the end, closed, closed again and dropped: one span."""
    stream = client.chat.completions.create(**PROMPT)
    list(stream)
    stream.close()
    stream.close()
    del stream
    gc.collect()
    assert len(captured.spans) == 1
    assert "otel_agentops.ending" not in ended(captured)


async def read_async(server: ReplayServer, take: Any) -> None:
    """An async stream, in the hands of `take`."""
    async with openai.AsyncOpenAI(**client_kwargs(server), max_retries=0) as client:
        await take(await client.chat.completions.create(**PROMPT))


async def aclose(stream: Any) -> None:
    """Close after one chunk."""
    await anext(stream)
    await stream.close()


async def aleave(stream: Any) -> None:
    """Leave the block after one chunk."""
    async with stream:
        async for _ in stream:
            break


@pytest.mark.parametrize("take", [aclose, aleave])
def test_async_closed_early(captured: Captured, server: ReplayServer, take: Any) -> None:
    """The same for async streams."""
    asyncio.run(read_async(server, take))
    assert ended(captured)["otel_agentops.ending"] == "closed"


def test_async_full(captured: Captured, server: ReplayServer) -> None:
    """An async stream read to its end."""

    async def take(stream: Any) -> None:
        assert isinstance(stream, openai.AsyncStream)
        assert len([part async for part in stream]) == len(STREAM.documents())

    asyncio.run(read_async(server, take))
    assert ended(captured)["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]


def test_cancelled(captured: Captured) -> None:
    """A task cancelled inside a stream: cancelled, not failed."""

    async def main(slow: ReplayServer) -> None:
        async def take(stream: Any) -> None:
            async for _ in stream:
                pass

        task = asyncio.create_task(read_async(slow, take))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ReplayServer([STREAM], stall_after=2) as slow:
        asyncio.run(main(slow))
    attributes = ended(captured)
    assert attributes["otel_agentops.ending"] == "cancelled"
    assert "error.type" not in attributes


def test_stream_outlives_its_agent(captured: Captured, client: openai.OpenAI) -> None:
    """A stream handed out of its agent counts to the session that is still open, and is called late."""

    @ao.agent
    def ask() -> Any:
        return client.chat.completions.create(**PROMPT)

    with ao.session("late") as session:
        list(ask())
        assert session.total.model_calls == 1
    agent, late = captured.span("invoke_agent ask"), captured.span("invoke_workflow late")
    assert "otel_agentops.total.model_calls" not in (agent.attributes or {})
    assert (late.attributes or {})["otel_agentops.late_calls"] == 1


# --- the SDK's helpers read our stream ---


def helper(client: openai.OpenAI) -> Any:
    """`.stream()`, wherever this version has it."""
    completions = client.chat.completions
    return completions.stream if hasattr(completions, "stream") else client.beta.chat.completions.stream


HELPED = {name: value for name, value in PROMPT.items() if name != "stream"}


def test_helper_full(captured: Captured, client: openai.OpenAI) -> None:
    """`.stream()` is one call, with everything."""
    with helper(client)(**HELPED) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == FACTS["texts"][0]
    assert ended(captured)["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]


def test_helper_left_early(captured: Captured, client: openai.OpenAI) -> None:
    """Leaving the helper's block closes the HTTP response behind our back; the call ends right there."""
    with helper(client)(**HELPED) as stream:
        for _ in stream:
            break
    assert ended(captured)["otel_agentops.ending"] == "closed"
    del stream


# --- raw responses ---


def test_raw(captured: Captured, client: openai.OpenAI) -> None:
    """A raw answer of a stream is followed when it is parsed, and parsed once."""
    raw = client.chat.completions.with_raw_response.create(**PROMPT)
    assert raw.headers["content-type"].startswith("text/event-stream")
    stream = raw.parse()
    assert stream is raw.parse()
    assert isinstance(stream, openai.Stream)
    list(stream)
    assert ended(captured)["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]


def test_parsed_raw_stream_outlives_the_raw_answer(captured: Captured, client: openai.OpenAI) -> None:
    """Keeping only the parsed stream is how frameworks use it; the call ends with the stream."""
    stream = client.chat.completions.with_raw_response.create(**PROMPT).parse()
    gc.collect()
    assert captured.spans == []
    list(stream)
    assert ended(captured)["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]


def test_nothing_is_kept_of_streams_that_ended(captured: Captured, client: openai.OpenAI) -> None:
    """However a stream was had and however it ended, nothing of it stays behind."""
    from otel_agentops.spans.follow import _open

    create = client.chat.completions
    list(create.create(**PROMPT))
    list(create.with_raw_response.create(**PROMPT).parse())
    with create.with_streaming_response.create(**PROMPT) as raw:
        list(raw.parse())
    with create.with_streaming_response.create(**PROMPT) as raw:
        raw.read()
    create.create(**PROMPT).close()
    del raw
    gc.collect()
    assert len(captured.named("chat")) == 5
    assert not _open


def test_raw_with_an_odd_stream_argument(captured: Captured, client: openai.OpenAI) -> None:
    """`stream=1` streams, as far as the SDK is concerned."""
    raw = client.chat.completions.with_raw_response.create(**{**PROMPT, "stream": 1})
    assert len(list(raw.parse())) == len(STREAM.documents())


def test_pieces_of_a_size(captured: Captured, client: openai.OpenAI) -> None:
    """The arguments of the SDK's own methods go through."""
    with client.chat.completions.with_streaming_response.create(**PROMPT) as raw:
        assert all(len(piece) <= 100 for piece in raw.iter_bytes(chunk_size=100))
    assert ended(captured)["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]


def test_the_proxy_claims_no_more_than_the_stream(captured: Captured, client: openai.OpenAI) -> None:
    """Code that asks what a stream can do gets the SDK's answer."""
    import contextlib
    from collections.abc import Collection, Sized

    stream = client.chat.completions.create(**PROMPT)
    for kind in (contextlib.AbstractAsyncContextManager, Sized, Collection):
        assert not isinstance(stream, kind)
    assert not any(hasattr(stream, name) for name in ("__aenter__", "__len__", "__getitem__", "__anext__"))
    stream.close()


def parse_it(raw: Any) -> None:
    """Let the SDK parse."""
    list(raw.parse())


def lines(raw: Any) -> None:
    """Read line by line."""
    assert any("[DONE]" in line for line in raw.iter_lines())


def pieces(raw: Any) -> None:
    """Read bytes."""
    assert b"[DONE]" in b"".join(raw.iter_bytes())


def whole(raw: Any) -> None:
    """Read at once."""
    assert b"[DONE]" in raw.read()


@pytest.mark.parametrize("read", [parse_it, lines, pieces, whole])
def test_streaming_raw(captured: Captured, client: openai.OpenAI, read: Any) -> None:
    """However the caller reads a streaming raw answer, the call knows what it said."""
    with client.chat.completions.with_streaming_response.create(**PROMPT) as raw:
        assert captured.spans == []
        read(raw)
    attributes = ended(captured)
    assert attributes["gen_ai.usage.output_tokens"] == FACTS["output_tokens"]
    assert attributes["gen_ai.response.id"] == FACTS["id"]


def test_streaming_raw_unread(captured: Captured, client: openai.OpenAI) -> None:
    """A streaming raw answer that nobody reads is closed, unread by us as well."""
    with client.chat.completions.with_streaming_response.create(**PROMPT) as raw:
        assert raw.status_code == 200
    assert ended(captured)["otel_agentops.ending"] == "closed"


def test_async_streaming_raw(captured: Captured, server: ReplayServer) -> None:
    """The async twins."""

    async def main() -> None:
        async with openai.AsyncOpenAI(**client_kwargs(server)) as client:
            for read in ("lines", "read", "parse"):
                create = client.chat.completions.with_streaming_response.create
                async with create(**PROMPT) as raw:
                    if read == "lines":
                        assert [line async for line in raw.iter_lines()]
                    elif read == "read":
                        assert await raw.read()
                    else:
                        assert [part async for part in await raw.parse()]

    asyncio.run(main())
    counts = [(s.attributes or {})["gen_ai.usage.output_tokens"] for s in captured.named("chat")]
    assert counts == [FACTS["output_tokens"]] * 3


# --- usage that was not asked for ---

PLAIN = next(
    exchange
    for exchange in load_exchanges("openai/*.json", route="chat/completions")
    if exchange.is_sse
    and exchange.status == 200
    and not expected(exchange)["usage"]
    and "stream_options" not in exchange.request
    and "functions" not in exchange.request
)
UNASKED: dict[str, Any] = dict(PLAIN.request)  # type: ignore[arg-type]


@pytest.fixture
def openai_host() -> Iterator[tuple[ReplayServer, openai.OpenAI]]:
    """A client that means api.openai.com, through a proxy on this machine that answers for it."""
    with (
        ReplayServer([PLAIN], synthesize_usage=USAGE) as running,
        openai.OpenAI(**proxied_client_kwargs(running), max_retries=0) as client,
    ):
        yield running, client


def test_usage_is_asked_for_and_hidden(
    captured: Captured, openai_host: tuple[ReplayServer, openai.OpenAI]
) -> None:
    """At OpenAI itself the tokens are known; the caller's chunks show no trace of the question."""
    server, client = openai_host
    ao.uninstrument("openai")
    bare = [part.to_dict() for part in client.chat.completions.create(**UNASKED)]
    ao.instrument("openai")
    ours = [part.to_dict() for part in client.chat.completions.create(**UNASKED)]
    assert ours == bare
    assert "stream_options" not in server.requests[0].body
    assert server.requests[1].body["stream_options"] == {"include_usage": True}
    attributes = ended(captured)
    assert attributes["gen_ai.usage.input_tokens"] == USAGE["prompt_tokens"]
    assert attributes["otel_agentops.cost.status"] == "priced"


def test_async_usage_is_hidden_too(captured: Captured) -> None:
    """The same for async clients."""

    async def main(server: ReplayServer) -> list[Any]:
        async with openai.AsyncOpenAI(**proxied_client_kwargs(server, async_=True)) as client:
            stream = await client.chat.completions.create(**UNASKED)
            return [part async for part in stream]

    with ReplayServer([PLAIN], synthesize_usage=USAGE) as server:
        parts = asyncio.run(main(server))
    assert all(part.usage is None and part.choices for part in parts)
    assert ended(captured)["gen_ai.usage.output_tokens"] == USAGE["completion_tokens"]


OWN_WORD: list[dict[str, Any]] = [
    {"stream_options": {"include_usage": False}},
    {"stream_options": None},
    {"extra_body": {"stream_options": {"include_usage": False}}},
    {"extra_body": {"data_sources": []}},
    {"extra_headers": {"x-stainless-raw-response": "true"}},
]


@pytest.mark.parametrize("own", OWN_WORD, ids=str)
def test_the_callers_word_wins(
    captured: Captured, openai_host: tuple[ReplayServer, openai.OpenAI], own: dict[str, Any]
) -> None:
    """Where the caller said something, or the answer is raw, the request is left alone."""
    server, client = openai_host
    client.chat.completions.create(**UNASKED, **own)
    gc.collect()
    sent = server.requests[0].body
    assert sent.get("stream_options") != {"include_usage": True}


def test_raw_streams_are_not_asked(
    captured: Captured, openai_host: tuple[ReplayServer, openai.OpenAI]
) -> None:
    """Raw and streaming-raw answers show the wire, so the wire stays as it is."""
    server, client = openai_host
    list(client.chat.completions.with_raw_response.create(**UNASKED).parse())
    with client.chat.completions.with_streaming_response.create(**UNASKED) as raw:
        raw.read()
    assert all("stream_options" not in request.body for request in server.requests)
    assert [(s.attributes or {})["otel_agentops.cost.reason"] for s in captured.named("chat")] == [
        "no_usage"
    ] * 2


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({}, False), ({"stream_usage_hosts": ["127.0.0.1"]}, True)],
    ids=["unknown host", "named host"],
)
def test_other_hosts_only_by_name(settings: dict[str, Any], asked: bool) -> None:
    """A host that may not understand the question is asked only if the settings name it."""
    with ReplayServer([PLAIN], synthesize_usage=USAGE) as server, capture(**settings) as captured:
        with openai.OpenAI(**client_kwargs(server)) as client:
            list(client.chat.completions.create(**UNASKED))
        assert ("stream_options" in server.requests[0].body) is asked
        assert ("gen_ai.usage.cost" in ended(captured)) is asked


def test_asking_can_be_switched_off() -> None:
    """With the setting off the request is the caller's own."""
    with (
        ReplayServer([PLAIN], synthesize_usage=USAGE) as server,
        capture(stream_usage=False) as captured,
        openai.OpenAI(**proxied_client_kwargs(server)) as client,
    ):
        list(client.chat.completions.create(**UNASKED))
        assert "stream_options" not in server.requests[0].body
        assert ended(captured)["otel_agentops.cost.reason"] == "no_usage"


@pytest.mark.parametrize(("version", "asked"), [("2024-02-01", False), ("2024-10-21", True)])
def test_azure_from_a_version_that_understands(version: str, asked: bool) -> None:
    """Azure is asked from the API version on that knows the question."""
    with ReplayServer([PLAIN], synthesize_usage=USAGE) as server, capture() as captured:
        arguments = proxied_client_kwargs(server, base_url=None)
        with openai.AzureOpenAI(
            **arguments, azure_endpoint="http://mine.openai.azure.com", api_version=version
        ) as client:
            list(client.chat.completions.create(**UNASKED))
        assert ("stream_options" in server.requests[0].body) is asked
        assert ended(captured)["gen_ai.provider.name"] == "azure.ai.openai"


# --- Responses ---

EVENTS = next((e for e in load_exchanges("openai/openai__test_responses_streaming.json") if e.is_sse), STREAM)


@pytest.mark.skipif(not HAS_RESPONSES, reason="this version of openai has no Responses API")
def test_responses_stream_and_helper(captured: Captured) -> None:
    """A streamed response, by `create` and by the helper, in full and left early."""
    facts = expected(EVENTS)
    arguments: dict[str, Any] = dict(EVENTS.request)  # type: ignore[arg-type]
    helped = {name: value for name, value in arguments.items() if name != "stream"}
    with ReplayServer([EVENTS]) as server, openai.OpenAI(**client_kwargs(server)) as client:
        list(client.responses.create(**arguments))
        with client.responses.stream(**helped) as stream:
            stream.until_done()
        with client.responses.stream(**helped) as stream:
            next(iter(stream))
    full, helper_full, early = [dict(s.attributes or {}) for s in captured.named("chat")]
    for attributes in (full, helper_full):
        assert attributes["gen_ai.usage.output_tokens"] == facts["output_tokens"]
        assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert early["otel_agentops.ending"] == "closed"
