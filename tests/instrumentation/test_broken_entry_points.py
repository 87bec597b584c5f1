"""Somebody's entry point whose module fails: it is reported, and nobody else pays for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GROUPS = ("otel_agentops_instrumentor", "otel_agentops_gate")
GATES = {"all": "all", "some": ["openai"], "with the broken one": ["openai", "acme"]}
"""What `init(gate=...)` is asked for."""
BROKEN = "raise ImportError('acme is gone')"

PROGRAM = """
import json, sys
import openai
import otel_agentops as ao
from otel_agentops.failsafe import failures
from otel_agentops.testing import capture
from support.replay import ReplayServer, client_kwargs, load_exchanges

(chat,) = load_exchanges("openai/langchain__test_langgraph_invoke.json")[:1]
gate = json.loads(sys.argv[1])
sent = 0
with (
    ReplayServer([chat]) as server,
    openai.OpenAI(**client_kwargs(server), max_retries=0) as client,
    capture(strict=False, auto_session=False, instrument=[], gate=gate),
    ao.session("s", budget=ao.Budget(calls=1)),
):
    try:
        for _ in range(3):
            client.chat.completions.create(**chat.request)
            sent += 1
    except ao.BudgetExceeded:
        pass
print(json.dumps([sent, failures]))
"""


def install(folder: Path, group: str, code: str) -> None:
    """A package of somebody else's with an entry point called `acme`."""
    (folder / "acme_broken.py").write_text(code)
    metadata = folder / "acme_broken-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-broken\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\nacme = acme_broken:INSTRUMENTOR\n")


def checked(folder: Path, gate: Any) -> tuple[int, dict[str, int], str]:
    """Run the program; how many calls were sent before one was refused, what failed, and the log."""
    paths = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(gate)],
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    sent, failures = json.loads(done.stdout)
    return sent, failures, done.stderr


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("group", GROUPS)
def test_gates_hold_beside_it(tmp_path: Path, group: str, gate: str) -> None:
    """`init(gate=...)` does not fail, calls of libraries that are well are checked, and the log says why."""
    install(tmp_path, group, BROKEN)
    sent, failures, log = checked(tmp_path, GATES[gate])
    assert sent == 1
    assert set(failures) == {"loading the instrumentor acme"}
    assert "loading the instrumentor acme" in log
