"""The replay server, asked by the real OpenAI SDK."""

import json
import time

import openai
import pytest

from support.replay import (
    Exchange,
    ReplayServer,
    client_kwargs,
    expected,
    load_exchanges,
    proxied_client_kwargs,
)

CHAT = "openai/openai-v2__test_chat_completion_multiple_tools_streaming_with_content.json"
PLAIN = "openai/openai__test_chat_with_messages_attributes.json"
STREAM_WITHOUT_USAGE = "openai/openai__test_open_ai_function_calls_tools_streaming.json"
RESPONSES_STREAM = "openai/openai-agents__test_music_composer_handoff_hierarchy.json"
AZURE = "azure/openai__test_chat.json"


def sdk(server, **more):
    """An SDK client without retries, that asks the server."""
    return openai.OpenAI(**client_kwargs(server), max_retries=0, **more)


def first(pattern, route="chat/completions"):
    """First exchange of a file, on one API."""
    return load_exchanges(pattern, route=route)[0]


def chat(client, exchange, **more):
    """Send the recorded request of a chat again."""
    return client.chat.completions.create(**{**exchange.request, **more})


def read(stream):
    """All chunks of a stream, which is closed then."""
    with stream:
        return list(stream)


@pytest.fixture
def everything():
    """A server with all recordings."""
    with ReplayServer() as server:
        yield server


