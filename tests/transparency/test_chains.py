"""An instrumented program of LangChain's sees what it sees without us."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="needs langchain-core: pip install -e '.[test-frameworks]'")
pytest.importorskip("langchain_openai", reason="needs langchain-openai: pip install -e '.[test-frameworks]'")
pytest.importorskip("langgraph", reason="needs langgraph: pip install -e '.[test-frameworks]'")

from langchain_core.callbacks import BaseCallbackHandler

from otel_agentops.instrumentation.langchain_callbacks import Callbacks
from transparency.kit import LANGCHAIN, Program, Seen, differences, run_programs, stalls
from transparency.known import KNOWN, excuse

BARE = "bare"
STEPS = {
    BARE: ["provider", "import langchain"],
    "instrumented": ["provider", "ours", "import langchain"],
    "instrumented later, with content": ["import langchain", "provider", "ours, with content, not asking"],
    "undone": ["provider", "import langchain", "ours", "undo ours"],
}
PROGRAMS = {name: Program(steps, book=LANGCHAIN) for name, steps in STEPS.items()}
INSTRUMENTED = [name for name in PROGRAMS if name.startswith("instrumented")]


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    """What each program saw."""
    return run_programs(PROGRAMS)


OURS = "AgentOpsCallbackHandler"
_NOISE = "an error occurred during closing of asynchronous generator"


def _listed(_where: str, bare: Any, ours: Any) -> bool:
    """Our handler is among those that a program can ask for."""
    if isinstance(ours, str):
        return bool(re.sub(rf", \\?'{OURS}\\?'", "", ours) == bare)
    return [name for name in ours if name != OURS] == bare


def _noisy(_where: str, bare: Any, ours: Any) -> bool:
    """A loop that ends closes generators inside each other in any order, and then logs or does not."""

    def quiet(lines: Any) -> Any:
        return [line for line in lines if line[2] != _NOISE]

    return bool(quiet(bare) == quiet(ours))


def _untold(_where: str, bare: Any, ours: Any) -> bool:
    return (bare, ours) == (True, False)


def _thought_lost(_where: str, bare: Any, ours: Any) -> bool:
    """LangChain tells nobody when a run is left before its first part; it then looks open to us."""
    return not bare and all(
        re.match("no price for|truncated|a call ran outside every session", line) for line in ours
    )


def _found_late(_where: str, bare: Any, ours: Any) -> bool:
    """What is left open in one scene may end between two, where only the log's last resort hears of it."""
    return not bare and all(
        re.match(r"swallowed_error \(\w+\); first span", line) for line in ours.splitlines()
    )


LISTED = (r"\.handlers: what a .*\.(returned\[\d\]|tape\[\d\])", _listed)
OF_LANGCHAIN = (
    *KNOWN,
    LISTED,
    (r"\.logs", _noisy),
    (r"^\.stderr", _found_late),
    (r"\.warned by us", _thought_lost),
    # docs/langchain.md: a handler that raises keeps LangChain from telling ours of the end
    (r"\.handlers: one that raises at the (end|error), \w+\.context", _untold),
)


def excused(where: str, bare: Any, other: Any) -> bool:
    """Whether a difference is a known one."""
    return excuse(where, bare, other, OF_LANGCHAIN)


@pytest.mark.parametrize("name", INSTRUMENTED)
def test_instrumented(seen: dict[str, Seen], name: str) -> None:
    """Results, errors, streams, events, the wire, handlers: nothing differs but what is documented."""
    assert differences(seen[BARE], seen[name], excused) == []


def test_undone(seen: dict[str, Seen]) -> None:
    """After un-instrumenting nothing differs but that our handler is still there, and no span is written."""

    def left(where: str, bare: Any, other: Any) -> bool:
        return excuse(where, bare, other, (*KNOWN, LISTED, (r"\.logs", _noisy)))

    assert differences(seen[BARE], seen["undone"], left) == []
    assert not any(account["spans"] for account in seen["undone"]["scenes"].values())


_FIRST = version("langchain-core").split(".")[:3] == ["0", "3", "0"]
_ENDS_LATER = "one that raises|, dropped$" + ("|: astream(_events)?, " if _FIRST else "")
"""Scenes whose last call ends after them; of the first version also async streams."""


@pytest.mark.parametrize("name", INSTRUMENTED)
def test_every_call_was_recorded(seen: dict[str, Seen], name: str) -> None:
    """The programs really were instrumented: whatever sent a request has spans of ours, all ended."""
    for scene, account in seen[name]["scenes"].items():
        ours = [span for span in account["spans"] if span["scope"] == "otel_agentops"]
        assert all(span["ended"] for span in ours)
        if account.get("wire") and not re.search(_ENDS_LATER, scene):
            assert ours, scene  # the others' end when the program does, or whenever the loop closes them


@pytest.mark.parametrize("name", INSTRUMENTED)
def test_the_loop_goes_on(seen: dict[str, Seen], name: str) -> None:
    """In no scene does the loop stand still 5 ms longer than bare."""
    assert stalls(PROGRAMS[BARE], PROGRAMS[name], (seen[BARE], seen[name])) == []


def test_every_callback_was_played(seen: dict[str, Seen]) -> None:
    """A handler of the program's own is told of every kind of event that ours listens to."""
    tapes = "\n".join(step for account in seen[BARE]["scenes"].values() for step in account["tape"])
    ours = {name for name in vars(Callbacks) if name.startswith("on_") and hasattr(BaseCallbackHandler, name)}
    assert len(ours) >= 12
    missing = {name for name in ours if not re.search(rf"^{name} ", tapes, re.MULTILINE)}
    assert not missing
