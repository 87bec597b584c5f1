"""Programs that are run to see what becomes of their spans, and what lies in their spools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.driver import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

HANGS_S = 120.0
AT_ONCE = 3
"""Programs side by side where they mostly wait."""


def variables(url: str, folder: str | Path, **more: str) -> dict[str, str]:
    """Environment of a program that has a spool."""
    protocol = "grpc" if url.startswith("grpc") else "http/protobuf"
    return {
        **environment(0),
        "OTEL_EXPORTER_OTLP_ENDPOINT": url.replace("grpc://", "http://"),
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_AGENTOPS_SPOOL": "true",
        "OTEL_AGENTOPS_SPOOL_DIRECTORY": str(folder),
        "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",  # any exporter has threads
        **more,
    }


@contextmanager
def running(program: str, environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program, or a module where the text is the name of one; it does not outlive the block."""
    what = ["-m", program] if program.startswith("benchmarks.") else ["-c", program]
    with subprocess.Popen(
        [sys.executable, *what, *arguments],
        cwd=ROOT, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> Any:
    """The next line of a program, as JSON.

    Raises:
        SystemExit: It has ended.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a program ended early, with {process.wait(HANGS_S)}")
    return json.loads(line)


def tell(process: subprocess.Popen[str], order: str) -> None:
    """A line for a program."""
    assert process.stdin is not None
    process.stdin.write(order + "\n")
    process.stdin.flush()


def spooled(folder: str | Path, refused: bool = False) -> list[dict[str, Any]]:
    """Spans that wait below a directory, or were refused, as the command exports them."""
    command = [str(Path(sys.executable).parent / "otel-agentops"), "spool", "export"]
    lines = subprocess.run(
        [*command, *(["--refused"] if refused else [])],
        env=variables("http://127.0.0.1:9", folder), check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [
        span
        for line in lines.splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def memory_mb(pid: int) -> float:
    """Resident memory of a process; not a number where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
