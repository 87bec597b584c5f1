"""Budgets with a real SDK on the loopback interface: what was refused never reached the server."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import openai
import pytest
from opentelemetry import trace

import otel_agentops as ao
from otel_agentops.spans import current
from otel_agentops.testing import Captured, capture
from support.replay import ReplayServer, client_kwargs, expected, load_exchanges

CHAT = load_exchanges("openai/openai__test_openai_prompt_caching_async.json", route="chat/completions")[1]
STREAM = next(e for e in load_exchanges("openai/openai-v2__test_chat_completion_streaming.json") if e.is_sse)
USED = {"chat": 1150 + 307, "stream": 12 + 5}
THEIRS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}

Served = tuple[ReplayServer, openai.OpenAI]


@pytest.fixture
def served() -> Iterator[Served]:
    """A server and a real client of it."""
    with (
        ReplayServer([CHAT, STREAM]) as server,
        openai.OpenAI(**client_kwargs(server), max_retries=0) as client,
    ):
        yield server, client


@pytest.fixture
def both() -> Iterator[Captured]:
    """Our wrappers around the SDK, and our processor on the provider."""
    with capture(auto_session=False, instrument=["openai"]) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        yield captured


def chat(client: openai.OpenAI, **more: Any) -> Any:
    """A plain call; `number` makes its prompt another one."""
    return client.chat.completions.create(**{**CHAT.request, **more})  # type: ignore[dict-item]


def stream(client: openai.OpenAI, **more: Any) -> Any:
    """A stream that nobody has read yet."""
    return client.chat.completions.create(**{**STREAM.request, **more})  # type: ignore[dict-item]


async def _async(server: ReplayServer, take: Callable[[Any], Any]) -> None:
    async with openai.AsyncOpenAI(**client_kwargs(server), max_retries=0) as client:
        await take(client)


def arun(take: Callable[[Any], Any]) -> Callable[[Served], None]:
    """The same with the async client."""
    return lambda served: asyncio.run(_async(served[0], take))


async def _aread(client: openai.AsyncOpenAI) -> None:
    async for _ in await client.chat.completions.create(**STREAM.request):  # type: ignore[arg-type]
        pass


async def _aclose(client: openai.AsyncOpenAI) -> None:
    answer: Any = await client.chat.completions.create(**STREAM.request)  # type: ignore[arg-type]
    await anext(answer)
    await answer.close()


def _helper(served: Served) -> None:
    completions = served[1].chat.completions
    helper = completions.stream if hasattr(completions, "stream") else served[1].beta.chat.completions.stream
    arguments = {name: value for name, value in STREAM.request.items() if name != "stream"}  # type: ignore[union-attr]
    with helper(**arguments) as events:
        list(events)


def _raw(served: Served) -> None:
    served[1].chat.completions.with_raw_response.create(**CHAT.request).parse()  # type: ignore[arg-type]


def _close(served: Served) -> None:
    answer = stream(served[1])
    next(answer)
    answer.close()


def _drop(served: Served) -> None:
    next(stream(served[1]))
    gc.collect()
    ao.flush()


SHAPES: dict[str, tuple[Callable[[Served], None], int]] = {
    "chat": (lambda served: chat(served[1]), USED["chat"]),
    "raw": (_raw, USED["chat"]),
    "stream": (lambda served: list(stream(served[1])), USED["stream"]),  # type: ignore[arg-type,return-value]
    "helper": (_helper, USED["stream"]),
    "async stream": (arun(_aread), USED["stream"]),
    "closed": (_close, 0),
    "async closed": (arun(_aclose), 0),
    "dropped": (_drop, 0),
}
"""Ways to make a call, and the tokens that its answer tells of."""


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_counted_and_stopped(both: Captured, served: Served, shape: str) -> None:
    """Three calls go out and use what they used; the fourth is not sent; nothing stays held."""
    run, used = SHAPES[shape]
    with (
        pytest.raises(ao.BudgetExceeded) as stopped,
        ao.session("s", budget=ao.Budget(calls=3, tokens=100_000)) as session,
    ):
        for number in range(3):
            assert session.remaining == {"calls": 3 - number, "tokens": 100_000 - number * used}
            run(served)
        assert session.remaining == {"calls": 0, "tokens": 100_000 - 3 * used}
        run(served)
    assert (stopped.value.limit, len(served[0].requests)) == ("calls", 3)
    assert session.total.model_calls == 3
    assert [finding.kind for finding in session.findings if finding.kind == "budget_exceeded"] == [
        "budget_exceeded"
    ]
    assert len(both.named("chat")) == 3


def test_a_stream_that_breaks(both: Captured) -> None:
    """Its reservation is free again, and it was a call."""
    with (
        ReplayServer([STREAM], cut_after=3) as broken,
        openai.OpenAI(**client_kwargs(broken)) as client,
        ao.session("s", budget=ao.Budget(calls=2, usd=1)) as session,
    ):
        with pytest.raises(Exception, match=r".") as raised:
            list(stream(client))
        assert not isinstance(raised.value, ao.BudgetExceeded)
        assert session.remaining == {"calls": 1, "usd": Decimal(1)}


def test_a_refused_request_is_sent_by_nobody(both: Captured, served: Served) -> None:
    """Dollars: what was spent is what the answers cost, to the last digit."""
    server, client = served
    with ao.session("s", budget=ao.Budget(usd="0.0007")) as session:
        with pytest.raises(ao.BudgetExceeded):
            for number in range(9):
                chat(client, user=str(number))
        assert session.remaining["usd"] == Decimal("0.0007") - session.total.cost_usd
        assert session.total.cost_usd == len(server.requests) * Decimal("0.0002799")
    assert 1 <= len(server.requests) <= 2


# --- beside another instrumentation: a gate without a span of ours ---


def theirs(captured: Captured, **more: Any) -> Any:
    """A span of another instrumentation's around a call."""
    tracer = captured.provider.get_tracer("somebody.else")
    return tracer.start_as_current_span(
        "theirs", attributes={**THEIRS, "gen_ai.request.model": "gpt-4"}, **more
    )


