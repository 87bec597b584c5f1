"""A collector that is away for long, and comes back."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks.reliability.programs import memory_mb, running, said, tell, variables
from benchmarks.reliability.receiver import Receiver
from benchmarks.reliability.table import Check, at_least, context, exactly

if TYPE_CHECKING:
    from benchmarks.reliability.table import Scale

RATE = 1000
SLICE_S = 0.02
DRAIN_RATE = 10_000
PATIENCE_S = 120.0
MEGABYTE = 1e6


def away_and_back(scale: Scale) -> list[Check]:
    """Spans at a steady rate into nothing; then there is somebody, and everything has to arrive."""
    with Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
        receiver.ask("close")
        program = "benchmarks.reliability.outage"
        with running(program, variables(receiver.url, folder), "--seconds", str(scale.outage_s)) as process:
            began = said(process)
            made = said(process)
            kept = said(process)
            receiver.ask("open")
            arrived = _until(receiver, made["made"])
            tell(process, "end")
            ended = said(process)
    seconds = max(arrived["last"] - arrived["first"], 1e-3)
    size = kept["bytes"] / max(1, made["made"])
    return [
        exactly(f"{made['made']:,} spans in {made['took_s']:.0f} s", made["made"] - arrived["spans"]),
        at_least(
            "drained",
            (arrived["spans"] - arrived["of_first"]) / seconds,
            DRAIN_RATE,
            DRAIN_RATE / 4,
            "spans/s",
        ),
        exactly("arrived twice", arrived["twice"], promise="0"),
        exactly("the program says that all was sent", int(ended["sent"]), 1, promise="yes (1)"),
        context(
            "in files at the end of the outage",
            f"{kept['spans']:,} spans, {kept['bytes'] / MEGABYTE:.0f} MB, {size:.0f} bytes a span",
        ),
        context(
            "memory of the program", f"{began['mb']:.0f} MB, {made['mb']:.0f} MB at the end of the outage"
        ),
        context("CPU of the program", f"{made['cpu_s'] / made['made'] * 1e6:.0f} us a span"),
    ]


def _until(receiver: Receiver, number: int) -> Any:
    """Wait until so many spans have arrived, or it is too late."""
    end = time.monotonic() + PATIENCE_S
    while True:
        counts = receiver.ask("counts")
        if counts["spans"] >= number or time.monotonic() > end:
            return counts
        time.sleep(0.05)


# --- the program ---


def _work(seconds: float) -> None:
    from opentelemetry import trace

    import otel_agentops as ao
    from benchmarks.load import ATTRIBUTES
    from otel_agentops.export import report

    ao.init(service_name="outage", auto_session=False, instrument=[])
    config = ao.init().config
    usual = {key: value for key, value in ATTRIBUTES.items() if not key.endswith(".messages")}
    tracer = trace.get_tracer("otel_agentops")  # spans of our own name: written, not accounted for again
    each, turns = round(RATE * SLICE_S), round(seconds / SLICE_S)
    _say(mb=_own_mb())
    begun, cpu = time.perf_counter(), time.process_time()
    for number in range(turns):
        for _ in range(each):
            tracer.start_span("chat gpt-4o-mini", attributes=usual).end()
        time.sleep(max(0.0, begun + (number + 1) * SLICE_S - time.perf_counter()))
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    _say(made=each * turns, took_s=took, cpu_s=cpu, mb=_own_mb())
    ao.flush(1)
    with suppress(OSError):
        found = report.status(config)
        _say(spans=sum(one.spans for one in found), bytes=sum(one.bytes for one in found))
    sys.stdin.readline()
    _say(sent=ao.shutdown(timeout_s=10))


def _own_mb() -> float:
    """Resident memory of this process."""
    return memory_mb(os.getpid())


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    _work(parser.parse_args().seconds)
