"""Recorded answers for frameworks, and the check that nothing of ours failed behind their backs."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from otel_agentops import failsafe
from otel_agentops.testing import Captured, capture
from support.replay import Exchange, ReplayServer, client_kwargs, load_exchanges

QUESTION, ANSWER = load_exchanges("openai/agno__test_agent_with_tools.json")
PLAIN = load_exchanges("openai/langchain__test_langgraph_invoke.json")[0]
STREAM = next(e for e in load_exchanges("openai/openai-v2__test_chat_completion_streaming.json") if e.is_sse)
COMPLETION = load_exchanges(
    "openai/openai__test_completion_langchain_style_with_events_with_no_content.json"
)[0]
RECORDED: list[Exchange] = [PLAIN, QUESTION, ANSWER, STREAM, COMPLETION]


def settings(server: ReplayServer) -> dict[str, Any]:
    """Arguments of LangChain's OpenAI models; its own async clients are shared and outlive their loops."""
    major = int(importlib.import_module("openai").__version__.split(".")[0])
    httpx = importlib.import_module("httpx2" if major >= 3 else "httpx")
    return {**client_kwargs(server), "max_retries": 0, "http_async_client": httpx.AsyncClient()}


def run(llm: Any, program: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Run a program of one loop with a model, and close the model's client in it."""

    async def whole() -> Any:
        try:
            return await program(llm)
        finally:
            await llm.http_async_client.aclose()

    return asyncio.run(whole())


@pytest.fixture(autouse=True)
def _nothing_failed() -> Iterator[None]:
    """A framework swallows what a callback raises, so the counters are asked."""
    yield
    assert dict(failsafe.failures) == {}


@pytest.fixture(scope="session")
def server() -> Iterator[ReplayServer]:
    """A server with a recording of each kind."""
    with ReplayServer(RECORDED) as running:
        yield running


@pytest.fixture
def quiet() -> Iterator[Captured]:
    """Everything recorded, without content."""
    with capture(auto_session=False, stream_usage_hosts=["127.0.0.1"]) as everything:
        yield everything
