"""Model calls in tasks of one loop: none is taken for another beside it that sends the same words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

pytest.importorskip("langchain_openai", reason="needs langchain-openai: pip install -e '.[test-frameworks]'")

import openai
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_openai import OpenAI

import otel_agentops as ao
from frameworks.conftest import COMPLETION, PLAIN, run, settings
from otel_agentops.testing import Captured
from support.replay import ReplayServer, client_kwargs, expected, load_exchanges
from support.tree import attribute

STREAMED = load_exchanges("openai/openai__test_completion_streaming_with_events_with_no_content.json")[0]
MODEL = "gpt-4o"
VERSION = tuple(int(part) for part in version("langchain-core").split(".")[:3] if part.isdecimal())

pytestmark = pytest.mark.skipif(
    VERSION < (0, 3, 10), reason="before langchain-core 0.3.10 all async callbacks run in tasks of their own"
)


class Slow(FakeListChatModel):
    """A chat model of the program's own, which answers when it may.

    Attributes:
        asked: Set when it was called.
        may: What it waits for.
    """

    asked: Any
    may: Any

    async def _agenerate(self, *args: Any, **more: Any) -> Any:
        self.asked.set()
        await self.may.wait()
        return await super()._agenerate(*args, **more)


async def _stream(llm: OpenAI) -> None:
    async for _ in llm.astream("complete me"):
        pass


async def _events(llm: OpenAI) -> None:
    async for _ in llm.astream_events("complete me", version="v2"):
        pass


BEFORE: dict[str, Callable[[OpenAI], Any] | None] = {
    "nothing": None,
    "ainvoke": lambda llm: llm.ainvoke("complete me"),
    "agenerate": lambda llm: llm.agenerate(["complete me", "complete me, too"]),
    "astream": _stream,
    "astream_events": _events,
}
"""What the task does with a completion model before it starts the others."""
CHATS: dict[str, tuple[Callable[[Slow], Any], int]] = {
    "ainvoke": (lambda llm: llm.ainvoke("hello"), 1),
    "agenerate": (lambda llm: llm.agenerate([[HumanMessage("hello")], [HumanMessage("and you?")]]), 2),
}
"""Calls of the chat model, and how many they are."""


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("before", BEFORE)
def test_a_direct_call_beside_a_chat_model(before: str, chat: str, quiet: Captured) -> None:
    """The SDK call of another task is its own, whatever a completion model has left in the context."""
    started: list[int] = []

    async def program(llm: OpenAI) -> None:
        first = BEFORE[before]
        if first is not None:
            await first(llm)
        started.append(len(quiet.spans))
        asked, may = asyncio.Event(), asyncio.Event()

        async def direct() -> None:
            await asked.wait()
            async with openai.AsyncOpenAI(**client_kwargs(server), max_retries=0) as client:
                await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": "hello"}]
                )
            may.set()

        model = Slow(responses=["hi"], asked=asked, may=may)
        with ao.session("beside") as session:
            await asyncio.gather(asyncio.create_task(CHATS[chat][0](model)), asyncio.create_task(direct()))
        assert session.total.model_calls == 1 + CHATS[chat][1]
        assert session.total.input_tokens == expected(PLAIN)["input_tokens"]

    with ReplayServer([PLAIN, COMPLETION, STREAMED]) as server:
        run(OpenAI(model="davinci-002", **settings(server)), program)
    (ours,) = quiet.named(f"chat {MODEL}")
    chats = [span for span in quiet.spans[started[0] :] if span.name == "chat"]
    assert attribute(ours, "gen_ai.usage.input_tokens") == expected(PLAIN)["input_tokens"]
    assert len(chats) == CHATS[chat][1]
    assert all(attribute(span, "gen_ai.usage.input_tokens") is None for span in chats)
    parents = {span.parent.span_id if span.parent else None for span in (ours, *chats)}
    assert parents == {quiet.span("invoke_workflow beside").context.span_id}
