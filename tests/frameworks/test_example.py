"""The example of an agent, run as a user would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frameworks.conftest import ANSWER, QUESTION
from otel_agentops.viewer import Receiver
from support.replay import ReplayServer

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "apps" / "langgraph_agent.py"


def test_the_agent_with_a_tool() -> None:
    """Session, agent, two calls and a tool arrive, and the printed cost is the session's."""
    pytest.importorskip("langgraph", reason="needs langgraph: pip install -e '.[test-frameworks]'")
    agents = pytest.importorskip("langchain.agents", reason="needs langchain, as above")
    if not hasattr(agents, "create_agent"):
        pytest.skip("this version of langchain has no create_agent")
    with ReplayServer([QUESTION, ANSWER]) as replay, Receiver() as receiver:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environ |= {
            "OPENAI_API_KEY": "test-key",
            "OPENAI_BASE_URL": "http://api.openai.com/v1",  # the real host, through the recordings' proxy
            "HTTP_PROXY": replay.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        done = subprocess.run(
            [sys.executable, EXAMPLE], env=environ, check=False, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    spans = {span.name: span.attributes for span in receiver.spans}
    assert set(spans) == {
        "invoke_workflow homework", "invoke_agent calculator", "chat gpt-4o-mini", "execute_tool add_numbers",
    }  # fmt: skip
    assert spans["invoke_agent calculator"]["gen_ai.conversation.id"] == "thread-1"
    total = spans["invoke_workflow homework"]["otel_agentops.total.cost_usd"]
    costs = [span.attributes.get("gen_ai.usage.cost", 0) for span in receiver.spans]
    assert total == pytest.approx(sum(costs), abs=1e-12)
    answer, summary = done.stdout.splitlines()
    assert answer == "The sum of 5 and 7 is 12."
    assert summary.startswith("2 model calls, 1 tool call, $")
    assert float(summary.rpartition("$")[2]) == total > 0
