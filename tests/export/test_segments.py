"""Spool files: locks, bounds, and what is left of them after every kind of damage."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan

from export.test_otlp import some_spans
from export.test_wire import batches
from otel_agentops.export import batches as batching
from otel_agentops.export import wire
from otel_agentops.export.batches import Batch, Queue
from otel_agentops.export.counts import Counts
from otel_agentops.export.oversize import cut_to_fit
from otel_agentops.export.refused import REFUSED
from otel_agentops.export.segments import SUFFIX, Segment, frame, records_in, scan
from otel_agentops.export.store import Store
from otel_agentops.export.unwire import spans_of

WEEK_S = 7 * 86400


def encoded(count: int = 3, text: str = "") -> list[wire.EncodedSpan]:
    """Spans as they stand in files."""
    return [wire.encode(span) for span in some_spans(count, text)]


def store(directory: Path, max_bytes: int = 10_000_000, max_age_s: float = WEEK_S) -> Store:
    """A store with counts of its own."""
    return Store(directory / "d", max_bytes, max_age_s, Counts())


def batch(spans: list[wire.EncodedSpan]) -> Batch:
    """A batch with a new id."""
    return Batch(batching.new_id(), spans)


def drained(kept: Store, limit: int = 1_000_000) -> list[wire.EncodedSpan]:
    """Everything that is in a store, taken out of it."""
    found = []
    while (taken := kept.take(limit)) is not None:
        found += taken.batch.spans
        assert kept.done(taken)
    return found


@settings(max_examples=50, deadline=None)
@given(batches())
def test_requests_come_apart(spans: list[ReadableSpan]) -> None:
    """What was put together is found again, byte by byte."""
    written = [wire.encode(span) for span in spans]
    found = spans_of(wire.request(written))
    assert sorted(found) == sorted(written)


@given(st.binary(max_size=200))
def test_anything_else_is_no_request(body: bytes) -> None:
    """Other bytes are a ValueError at most."""
    with contextlib.suppress(ValueError):
        spans_of(body)


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else can read what is kept, whatever the umask and the directory said before."""
    (tmp_path / "d").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        kept = store(tmp_path)
        assert kept.keep(batch(encoded()))
        assert kept.set_aside(batch(encoded()))
    finally:
        os.umask(before)
    paths = [tmp_path / "d", *(tmp_path / "d").rglob("*")]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert len(modes) == 4
    assert all(mode == (0o700 if name in ("d", REFUSED) else 0o600) for name, mode in modes.items())


