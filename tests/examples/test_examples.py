"""Each example runs as a user would run it; what it exports is looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_agentops.viewer import Receiver, build, totals

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def play(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run an example to a good end, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done


def run(name: str, **variables: str) -> str:
    """Standard output; anything on standard error is a failure."""
    done = play(name, **variables)
    assert done.stderr == ""
    return done.stdout


def run_warned(name: str, **variables: str) -> str:
    """The same for an example that is warned in the log."""
    done = play(name, **variables)
    assert "first span" in done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def exported(name: str, run: Callable[..., str] = run) -> tuple[str, dict[str, dict[str, Any]], Receiver]:
    """Output, attributes by span name, and the receiver."""
    with Receiver() as receiver:
        output = run(name, OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    return output, {span.name: span.attributes for span in receiver.spans}, receiver


def test_email_classifier() -> None:
    """Two operations on two models inside one agent; the printed cost is the exported one."""
    output, spans, receiver = exported("email_classifier.py")
    assert set(spans) == {
        "invoke_workflow triage", "invoke_agent EmailClassifier", "classify_email", "draft_reply",
        "chat gpt-4o-mini", "chat gpt-4",
    }  # fmt: skip
    assert spans["chat gpt-4o-mini"]["gen_ai.usage.cost"] == 0.0002799
    assert spans["chat gpt-4"]["gen_ai.usage.cost"] == 0.00066
    assert spans["chat gpt-4"]["gen_ai.agent.name"] == "EmailClassifier"
    assert spans["invoke_workflow triage"]["otel_agentops.total.cost_usd"] == 0.0009399
    assert spans["invoke_workflow triage"]["otel_agentops.session.outcome"] == "success"
    assert output == "2 calls, 1162 tokens in, 312 out\ncost: $0.000939900\n"
    assert totals(build(receiver.spans)).agree


def test_custom_agent() -> None:
    """No SDK, a price rule, and a tool that costs something by itself."""
    output, spans, receiver = exported("custom_agent.py")
    assert spans["chat m1"]["gen_ai.usage.cost"] == 0.00076
    assert spans["chat m1"]["otel_agentops.cost.source"] == "override"
    assert spans["chat m1"]["gen_ai.response.model"] == "m1-0925"
    assert spans["execute_tool search"]["otel_agentops.tool.cost_usd"] == 0.002
    assert spans["invoke_workflow research"]["otel_agentops.total.cost_usd"] == 0.00276
    assert "with the tool: $0.0027" in output
    assert totals(build(receiver.spans)).agree


def test_existing_otel() -> None:
    """The program's own exporter sees our span and the price of somebody else's."""
    output = run("existing_otel.py")
    found = dict(line.rsplit(None, 1) for line in output.splitlines())
    assert found == {
        "chat gpt-4o-mini": "0.0002799",
        "chat claude-sonnet-4-5": "0.0045",
        "invoke_workflow answer": "0.0047799",
        "GET /answer": "-",
        "session:": "$0.004779900",
    }


def test_loops() -> None:
    """The third search alike is not made; the tool that may be repeated is no loop."""
    output, spans, receiver = exported("loops.py", run_warned)
    assert output.splitlines() == [
        "found: repeated_tool_call (search): 3 times",
        "stopped: repeated_tool_call of search",
        "3 model calls, $0.000306",
    ]
    assert [span.name for span in receiver.spans].count("execute_tool search") == 2
    assert spans["invoke_workflow research"]["otel_agentops.total.model_calls"] == 3


def test_budgets() -> None:
    """A session stops at its calls, a user at the dollars of all sessions, the process at neither."""
    output, _, receiver = exported("budgets.py", run_warned)
    assert output.splitlines() == [
        "ann: 3 calls, then no more calls for session chat",
        "bob: 3 calls, then no more calls for session chat",
        "ann: 1 calls, then no more usd for user.id ann",
        "the process has $9.99853 left",
    ]
    assert len([span for span in receiver.spans if span.name == "chat gpt-4o-mini"]) == 7


@pytest.mark.parametrize("name", ["email_classifier.py", "custom_agent.py"])
def test_without_any_setting_spans_are_printed(name: str) -> None:
    """An example needs no collector."""
    assert '"gen_ai.usage.cost": 0.0' in run(name)


def test_every_example_has_a_test() -> None:
    """A new example is a new test."""
    assert {file.name for file in EXAMPLES.glob("*.py")} == {
        "budgets.py", "custom_agent.py", "email_classifier.py", "existing_otel.py", "loops.py",
    }  # fmt: skip
