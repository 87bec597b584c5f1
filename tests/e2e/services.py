"""Real programs that the tests start on free ports and always stop: the collector and its destinations."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from e2e.arrived import Json, delivered

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ROOT / "deploy" / "collector"
PATIENCE_S = 60.0
"""How long a test waits for what should happen at once on a machine with nothing else to do."""

T = TypeVar("T")


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def eventually(look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """What `look` returns once it neither raises nor returns something empty; its last failure otherwise."""
    end = time.monotonic() + patience_s
    while True:
        try:
            found = look()
        except (AssertionError, LookupError, OSError, ValueError):
            if time.monotonic() > end:
                raise
        else:
            if found or time.monotonic() > end:
                assert found, f"still {found!r} after {patience_s:.0f} s"
                return found
        time.sleep(0.05)


def get(url: str, timeout_s: float = 10.0) -> str:
    """Body of an answer; an error status raises."""
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return str(answer.read().decode())


class Service:
    """
    A program that runs until it is stopped, with its output in a file.

    Attributes:
        log: The file.
        ready: URL that answers once it is up.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path, ready: str, **variables: Any) -> None:
        self.command = [str(part) for part in command]
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.ready = ready
        self.variables = {name: str(value) for name, value in variables.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is up; a program that ends instead is an error with its output."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**os.environ, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            eventually(self._is_up)
        except BaseException:
            self.kill()
            raise

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} ended with {self._process.returncode}:\n{self.output()}")
        try:
            get(self.ready, 2)
        except urllib.error.HTTPError as error:
            return error.code < 500
        return True

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Ask it to end, as a supervisor does; one that does not is killed."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it in the middle of whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Collector(Service):
    """
    The collector with `collector-config.yaml` and some of its overlays, writing to `folder`.

    Attributes:
        grpc: URL of its OTLP receiver over gRPC.
        http: The same over HTTP.
    """

    def __init__(self, program: Path, folder: Path, *overlays: str, **variables: Any) -> None:
        grpc, http, health, self.prometheus_port = free_ports(4)
        self.grpc, self.http = f"http://127.0.0.1:{grpc}", f"http://127.0.0.1:{http}"
        files = [ROOT / "collector-config.yaml", *(OVERLAYS / f"{name}.yaml" for name in overlays)]
        command: list[str | Path] = [program]
        for file in files:
            command += ["--config", file]
        super().__init__(
            command,
            folder,
            f"http://127.0.0.1:{health}",
            OTELCOL_GRPC_PORT=grpc,
            OTELCOL_HTTP_PORT=http,
            OTELCOL_HEALTH_PORT=health,
            OTELCOL_PROMETHEUS_PORT=self.prometheus_port,
            OTELCOL_QUEUE_DIR=folder / "queues",
            OTELCOL_FILE_DIR=folder,
            **variables,
        )

    def endpoint(self, protocol: str) -> str:
        """Where a program sends to over this protocol of OTLP."""
        return self.grpc if protocol == "grpc" else self.http


@dataclass(frozen=True)
class Ran:
    """
    A program that has ended.

    Attributes:
        spans: What it wrote down itself, by span id.
        totals: Of its two sessions.
        sent: Whether every exporter said that it had sent everything.
        said: Its log.
    """

    spans: dict[str, Json]
    said: str
    totals: list[Json]
    sent: bool


Start = Callable[..., Collector]
Run = Callable[..., Ran]


def all_of(collector: Collector, ran: Ran) -> dict[str, Json]:
    """What arrived in the collector's file, once as much is there as was written."""
    found = delivered(collector.folder)
    assert len(found) >= len(ran.spans), f"{len(found)} of {len(ran.spans)} spans arrived"
    return found


def jaeger_spans(api: str, trace_id: str, wanted: int) -> dict[str, Json]:
    """What Jaeger's API has of a trace, by span id, once there is that much of it."""
    [trace] = json.loads(get(f"{api}/api/traces/{trace_id}"))["data"]
    assert len(trace["spans"]) >= wanted
    return {span["spanID"]: span for span in trace["spans"]}
