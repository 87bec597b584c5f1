"""What the tests of the command share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

HAS_RESPONSES = find_spec("openai.resources.responses") is not None
"""Whether this openai is new enough for the demo; the library itself works with older ones."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs `otel-agentops` in a process of its own, with variables added to the environment."""

    def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        if arguments[:1] == ("demo",) and not HAS_RESPONSES:
            pytest.skip("the demo needs openai 1.66 or later")
        code = "import sys; from otel_agentops.cli import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *arguments],
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
            check=False,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )

    return command


@pytest.fixture
def demo(run: Run) -> Callable[..., dict[str, Any]]:
    """Runs the demo and reads its JSON; anything on standard error is a failure."""

    def read(*arguments: str, **variables: str) -> dict[str, Any]:
        done = run("demo", "--json", *arguments, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return read


@pytest.fixture(scope="session")
def result(run: Run) -> dict[str, Any]:
    """The JSON of one run, for the tests that only look at it."""
    found: dict[str, Any] = json.loads(run("demo", "--json").stdout)
    return found


@pytest.fixture(scope="session")
def printed(run: Run) -> str:
    """The picture of another run."""
    return run("demo").stdout
