"""Import, `init()` and the first priced call, in a fresh process that has imported openai."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.driver import ROOT, Result, Row, Spread, environment, main
from benchmarks.ticks import watch

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 7
WATCH_S = 0.4
AFTER_S = 0.5


def _ours(endpoint: str) -> None:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    import otel_agentops

    otel_agentops.init(service_name="benchmark")


def _raw(endpoint: str) -> None:
    from benchmarks import raw
    from benchmarks.kit import Kit

    raw.plain_chat(Kit(endpoint, with_metrics=False).tracer)


def _nothing(_endpoint: str) -> None:
    pass


_SIDES: dict[str, Callable[[str], None]] = {"ours": _ours, "raw": _raw, "bare": _nothing}


def _worker(side: str, endpoint: str, in_loop: bool) -> dict[str, float]:
    """Set up and make one call; CPU of the whole process, and of its threads in the time after."""
    from benchmarks import stub

    stub.install(3)
    completions = stub.client(known_host=True).chat.completions

    def call() -> Any:
        return completions.create(model=stub.MODEL, messages=stub.MESSAGES)

    cpu, begun = time.process_time, time.process_time()
    _SIDES[side](endpoint)
    ready = cpu()
    if in_loop:
        late, busy = asyncio.run(_ticks(call))
        return {"late_ms": late * 1e3, "busy_ms": busy * 1e3}
    call()
    called = cpu()
    time.sleep(AFTER_S)
    return {
        "setup_ms": (ready - begun) * 1e3,
        "first_ms": (called - ready) * 1e3,
        "all_ms": (called - begun) * 1e3,
        "after_ms": (cpu() - called) * 1e3,
    }


async def _ticks(call: Callable[[], Any]) -> tuple[float, float]:
    """The latest tick of a loop in which the first calls are made, and the most CPU between two ticks."""

    async def work() -> None:
        for _ in range(12):
            await asyncio.sleep(0.02)
            call()

    watched, _ = await asyncio.gather(watch(WATCH_S), work())
    return watched


def _sample(side: str, seed: int, endpoint: str, in_loop: bool = False) -> dict[str, float]:
    arguments = [sys.executable, "-m", "benchmarks.startup", "--worker", side, "--endpoint", endpoint]
    if in_loop:
        arguments.append("--loop")
    output = subprocess.check_output(arguments, cwd=ROOT, env=environment(seed))
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def measure() -> Result:
    """Cost of starting up beside an imported openai."""
    sink = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert sink.stdout is not None
    endpoint = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
    ours: list[dict[str, float]] = []
    raw: list[dict[str, float]] = []
    loop: list[dict[str, float]] = []
    bare: list[dict[str, float]] = []
    try:
        _sample("ours", 0, endpoint)  # writes the bytecode
        _sample("raw", 0, endpoint)
        for seed in range(REPEATS):
            for side in ("ours", "raw") if seed % 2 else ("raw", "ours"):
                (ours if side == "ours" else raw).append(_sample(side, seed, endpoint))
            loop.append(_sample("ours", seed, endpoint, in_loop=True))
            bare.append(_sample("bare", seed, endpoint, in_loop=True))
    finally:
        sink.kill()
        sink.wait()

    def spread(samples: list[dict[str, float]], name: str) -> Spread:
        return Spread.of([sample[name] for sample in samples])

    return Result(
        "startup",
        "Start-up beside an imported openai, CPU of the process",
        [
            Row("import, init and first priced call: ms", spread(ours, "all_ms"), 1, 160.0),
            Row("of which import and init: ms", spread(ours, "setup_ms"), 1),
            Row("of which first priced call: ms", spread(ours, "first_ms"), 1),
            Row("in the half second after it, all threads: ms", spread(ours, "after_ms"), 1),
            Row("raw SDK with a plain span: import and set-up: ms", spread(raw, "setup_ms"), 1),
            Row("raw SDK with a plain span, with the first call: ms", spread(raw, "all_ms"), 1),
            Row(
                "latest tick of an event loop with the first calls in it: ms", spread(loop, "late_ms"), 1, 5.0
            ),
            Row("most CPU of the process between two of its ticks: ms", spread(loop, "busy_ms"), 1),
            Row("latest tick of the same loop, nothing installed: ms", spread(bare, "late_ms"), 1),
        ],
    )


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", choices=sorted(_SIDES))
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--loop", action="store_true")
    options, _ = parser.parse_known_args()
    if options.worker:
        print(json.dumps(_worker(options.worker, options.endpoint, options.loop)), flush=True)
        os._exit(0)
    main(measure)


if __name__ == "__main__":
    _main()