def test_a_directory_of_somebody_else(tmp_path: Path) -> None:
    """A link that somebody has put in its place is not followed."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "d").symlink_to(tmp_path / "theirs")
    assert not store(tmp_path).keep(batch(encoded()))
    assert list((tmp_path / "theirs").iterdir()) == []


def test_in_order_once_and_gone(tmp_path: Path) -> None:
    """Kept spans come back in their order, by portions, and leave no file behind."""
    kept, spans = store(tmp_path), encoded(30, "x" * 1_000)
    for start in range(0, 30, 7):
        assert kept.keep(batch(spans[start : start + 7]))
    assert kept.waiting == 30
    assert drained(kept, 2_500) == spans
    assert kept.waiting == 0
    assert list((tmp_path / "d").iterdir()) == []


def test_ids_stay(tmp_path: Path) -> None:
    """What is taken twice has the same id; different portions have different ones."""
    kept, spans = store(tmp_path), encoded(10, "x" * 1_000)
    first = batch(spans)
    assert kept.keep(first)
    whole = kept.take(1_000_000)
    assert whole is not None
    assert whole.batch == first
    ids = set()
    while (taken := kept.take(4_000)) is not None:
        again = kept.take(4_000)
        assert again is not None
        assert again.batch.id == taken.batch.id
        ids.add(taken.batch.id)
        kept.done(taken)
    assert len(ids) == 4
    assert all(len(number) == 16 for number in ids)


def test_unsettled_is_taken_again(tmp_path: Path) -> None:
    """A process that ends between sending and settling costs a repetition, never a span."""
    kept, spans = store(tmp_path), encoded(10)
    for span in spans:
        assert kept.keep(batch([span]))
    taken = kept.take(500)
    assert taken is not None
    kept.done(taken)
    assert kept.take(500) is not None
    kept.close()
    following = store(tmp_path)
    assert following.look_around()
    assert drained(following) == spans[len(taken.batch.spans) :]


def test_only_files_of_the_dead(tmp_path: Path) -> None:
    """A file is taken over once its process is gone, and by one process alone."""
    mine, other = store(tmp_path), store(tmp_path)
    assert mine.keep(batch(encoded()))
    assert not other.look_around()
    assert other.take(1_000) is None
    mine.close()
    third = store(tmp_path)
    assert sorted([other.look_around(), third.look_around()]) == [False, True]


CHILD = """
import os, sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
from export.test_segments import batch, encoded, store
kept = store(Path({directory!r}))
assert kept.keep(batch(encoded()))
print("kept", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_its_spans(tmp_path: Path) -> None:
    """Its locks go with it, and its spans are taken over."""
    paths = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent / "src")]
    program = CHILD.format(paths=paths, directory=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"kept\n"
    kept = store(tmp_path)
    assert not kept.look_around()
    child.kill()
    child.communicate()
    assert kept.look_around()
    assert len(drained(kept)) == 3


def test_a_forked_child_leaves_them_alone(tmp_path: Path) -> None:
    """A child neither sends nor unlocks what its parent has kept."""
    kept = store(tmp_path)
    assert kept.keep(batch(encoded()))
    child = os.fork()
    if child == 0:
        kept.reborn()
        fine = kept.take(1_000) is None and kept.keep(batch(encoded(1)))
        os._exit(not fine)
    assert os.waitpid(child, 0)[1] == 0
    assert not store(tmp_path)._adopt() or len(list((tmp_path / "d").glob(f"*{SUFFIX}"))) == 2
    assert len(drained(kept)) == 3


# --- bounds ---


def test_the_oldest_make_room(tmp_path: Path) -> None:
    """More than the bound is never on the disk; what went is counted."""
    kept, spans = store(tmp_path, max_bytes=100_000), encoded(100, "x" * 5_000)
    for span in spans:
        assert kept.keep(batch([span]))
        assert sum(path.stat().st_size for path in (tmp_path / "d").iterdir()) <= 100_000
    left = drained(kept)
    assert left == spans[-len(left) :]
    assert kept._counts.dropped == {"spool full": 100 - len(left)}
    assert len(left) >= 10


def test_too_much_for_the_spool(tmp_path: Path) -> None:
    """One batch that is larger than the spool is not kept, and costs no other."""
    kept = store(tmp_path, max_bytes=100_000)
    assert kept.keep(batch(encoded(1)))
    assert not kept.keep(batch(encoded(1, "x" * 200_000)))
    assert len(drained(kept)) == 1


def test_the_old_are_given_up(tmp_path: Path) -> None:
    """Files that are too old are deleted, those of the dead too, and counted."""
    gone = store(tmp_path)
    assert gone.keep(batch(encoded()))
    gone.close()
    (path,) = (tmp_path / "d").iterdir()
    os.utime(path, (1, 1))
    kept = store(tmp_path, max_age_s=60)
    kept.look_around()
    assert kept.take(1_000) is None
    assert kept._counts.dropped == {"too old": 3}
    assert list((tmp_path / "d").iterdir()) == []


def test_refused_batches_are_bounded(tmp_path: Path) -> None:
    """What is set aside takes a quarter of the space at most."""
    kept = store(tmp_path, max_bytes=100_000)
    for _ in range(30):
        assert kept.set_aside(batch(encoded(1, "x" * 5_000)))
        kept._counts.add("set_aside", 1)  # as the sender does
        kept.look_around()
    files = list((tmp_path / "d" / REFUSED).iterdir())
    assert 0 < sum(path.stat().st_size for path in files) <= 50_000
    there = sum(len(records_in(path.read_bytes()).records) for path in files)
    assert kept._counts.as_dict()["set_aside"] == there
    assert kept._counts.lost == 30 - there > 0
    kept.close()
    later = store(tmp_path, max_age_s=-1)  # another process, to which all of it is too old
    later.look_around()
    assert list((tmp_path / "d" / REFUSED).iterdir()) == []
    assert (later._counts.adopted, later._counts.lost, later._counts.set_aside) == (there, there, 0)


def test_memory_is_bounded() -> None:
    """The queue drops its oldest spans and says how many."""
    queue, spans = Queue(10_000), encoded(100, "x" * 500)
    dropped = sum(queue.put(span) for span in spans)
    assert queue.size <= 10_000
    assert len(queue) == 100 - dropped
    assert queue.put_back(spans[:50]) == 50
    assert queue.take(1 << 30) == spans[dropped:]
    assert queue.size == 0


# --- damage ---


def records(count: int) -> tuple[bytes, list[bytes]]:
    """A body of records, and each of them."""
    frames = [frame(bytes([number] * 16), 1, bytes([number]) * number * 7) for number in range(count)]
    return b"".join(frames), frames


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["flip", "cut", "overwrite", "insert"]))
def test_every_intact_record_is_found(seed: int, kind: str) -> None:
    """Damage costs the records that it hits, and no other."""
    random_ = random.Random(seed)
    data, frames = records(12)
    start = random_.randrange(len(data))
    end = min(len(data), start + random_.randrange(1, 60))
    damaged = {
        "flip": data[:start] + bytes([data[start] ^ 1 << random_.randrange(8)]) + data[start + 1 :],
        "cut": data[:start],
        "overwrite": data[:start] + random_.randbytes(end - start) + data[end:],
        "insert": data[:start] + random_.randbytes(end - start) + data[start:],
    }[kind]
    expected = [number for number, whole in enumerate(frames) if whole in damaged]
    assert [found.id[0] for found in scan(damaged) if found is not None] == expected


