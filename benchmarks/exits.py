"""How long a program takes to end when its collector does not answer as it should, and what is lost then."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.driver import Result, Row, Spread, environment, main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3
SPANS = 1000
LONGEST_S = 2.5

PROGRAM = f"""
import time, otel_agentops as ao
ao.init(auto_session=False, instrument=[])
for _ in range({SPANS}):
    with ao.operation("o"):
        pass
"""
RAW = f"""
import time
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("raw")
for _ in range({SPANS}):
    with tracer.start_as_current_span("o"):
        pass
"""
_RETURN = "print(time.monotonic(), flush=True)\n"
_WAIT = "print('ready', flush=True)\nfor _ in range(1200): time.sleep(0.05)\n"


class Answer(NamedTuple):
    """What a collector says, and when."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0


ANSWERS = {
    "503": Answer(503),
    "429, for two minutes": Answer(429, (("retry-after", "120"),)),
    "slow (8 s)": Answer(delay_s=8.0),
}
COLLECTORS = ("refused", "hanging", *ANSWERS)


@contextmanager
def collector(kind: str) -> Iterator[str]:
    """The URL of a collector of that kind."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        if kind == "hanging":  # connects, and nobody reads
            yield url
            return
    if kind == "refused":
        yield url
        return
    answer = ANSWERS[kind]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(answer.delay_s)
            self.send_response(answer.status)
            for name, value in (*answer.headers, ("content-length", "0")):
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that have left
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def end(program: str, url: str, seed: int, spool: str = "") -> tuple[float, int]:
    """Run a program to its end; seconds from there to the end of the process, and spans that are lost."""
    variables = {**environment(seed), "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRICS_EXPORTER": "none"}
    if spool:
        variables |= {"OTEL_AGENTOPS_SPOOL": "true", "OTEL_AGENTOPS_SPOOL_DIRECTORY": spool}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        word = process.stdout.readline().strip()
        begun = time.monotonic() if word == "ready" else float(word)
        if word == "ready":
            process.send_signal(signal.SIGTERM)
        status = process.wait()
        seconds = time.monotonic() - begun
    if status != (-signal.SIGTERM if word == "ready" else 0):
        raise SystemExit(f"the program ended with {status}")
    return seconds, SPANS - kept(variables) if spool else SPANS


def kept(variables: dict[str, str]) -> int:
    """Spans in the spool."""
    command = [str(Path(sys.executable).parent / "otel-agentops"), "spool", "export"]
    lines = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    return len(
        {
            span["spanId"]
            for line in lines.splitlines()
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        }
    )


def measure(rounds: int = ROUNDS, stock: bool = True) -> Result:
    """Every kind of collector that does not take spans, a return and a SIGTERM, and the SDK alone.

    Args:
        rounds: Programs of each kind.
        stock: Whether the SDK alone is measured, too.
    """
    rows = []
    lost: list[float] = []
    arms = (
        ("return", PROGRAM + _RETURN, False),
        ("return, with the spool", PROGRAM + _RETURN, True),
        ("SIGTERM, with the spool", PROGRAM + _WAIT, True),
    )
    for kind in COLLECTORS:
        with collector(kind) as url:
            for name, program, spooling in arms:
                took = []
                for seed in range(rounds):
                    with tempfile.TemporaryDirectory() as folder:
                        seconds, gone = end(program, url, seed, folder if spooling else "")
                    took.append(seconds)
                    lost += [gone] * spooling
                rows.append(Row(f"{kind}, {name}: s", Spread.of(took), 2, LONGEST_S))
            if stock:
                rows.append(Row(f"{kind}, the SDK alone: s", Spread.of([end(RAW + _RETURN, url, 0)[0]]), 1))
    rows.append(Row(f"lost with the spool, of {SPANS}", Spread.of(lost), 0, 0.0))
    return Result("exits", f"From the end of a program with {SPANS} spans to the end of its process", rows)


if __name__ == "__main__":
    main(measure)