class TestExchanges:
    def test_all_are_readable(self):
        """Each recording parses, and each answer of ours yields facts."""
        for exchange in load_exchanges():
            facts = expected(exchange)
            answered = exchange.status == 200 and exchange.response and not facts["error"]
            if answered and exchange.route in ("chat/completions", "completions", "responses"):
                assert facts["id"]
                assert facts["finish_reasons"]
                assert facts["model"]

    def test_no_match_is_an_error(self):
        """A pattern that finds nothing does not pass silently."""
        with pytest.raises(FileNotFoundError, match="nothing"):
            load_exchanges("nothing/*.json")

    def test_facts_of_a_chat(self):
        """Usage with details, id, model and finish reason come from the JSON answer."""
        facts = expected(first(PLAIN))
        picked = ("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "finish_reasons")
        assert [facts[name] for name in picked] == [15, 993, 960, 0, ["stop"]]

    def test_facts_of_a_stream(self):
        """Arguments of streamed tool calls are put together; the last chunk has the usage."""
        facts = expected(first(CHAT))
        assert [call["arguments"] for call in facts["tool_calls"]] == [
            '{"location": "Seattle, WA"}',
            '{"location": "San Francisco, CA"}',
        ]
        assert (facts["input_tokens"], facts["finish_reasons"]) == (75, ["tool_calls"])

    def test_facts_of_a_response_stream(self):
        """A stream of events is read from the response of its last event."""
        facts = expected(first(RESPONSES_STREAM, "responses"))
        assert facts["tool_calls"][0]["name"] == "transfer_to_symphony_composer"
        assert (facts["input_tokens"], facts["status"]) == (75, "completed")

    def test_facts_of_several_choices(self):
        """Finish reasons stand in the order of the choices."""
        answer = {"choices": [{"index": 1, "finish_reason": "length"}, {"index": 0, "finish_reason": "stop"}]}
        exchange = Exchange("x", "x", "x", 0, "POST", "/v1/completions", {}, 200, None, json.dumps(answer))
        assert expected(exchange)["finish_reasons"] == ["stop", "length"]


class TestAnswers:
    def test_every_chat(self, everything):
        """Each recorded request is answered with a recording of the same request."""
        with sdk(everything) as client:
            for exchange in load_exchanges(route="chat/completions"):
                if exchange.provider == "openai" and not exchange.request.get("stream"):
                    self.ask_again(client, exchange)
                    assert everything.requests[-1].exchange.request == exchange.request

    def ask_again(self, client, exchange):
        """Send a recorded body as it is, whatever becomes of the answer."""
        try:
            client.post("/chat/completions", body=exchange.request, cast_to=object)
        except openai.APIStatusError as error:
            assert error.status_code in (400, 401, 404)

    def test_chat(self):
        """The SDK parses the recorded answer."""
        exchange = first(PLAIN)
        with ReplayServer([exchange]) as server, sdk(server) as client:
            answer = chat(client, exchange)
        assert answer.id == expected(exchange)["id"]
        assert server.requests[0].body == exchange.request
        assert server.requests[0].headers["authorization"] == "Bearer test-key"

    def test_stream(self):
        """Events arrive one by one, and the connection is kept for the next request."""
        exchange = first(CHAT)
        with ReplayServer([exchange]) as server, sdk(server) as client:
            lengths = [len(read(chat(client, exchange))) for _ in range(2)]
        assert lengths == [len(exchange.documents())] * 2
        assert len(server.requests) == 2

    async def test_async_stream(self):
        """The async client reads the same stream."""
        exchange = first(CHAT)
        with ReplayServer([exchange]) as server:
            async with openai.AsyncOpenAI(**client_kwargs(server)) as client:
                stream = await client.chat.completions.create(**exchange.request)
                chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage.prompt_tokens == 75

    def test_completion(self):
        """Legacy completions are another API than chats."""
        exchange = load_exchanges(route="completions")[0]
        with ReplayServer() as server, sdk(server) as client:
            answer = client.completions.create(**{**exchange.request, "stream": False})
        assert answer.object == "text_completion"

    def test_embeddings(self):
        """A batch of inputs yields a vector each."""
        exchange = first("openai/openai-v2__test_embeddings_with_batch_input.json", "embeddings")
        with ReplayServer([exchange]) as server, sdk(server) as client:
            answer = client.embeddings.create(**exchange.request)
        assert len(answer.data) == len(exchange.request["input"])
        assert answer.usage.prompt_tokens == expected(exchange)["input_tokens"]

    def test_azure(self):
        """Azure's deployment paths are found through the Azure client."""
        exchange = first(AZURE)
        with (
            ReplayServer([exchange]) as server,
            openai.AzureOpenAI(api_key="k", azure_endpoint=server.url, api_version="2023-07-01") as client,
        ):
            answer = chat(client, exchange, model="openllmetry-testing")
        assert answer.id == expected(exchange)["id"]
        assert server.requests[0].path == exchange.path.split("?")[0]
        assert server.requests[0].query == {"api-version": ["2023-07-01"]}

    @pytest.mark.parametrize(
        ("pattern", "error"),
        [
            ("openai/openai-v2__test_chat_completion_404.json", openai.NotFoundError),
            ("openai/openinference-instrumentation-dspy__TestLM.test_exc*.json", openai.AuthenticationError),
        ],
    )
    def test_error_status(self, pattern, error):
        """A recorded error is raised by the SDK as its own kind of error, with its code."""
        exchange = first(pattern)
        with ReplayServer([exchange]) as server, sdk(server) as client, pytest.raises(error) as caught:
            chat(client, exchange)
        assert caught.value.code == expected(exchange)["error"]["code"]

    def test_nothing_recorded(self):
        """What no recording is like is a 404, and is kept as unmatched."""
        with ReplayServer([first(PLAIN)]) as server, sdk(server) as client:
            with pytest.raises(openai.NotFoundError, match="no_recording"):
                client.embeddings.create(model="m", input="x")
            with pytest.raises(openai.NotFoundError, match="no_recording"):
                client.chat.completions.create(model="m", messages=[], stream=True)
        assert [request.exchange for request in server.requests] == [None, None]


class TestMatching:
    def test_equal_recordings_are_served_in_turn(self):
        """The same request asked twice gets the first, then the second recording of it."""
        pair = load_exchanges("openai/openai__test_openai_prompt_caching_async.json")[:2]
        with ReplayServer(pair) as server, sdk(server) as client:
            ids = [chat(client, pair[0]).id for _ in range(3)]
        assert ids == [expected(pair[n])["id"] for n in (0, 1, 0)]

    def test_added_stream_options_do_not_matter(self, everything):
        """A body that only gained `stream_options` is still the recorded one."""
        exchange = first(STREAM_WITHOUT_USAGE)
        with sdk(everything) as client:
            read(chat(client, exchange, stream_options={"include_usage": True}))
        assert everything.requests[0].exchange.request == exchange.request

    def test_nearest_body(self, everything):
        """A body that was never recorded gets the answer to the one most like it."""
        exchange = first(PLAIN)
        with sdk(everything) as client:
            chat(client, exchange, temperature=0.25)
        assert everything.requests[0].exchange.request["messages"] == exchange.request["messages"]


class TestSettings:
    def test_usage_factor(self):
        """Every count of the usage grows, in one answer and in a stream; nothing else changes."""
        plain, stream = first(PLAIN), first(CHAT)
        with ReplayServer([plain, stream], usage_factor=2) as server, sdk(server) as client:
            usage = chat(client, plain).usage.model_dump()
            last = read(chat(client, stream))[-1]
        assert usage["prompt_tokens"] == 30
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 1920
        assert last.usage.prompt_tokens == expected(stream, usage_factor=2)["input_tokens"] == 150
        assert last.created == stream.documents()[-1]["created"]

    def test_synthesized_usage(self):
        """Asked for usage, each chunk has `usage: null` and an extra last one has it."""
        exchange = first(STREAM_WITHOUT_USAGE)
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        with ReplayServer([exchange], synthesize_usage=usage) as server, sdk(server) as client:
            chunks = read(chat(client, exchange, stream_options={"include_usage": True}))
            without = read(chat(client, exchange))
        assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 12)
        assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in chunks[:-1])
        assert len(without) == len(chunks) - 1
        assert "usage" not in without[0].model_fields_set

    def test_cut_stream(self):
        """The connection breaks off after so many events."""
        exchange = first(CHAT)
        with ReplayServer([exchange], cut_after=3) as server, sdk(server) as client:
            stream = chat(client, exchange)
            got = [next(stream) for _ in range(3)]
            with pytest.raises(Exception, match=r"incomplete chunked read|Connection error") as caught:
                next(stream)
            stream.close()
        assert len(got) == 3
        assert not isinstance(caught.value, StopIteration)

    def test_stalled_stream(self):
        """A stalled stream hands out what it has, then waits to be released."""
        exchange = first(CHAT)
        with ReplayServer([exchange], stall_after=2) as server, sdk(server) as client:
            stream = chat(client, exchange)
            got = [next(stream) for _ in range(2)]
            server.release()
            got += read(stream)
        assert len(got) == len(exchange.documents())

    def test_stall_ends_with_the_server(self):
        """Nothing waits for a stalled stream that is never released."""
        start = time.monotonic()
        with ReplayServer([first(CHAT)], stall_after=1) as server, sdk(server) as client:
            stream = chat(client, first(CHAT))
            next(stream)
        stream.close()
        assert time.monotonic() - start < 5

    def test_delay(self):
        """Events come with the pause that was asked for."""
        exchange = first(STREAM_WITHOUT_USAGE)
        with ReplayServer([exchange], event_delay_s=0.01) as server, sdk(server) as client:
            start = time.monotonic()
            chunks = read(chat(client, exchange))
        assert time.monotonic() - start >= 0.01 * len(chunks)

    def test_errors_on_request(self):
        """The SDK's retry gets the recording after the error that was asked for."""
        exchange = first(PLAIN)
        with ReplayServer([exchange]) as server:
            server.fail_next(429, headers={"retry-after-ms": "1"})
            with openai.OpenAI(**client_kwargs(server), max_retries=1) as client:
                assert chat(client, exchange).id == expected(exchange)["id"]
        assert [request.exchange for request in server.requests] == [None, exchange]


