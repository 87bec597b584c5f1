"""Loops and budgets stop calls of LangChain, too: what is meant for the caller passes its callbacks."""

from __future__ import annotations

from typing import Any

import pytest

import otel_agentops as ao
from frameworks.conftest import STREAM, settings
from otel_agentops.testing import Captured, capture
from support.replay import ReplayServer, expected

pytest.importorskip("langchain_core", reason="LangChain is not installed")


def test_stopped_through_langchain() -> None:
    """`BudgetExceeded` and `LoopDetected` reach the caller before the model or the tool runs."""
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.tools import tool

    ran = []

    @tool
    def look(what: str) -> str:
        """Look something up."""
        ran.append(what)
        return "nothing"

    model = FakeListChatModel(responses=["a"])
    with capture(auto_session=False, instrument=["langchain"]) as captured:
        with pytest.raises(ao.BudgetExceeded), ao.session("s", budget=ao.Budget(calls=2)):
            for number in range(5):
                model.invoke(f"question {number}")
        with ao.session("s", loops="raise"):
            for call in (lambda: look.invoke({"what": "x"}), lambda: model.invoke("same")):
                call()
                call()
                with pytest.raises(ao.LoopDetected):
                    call()
        _check(captured)
    assert ran == ["x", "x"]


def _check(captured: Captured) -> None:
    assert [span.name for span in captured.spans if not span.name.startswith("invoke")] == [
        "chat", "chat", "execute_tool look", "execute_tool look", "chat", "chat",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", ["invoke", "stream", "closed"])
def test_one_call_of_two_layers_is_spent_once(shape: str) -> None:
    """LangChain over the SDK: three calls fit, each counted once; the fourth is not sent."""
    langchain_openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    facts = expected(STREAM)
    used = 0 if shape == "closed" else facts["input_tokens"] + facts["output_tokens"]
    with ReplayServer([STREAM]) as server, capture(auto_session=False, instrument=["langchain", "openai"]):
        llm: Any = langchain_openai.ChatOpenAI(
            model="gpt-4", streaming=True, stream_usage=True, **settings(server)
        )
        with (
            pytest.raises(ao.BudgetExceeded) as stopped,
            ao.session("s", loops="off", budget=ao.Budget(calls=3, tokens=100_000)) as session,
        ):
            for number in range(4):
                assert session.remaining == {"calls": 3 - number, "tokens": 100_000 - number * used}
                _ask(llm, shape)
        assert (stopped.value.limit, len(server.requests)) == ("calls", 3)
        assert session.total.model_calls == 3


def _ask(llm: Any, shape: str) -> None:
    if shape == "invoke":
        llm.invoke("Say this is a test")
        return
    parts = llm.stream("Say this is a test")
    next(parts)
    if shape == "closed":
        parts.close()
    else:
        list(parts)
