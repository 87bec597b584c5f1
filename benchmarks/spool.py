"""The export by itself: encoding a chat span, handing it to the spool, and sending what a spool holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.driver import ROOT, Result, Row, Spread, environment, main

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS, ROUNDS, SPANS, BATCHES = 5, 7, 512, 40


def _spans() -> list[Any]:
    """What the library writes for a chat call with content, without its client."""
    from benchmarks import raw, stub
    from benchmarks.kit import Kit

    stub.install(3)
    kit = Kit("")
    raw.same_chat(kit)
    completions = stub.client().chat.completions
    for _ in range(SPANS):
        completions.create(model=stub.MODEL, messages=stub.MESSAGES, temperature=0.2, max_tokens=256)
    return list(kit.spans.get_finished_spans())


def _us(call: Callable[[], object]) -> float:
    """CPU of the best of some rounds, in microseconds a span."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.thread_time()
        call()
        best = min(best, time.thread_time() - begun)
    return best / SPANS * 1e6


def _worker(port: str) -> None:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    from otel_agentops.export import wire

    spans = _spans()
    encoded = [wire.encode(span) for span in spans]
    found = {
        "our encoder: us a span": _us(lambda: wire.request([wire.encode(span) for span in spans])),
        "stock encoder: us a span": _us(lambda: encode_spans(spans).SerializeToString()),
        "raw append to a file: us a span": _append(wire.request(encoded[:1])),
    }
    with tempfile.TemporaryDirectory() as folder:
        for durability in ("outage", "crash"):
            sender = _sender(Path(folder) / durability, durability, "9")
            found[f"handing over, {durability}: us a span"] = _us(lambda sender=sender: _put(sender, encoded))
    for durability in ("outage", "crash"):
        with tempfile.TemporaryDirectory() as folder:
            found[f"draining what {durability} left: thousand spans a second"] = _drain(
                Path(folder), durability, encoded, port
            )
    print(json.dumps(found), flush=True)
    os._exit(0)


def _append(record: bytes) -> float:
    with tempfile.TemporaryFile(buffering=0) as file:
        return _us(lambda: [file.write(record) for _ in range(SPANS)])


def _put(sender: Any, encoded: list[Any]) -> None:
    for span in encoded:
        sender.put(span)


def _sender(folder: Path, durability: str, port: str) -> Any:
    from otel_agentops.config import Config
    from otel_agentops.export.destination import resolve
    from otel_agentops.export.spool import make_sender

    variables = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}
    config = Config.load(variables, spool=True, spool_directory=str(folder), durability=durability)
    return make_sender(config, resolve({}, "http/protobuf", f"http://127.0.0.1:{port}"))


def _drain(folder: Path, durability: str, encoded: list[Any], port: str) -> float:
    """Spans of a process that is gone, a batch or a span in each record, sent to a real receiver."""
    from otel_agentops.export.batches import Batch, new_id, packs

    sender = _sender(folder, durability, port)
    store, number = sender.store, 0
    for _ in range(BATCHES):
        for pack in [[span] for span in encoded] if durability == "crash" else packs(encoded, 500_000):
            number += store.keep(Batch(new_id(), pack)) * len(pack)
    store.close()
    begun = time.monotonic()
    sender.start()
    while sender.counts.delivered < number:
        time.sleep(0.005)
    seconds = time.monotonic() - begun
    sender.stop(1)
    return number / seconds / 1000


def measure() -> Result:
    """Cost of a span in the export, and how fast a backlog goes."""
    groups = []
    for seed in range(GROUPS):
        sink = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sink"],
            cwd=ROOT, env=environment(seed), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert sink.stdout is not None
            command = [sys.executable, "-m", "benchmarks.spool", "--worker", sink.stdout.readline().strip()]
            output = subprocess.check_output(command, cwd=ROOT, env=environment(seed), timeout=300)
        finally:
            sink.kill()
            sink.communicate()
        groups.append(json.loads(output.splitlines()[-1]))
    rows = [Row(name, Spread.of([group[name] for group in groups]), 1) for name in groups[0]]
    return Result("spool", "Export and spool, a chat span of 24 attributes", rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _worker(sys.argv[2])
    else:
        main(measure)
