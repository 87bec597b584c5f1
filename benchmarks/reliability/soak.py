"""A busy program for minutes: what it notices of the export, and what becomes of its spans.

Two programs do the same in turn, one with the export and one without; what differs between their slots is
the export's, what differs among the slots of the second is noise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.reliability.programs import running, said, spooled, tell, variables
from benchmarks.reliability.receiver import Mood, Receiver
from benchmarks.reliability.table import Check, at_least, at_most, context, exactly

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from benchmarks.reliability.table import Scale

THREADS, TASKS = 50, 500
UNITS_EACH = 500
"""A second, of the threads together and of the tasks together; a unit is an operation with a chat call."""
SPANS_OF_UNIT = 2
WANTED = 2 * UNITS_EACH * SPANS_OF_UNIT
GROWTH_MB = 100.0


class Phase(NamedTuple):
    """How the collector is for a while.

    Attributes:
        name: For the table.
        mood: How it answers.
        order: Whether the port is opened or closed before.
    """

    name: str
    mood: Mood = Mood()
    order: str | None = None


PHASES = (
    Phase("well"),
    Phase("slow", Mood(delay_s=3.0)),
    Phase("failing", Mood((503, 200, 429, 500), retry_after_s=1.0)),
    Phase("dead", order="close"),
    Phase("back", order="open"),
)
ROUNDS = {"short": 1, "long": 2}
_SHARE_OFF = 0.2
"""Time of the program without export, in that of the one with it."""


class Slots(NamedTuple):
    """What both programs said, slot by slot."""

    on: list[tuple[str, Any]]
    off: list[Any]


class There(NamedTuple):
    """Ids of spans, found at the end by others than the program."""

    received: set[str]
    in_files: set[str]


def soak(scale: Scale) -> list[Check]:
    """All moods in turn, and the sum of all spans at the end."""
    seconds = scale.soak_s / (ROUNDS[scale.name] * len(PHASES))
    program = "benchmarks.reliability.soak"
    with Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
        environ = variables(receiver.url, folder)
        with (
            running(program, environ) as on,
            running(program, {**environ, "OTEL_TRACES_EXPORTER": "none"}) as off,
        ):
            for process in (on, off):
                said(process)
                _run(process, 2.0)
            first_mb = _run(on, 1.0)["peak_mb"]
            slots = _moods(receiver, on, off, seconds, ROUNDS[scale.name])
            tell(on, "end")
            ended = said(on)
        there = There(set(receiver.ask("ids")), {span["spanId"] for span in spooled(folder)})
    return _checks(slots, ended, there, first_mb)


def _moods(receiver: Receiver, on: Popen[str], off: Popen[str], seconds: float, rounds: int) -> Slots:
    slots = Slots([], [])
    for _ in range(rounds):
        for phase in PHASES:
            if phase.order is not None:
                receiver.ask(phase.order)
            receiver.mood(phase.mood)
            slots.on.append((phase.name, _run(on, seconds)))
            slots.off.append(_run(off, seconds * _SHARE_OFF))
    return slots


def _run(process: Popen[str], seconds: float) -> Any:
    tell(process, f"run {seconds}")
    return said(process)


def _checks(slots: Slots, ended: Any, there: There, first_mb: float) -> list[Check]:
    counts = ended["counts"]
    off = [each["p99_ms"] for each in slots.off]
    took = sum(slot["took_s"] for _, slot in slots.on)
    made = sum(slot["spans"] for _, slot in slots.on)
    found = {
        "ended": ended["spans"],
        "delivered": len(there.received - there.in_files),
        "waiting": len(there.in_files),
        "set_aside": 0,
    }
    return [
        exactly(
            f"{ended['spans']:,} spans: delivered {counts['delivered']:,}, in files {counts['waiting']:,},"
            f" dropped {counts['lost']:,}; by how much one of these is wrong",
            sum(abs(counts[name] - number) for name, number in found.items()), promise="0",
        ),
        exactly(
            "spans neither received nor in files nor counted as dropped",
            ended["spans"] - len(there.received | there.in_files) - counts["lost"], promise="0",
        ),
        at_least("ended", made / took, WANTED * 0.99, WANTED * 0.25, "spans/s"),
        at_most(
            "p99 of a unit of work, median of the slots (at most: the worst slot without export)",
            median(slot["p99_ms"] for _, slot in slots.on), max(off), 3 * max(off) + 20, "ms",
        ),
        context("p99 without export: median, worst", f"{median(off):.3g} ms, {max(off):.3g} ms"),
        *(
            context(f"p99, collector {name}", ", ".join(
                f"{slot['p99_ms']:.3g} ms" for each, slot in slots.on if each == name))
            for name in dict.fromkeys(name for name, _ in slots.on)
        ),
        context("p50 with and without export", "{:.3g} ms, {:.3g} ms".format(
            median(slot["p50_ms"] for _, slot in slots.on), median(slot["p50_ms"] for slot in slots.off))),
        at_most(
            f"more memory than the {first_mb:.0f} MB of the first second, at the peak",
            ended["peak_mb"] - first_mb, GROWTH_MB, 3 * GROWTH_MB, "MB",
        ),
    ]  # fmt: skip


# --- the program ---


class Load:
    """Threads and tasks that each do a unit of work at their times, and note how long it took."""

    def __init__(self) -> None:
        import otel_agentops as ao
        from benchmarks import stub

        stub.install(3)
        ao.init(service_name="soak", capture_content=True, auto_session=False, loops="off")
        client, later = stub.client(), stub.async_client()
        asked: dict[str, Any] = {"model": stub.MODEL, "messages": stub.MESSAGES, "temperature": 0.2}

        def unit() -> None:
            with ao.operation("unit"):
                client.chat.completions.create(**asked)

        async def async_unit() -> None:
            with ao.operation("unit"):
                await later.chat.completions.create(**asked)

        self._unit, self._async_unit = unit, async_unit

    def run(self, seconds: float) -> dict[str, float]:
        """Work for so long."""
        took: list[float] = []
        begun, cpu = time.perf_counter(), time.process_time()
        end = begun + seconds
        threads = [
            threading.Thread(target=_thread, args=(self._unit, number, end, took))
            for number in range(THREADS)
        ]
        threads.append(threading.Thread(target=lambda: asyncio.run(_tasks(self._async_unit, end, took))))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took.sort()
        return {
            "took_s": time.perf_counter() - begun,
            "spans": len(took) * SPANS_OF_UNIT,
            "p50_ms": took[len(took) // 2] * 1e3,
            "p99_ms": took[len(took) * 99 // 100] * 1e3,
            "cpu_s": time.process_time() - cpu,
            "peak_mb": _peak_mb(),
        }


def _thread(unit: Callable[[], None], number: int, end: float, took: list[float]) -> None:
    clock = time.perf_counter
    each = THREADS / UNITS_EACH
    due = clock() + each * number / THREADS
    while due < end:
        time.sleep(max(0.0, due - clock()))
        begun = clock()
        unit()
        took.append(clock() - begun)
        due += each


async def _tasks(unit: Callable[[], Any], end: float, took: list[float]) -> None:
    clock = time.perf_counter
    each = TASKS / UNITS_EACH

    async def task(number: int) -> None:
        due = clock() + each * number / TASKS
        while due < end:
            await asyncio.sleep(max(0.0, due - clock()))
            begun = clock()
            await unit()
            took.append(clock() - begun)
            due += each

    await asyncio.gather(*(task(number) for number in range(TASKS)))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _work() -> None:
    import otel_agentops as ao
    from otel_agentops.export import spool

    load, spans = Load(), 0
    print("1", flush=True)
    for line in sys.stdin:
        order, _, seconds = line.strip().partition(" ")
        if order == "end":
            break
        found = load.run(float(seconds))
        spans += int(found["spans"])
        print(json.dumps(found), flush=True)
    senders = list(spool._senders)
    ao.shutdown()
    counts = senders[0].counts.as_dict() if senders else {}
    print(json.dumps({"spans": spans, "counts": counts, "peak_mb": _peak_mb()}), flush=True)


if __name__ == "__main__":
    argparse.ArgumentParser().parse_args()
    _work()
