"""Disks that are full or cannot be written to, and files that are damaged."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.driver import ROOT
from benchmarks.reliability.programs import AT_ONCE, HANGS_S, variables
from benchmarks.reliability.receiver import Receiver
from benchmarks.reliability.table import Check, exactly

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.reliability.table import Scale
    from otel_agentops.export.store import Store
    from otel_agentops.export.wire import EncodedSpan

SPANS = 2_000

# The collector is away, so that everything would go to the disk, and comes back at the end.
PROGRAM = f"""
import json, os, shutil, sys, time
import otel_agentops as ao
from otel_agentops.export import spool

ao.init(auto_session=False, instrument=[])
folder = os.environ["OTEL_AGENTOPS_SPOOL_DIRECTORY"]
results = []
for number in range({SPANS}):
    with ao.operation("o"):
        results.append(number)
    if number == {SPANS} // 2:
        BETWEEN
sent = ao.flush(0.5)
time.sleep(0.5)
print(json.dumps(len(results)), flush=True)
sys.stdin.readline()
sent = ao.shutdown(30)
(counts,) = [sender.counts.as_dict() for sender in spool._senders]
print(json.dumps([sent, counts]), flush=True)
"""
_LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
FAULTS = {
    "no file may grow (RLIMIT_FSIZE)": ("", "pass", _LIMIT),
    "no file may grow any more, half way": ("", "ao.flush(0.5); " + _LIMIT, ""),
    "deleted meanwhile": ("", "ao.flush(0.5); shutil.rmtree(folder)", ""),
    "a file where the directory should be": ("touch {folder}", "pass", ""),
    "in a directory that takes no files (/proc)": ("ln -s /proc {folder}", "pass", ""),
    "disk of 40 KB (tmpfs)": ("mkdir {folder} && mount -t tmpfs -o size=40k tmpfs {folder}", "pass", ""),
    "disk of no byte (tmpfs)": (
        "mkdir {folder} && mount -t tmpfs -o size=4k tmpfs {folder} && head -c 4096 /dev/zero >{folder}/f",
        "pass", "",
    ),
    "disk that is read-only (tmpfs)": ("mkdir {folder} && mount -t tmpfs -o ro tmpfs {folder}", "pass", ""),
    "disk that is full half way (tmpfs)": (
        "mkdir {folder} && mount -t tmpfs -o size=10m tmpfs {folder}",
        "ao.flush(0.5); os.system(f'head -c 20000000 /dev/zero >{folder}/full 2>/dev/null')", "",
    ),
}  # fmt: skip
"""Fault -> what the shell does before, what happens half way, what Python does at the start."""


def bad_disks(_scale: Scale) -> list[Check]:
    """The program has to go on as if nothing were, and its spans have to arrive from memory."""
    mounts = _may_mount()
    faults = {name: fault for name, fault in FAULTS.items() if mounts or "tmpfs" not in fault[0]}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lost = list(pool.map(_lost, faults.values()))
    what = f"{SPANS:,} spans, collector away and back"
    return [exactly(f"{name}: {what}", number) for name, number in zip(faults, lost, strict=True)]


def _lost(fault: tuple[str, str, str]) -> int:
    """Spans that have not arrived; one more where the program's counts are wrong."""
    made, arrived, counts = _with_disk(*fault)
    settled = counts["delivered"] + counts["waiting"] + counts["set_aside"] + counts["lost"]
    return SPANS - arrived + (not made == counts["ended"] == SPANS == settled)


