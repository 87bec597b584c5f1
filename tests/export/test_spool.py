"""Spans against collectors in every mood: delivered, kept or counted, and the program never waits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider

from export.collector import Received, grpc_collector, http_collector
from export.test_export import closed_port, run
from otel_agentops import failsafe
from otel_agentops.config import Config
from otel_agentops.export import agenda, sender, wire
from otel_agentops.export.destination import resolve
from otel_agentops.export.spool import SpoolExporter, SpoolProcessor, make_sender

OTLP = "OTEL_EXPORTER_OTLP_"
PATIENCE_S = 30.0


class Program:
    """A provider with a spool, as `init(spool=True)` makes it."""

    def __init__(self, url: str, directory: Path, delay_ms: int = 50, **settings: Any) -> None:
        wanted = {"spool": True, "spool_directory": str(directory), **settings}
        protocol = "grpc" if url.startswith("grpc") else "http/protobuf"
        config = Config.load({OTLP + "TIMEOUT": "10", "OTEL_BSP_SCHEDULE_DELAY": str(delay_ms)}, **wanted)
        self.sender = make_sender(config, resolve(config.otlp, protocol, url))
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SpoolProcessor(self.sender))
        self.tracer = self.provider.get_tracer("t")

    def end(self, *names: str, text: str = "") -> None:
        """End spans of these names."""
        for name in names:
            self.tracer.start_span(name, attributes={"text": text} if text else None).end()

    @property
    def counts(self) -> dict[str, int]:
        """What became of them."""
        return self.sender.counts.as_dict()


def names(count: int, start: int = 0) -> list[str]:
    """So many names."""
    return [f"{number:04}" for number in range(start, start + count)]


def until(condition: Callable[[], object]) -> None:
    """Wait for it, or fail."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def files(directory: Path) -> list[Path]:
    """Spool files below a directory."""
    return sorted(directory.rglob("*.spool"))


@pytest.fixture
def collector() -> Iterator[Received]:
    """A collector that is well until the test says otherwise."""
    with http_collector() as received:
        yield received


@pytest.fixture(params=["outage", "crash"])
def durability(request: pytest.FixtureRequest) -> str:
    """Both promises."""
    return str(request.param)


def test_a_healthy_collector(collector: Received, tmp_path: Path, durability: str) -> None:
    """Everything arrives, in order, once, with an id for each batch, and nothing stays on the disk."""
    program = Program(collector.url, tmp_path, durability=durability)
    program.end(*names(100))
    assert program.sender.flush(PATIENCE_S)
    program.end(*names(50, 100))
    assert program.sender.stop(PATIENCE_S)
    assert collector.spans == names(150)
    assert program.counts == counted(ended=150, delivered=150)
    assert files(tmp_path) == []
    ids = [headers["x-otel-agentops-batch"] for headers in collector.headers]
    assert len(set(ids)) == len(ids) >= 2


def counted(**known: int) -> dict[str, int]:
    """Counts of which the others are 0."""
    zero = dict.fromkeys(("ended", "adopted", "delivered", "waiting", "set_aside", "lost"), 0)
    return {**zero, **known}


def test_without_a_flush(collector: Received, tmp_path: Path) -> None:
    """Spans leave by themselves, a moment later."""
    program = Program(collector.url, tmp_path)
    program.end(*names(3))
    until(lambda: collector.spans == names(3))
    program.sender.stop(0)


def test_after_a_flush(collector: Received, tmp_path: Path) -> None:
    """Once a flush is over, spans wait for others again instead of leaving one by one."""
    program = Program(collector.url, tmp_path, delay_ms=600_000)
    program.end("first")
    assert program.sender.flush(PATIENCE_S)
    for name in names(5):
        program.end(name)
        time.sleep(0.05)
    assert collector.spans == ["first"]
    assert program.sender.stop(PATIENCE_S)
    assert len(collector.headers) == 2