def test_the_gate_stops_their_call(both: Captured, served: Served) -> None:
    """The call inside their span is refused before it is sent, and their span of it is no call."""
    server, client = served
    with ao.session("s", budget=ao.Budget(calls=2)) as session:
        refused = 0
        for number in range(4):
            try:
                with theirs(both):
                    chat(client, user=str(number))
            except ao.BudgetExceeded:
                refused += 1
        assert (refused, len(server.requests)) == (2, 2)
        assert session.remaining == {"calls": 0}
        assert session.total.model_calls == 2
        assert session.total.errors == 0
    assert len(both.named("theirs")) == 4


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_the_gate_and_a_stream(both: Captured, served: Served, order: str) -> None:
    """The stream ends after or before their span: what it held is free, what it used is spent, once."""
    with ao.session("s", budget=ao.Budget(tokens=1000, calls=5)) as session:
        with theirs(both):
            answer = stream(served[1])
            assert session.remaining["calls"] == 4
            if order == "ours first":
                list(answer)
        list(answer)
        assert session.remaining == {"tokens": 1000 - USED["stream"], "calls": 4}
        assert session.total.model_calls == 1


def test_the_gate_in_another_thread(both: Captured, served: Served) -> None:
    """Their span joins a session by its parent; the gate inside it asks the budget of that session."""
    server, client = served
    with ao.session("s", budget=ao.Budget(calls=1)) as session:
        context = trace.set_span_in_context(trace.get_current_span())
        seen: list[BaseException] = []

        def work() -> None:
            for number in range(2):
                try:
                    with theirs(both, context=context):
                        chat(client, user=str(number))
                except ao.BudgetExceeded as error:
                    seen.append(error)

        thread = threading.Thread(target=work)  # our own context variable is not there, their parent is
        thread.start()
        thread.join()
        assert (len(seen), len(server.requests), session.total.model_calls) == (1, 1, 1)


def test_calls_that_only_they_see(both: Captured) -> None:
    """What cannot be stopped is counted, and told of when it goes beyond the limit."""
    used = {"gen_ai.usage.input_tokens": 600, "gen_ai.usage.output_tokens": 5}
    with ao.session("s", budget=ao.Budget(tokens=1000)) as session:
        for number in range(3):
            assert [f.kind for f in session.findings] == ["budget_exceeded"] * (number >= 2)
            with theirs(both) as span:
                span.set_attributes(used)
        assert session.remaining == {"tokens": 0}
        with pytest.raises(ao.BudgetExceeded), ao.model_call(provider="openai", model="gpt-4"):
            pass
        assert [finding.kind for finding in session.findings] == ["budget_exceeded"]


