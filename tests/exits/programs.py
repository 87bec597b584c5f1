"""Programs that end in every way there is, run with us and without, against a real OTLP receiver."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from export.collector import http_collector

PRELUDE = """
import os, signal, sys, time
if "BARE" in os.environ:
    from contextlib import nullcontext as work

    def init():
        pass
else:
    import otel_agentops as ao
    from otel_agentops import operation as work

    def init():
        ao.init(auto_session=False, instrument=[])


def asleep():
    for _ in range(600):  # a signal that comes when a sleep begins is only handled at its end
        time.sleep(0.05)


def ready():
    print("ready", flush=True)
    asleep()

"""


@dataclass(frozen=True)
class End:
    """How a program ended.

    Attributes:
        status: Its exit status; negative for the signal that killed it.
        stdout: What it printed.
        stderr: The same for errors.
        spans: Names of the spans that arrived, sorted.
        endings: How those ended that ended early, by name.
    """

    status: int
    stdout: str
    stderr: str
    spans: tuple[str, ...] = ()
    endings: dict[str, str] = field(default_factory=dict, compare=False)


def environment(**variables: str) -> dict[str, str]:
    """Variables of a program; spans are sent at its end and not before."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {
        **clean,
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_METRICS_EXPORTER": "none",
        **_QUIET,
        **variables,
    }


_QUIET = {"PYTHONWARNINGS": "ignore:This process:DeprecationWarning"}
"""Python 3.12 warns of a fork beside other threads, and any exporter has threads."""


def end_of(
    command: list[str], signals: tuple[int, ...] = (), hangs_after_s: float = 60, **variables: str
) -> End:
    """Run a command; when it says that it is ready, send it these signals."""
    with (
        http_collector() as collector,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **variables}),
        ) as process,
    ):
        try:
            begun = ""
            if signals:
                assert process.stdout is not None
                begun = process.stdout.readline()
                for number in signals:
                    time.sleep(0.2)  # into the waiting, not while it begins: Python itself may miss that
                    process.send_signal(number)
            stdout, stderr = process.communicate(timeout=hangs_after_s)
        finally:
            process.kill()
    return End(process.returncode, begun + stdout, stderr, tuple(sorted(collector.spans)), collector.endings)


def both(folder: Path, program: str, signals: tuple[int, ...] = ()) -> tuple[End, End]:
    """The end of a program without us, and with us."""
    file = folder / "program.py"
    file.write_text(PRELUDE + program)
    command = [sys.executable, str(file)]
    return end_of(command, signals, BARE="1"), end_of(command, signals)
