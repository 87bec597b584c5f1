"""Looking for loops and keeping budgets: time a call, and memory over 1,000,000 spans in 10,000 sessions.

python -m benchmarks.watching            # all of it, a minute or two
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.driver import ROOT, Result, Row, Spread, environment, main

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS, ROUNDS, EACH = 5, 7, 5000
SESSIONS, SPANS = 10_000, 100
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _best(call: Callable[[int], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time_ns()
        for number in range(EACH):
            call(number)
        found.append((time.process_time_ns() - begun) / EACH / 1000)
    return sorted(found)[ROUNDS // 2]


def _start() -> Any:
    from opentelemetry.sdk.trace import TracerProvider

    import otel_agentops as ao
    from otel_agentops.spans import current

    ao.init(tracer_provider=TracerProvider(shutdown_on_exit=False), auto_session=False, instrument=[])
    return ao, current()


def _times() -> dict[str, float]:
    ao, recorder = _start()
    from otel_agentops.accounting import take_digest
    from otel_agentops.records import ModelCall, Usage

    prompt = [{"role": "user", "content": "x" * 32_000}]
    calls = [
        ModelCall(
            "openai", "gpt-4o-mini", usage=Usage(1000, 100), finish_reasons=("stop",), ending="complete"
        )
        for _ in range(EACH)
    ]
    for call in calls:
        call.input_bytes, call.cost = 4000, recorder.book.price(call, time.time_ns())
    numbers = iter(range(10**9))

    def new(call: Any) -> None:
        call.digest, call.step = f"{next(numbers):032x}", None

    def watch(number: int) -> None:
        call = calls[number]
        new(call)
        recorder.watcher.start_call(call, scope)
        recorder.watcher.started(call, 5, scope)
        recorder.watcher.ended(call, scope, 0)

    def reserve(number: int) -> None:
        recorder.budgets.start_call(calls[number], scope)

    def settle(number: int) -> None:
        recorder.budgets.settle(calls[number], scope, 0)

    found = {"digest": _best(lambda _: take_digest(ModelCall("openai", "m"), b"k" * 32, prompt))}
    with ao.session("s", budget=ao.Budget(usd=10**9)) as session:
        scope = session._opened.scope
        found["watch"] = _best(watch) - _best(lambda number: new(calls[number]))
        found["budget"] = _best(lambda number: (reserve(number), settle(number))) - _settled(reserve, settle)
    return found


def _settled(reserve: Callable[[int], object], settle: Callable[[int], object]) -> float:
    """What settling costs, of calls that were reserved before."""
    found = []
    for _ in range(ROUNDS):
        for number in range(EACH):
            reserve(number)
        begun = time.process_time_ns()
        for number in range(EACH):
            settle(number)
        found.append((time.process_time_ns() - begun) / EACH / 1000)
    return sorted(found)[ROUNDS // 2]


def _rss() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE / 1e6


def _memory(own_ids: bool) -> float:
    ao, _ = _start()

    def run(number: int) -> None:
        session_id = f"session-{number}" if own_ids else None
        with ao.session("s", session_id=session_id):
            for step in range(SPANS - 1):
                if step % 2:
                    with ao.tool("look", arguments={"session": number, "step": step}):
                        pass
                else:
                    with ao.model_call(
                        provider="openai", model="gpt-4o-mini", messages=f"{number} {step}"
                    ) as call:
                        call.response(usage=ao.Usage(input_tokens=10, output_tokens=5))

    for number in range(100):
        run(-number)
    before = _rss()
    for number in range(SESSIONS):
        run(number)
    return _rss() - before


def _worker(name: str) -> None:
    if name == "times":
        print(json.dumps(_times()))
    else:
        print(json.dumps(_memory(name == "own")))


def _run(name: str, seed: int) -> Any:
    command = [sys.executable, "-m", "benchmarks.watching", "--worker", name]
    return json.loads(subprocess.check_output(command, cwd=ROOT, env=environment(seed)).splitlines()[-1])


ROWS = (
    ("digest", "digest of a prompt of 32 KB: us", 100.0),
    ("watch", "looking for loops, a call from start to end: us", 3.0),
    ("budget", "checking a budget and holding what a call may use: us", 2.0),
)


def measure() -> Result:
    """Times and memory."""
    groups = [_run("times", seed) for seed in range(GROUPS)]
    rows = [Row(text, Spread.of([group[name] for group in groups]), target=most) for name, text, most in ROWS]
    for name, text in (("new", "ids of ours"), ("own", "ids of the program's own, which are remembered")):
        grown = Spread.of([_run(name, 0)])
        what = f"growth over {SESSIONS * SPANS:,} spans in {SESSIONS:,} sessions, {text}: MB"
        rows.append(Row(what, grown, target=15.0))
    return Result("watching", "Looking for loops and keeping budgets", rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _worker(sys.argv[2])
    else:
        main(measure)
