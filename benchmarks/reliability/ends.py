"""Processes that end in every way, and processes that are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import exits
from benchmarks.driver import ROOT
from benchmarks.reliability.programs import AT_ONCE, HANGS_S, running, said, spooled, variables
from benchmarks.reliability.receiver import CHECKSUM, Receiver
from benchmarks.reliability.table import Check, at_most, context, exactly

if TYPE_CHECKING:
    from benchmarks.reliability.table import Scale

SPANS = 200
LONGEST_S = 2.5
ALLOWED_S = 6.0


def at_exit(scale: Scale) -> list[Check]:
    """The end of a program whose collector takes nothing: how long it takes, and what is lost."""
    result = exits.measure(scale.rounds, scale.stock)
    spool, other, stock = [], [], []
    for row in result.rows:
        into = stock if "alone" in row.what else spool if "with the spool" in row.what else other
        into.append(row)
    lost, timed = spool.pop(), spool  # the last row is that of the spans
    checks = [
        at_most(
            f"slowest of {len(timed)} kinds of end, with the spool",
            max(row.value.median for row in timed), LONGEST_S, ALLOWED_S,
        ),
        at_most(
            f"slowest of {len(other)} kinds of end, without it",
            max(row.value.median for row in other), LONGEST_S, ALLOWED_S,
        ),
        exactly(f"spans of {exits.SPANS:,} with the spool, in the worst run", int(lost.value.high)),
    ]  # fmt: skip
    if stock:
        times = [row.value.median for row in stock]
        checks.append(context("the SDK alone", f"{min(times):.1f} to {max(times):.1f} s, all spans lost"))
    return checks


# --- ends with a collector that works, and with one that hangs ---

_PRELUDE = """
import os, signal, sys, time
import otel_agentops as ao

def work():
    for _ in range(SPANS):
        with ao.operation("o"):
            pass

def init():
    ao.init(auto_session=False, instrument=[])
"""

_CHILD = """
import multiprocessing
def task(event):
    init()
    work()
    event.set()
    {end}
if __name__ == "__main__":
    init()
    context = multiprocessing.get_context("{method}")
    event = context.Event()
    child = context.Process(target=task, args=(event,), daemon=True)
    child.start()
    event.wait()
    {then}
    child.join()
    work()
"""
_POOL = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
init()
def task(_):
    work()
    return 1
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with {pool} as pool:
        assert list(pool.map(task, range(4))) == [1] * 4
"""
_POOLS = {"Pool": "context.Pool(2)", "ProcessPoolExecutor": "ProcessPoolExecutor(2, mp_context=context)"}
_METHODS = ("fork", "forkserver", "spawn")


class End(NamedTuple):
    """A program.

    Attributes:
        text: What it does.
        works: How often it makes its spans.
        status: Its exit status.
        sigterm: Whether it is terminated when it says that it is ready.
    """

    text: str
    works: int = 1
    status: int = 0
    sigterm: bool = False


_SLEEP = "for _ in range(1200): time.sleep(0.05)"
"""In steps: a signal that comes when one begins is only handled at its end."""
_WAIT = f"print('1', flush=True)\n{_SLEEP}\n"
ENDS = {
    "SIGTERM": End("init()\nwork()\n" + _WAIT, 1, -signal.SIGTERM, True),
    "SIGTERM in an event loop": End(
        "import asyncio\ninit()\nasync def main():\n    work()\n    print('1', flush=True)\n"
        "    await asyncio.sleep(60)\nasyncio.run(main())\n",
        1, -signal.SIGTERM, True,
    ),
    "os.fork": End("init()\nchild = os.fork()\nwork()\nif not child:\n    sys.exit()\nos.wait()\n", 2),
    "os.fork, terminated": End(
        "init()\nr, w = os.pipe()\nchild = os.fork()\nwork()\nif not child:\n    os.write(w, b'1')\n"
        f"    {_SLEEP}\nos.read(r, 1)\nos.kill(child, signal.SIGTERM)\nos.wait()\n",
        2,
    ),
    **{
        f"{method} child": End(_CHILD.format(method=method, end="", then=""), 2) for method in _METHODS
    },
    **{
        f"{method} child, terminated": End(
            _CHILD.format(method=method, end=_SLEEP, then="child.terminate()"), 2
        )
        for method in _METHODS
    },
    **{
        f"{name} by {method}": End(_POOL.format(pool=pool, method=method), 4)
        for name, pool in _POOLS.items()
        for method in _METHODS
    },
}  # fmt: skip