def test_away_and_back(tmp_path: Path, durability: str) -> None:
    """What ends while nobody listens is kept in files and sent once somebody does."""
    port = closed_port()
    program = Program(f"http://127.0.0.1:{port}", tmp_path, durability=durability)
    program.end(*names(500))
    assert not program.sender.flush(0.2)
    program.end(*names(500, 500))
    until(lambda: program.counts == counted(ended=1000, waiting=1000) and not len(program.sender._queue))
    assert files(tmp_path)
    with http_collector(port=port) as back:
        assert program.sender.flush(PATIENCE_S)
        program.sender.stop(PATIENCE_S)
    assert back.spans == names(1000)
    assert program.counts == counted(ended=1000, delivered=1000)
    assert files(tmp_path) == []


MOODS: dict[str, list[tuple[int, dict[str, str]]]] = {
    "503": [(503, {})] * 100,
    "429": [(429, {"retry-after": "600"})] * 100,
    "500": [(500, {})] * 100,
}


@pytest.mark.parametrize("mood", MOODS)
def test_the_next_start_sends_it(collector: Received, tmp_path: Path, mood: str, durability: str) -> None:
    """What a process could not deliver in its time is delivered by the next one, and nothing twice."""
    collector.script = list(MOODS[mood])
    program = Program(collector.url, tmp_path, durability=durability)
    program.end(*names(100))
    assert not program.sender.stop(1)
    assert program.counts == counted(ended=100, waiting=100)
    assert files(tmp_path)
    collector.script = []
    following = Program(collector.url, tmp_path, durability=durability)
    until(lambda: following.counts["delivered"] == 100)
    assert following.sender.stop(PATIENCE_S)
    assert collector.spans == names(100)
    assert following.counts == counted(adopted=100, delivered=100)
    assert files(tmp_path) == []


def test_retry_after_is_honoured(collector: Received, tmp_path: Path) -> None:
    """A collector that wants to be left alone is not asked again before the time is over."""
    collector.script = [(429, {"retry-after": "600"})]
    program = Program(collector.url, tmp_path)
    program.end("first")
    until(lambda: len(collector.headers) == 1)
    until(lambda: program.sender._agenda.retry_at > time.monotonic() + 500)
    program.end(*names(100))
    until(lambda: program.counts["ended"] == 101 and not len(program.sender._queue))
    assert len(collector.headers) == 1
    program.sender.stop(0)


@pytest.mark.parametrize("kept", [True, False], ids=["files", "memory"])
def test_a_hanging_collector(collector: Received, tmp_path: Path, durability: str, kept: bool) -> None:
    """Neither spans nor the end of the program wait for it, and nothing is lost where there are files."""
    release = threading.Event()
    collector.on_request = lambda: release.wait(PATIENCE_S)
    program = Program(collector.url, tmp_path, durability=durability, spool=kept)
    program.end("first")
    until(lambda: collector.headers)
    slowest = 0.0
    for name in names(500):
        start = time.thread_time()
        program.end(name)
        slowest = max(slowest, time.thread_time() - start)
    assert not program.sender.stop(0.3)
    release.set()
    collector.on_request = lambda: None
    assert program.counts == counted(ended=501, **{"waiting" if kept else "lost": 501})
    if kept:
        following = Program(collector.url, tmp_path)
        until(lambda: following.counts["delivered"] == 501)
        assert following.sender.stop(PATIENCE_S)
    until(lambda: set(collector.spans) >= set(names(500) if kept else ["first"]))


