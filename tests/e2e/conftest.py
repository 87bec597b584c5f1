"""What the end-to-end tests need: the collector, its destinations, and a program that sends.

What is not there is skipped with what would bring it; with AGENTOPS_E2E=required, as in CI, that fails.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.arrived import copied
from e2e.services import ROOT, Collector, Ran, Run, Service, Start, free_ports
from support.replay import ReplayServer

KEPT = Path(
    os.environ.get("AGENTOPS_TOOLS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-agentops"
)


def missing(what: str, how: str) -> Any:
    """Skip, or fail where it must be there."""
    if os.environ.get("AGENTOPS_E2E") == "required":
        pytest.fail(f"{what} is not there: {how}")
    pytest.skip(f"{what} is not there: {how}")


def module(name: str) -> Any:
    """A package that the tests need besides those of the `test` extra."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return missing(name, 'pip install -e ".[e2e]"')


def tool(path: str, how: str) -> Path:
    """A program among those that the scripts have brought."""
    found = KEPT / path
    return found if found.exists() else missing(Path(path).name, how)


def built(script: str) -> Path:
    """The program that a script has built."""
    done = subprocess.run(
        [ROOT / "scripts" / script, "--where"], check=False, capture_output=True, text=True, timeout=60
    )
    return Path(done.stdout.strip()) if done.returncode == 0 else missing(script, f"run scripts/{script}")


@pytest.fixture(scope="session")
def otelcol() -> Path:
    """The collector's program."""
    named = os.environ.get("OTELCOL_BIN")
    return Path(named) if named else built("build-collector")


@pytest.fixture
def start(otelcol: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts collectors, which end with the test."""
    started: list[Collector] = []

    def start(*overlays: str, **variables: Any) -> Collector:
        service = Collector(otelcol, tmp_path / f"collector{len(started)}", *overlays, **variables)
        started.append(service)
        service.start()
        return service

    yield start
    for service in started:
        service.stop()


@pytest.fixture
def provider() -> Iterator[ReplayServer]:
    """The model provider."""
    with ReplayServer() as server:
        yield server


@pytest.fixture
def run(provider: ReplayServer, tmp_path: Path) -> Run:
    """Runs the program against a collector."""
    runs: list[Path] = []

    def run(endpoint: str, protocol: str = "http/protobuf", text: str = "", **variables: str) -> Ran:
        copy = tmp_path / f"copy{len(runs)}.jsonl"
        runs.append(copy)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.e2e.program", provider.url, copy, text],
            cwd=ROOT,
            env={
                **os.environ,
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_METRICS_EXPORTER": "otlp",
                **variables,
            },
            check=False,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return Ran(copied(copy), said=done.stderr, **json.loads(done.stdout))

    return run


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Addresses of its OTLP receiver and of its API."""
    program = built("install-jaeger")
    otlp, query, query_grpc, health = free_ports(4)
    service = Service(
        [program, "--config", ROOT / "tests" / "e2e" / "jaeger.yaml"],
        tmp_path / "jaeger",
        f"http://127.0.0.1:{health}/status",
        JAEGER_OTLP_PORT=otlp,
        JAEGER_QUERY_PORT=query,
        JAEGER_QUERY_GRPC_PORT=query_grpc,
        JAEGER_HEALTH_PORT=health,
    )
    try:
        service.start()
        yield f"127.0.0.1:{otlp}", f"http://127.0.0.1:{query}"
    finally:
        service.kill()  # asked to end, it takes ten seconds
