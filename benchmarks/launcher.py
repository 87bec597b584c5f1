"""What zero code adds to the start of a program under `opentelemetry-instrument`."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.driver import Result, Row, Spread, environment, main

ROUNDS = 15
LAUNCHER = str(Path(sys.executable).parent / "opentelemetry-instrument")
_OFF = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "otel_agentops"}
_SETTINGS = {
    # nothing is sent by an empty program, so nobody need listen
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}


def _cpu_ms(seed: int, more: dict[str, str]) -> float:
    """CPU of the launcher and the empty program that it becomes."""
    process = subprocess.Popen(
        [LAUNCHER, sys.executable, "-c", "pass"], env={**environment(seed), **_SETTINGS, **more}
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the launcher ended with {process.returncode}")
    return (used.ru_utime + used.ru_stime) * 1e3


def measure() -> Result:
    """Rounds of starts, with and without us, each arm of a round in another place."""
    arms = {"alone": _OFF, "spans": {}, "all": {"OTEL_METRICS_EXPORTER": "otlp"}}
    names = list(arms)
    for name in names:
        _cpu_ms(0, arms[name])  # writes the bytecode
    took: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(ROUNDS):
        turn = seed % len(names)
        for name in names[turn:] + names[:turn]:
            took[name].append(_cpu_ms(seed, arms[name]))

    def over(name: str) -> Spread:
        """Without the extremes: a start that met a slow phase of the machine says nothing about us."""
        each = sorted(ours - bare for ours, bare in zip(took[name], took["alone"], strict=True))
        return Spread.of(each[ROUNDS // 5 : -(ROUNDS // 5)])

    joins = find_spec("opentelemetry.distro") is not None
    rows = [
        Row("over the launcher alone: ms", over("spans"), 1, 60.0),
        Row("the launcher alone, ours switched off: ms", Spread.of(took["alone"]), 1),
    ]
    if not joins:  # else the distro has them in both arms, or in neither
        rows.insert(1, Row("the same with metrics, as is the default: ms", over("all"), 1, 60.0))
    title = "joins the distro's pipeline" if joins else "builds the pipeline"
    return Result("launcher", f"An empty program under opentelemetry-instrument; zero code {title}", rows)


if __name__ == "__main__":
    main(measure)