def every_end(_scale: Scale) -> list[Check]:
    """All ends, with a collector that takes spans and with one that never answers."""
    checks = []
    for mood in ("takes spans", "hangs"):
        hangs = [mood == "hangs"] * len(ENDS)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip(ENDS, pool.map(_end, ENDS.values(), hangs), strict=True))
        lost, twice = (sum(each) for each in zip(*found.values(), strict=True))
        made = sum(end.works for end in ENDS.values()) * SPANS
        what = f"{len(ENDS)} programs, {made:,} spans, the collector {mood}"
        worst = "".join(f"; {name}: {missing}" for name, (missing, _) in found.items() if missing)
        checks.append(exactly(what + worst, lost))
        checks.append(exactly(f"arrived twice, the collector {mood}", twice, promise="0"))
    return checks


def _end(end: End, hangs: bool) -> tuple[int, int]:
    """Spans that are lost, and those that are there twice."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.py"
        file.write_text(_PRELUDE.replace("SPANS", str(SPANS)) + end.text)
        spool = Path(folder) / "spool"
        if hangs:
            with exits.collector("hanging") as url:
                _run(end, file, variables(url, spool, OTEL_AGENTOPS_EXIT_TIMEOUT="0.5"))
            ids, twice = [], 0
        else:
            with Receiver() as receiver:
                _run(end, file, variables(receiver.url, spool, OTEL_BSP_SCHEDULE_DELAY="600000"))
                ids, twice = receiver.ask("ids"), receiver.ask("counts")["twice"]
        kept = [span["spanId"] for span in spooled(spool)]  # also what a busy machine could not send in time
        found = {*ids, *kept}
        return SPANS * end.works - len(found), twice + len(kept) - len(set(kept))


def _run(end: End, file: Path, environ: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, str(file)], cwd=ROOT, env=environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            if end.sigterm:
                said(process)
                time.sleep(0.2)  # into the waiting
                process.send_signal(signal.SIGTERM)
            status = process.wait(HANGS_S)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"a program did not end in {HANGS_S} s:\n{end.text}") from None
        finally:
            process.kill()
    if status != end.status:
        raise SystemExit(f"a program ended with {status} instead of {end.status}:\n{end.text}")


# --- SIGKILL ---

_KILLED = f"""
import os, sys, threading, zlib
import otel_agentops as ao
from opentelemetry import trace

ao.init(auto_session=False, instrument=[])
tracer = trace.get_tracer("otel_agentops")

def work(thread):
    text = "x" * (300 * (thread + 1))
    for number in range(1_000_000):
        name = f"{{sys.argv[1]}}-{{thread}}-{{number}}"
        checksum = zlib.crc32((name + text).encode())
        tracer.start_span(name, attributes={{"text": text, "{CHECKSUM}": checksum}}).end()
        os.write(1, f"{{name}}\\n".encode())

os.write(1, b"1\\n")
for thread in range(3):
    threading.Thread(target=work, args=(thread,)).start()
"""
_TURNS = 5
"""Processes that use a spool one after the other, and each adopts what the ones before have left."""
_LONGEST_LIFE_S = 0.6


def killed(scale: Scale) -> list[Check]:
    """SIGKILL at random moments; what had ended must be delivered, by whoever comes next."""
    moments = random.Random(11)
    ended = lost = wrong = left = twice = 0
    with Receiver() as receiver:
        for group in range(scale.kills // _TURNS):
            with tempfile.TemporaryDirectory() as folder:
                names, away = set(), bool(group % 2)
                environ = variables(
                    receiver.url, folder, OTEL_AGENTOPS_DURABILITY="crash", OTEL_BSP_SCHEDULE_DELAY="20"
                )
                if away:
                    receiver.ask("close")
                for turn in range(_TURNS):
                    names |= _kill(f"{group}-{turn}", environ, moments.uniform(0, _LONGEST_LIFE_S))
                receiver.ask("open")
                sent = _flush(environ)
                arrived = set(receiver.ask("names"))
                ended, lost = ended + len(names), lost + len(names - arrived)
                left += len(spooled(folder)) + (not sent)
        counts = receiver.ask("counts")
        wrong, twice = counts["wrong"], counts["twice"]
    return [
        exactly(f"{scale.kills} processes killed, {ended:,} ended spans", lost),
        exactly("spans that are not what was written", wrong, promise="0 corrupt reads"),
        exactly("left in files after the next process", left, promise="0"),
        context("arrived twice (at least once is the promise)", f"{twice:,}"),
    ]


def _kill(name: str, environ: dict[str, str], after_s: float) -> set[str]:
    """Names of the spans that had ended before the process was killed."""
    with running(_KILLED, environ, name) as process:
        assert process.stdout is not None
        said(process)
        threading.Timer(after_s, process.kill).start()
        lines = process.stdout.read().split("\n")
        process.wait(HANGS_S)
    return set(lines[:-1])  # what stands behind the last line's end was cut off


def _flush(environ: dict[str, str]) -> bool:
    """The next process: it takes over what is there, and sends it."""
    command = [str(Path(sys.executable).parent / "otel-agentops"), "spool", "flush", "--timeout", "60"]
    return subprocess.run(command, env=environ, check=False, capture_output=True).returncode == 0