# --- threads and tasks at once ---


def test_threads_and_tasks_at_once(both: Captured, served: Served) -> None:
    """Eight threads and an event loop share a budget of twenty calls: twenty requests reach the server."""
    server, client = served
    refused: list[int] = []

    def work(number: int) -> None:
        for turn in range(6):
            try:
                list(stream(client, user=f"{number} {turn}"))
            except ao.BudgetExceeded:
                refused.append(number)

    async def tasks(async_client: openai.AsyncOpenAI) -> None:
        async def one(number: int) -> None:
            try:
                arguments: Any = {**STREAM.request, "user": f"task {number}"}  # type: ignore[dict-item]
                async for _ in await async_client.chat.completions.create(**arguments):
                    pass
            except ao.BudgetExceeded:
                refused.append(number)

        await asyncio.gather(*map(one, range(20)))

    with ao.session("s", budget=ao.Budget(calls=20)) as session:
        threads = [threading.Thread(target=copy_context().run, args=(work, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        arun(tasks)(served)
        for thread in threads:
            thread.join()
        assert (len(server.requests), len(refused)) == (20, 48)
        assert session.total.model_calls == 20
        assert session.remaining == {"calls": 0}


def test_each_user_and_agent_has_a_budget() -> None:
    """Per key, with the SDK: one user's spending does not stop another one's."""
    budgets = [ao.Budget(calls=2, per="user.id"), ao.Budget(calls=1, per="gen_ai.agent.name")]
    with (
        ReplayServer([CHAT]) as server,
        openai.OpenAI(**client_kwargs(server), max_retries=0) as client,
        capture(auto_session=False, instrument=["openai"], budgets=budgets),
    ):

        @ao.agent(name="helper")
        def help_out(number: int) -> None:
            chat(client, user=f"agent {number}")

        sent = []
        for user in ("ann", "bob", "ann"):
            before = len(server.requests)
            with ao.session("chat", user_id=user) as session:
                left = session.remaining["calls"]
                for number in range(3):
                    try:
                        (help_out if number == 1 else lambda n: chat(client, user=str(n)))(number)
                    except ao.BudgetExceeded as error:
                        assert error.limit == "calls"
            sent.append((left, len(server.requests) - before))
    assert sent == [(2, 2), (2, 2), (0, 0)]


# --- what a call is expected to use ---


PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 90_000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "input_audio", "input_audio": {"data": "UklGRiQA" * 120_000, "format": "wav"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64," + "JVBE" * 250_000},
        },
    ],
    ids=["image", "audio", "file"],
)
def test_a_picture_is_not_counted_by_its_bytes(both: Captured, served: Served, part: Any) -> None:
    """A megabyte of picture or sound is some thousand tokens, not a quarter of a million."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, part]}]
    with ao.session("s", budget=ao.Budget(tokens=20_000)) as session:
        chat(served[1], messages=messages)
        assert session.total.model_calls == 1


# --- telling ---


def test_telling_holds_up_nobody(served: Served) -> None:
    """What the program does when it is told, also for long, does not hold other threads' calls up."""
    _, client = served
    others: list[bool] = []

    def told(_: object) -> None:
        def other() -> None:
            with ao.session("other"):
                chat(client)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
        others.append(thread.is_alive())

    process = ao.Budget(calls=1000)
    with (
        capture(auto_session=False, instrument=["openai"], budgets=[process], loops="off", on_finding=told),
        ao.session("s", budget=ao.Budget(calls=1, on_exceeded=told)),
    ):
        for number in range(3):
            chat(client, user=str(number))
    assert others == [False, False]


def test_what_nobody_knows_is_told(both: Captured, served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A stream closed before its counts came costs something that no budget in dollars can see."""
    with ao.session("s", budget=ao.Budget(usd=1)):
        _close(served)
    assert "the budget of session s does not see what calls of" in caplog.text


def test_facts() -> None:
    """The recorded answers say what is asserted above."""
    facts = expected(STREAM)
    assert facts["input_tokens"] + facts["output_tokens"] == USED["stream"]
    assert sum(expected(CHAT)[name] for name in ("input_tokens", "output_tokens")) == USED["chat"]
    assert current() is None
