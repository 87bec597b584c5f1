"""Ends with a collector that never answers, and the spool: what cannot be sent is there afterwards."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exits.programs import PRELUDE, end_of, environment

TERM, KILL = signal.SIGTERM, signal.SIGKILL

WORK = "init()\nwith work('a'), work('b'):\n    pass\n"
CHILD = """
init()
import multiprocessing
def task(event):
    with work("a"), work("b"):
        pass
    event.set()
    {end}
event = multiprocessing.get_context("fork").Event()
process = multiprocessing.get_context("fork").Process(target=task, args=(event,), daemon=True)
process.start()
event.wait()
{then}
process.join()
"""
FORK = """
init()
if os.fork():
    os.wait()
else:
    with work("a"), work("b"):
        pass
    {end}
"""

OUTAGE = {
    "return": (WORK, None, 0),
    "SIGTERM": (WORK + "ready()", TERM, -TERM),
    "multiprocessing": (CHILD.format(end="", then=""), None, 0),
    "multiprocessing, terminated": (
        CHILD.format(end="asleep()", then="process.terminate()"),
        None,
        0,
    ),
    "os.fork": (FORK.format(end="sys.exit()"), None, 0),
}
CRASH = {
    **OUTAGE,
    "SIGKILL": (WORK + "ready()", KILL, -KILL),
    "os._exit": (WORK + "os._exit(3)", None, 3),
    "os._exit of a fork": (FORK.format(end="os._exit(0)"), None, 0),
    "multiprocessing, killed": (
        CHILD.format(end="asleep()", then="process.kill()"),
        None,
        0,
    ),
}
ENDS = [(durability, end) for durability, ends in (("outage", OUTAGE), ("crash", CRASH)) for end in ends]


@pytest.mark.parametrize(("durability", "end"), ENDS)
def test_nothing_is_lost(durability: str, end: str, tmp_path: Path) -> None:
    """Every span that ended is in the spool, once."""
    program, number, status = CRASH[end]
    file = tmp_path / "program.py"
    file.write_text(PRELUDE + program)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}",
            "OTEL_AGENTOPS_SPOOL": "true",
            "OTEL_AGENTOPS_SPOOL_DIRECTORY": str(tmp_path / "spool"),
            "OTEL_AGENTOPS_DURABILITY": durability,
            "OTEL_AGENTOPS_EXIT_TIMEOUT": "0.5",
        }
        signals = () if number is None else (number,)
        ended = end_of([sys.executable, str(file)], signals, hangs_after_s=20, **variables)
        exported = subprocess.run(
            [str(Path(sys.executable).parent / "otel-agentops"), "spool", "export"],
            env=environment(**variables), check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    names = [
        span["name"]
        for line in exported.stdout.splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    assert ended.status == status
    assert sorted(names) == ["a", "b"]