def test_a_thousand_damaged_files(tmp_path: Path) -> None:
    """Reading a damaged file through the store gives intact spans only, never an exception, and ends."""
    kept, spans = store(tmp_path), encoded(8)
    for span in spans:
        assert kept.keep(batch([span]))
    kept.close()
    (path,) = (tmp_path / "d").iterdir()
    whole = path.read_bytes()
    random_ = random.Random(7)
    known = set(spans)
    for _ in range(1_000):
        damaged = bytearray(whole)
        for _ in range(random_.randrange(1, 4)):
            damaged[random_.randrange(len(damaged))] ^= 1 << random_.randrange(8)
        path.write_bytes(bytes(damaged[: random_.choice([len(damaged), random_.randrange(len(damaged))])]))
        following = store(tmp_path)
        following.look_around()
        found = drained(following)
        assert set(found) <= known
        assert following._counts.adopted == len(found) + following._counts.lost
        assert list((tmp_path / "d").iterdir()) == []


def test_a_damaged_head_costs_nothing(tmp_path: Path) -> None:
    """Where the file's own note of what was sent is wrong, everything is sent again."""
    kept, spans = store(tmp_path), encoded(4)
    for span in spans:
        assert kept.keep(batch([span]))
    taken = kept.take(200)
    assert taken is not None
    kept.done(taken)
    kept.close()
    (path,) = (tmp_path / "d").iterdir()
    path.write_bytes(b"\0" * 20 + path.read_bytes()[20:])
    following = store(tmp_path)
    assert following.look_around()
    assert drained(following) == spans


# --- disks ---


def test_a_read_only_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is kept, once and clearly said."""
    (tmp_path / "d").write_text("a file where the directory should be")
    kept = store(tmp_path)
    for _ in range(3):
        assert not kept.keep(batch(encoded()))
        assert not kept.set_aside(batch(encoded()))
        assert not kept.look_around()
        assert kept.take(1_000) is None
    assert caplog.text.count("cannot be kept") == 1


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from export.test_segments import batch, drained, encoded, store
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
kept, spans = store(Path({directory!r})), encoded(1, "x" * 6_000)
kept_ = [kept.keep(batch(spans)) for _ in range(5)]
kept._retry_at = 0
kept_.append(kept.keep(batch(spans)))
assert kept_ == [True, True, True, False, False, True], kept_
assert all(segment.path.stat().st_size == segment.size for segment in kept._segments)
assert len(drained(kept)) == 4
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """A write that the disk takes in part leaves no trace; later ones go to a new file."""
    paths = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent / "src")]
    program = LIMITED.format(paths=paths, directory=str(tmp_path))
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "cannot be kept" in done.stderr


def test_a_vanished_directory(tmp_path: Path) -> None:
    """Deleted files are still sent by their process, and rescued for the next one."""
    kept, spans = store(tmp_path), encoded(6)
    assert kept.keep(batch(spans[:2]))
    shutil.rmtree(tmp_path / "d")
    kept._seen_at = 0  # it looks once a second
    assert kept.keep(batch(spans[2:]))
    taken = kept.take(1_000_000)
    assert taken is not None
    assert taken.batch.spans == spans[:2]
    kept.close()
    following = store(tmp_path)
    assert following.look_around()
    assert sorted(drained(following)) == sorted(spans)


def test_new_files_are_locked_before_they_are_seen(tmp_path: Path) -> None:
    """No moment for another process to take a file over that is being made."""
    made = Segment.create(tmp_path / f"a{SUFFIX}")
    assert Segment.adopt(tmp_path / f"a{SUFFIX}") is None
    made.close()
    assert Segment.adopt(tmp_path / f"a{SUFFIX}") is not None
    assert [path.name for path in tmp_path.iterdir()] == [f"a{SUFFIX}"]


@pytest.mark.parametrize("text", ["x" * 1_000_000, '[{"a":"' + "y" * 1_000_000 + '"}]'])
def test_one_span_that_is_too_large(text: str) -> None:
    """Its texts are cut until it fits, the rest of it stays, JSON stays JSON."""
    from export.test_wire import only, ours

    (span,) = some_spans(1, text)
    cut = cut_to_fit(wire.encode(span), 50_000)
    assert cut is not None
    assert cut.size <= 50_000
    before, after = only(ours([span])), only(wire_request(cut))
    assert after.span_id == before.span_id
    value = after.attributes[0].value.string_value
    assert len(value) > 10_000
    assert text[0] != "[" or json.loads(value)
    assert cut_to_fit(wire.encode(span), 50) is None


def wire_request(span: wire.EncodedSpan) -> object:
    """What a receiver reads of one span."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return ExportTraceServiceRequest.FromString(wire.request([span]))
