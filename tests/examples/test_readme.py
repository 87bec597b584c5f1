"""The code in the README runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from otel_agentops.demo import Replay
from otel_agentops.viewer import Receiver

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")


def test_the_quick_start_runs() -> None:
    """All Python of the README, in its order, is one program that works and exports its costs."""
    program = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL)).replace("[...]", "[]")
    with Replay() as api, Receiver() as collector:
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=False,
            env={
                **os.environ,
                "OPENAI_API_KEY": "sk-test",
                "OPENAI_BASE_URL": api.url,
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_AGENTOPS_AUTO_SESSION": "false",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (0, "0.000279900 0\n")
    assert "provider 'acme', model 'm1" in done.stderr  # it has no price, and that is said
    spans = {span.name: span.attributes for span in collector.spans}
    assert spans["invoke_workflow triage"]["otel_agentops.total.cost_usd"] == 0.0002799
    assert spans["chat m1"]["otel_agentops.cost.status"] == "unpriced"
