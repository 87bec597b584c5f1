"""Nothing is forgotten: every method of every instrumentation is played in every way it can go."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest

from otel_agentops.instrumentation import registry, threads
from otel_agentops.instrumentation.base import Instrumentor
from transparency.kit import LANGCHAIN, OPENAI

pytest.importorskip("pydantic")

BOOKS = {"openai": OPENAI, "langchain": LANGCHAIN}
"""The book of scenes of each instrumentation."""

CALLS = {
    *("ok", "refused with 429", "no JSON", "no connection", "time-out"),
    *("raw, plain", "raw, error", "no arguments", "unknown argument", "too many places"),
    *("its arguments", "looked at"),
}
STREAMS = {
    f"stream, {ending}"
    for ending in (
        *("as it comes", "full", "step by step", "read twice", "left and resumed", "closed", "dropped"),
        *("in a block", "block that raises", "response closed", "connection breaks", "refused with 429"),
    )
} | {"its arguments, of a stream"}
WAITING = {f"stream, {act} while waiting" for act in ("cancelled", "timed out", "let on")}
RAW = {f"streaming raw, {use}" for use in ("read", "lines", "bytes", "texts", "parse", "nothing", "close")}
RAW_STREAMS = {use.replace("raw,", "raw of a stream,") for use in RAW}


def test_every_instrumentation_has_scenes() -> None:
    """Whoever adds an instrumentation adds a book of scenes, or this says so."""
    assert {each.name for each in registry.every()} == set(BOOKS)


def _present(instrumentation: Instrumentor) -> list[tuple[str, str, str]]:
    """Module, class and method of each target that this version of the library has."""
    for module in instrumentation.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    states = [state for state in instrumentation.inspect() if state.state in ("active", "off")]
    return [tuple(state.name.rsplit(".", 2)) for state in states]  # type: ignore[misc]


def test_every_method_of_openai() -> None:
    """Plain, raw, streamed, sync and async, in every ending; except what a method does not have."""
    from transparency import scenes

    played = {
        (owner.__module__, owner.__name__, name): (prefix, method)
        for prefix in ("", "Async")
        for method in scenes.METHODS
        if "Azure" not in method.kind
        for owner, name in [scenes.owner_of(method, prefix)]
    }
    targets = _present(registry.instrumentor("openai"))  # type: ignore[arg-type]  # it is one
    assert len(targets) >= 4  # of older versions, some are only told of while they are switched on
    for target in targets:
        prefix, method = played[target]
        streams = STREAMS | RAW_STREAMS | (WAITING if prefix else set()) if method.stream else set()
        raw = set() if method.path.startswith("beta.") else RAW
        label = f"{prefix.lower()} {method.name}".strip()
        wanted = {f"{label}: {way}" for way in CALLS | raw | streams}
        assert wanted <= set(scenes.SCENES), (target, wanted - set(scenes.SCENES))


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