class TestProxy:
    def test_real_host(self):
        """A client of the real host is answered through the proxy, over plain HTTP."""
        exchange = first(PLAIN)
        with ReplayServer([exchange]) as server, openai.OpenAI(**proxied_client_kwargs(server)) as client:
            assert chat(client, exchange).id == expected(exchange)["id"]
        assert (server.requests[0].host, server.requests[0].path) == (
            "api.openai.com",
            "/v1/chat/completions",
        )

    async def test_async(self):
        """The async client's proxy works alike, streams included."""
        exchange = first(CHAT)
        with ReplayServer([exchange]) as server:
            async with openai.AsyncOpenAI(**proxied_client_kwargs(server, async_=True)) as client:
                stream = await client.chat.completions.create(**exchange.request)
                chunks = [chunk async for chunk in stream]
        assert len(chunks) == len(exchange.documents())

    def test_azure_host(self):
        """An Azure client keeps its own address."""
        exchange = first(AZURE)
        with ReplayServer([exchange]) as server:
            more = {"azure_endpoint": f"http://{exchange.host}", "api_version": "2023-07-01"}
            kwargs = {**proxied_client_kwargs(server, base_url=None), **more}
            with openai.AzureOpenAI(**kwargs) as client:
                chat(client, exchange, model="openllmetry-testing")
        assert server.requests[0].host == exchange.host


@pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="this SDK has no Responses API")
class TestResponses:
    def test_create(self):
        """One response, with its service tier."""
        exchange = first("openai/openai__test_responses_with_service_tier.json", "responses")
        with ReplayServer([exchange]) as server, sdk(server) as client:
            answer = client.responses.create(**exchange.request)
        assert (answer.id, answer.service_tier) == (expected(exchange)["id"], "priority")

    def test_stream(self):
        """A stream of named events; its last one carries the whole response, scaled too."""
        exchange = first(RESPONSES_STREAM, "responses")
        with ReplayServer([exchange], usage_factor=3) as server, sdk(server) as client:
            events = read(client.responses.create(**exchange.request))
        assert events[-1].type == "response.completed"
        assert events[-1].response.usage.input_tokens == 3 * expected(exchange)["input_tokens"]

    def test_fetched(self, everything):
        """A response is fetched again by its id, if it was recorded streamed or not."""
        with sdk(everything) as client:
            for exchange in load_exchanges(route="responses"):
                assert client.responses.retrieve(expected(exchange)["id"]).id == expected(exchange)["id"]
