"""Loops and budgets stop calls of LangChain, too: what is meant for the caller passes its callbacks."""

from __future__ import annotations

import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture

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
