"""Loops are found, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import otel_agentops as ao
from support.agent_runs import HONEST, LOOPS, Maker, Run, Step, runs
from support.play import play

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "agent_runs.json").read_text("utf-8"))
LOOP_KINDS = {"repeated_prompt", "repeated_tool_call", "cycle", "retry_storm"}


@pytest.fixture(autouse=True)
def _started() -> Iterator[None]:
    """A runtime that writes nowhere: what is found does not depend on spans."""
    ao.init(tracer_provider=trace.NoOpTracerProvider(), auto_session=False, instrument=[])
    yield
    ao.shutdown()


def loops(run: Run) -> set[str]:
    """Kinds of loops found in a run."""
    return {finding.kind for finding in play(run)} & LOOP_KINDS


def test_precision_and_recall() -> None:
    """Of 2,000 runs, at least 98 in 100 loops are found, and 98 in 100 findings are loops."""
    found: Counter[bool] = Counter()
    wrong: Counter[str] = Counter()
    for run in runs(2000, 1):
        told = bool(loops(run))
        found[run.loop] += told
        wrong[run.shape] += told != run.loop
    recall, precision = found[True] / 1000, found[True] / max(1, found.total())
    assert (recall >= 0.98, precision >= 0.98) == (True, True), (recall, precision, wrong.most_common(5))


@pytest.mark.parametrize("shape", HONEST, ids=lambda shape: shape.__name__)
def test_every_honest_shape(shape: Any) -> None:
    """No kind of honest run is taken for a loop more than once in fifty."""
    alarms = [seed for seed in range(50) if loops(Run(shape.__name__, False, shape(Maker(seed))))]
    assert len(alarms) <= 1


@pytest.mark.parametrize("shape", LOOPS, ids=lambda shape: shape.__name__)
def test_every_kind_of_loop(shape: Any) -> None:
    """No kind of loop is missed more than twice in fifty."""
    missed = [seed for seed in range(50) if not loops(Run(shape.__name__, True, shape(Maker(seed))))]
    assert len(missed) <= 2


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["framework"])
def test_frameworks_at_work(recorded: dict[str, Any]) -> None:
    """What a framework does in an honest run is no loop."""
    assert loops(Run(recorded["framework"], False, [Step(**step) for step in recorded["steps"]])) == set()


@pytest.mark.parametrize("period", range(2, 9))
def test_a_cycle_of_each_length(period: int) -> None:
    """Three clean rounds are a cycle, told once, and told while the third is going on."""
    make = Maker(period)
    pattern = [make.tool(f"t{n}", "same", "same") for n in range(period)]
    findings = play(Run("", True, make.work(10) + pattern * 3))
    assert [finding.kind for finding in findings][-1] == "cycle"
    assert len(findings) <= 2
    assert findings[-1].name == f"{period} steps"
    assert loops(Run("", True, make.work(10) + pattern * 2)) == set()


def test_two_alike_are_no_loop() -> None:
    """The third of a kind is too much, not the second."""
    make = Maker(1)
    prompt, call = make.prompt(), make.tool()
    assert loops(Run("", False, [prompt, call] * 2)) == set()
    assert loops(Run("", True, [prompt] * 3)) == {"repeated_prompt"}
    assert loops(Run("", True, [call] * 3)) == {"repeated_tool_call"}


def test_new_results_are_progress() -> None:
    """A tool that says something new each time is not called in vain; one that does not is."""
    make = Maker(1)
    assert loops(Run("", False, [make.tool("next", "{}") for _ in range(20)])) == set()
    assert loops(Run("", True, [make.tool("next", "{}") for _ in range(60)])) == {"repeated_tool_call"}
    assert loops(Run("", True, [make.tool("next", "{}", "same") for _ in range(3)])) == {"repeated_tool_call"}


def test_turns_of_an_agent_may_start_alike() -> None:
    """The same look around at the start of each task is no loop; nothing but it is one."""
    make = Maker(1)
    start = [make.tool("list", ".", "files"), make.tool("read", "README", "text")]
    turns = [[*start, make.tool()] for _ in range(6)]
    steps = [Step(**{**vars(step), "agent": "a", "turn": n}) for n, turn in enumerate(turns) for step in turn]
    assert loops(Run("", False, steps)) == set()
    again = [Step(**{**vars(step), "agent": "a", "turn": n}) for n in range(4) for step in start]
    assert loops(Run("", True, again)) != set()
