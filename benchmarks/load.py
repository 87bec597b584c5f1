"""How many spans a second a program gets to a real collector without losing one.

    python -m benchmarks.load [--rates 2000,4000,10000] [--seconds 10] [--protocol http/protobuf]

Needs the collector of `scripts/build-collector`, or another one that OTELCOL_BIN names. One process calls
`init()` and makes spans of typical size at each rate, evenly, with one thread; the collector runs with
`collector-config.yaml` and throws away what it has counted. What counts is the collector's own counter of
accepted spans. Making the spans is part of the work, and both programs share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
RATES = "1000,2000,3000,4000,5000,6000,8000,10000"
SLICE_S = 0.01
TEXT = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "word " * 100}]}])

# A chat span as the library writes it, with its content: 24 attributes, 2.2 KB in OTLP.
ATTRIBUTES: dict[str, Any] = {
    "session.id": "0123456789abcdef0123456789abcdef",
    "user.id": "u-17",
    "gen_ai.agent.name": "EmailClassifier",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 500,
    "server.address": "api.openai.com",
    "server.port": 443,
    "openai.api.type": "chat_completions",
    "openai.response.system_fingerprint": "fp_0ba0d124f1",
    "openai.response.service_tier": "default",
    "gen_ai.response.id": "chatcmpl-ASYMQRl3A3DXL9FWCK9tnGRcKIO7q",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 1012,
    "gen_ai.usage.output_tokens": 125,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.cost": 0.0002268,
    "otel_agentops.cost.status": "priced",
    "otel_agentops.cost.source": "genai-prices",
    "otel_agentops.input.digest": "fedcba9876543210fedcba9876543210",
    "gen_ai.input.messages": TEXT,
    "gen_ai.output.messages": TEXT,
}


def work(rate: int, seconds: float) -> None:
    """The program: spans at a rate, then everything is sent; what it did as a line of JSON."""
    from opentelemetry import trace

    import otel_agentops as ao

    ao.init(service_name="load", auto_session=False)
    tracer = trace.get_tracer("otel_agentops")  # spans of our own name: written, not accounted for again
    each = round(rate * SLICE_S)
    begun, cpu = time.perf_counter(), time.process_time()
    for number in range(round(seconds / SLICE_S)):
        for _ in range(each):
            tracer.start_span("chat gpt-4o-mini", attributes=ATTRIBUTES).end()
        time.sleep(max(0.0, begun + (number + 1) * SLICE_S - time.perf_counter()))
    took = time.perf_counter() - begun
    sent = ao.shutdown(timeout_s=60)
    made = each * round(seconds / SLICE_S)
    print(json.dumps({"made": made, "took_s": took, "cpu_s": time.process_time() - cpu, "sent": sent}))


@contextmanager
def collector(program: str) -> Iterator[tuple[str, str, str, int]]:
    """A collector's OTLP addresses, HTTP and gRPC, that of its own metrics, and its process id."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    http, grpc, health, own = (each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    reader = f"pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}"
    metrics = f"yaml:service: {{telemetry: {{metrics: {{level: basic, readers: [{{{reader}}}]}}}}}}"
    with tempfile.TemporaryDirectory() as folder:
        variables = {
            "OTELCOL_HTTP_PORT": str(http),
            "OTELCOL_GRPC_PORT": str(grpc),
            "OTELCOL_HEALTH_PORT": str(health),
            "OTELCOL_QUEUE_DIR": folder,
            "OTELCOL_LOCAL": "nop",
            "OTELCOL_LOG_LEVEL": "error",
        }
        command = [program, "--config", str(ROOT / "collector-config.yaml"), "--config", metrics]
        process = subprocess.Popen(command, env={**os.environ, **variables})
        try:
            for _ in range(200):
                with suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{health}", timeout=1).close()
                    break
                time.sleep(0.05)
            yield (
                f"http://127.0.0.1:{http}",
                f"http://127.0.0.1:{grpc}",
                f"http://127.0.0.1:{own}/metrics",
                process.pid,
            )
        finally:
            process.terminate()
            process.wait(15)


def accepted(url: str) -> int:
    """Spans that the collector has accepted so far."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    pattern = r"^otelcol_receiver_accepted_spans\w*\{[^}]*\} (\S+)$"
    found = re.findall(pattern, text, re.M)
    return sum(int(float(value)) for value in found)


def cpu_s(pid: int) -> float:
    """Seconds of CPU of another process, where the system tells (Linux); else not a number."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return float("nan")


def measure(program: str, rate: int, seconds: float, protocol: str) -> str:
    """One rate with a fresh program and a fresh collector; a line of the table."""
    with collector(program) as (http, grpc, own, pid):
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": grpc if protocol == "grpc" else http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_METRICS_EXPORTER": "none",
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", "--work", str(rate), "--seconds", str(seconds)],
            env={**os.environ, **variables}, cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        said = json.loads(done.stdout)
        arrived = accepted(own)
        theirs = cpu_s(pid) / max(1, arrived) * 1e6
    real, lost = said["made"] / said["took_s"], said["made"] - arrived
    cpu = said["cpu_s"] / said["made"] * 1e6
    return f"| {rate:,} | {real:,.0f} | {said['made']:,} | {lost:,} | {cpu:.0f} | {theirs:.0f} |"


def main() -> None:
    """Measure each rate, or be the program that is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--rates", default=RATES, help=f"spans a second, default {RATES}")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--protocol", choices=("http/protobuf", "grpc"), default="http/protobuf")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.seconds)
        return
    where = [ROOT / "scripts" / "build-collector", "--where"]
    program = (
        os.environ.get("OTELCOL_BIN")
        or subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip()
    )
    print(
        "| wanted, spans/s | made, spans/s | made | lost | program, us of CPU a span | collector, the same |"
    )
    print("|---|---|---|---|---|---|")
    for rate in options.rates.split(","):
        print(measure(program, int(rate), options.seconds, options.protocol), flush=True)


if __name__ == "__main__":
    main()