def _may_mount() -> bool:
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _with_disk(before: str, between: str, first: str) -> tuple[int, int, dict[str, int]]:
    """Spans made, spans that arrived, and what the program counted."""
    with Receiver() as receiver, tempfile.TemporaryDirectory() as base:
        folder = f"{base}/spool"
        program = Path(base) / "program.py"
        program.write_text(first + PROGRAM.replace("BETWEEN", between))
        shell = f"{before.format(folder=folder) or ':'} && exec {sys.executable} {program}"
        command = ["sh", "-c", shell]
        if "mount" in before:
            command = ["unshare", "-rm", *command]
        receiver.ask("close")
        with subprocess.Popen(
            command, cwd=ROOT, env=variables(receiver.url, folder), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            made = json.loads(process.stdout.readline() or "0")
            receiver.ask("open")
            out, _ = process.communicate("\n", HANGS_S)
        _, counts = json.loads(out) if out else (False, {})
        if process.returncode:
            raise SystemExit(f"a program ended with {process.returncode}:\n{shell}\n{between}")
        return made, receiver.ask("counts")["spans"], counts


# --- damaged files ---


def damaged(scale: Scale) -> list[Check]:
    """Files that were torn, cut, flipped, written over or added to; what is intact has to be read."""
    random_ = random.Random(23)
    missing = wrong = raised = hit = unsettled = 0
    with tempfile.TemporaryDirectory() as base:
        whole, frames = _a_file(Path(base))
        for _ in range(scale.corruptions):
            bad = _damage(random_, whole)
            intact = [spans for each, spans in frames if each in bad]
            hit += len(intact) < len(frames)
            try:
                found, counts = _read(Path(base), bad)
            except Exception:
                raised += 1
                continue
            wanted = {span for spans in intact for span in spans}
            missing += len(wanted - set(found))
            wrong += len(set(found) - {span for _, spans in frames for span in spans})
            unsettled += counts.adopted != len(found) + counts.lost
    what = f"{scale.corruptions:,} damaged files, {hit:,} of them with lost records"
    return [
        exactly(f"{what}: spans of intact records", missing, promise="0 missing"),
        exactly("spans that nobody wrote", wrong, promise="0 corrupt reads"),
        exactly("exceptions", raised, promise="0"),
        exactly("files whose spans were not all delivered or counted", unsettled, promise="0"),
    ]


def _a_file(base: Path) -> tuple[bytes, list[tuple[bytes, list[EncodedSpan]]]]:
    """A file with single spans and batches, and its records with their spans."""
    from otel_agentops.export.batches import Batch, new_id
    from otel_agentops.export.segments import records_in
    from otel_agentops.export.unwire import spans_of

    spans = _spans(40)
    kept = _store(base / "made")
    for start, end in ((0, 1), (1, 2), (2, 12), (12, 13), (13, 30), (30, 40)):
        kept.keep(Batch(new_id(), spans[start:end]))
    kept.close()
    (path,) = (base / "made").iterdir()
    whole = path.read_bytes()
    records = records_in(whole).records
    starts = [32, *[32 + record.end for record in records]]
    frames = [
        (whole[start:end], spans_of(record.body))
        for start, end, record in zip(starts, starts[1:], records, strict=False)
    ]
    assert sum(len(spans) for _, spans in frames) == 40
    assert b"".join(frame for frame, _ in frames) == whole[32:]
    return whole, frames


def _spans(number: int) -> list[EncodedSpan]:
    from opentelemetry.sdk.trace import TracerProvider

    from benchmarks.load import ATTRIBUTES
    from otel_agentops.export.wire import encode

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    ended: list[Any] = []
    for each in range(number):
        span = tracer.start_span(f"s{each}", attributes=ATTRIBUTES if each % 7 == 0 else {"number": each})
        span.end()
        ended.append(span)
    return [encode(span) for span in ended]


def _store(folder: Path) -> Store:
    from otel_agentops.export.counts import Counts
    from otel_agentops.export.store import Store

    return Store(folder, 1 << 30, 1e9, Counts())


def _read(base: Path, data: bytes) -> tuple[list[EncodedSpan], Any]:
    """What the next process finds."""
    (base / "d").mkdir(exist_ok=True)
    (base / "d" / "1-1-1.spool").write_bytes(data)
    store = _store(base / "d")
    store.look_around()
    found: list[EncodedSpan] = []
    while (taken := store.take(3_000)) is not None:
        found += taken.batch.spans
        store.done(taken)
    counts = store._counts
    store.close()
    assert not list((base / "d").iterdir())
    return found, counts


def _damage(random_: random.Random, whole: bytes) -> bytes:
    return _DAMAGES[random_.randrange(len(_DAMAGES))](random_, whole)


def _flip(random_: random.Random, whole: bytes) -> bytes:
    bad = bytearray(whole)
    for _ in range(random_.randrange(1, 5)):
        bad[random_.randrange(len(bad))] ^= 1 << random_.randrange(8)
    return bytes(bad)


def _tear(random_: random.Random, whole: bytes) -> bytes:
    return whole[: random_.randrange(len(whole))]


def _overwrite(random_: random.Random, whole: bytes) -> bytes:
    start = random_.randrange(len(whole))
    length = random_.randrange(1, 5_000)
    return (whole[:start] + random_.randbytes(length) + whole[start + length :])[: len(whole)]


def _zeros(random_: random.Random, whole: bytes) -> bytes:
    """Pages that never reached the disk."""
    start = random_.randrange(len(whole) // 512) * 512
    return (whole[:start] + bytes(4096) + whole[start + 4096 :])[: len(whole)]


def _insert(random_: random.Random, whole: bytes) -> bytes:
    start = random_.randrange(len(whole))
    return whole[:start] + random_.randbytes(random_.randrange(1, 2_000)) + whole[start:]


def _remove(random_: random.Random, whole: bytes) -> bytes:
    start = random_.randrange(len(whole))
    return whole[:start] + whole[start + random_.randrange(1, 2_000) :]


_DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip, _tear, _overwrite, _zeros, _insert, _remove,
)  # fmt: skip
