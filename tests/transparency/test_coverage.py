"""Nothing is forgotten: every method of every instrumentation is played in every way it can go."""

from __future__ import annotations

import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import entry_points
from importlib.util import find_spec
from threading import Thread
from typing import Any

import pytest

from otel_agentops.instrumentation import registry, threads
from transparency.covered import present, unplayed
from transparency.kit import ANTHROPIC, LANGCHAIN, OPENAI

pytest.importorskip("pydantic")

BOOKS = {"openai": OPENAI, "langchain": LANGCHAIN, "anthropic": ANTHROPIC}
"""The book of scenes of each instrumentation."""


def test_every_instrumentation_has_scenes() -> None:
    """Whoever adds an instrumentation adds a book of scenes, or this says so."""
    installed = [*entry_points(group=registry.GROUP), *entry_points(group=registry.GATES)]
    ours = {each.name for each in installed if each.value.startswith("otel_agentops.")}
    assert ours == set(BOOKS)
    assert all(find_spec(book) for book in BOOKS.values())


def test_every_method_of_openai() -> None:
    """Plain, raw, streamed, sync and async, in every ending; except what a method does not have."""
    from transparency import scenes

    assert len(present(registry.instrumentor("openai"))) >= 4
    assert unplayed(registry.instrumentor("openai"), scenes.METHODS, scenes.SCENES) == {}


def test_every_patch_of_threads() -> None:
    """What is replaced to follow threads is what the scenes of threads look at and use."""
    places = {(Thread, "start"), (ThreadPoolExecutor, "submit"), (Future, "add_done_callback")}
    assert set(threads._PLACES) == places
    from transparency.threaded import SCENES

    kinds = {name.partition(":")[0] for name in SCENES}
    assert kinds >= {"thread", "pool", "future", "loop", "methods"}


RUNS = {"config", "callbacks", "run_manager"}
"""Arguments of LangChain's methods that start a run or belong to one."""
BUILDERS = ("get_", "with_", "bind", "as_", "assign", "pick", "map", "pipe")
"""How methods begin that take such an argument and run nothing."""
ENDINGS = {
    *("as it comes", "step by step", "never read", "left and resumed", "closed", "dropped"),
    *("exception thrown in", "connection breaks", "stalls"),
}


def _running(kind: Any) -> set[str]:
    """Public methods of a class of LangChain that run something."""
    found = set()
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith(("_", *BUILDERS)) and RUNS & set(inspect.signature(method).parameters):
            found.add(name)
    return found


def test_every_way_to_run_langchain() -> None:
    """Every method of models, tools, retrievers and chains that runs something is played by each of them."""
    pytest.importorskip("langgraph")
    pytest.importorskip("langchain_openai")
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda, RunnableSequence
    from langchain_core.tools import BaseTool

    from transparency import chains

    kinds = {
        "chat model": BaseChatModel,
        "tool": BaseTool,
        "retriever": BaseRetriever,
        "function": RunnableLambda,
        "chain": RunnableSequence,
    }
    former = {"get_relevant_documents", "aget_relevant_documents", "call_as_llm", "predict", "apredict"}
    for subject, kind in kinds.items():
        ways = _running(kind) - former - {"predict_messages", "apredict_messages"}
        assert len(ways) >= 8
        missing = {way for way in ways if f"{subject}: {way}" not in chains.SCENES}
        assert not missing, (subject, missing)
    for subject in ("chat model", "chain", "graph"):
        for way in ("stream", "astream", "astream_events"):
            missing = {f"{subject}: {way}, {ending}" for ending in ENDINGS} - set(chains.SCENES)
            assert not missing