def test_what_is_on_its_way_is_kept(
    collector: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that its collector takes long for is in a file meanwhile, and arrives once."""
    for module in (agenda, sender):
        monkeypatch.setattr(module, "SLOW_S", 0.1)
    release = threading.Event()
    collector.on_request = lambda: release.wait(PATIENCE_S)
    program = Program(collector.url, tmp_path)
    program.end(*names(10))
    until(lambda: collector.headers)
    program.end(*names(10, 10))
    until(lambda: program.sender.store is not None and program.sender.store.waiting == 20)
    release.set()
    assert program.sender.stop(PATIENCE_S)
    assert collector.spans == names(20)
    assert program.counts == counted(ended=20, delivered=20)
    assert files(tmp_path) == []


def test_a_burst_behind_what_is_on_its_way(collector: Received, tmp_path: Path) -> None:
    """What memory was too small for does not keep the batch before it out of the files."""
    release = threading.Event()
    collector.on_request = lambda: release.wait(PATIENCE_S)
    program = Program(collector.url, tmp_path)
    program.end(*names(10))
    until(lambda: collector.headers)
    program.end(*names(300, 10), text="x" * 60_000)
    assert not program.sender.flush(2.0)
    assert program.sender.store is not None
    assert program.sender.store.waiting == 310
    release.set()
    assert program.sender.stop(PATIENCE_S)
    assert collector.spans == names(310)
    assert program.counts == counted(ended=310, delivered=310)


def test_the_end_keeps_in_good_time(collector: Received, tmp_path: Path) -> None:
    """What is not sent in half of the time is in a file, and settled there if it still arrives."""
    release = threading.Event()
    collector.on_request = lambda: release.wait(PATIENCE_S)
    program = Program(collector.url, tmp_path, delay_ms=600_000)
    program.end(*names(10))
    stopping = threading.Thread(target=program.sender.stop, args=(3.0,))
    stopping.start()
    until(lambda: program.sender.store is not None and program.sender.store.waiting == 10)
    assert stopping.is_alive()
    release.set()
    stopping.join()
    assert collector.spans == names(10)
    assert program.counts == counted(ended=10, delivered=10)
    assert files(tmp_path) == []


def test_nobody_waits_for_an_interrupted_thread(collector: Received, tmp_path: Path) -> None:
    """Spans leave although some thread is stopped in the middle of ending one, as by a signal handler."""
    inside, release = threading.Event(), threading.Event()

    class Interrupted(wire.EncodedSpan):
        @property
        def size(self) -> int:
            inside.set()
            release.wait(PATIENCE_S)
            return super().size

    program = Program(collector.url, tmp_path)
    program.end(*names(3))
    stopped = threading.Thread(target=program.sender.put, args=(Interrupted(b"", b"", b""),), daemon=True)
    stopped.start()
    assert inside.wait(PATIENCE_S)
    assert program.sender.flush(PATIENCE_S)
    assert collector.spans == names(3)
    release.set()
    stopped.join()
    program.sender.stop(0)


def test_a_slow_collector(collector: Received, tmp_path: Path) -> None:
    """More than it takes is kept and delivered when there is time."""
    collector.on_request = lambda: time.sleep(0.2)
    program = Program(collector.url, tmp_path)
    for start in range(0, 1000, 100):
        program.end(*names(100, start), text="x" * 10_000)
    assert program.sender.stop(PATIENCE_S)
    assert sorted(collector.spans) == names(1000)


def test_too_large_for_it(collector: Received, tmp_path: Path, durability: str) -> None:
    """Batches are halved until they fit; a single span that never fits has its texts cut."""
    collector.largest = 50_000
    program = Program(collector.url, tmp_path, durability=durability)
    program.end(*names(20), text="x" * 5_000)
    program.end("huge", text="y" * 200_000)
    program.end("last")
    assert program.sender.stop(PATIENCE_S)
    assert sorted(collector.spans) == sorted([*names(20), "huge", "last"])
    assert program.counts == counted(ended=22, delivered=22)


def test_too_large_for_grpc(tmp_path: Path) -> None:
    """The 4 MiB of gRPC servers: many megabytes arrive in parts, a prompt of 10 MB cut."""
    with grpc_collector() as server:
        program = Program(server.url.replace("http", "grpc"), tmp_path)
        program.end(*names(100), text="x" * 100_000)
        program.end("huge", text="y" * 10_000_000)
        assert program.sender.stop(PATIENCE_S)
        assert sorted(server.spans) == sorted([*names(100), "huge"])
        assert max(server.sizes) < 4 << 20


def test_refused(collector: Received, tmp_path: Path, durability: str) -> None:
    """A batch that is refused is set aside and counted, and the following ones go."""
    collector.script = [(400, {})]
    program = Program(collector.url, tmp_path, durability=durability)
    program.end(*names(3))
    assert not program.sender.flush(PATIENCE_S)
    program.end(*names(3, 3))
    assert program.sender.flush(PATIENCE_S)
    assert program.sender.stop(PATIENCE_S)
    assert collector.spans == names(3, 3)
    assert program.counts == counted(ended=6, delivered=3, set_aside=3)
    assert [path.parent.name for path in files(tmp_path)] == ["refused"]


def test_grpc_away_and_busy(tmp_path: Path) -> None:
    """The same over gRPC."""
    with grpc_collector() as server:
        server.script = [(grpc.StatusCode.UNAVAILABLE, {}), (grpc.StatusCode.INVALID_ARGUMENT, {})]
        program = Program(server.url.replace("http", "grpc"), tmp_path)
        program.end(*names(3))
        until(lambda: program.counts["set_aside"] == 3)
        program.end(*names(3, 3))
        assert program.sender.stop(PATIENCE_S)
        assert server.spans == names(3, 3)


def test_no_disk(collector: Received, tmp_path: Path, durability: str) -> None:
    """Without a usable directory spans wait in memory; nothing raises."""
    (tmp_path / "file").write_text("")
    collector.script = [(503, {})]
    program = Program(collector.url, tmp_path / "file", durability=durability)
    program.end(*names(100))
    assert program.sender.stop(PATIENCE_S)
    assert sorted(collector.spans) == names(100)


def test_a_burst_goes_to_files(collector: Received, tmp_path: Path) -> None:
    """More at once than memory holds is written to files before any of it is dropped."""
    program = Program(collector.url, tmp_path, delay_ms=600_000)
    program.end(*names(100), text="x" * 1_000_000)
    assert program.sender.stop(PATIENCE_S)
    assert sorted(collector.spans) == names(100)
    assert program.counts == counted(ended=100, delivered=100)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Without files the oldest go when there is no room, and are counted."""
    program = Program(f"http://127.0.0.1:{closed_port()}", tmp_path, spool=False)
    program.end(*names(100), text="x" * 1_000_000)
    assert program.sender._queue.size <= 64_000_000
    program.sender.stop(0)
    until(lambda: program.counts["lost"] == 100)
    assert program.counts == counted(ended=100, lost=100)
    assert program.sender.counts.dropped["memory full"] > 0


def test_spans_after_the_end(collector: Received, tmp_path: Path) -> None:
    """A span that ends after the shutdown is kept for the next start."""
    program = Program(collector.url, tmp_path)
    assert program.sender.stop(PATIENCE_S)
    program.end("late")
    assert program.counts == counted(ended=1, waiting=1)
    assert len(files(tmp_path)) == 1


def test_one_bad_span(collector: Received, tmp_path: Path) -> None:
    """A span that cannot be written is counted; the program and the others go on."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, TraceFlags

    program = Program(collector.url, tmp_path)
    sampled = SpanContext(1, 2, False, TraceFlags(1))
    SpoolProcessor(program.sender).on_end(ReadableSpan(name="x", context=sampled, start_time=-5))
    program.end("good")
    program.sender.stop(PATIENCE_S)
    assert collector.spans == ["good"]
    assert program.counts == counted(ended=2, delivered=1, lost=1)
    assert failsafe.failures["encoding a span"] == 1


def test_unsampled_spans_stay_here(collector: Received, tmp_path: Path) -> None:
    """Spans that are recorded but not sampled are nobody's business."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    program = Program(collector.url, tmp_path)
    SpoolProcessor(program.sender).on_end(ReadableSpan(name="x", context=SpanContext(1, 2, False)))
    assert program.sender.stop(PATIENCE_S)
    assert program.counts == counted()


def test_other_keys_other_spools(tmp_path: Path) -> None:
    """Spans kept for one tenant are never sent with the key of another."""
    url = f"http://127.0.0.1:{closed_port()}"
    directories = set()
    for key in ("a=1", "a=2", ""):
        config = Config.load({OTLP + "HEADERS": key}, spool=True, spool_directory=str(tmp_path))
        sender = make_sender(config, resolve(config.otlp, "http/protobuf", url))
        assert sender.store is not None
        directories.add(sender.store.directory)
    assert len(directories) == 3


def test_requests_are_not_traced(collector: Received, tmp_path: Path) -> None:
    """Instrumentations of HTTP clients see that the export is not the program's."""
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    from otel_agentops.export.over_http import HttpTransport

    seen = []

    class Watched(HttpTransport):
        def _post(self, *arguments: Any) -> Any:
            seen.append(is_instrumentation_enabled())
            return super()._post(*arguments)

    program = Program(collector.url, tmp_path)
    destination = resolve({}, "http/protobuf", collector.url)
    program.sender._courier._connect = lambda: Watched(destination, "test")
    program.end("one")
    assert program.sender.stop(PATIENCE_S)
    assert seen == [False]


def test_in_a_forked_child(collector: Received, tmp_path: Path, durability: str) -> None:
    """Parent and child send their own spans, once, and neither stops the other."""
    program = Program(collector.url, tmp_path, durability=durability)
    program.end("before")
    child = os.fork()
    if child == 0:
        program.end("child")
        sent = program.sender.stop(PATIENCE_S)
        os._exit(not (sent and program.counts == counted(ended=1, delivered=1)))
    program.end("parent")
    assert os.waitpid(child, 0)[1] == 0
    assert program.sender.stop(PATIENCE_S)
    assert sorted(collector.spans) == ["before", "child", "parent"]


def test_everything_is_accounted_for(collector: Received, tmp_path: Path, durability: str) -> None:
    """Many threads and a moody collector: delivered, set aside, waiting and dropped add up to ended."""
    moods = random.Random(3)
    answers = [(200, {}), (200, {}), (503, {}), (400, {}), (429, {"retry-after": "0"}), (413, {})]
    collector.script = [moods.choice(answers) for _ in range(60)]
    program = Program(collector.url, tmp_path, durability=durability)
    workers = [
        threading.Thread(target=lambda base=base: program.end(*names(300, base * 300), text="x" * 500))
        for base in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    program.sender.flush(PATIENCE_S)
    program.sender.stop(PATIENCE_S)
    counts = program.counts
    assert counts["ended"] == 2400 == counts["delivered"] + counts["set_aside"] + counts["waiting"]
    assert counts["lost"] == 0
    assert len(set(collector.spans)) == len(collector.spans) == counts["delivered"]


def test_the_exporter_for_other_pipelines(
    collector: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`otlp_spool` is an exporter like any other, with the standard variables."""
    from importlib.metadata import entry_points

    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    (point,) = entry_points(group="opentelemetry_traces_exporter", name="otlp_spool")
    assert point.load() is SpoolExporter
    monkeypatch.setenv(OTLP + "ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_AGENTOPS_SPOOL_DIRECTORY", str(tmp_path))
    collector.script = [(503, {})]
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(SpoolExporter()))
    for name in names(10):
        provider.get_tracer("t").start_span(name).end()
    provider.shutdown()
    following = SpoolExporter()
    assert following.force_flush(int(PATIENCE_S * 1000))
    until(lambda: len(collector.spans) >= 10)
    following.shutdown()
    assert sorted(collector.spans) == names(10)


# --- processes ---

PROGRAM = """
import otel_agentops as ao
ao.init(service_name="svc", auto_session=False, spool=True)
for number in range(20):
    with ao.operation(f"op {number}"):
        pass
"""
METRICS_OFF = {"OTEL_METRICS_EXPORTER": "none"}


@pytest.mark.parametrize("end", ["", "raise SystemExit", "import os; os._exit(0)", "1 / 0"])
def test_programs_without_a_collector(end: str, tmp_path: Path) -> None:
    """However a program ends, the next one delivers what it had, if it was written as it ended."""
    port = closed_port()
    variables = {
        **METRICS_OFF,
        OTLP + "ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_AGENTOPS_SPOOL_DIRECTORY": str(tmp_path),
        "OTEL_AGENTOPS_DURABILITY": "crash" if "_exit" in end else "outage",
    }
    run(PROGRAM + end, expect=end == "1 / 0", **variables)
    assert files(tmp_path)
    with http_collector(port=port) as back:
        run(PROGRAM, **variables)
    assert len(back.spans) == 40
    assert files(tmp_path) == []


TERMINATED = (
    PROGRAM
    + """
import sys, time
sys.stdout.write("ended\\n")
sys.stdout.flush()
for _ in range(1200): time.sleep(0.05)
"""
)


@pytest.mark.parametrize("mood", ["away", "hanging"])
def test_terminated_without_a_collector(tmp_path: Path, mood: str) -> None:
    """SIGTERM does not lose what could not be sent, whatever the collector does."""
    port = closed_port()
    release = threading.Event()
    environ = {
        **os.environ,
        **METRICS_OFF,
        OTLP + "ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_AGENTOPS_SPOOL_DIRECTORY": str(tmp_path),
        "OTEL_AGENTOPS_EXIT_TIMEOUT": "1",
    }
    with http_collector(port=port if mood == "hanging" else 0) as hanging:
        hanging.on_request = lambda: release.wait(PATIENCE_S)
        with subprocess.Popen(
            [sys.executable, "-c", TERMINATED], env=environ, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ended\n"
            child.terminate()
            assert child.wait(PATIENCE_S) == -signal.SIGTERM
        assert files(tmp_path)
        release.set()
    with http_collector(port=port) as back:
        run(
            PROGRAM,
            **{name: environ[name] for name in (OTLP + "ENDPOINT", *METRICS_OFF)},
            **{"OTEL_AGENTOPS_SPOOL_DIRECTORY": str(tmp_path)},
        )
    assert len(back.spans) == 40


KILLED = """
import sys
import otel_agentops as ao
from opentelemetry import trace
ao.init(auto_session=False, spool=True, durability="crash")
tracer = trace.get_tracer("t")
number = 0
while True:
    tracer.start_span(str(number), attributes={"text": "x" * 1000}).end()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


@pytest.mark.parametrize("well", [True, False], ids=["delivering", "away"])
def test_killed_at_any_moment(tmp_path: Path, well: bool) -> None:
    """With `durability="crash"` every span whose `end()` returned arrives, by this process or the next."""
    moments = random.Random(5)
    with http_collector() as collector:
        address = collector.url if well else f"http://127.0.0.1:{closed_port()}"
        for turn in range(4):
            directory = tmp_path / str(turn)
            environ = {
                **os.environ,
                **METRICS_OFF,
                OTLP + "ENDPOINT": address,
                "OTEL_BSP_SCHEDULE_DELAY": "10",
                "OTEL_AGENTOPS_SPOOL_DIRECTORY": str(directory),
            }
            child = subprocess.Popen(
                [sys.executable, "-c", KILLED], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(moments.randrange(1, 3000))]
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()
            child.communicate()
            ended = max(int(line) for line in lines if line.endswith(b"\n"))
            collector.spans += recovered(directory, address, collector)
            arrived = {int(name) for name in collector.spans}
            assert arrived >= set(range(ended + 1))
            collector.spans = []


def recovered(directory: Path, address: str, collector: Received) -> list[str]:
    """Names of the spans that the next process sends, or would send if its collector were there."""
    before = len(collector.spans)
    if address == collector.url:
        following = Program(address, directory)
        following.sender.stop(PATIENCE_S)
        return []
    from otel_agentops.export.counts import Counts
    from otel_agentops.export.store import Store

    (kept,) = directory.iterdir()
    found = []
    store = Store(kept, 1 << 40, 1e9, Counts())
    store.look_around()
    while (taken := store.take(1_000_000)) is not None:
        found += [span_name(span.span) for span in taken.batch.spans]
        store.done(taken)
    assert len(collector.spans) == before
    return found


def span_name(entry: bytes) -> str:
    """The name in an encoded span."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

    return str(ScopeSpans.FromString(entry).spans[0].name)
