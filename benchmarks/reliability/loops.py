"""An event loop in a program whose collector is slow."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.reliability.programs import running, said, variables
from benchmarks.reliability.receiver import Mood, Receiver
from benchmarks.reliability.table import Check, at_most, context, exactly
from benchmarks.ticks import watch

if TYPE_CHECKING:
    from benchmarks.reliability.table import Scale

RATE = 200
SERVER_S = 2.0
STALL_MS = 5.0
ROUNDS = 3


def stalls(scale: Scale) -> list[Check]:
    """How late the ticks of a loop are while spans end in it and go to a server that takes two seconds."""
    ours, bare, busy, lost = [], [], [], 0
    for _ in range(ROUNDS):
        with Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
            receiver.mood(Mood(delay_s=SERVER_S))
            seconds = str(scale.loop_s / ROUNDS)
            environ = variables(receiver.url, folder, OTEL_BSP_SCHEDULE_DELAY="200")
            for arm, into in (("bare", bare), ("ours", ours)):
                with running("benchmarks.reliability.loops", environ, arm, seconds) as process:
                    found = said(process)
                    said(process)
                into.append(found)
            busy.append(found["busy_ms"])
            lost += found["made"] - receiver.ask("counts")["spans"]
    latest, noise = median(each["late_ms"] for each in ours), [each["late_ms"] for each in bare]
    return [
        at_most(
            f"most CPU of the process between two ticks, median of {ROUNDS}",
            median(busy), STALL_MS, 4 * STALL_MS, "ms",
        ),
        at_most(
            f"latest tick, beyond that of the same loop without us, medians of {ROUNDS}",
            max(0.0, latest - median(noise)), STALL_MS, min(1000.0, max(100.0, 10 * max(noise))), "ms",
        ),
        context(
            "latest tick with us, without us: medians, worst",
            f"{latest:.3g} and {median(noise):.3g} ms,"
            f" {max(each['late_ms'] for each in ours):.3g} and {max(noise):.3g} ms",
        ),
        exactly(f"spans at {RATE}/s", lost),
    ]  # fmt: skip


async def _ticks(arm: str, seconds: float) -> dict[str, float]:
    """The latest tick, the most CPU between two of them, and how many spans ended."""
    made = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal made
        if arm == "bare":
            return
        import otel_agentops as ao

        while time.perf_counter() < end:
            with ao.operation("o"):
                await asyncio.sleep(1 / RATE)
            made += 1

    (late, busy), _ = await asyncio.gather(watch(seconds), work())
    return {"late_ms": late * 1e3, "busy_ms": busy * 1e3, "made": made}


def _work(arm: str, seconds: float) -> None:
    if arm == "ours":
        import otel_agentops as ao

        ao.init(auto_session=False, instrument=[])
    found = asyncio.run(_ticks(arm, seconds))
    print(json.dumps(found), flush=True)
    if arm == "ours":
        ao.shutdown(30)
    print("1", flush=True)


if __name__ == "__main__":
    _work(sys.argv[1], float(sys.argv[2]))
