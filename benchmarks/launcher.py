"""What zero code adds to the start of a program under `opentelemetry-instrument`."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.driver import Result, Row, Spread, environment, main

PAIRS = 15
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
    """Pairs of starts, with and without us, each pair in turn."""
    for side in ({}, _OFF):
        _cpu_ms(0, side)  # writes the bytecode
    with_us: list[float] = []
    alone: list[float] = []
    for seed in range(PAIRS):
        for side in (with_us, alone) if seed % 2 else (alone, with_us):
            side.append(_cpu_ms(seed, {} if side is with_us else _OFF))
    over = sorted(ours - bare for ours, bare in zip(with_us, alone, strict=True))
    third = PAIRS // 5  # a start that met a slow phase of the machine says nothing about us
    builds = "joins the distro's" if find_spec("opentelemetry.distro") else "builds the"
    return Result(
        "launcher",
        f"An empty program under opentelemetry-instrument; zero code {builds} pipeline",
        [
            Row("over the launcher alone: ms", Spread.of(over[third:-third]), 1, 60.0),
            Row("the launcher alone, ours switched off: ms", Spread.of(alone), 1),
        ],
    )


if __name__ == "__main__":
    main(measure)
