"""What others do to a store while one thread is in the middle of something."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from export.test_segments import batch, drained, encoded, store
from otel_agentops.export import fresh
from otel_agentops.export import store as stores
from otel_agentops.export.fresh import Written
from otel_agentops.export.refused import REFUSED
from otel_agentops.export.segments import Segment, records_in
from otel_agentops.export.store import Store
from otel_agentops.export.wire import EncodedSpan

SPANS = encoded(6, "x" * 300)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def busy(kept: Store, meanwhile: Callable[[], object], count: int = 40) -> list[EncodedSpan]:
    """What six threads could keep while this one did something."""
    done: list[EncodedSpan] = []
    begin = threading.Barrier(7)

    def keep(span: EncodedSpan) -> None:
        begin.wait()
        done.extend(span for _ in range(count) if kept.keep(batch([span])))

    threads = [threading.Thread(target=keep, args=(span,)) for span in SPANS]
    for thread in threads:
        thread.start()
    begin.wait()
    meanwhile()
    for thread in threads:
        thread.join()
    return done


def test_a_file_goes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is another file's by then: that one is neither sent nor written to."""
    monkeypatch.setattr(fresh, "_MOST_BYTES", 0)
    kept, other = store(tmp_path), tmp_path / "other"
    assert kept.keep(batch(SPANS))
    other.write_bytes(bytes(9_000))
    opened: list[int] = []
    real = stores._read

    def read(segment: Segment, size: int, limit: int) -> Written:
        number = segment._fd
        os.utime(segment.path, (1, 1))
        kept.look_around()
        opened.append(os.open(other, os.O_RDWR))
        assert opened == [number]
        return real(segment, size, limit)

    monkeypatch.setattr(stores, "_read", read)
    assert kept.take(1_000_000) is None
    os.close(opened[0])
    assert other.read_bytes() == bytes(9_000)
    assert kept._counts.dropped == {"too old": 6}


@pytest.mark.usefixtures("restless")
def test_threads_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go to make room while one of them is read: what is taken waits still, and is counted once."""
    monkeypatch.setattr(fresh, "_MOST_BYTES", 2_000)
    kept, sent = store(tmp_path, max_bytes=20_000), 0

    def take() -> None:
        nonlocal sent
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            if (taken := kept.take(1_500)) is not None and kept.done(taken):
                sent += len(taken.batch.spans)

    ended = len(busy(kept, take, 200))
    assert ended == sent + kept.waiting + kept._counts.lost
    assert len(drained(kept)) == ended - sent - kept._counts.lost


@pytest.mark.usefixtures("restless")
def test_threads_at_the_end(tmp_path: Path) -> None:
    """What could be kept while the store was closed is in a file, each in a place of its own."""
    for number in range(25):
        kept = store(tmp_path / str(number))
        done = busy(kept, kept.close)
        kept.close()
        following = store(tmp_path / str(number))
        following.look_around()
        assert sorted(drained(following)) == sorted(done)


@pytest.mark.usefixtures("restless")
def test_kept_alone(tmp_path: Path) -> None:
    """What is kept and taken in one is that batch and nothing else."""
    last = batch(encoded(2, "last"))
    for number in range(25):
        kept, alone = store(tmp_path / str(number)), []
        busy(kept, lambda kept=kept, alone=alone: alone.append(kept.keep_alone(last)), 3)  # type: ignore[misc]
        found = drained(kept)
        if alone[0] is not None:
            assert alone[0].batch == last
            assert found[:2] == last.spans
        assert len(found) == 18 + 2 * (alone[0] is not None)


def test_the_directory_goes_just_before_the_end(tmp_path: Path) -> None:
    """Also between two looks at whether it is there, deleted files are rescued for the next process."""
    kept = store(tmp_path)
    assert kept.keep(batch(SPANS[:2]))
    assert kept.keep(batch(SPANS[2:]))  # it has looked now
    shutil.rmtree(tmp_path / "d")
    kept.close()
    following = store(tmp_path)
    assert following.look_around()
    assert drained(following) == SPANS


def test_refused_spans_after_their_file_is_gone(tmp_path: Path) -> None:
    """Somebody else has given up the file that is written to: the next ones get a file that is there."""
    kept = store(tmp_path)
    for number in range(3):
        assert kept.set_aside(batch(SPANS))
        (path,) = (tmp_path / "d" / REFUSED).iterdir()
        assert len(records_in(path.read_bytes()).records) == 1, number
        path.unlink()
    kept.look_around()
    assert not kept._refused._ours


def test_refused_spans_of_another_process_that_goes_on(tmp_path: Path) -> None:
    """Nobody but its writer gives a file up: what came meanwhile would be in no count."""
    writer, other = store(tmp_path), store(tmp_path, max_age_s=-1)  # to which everything is too old
    for number in range(1, 4):
        assert writer.set_aside(batch(SPANS))
        other.look_around()
        (path,) = (tmp_path / "d" / REFUSED).iterdir()
        assert len(records_in(path.read_bytes()).records) == number
    assert other._counts.lost == 0
    writer.close()
    other.look_around()
    assert list((tmp_path / "d" / REFUSED).iterdir()) == []
    assert (other._counts.adopted, other._counts.lost) == (3 * len(SPANS), 3 * len(SPANS))


def test_refused_when_it_has_made_room(tmp_path: Path) -> None:
    """Spans that are counted as dropped are not set aside as well."""
    kept = store(tmp_path)
    assert kept.keep(batch(SPANS))
    taken = kept.take(1_000_000)
    assert taken is not None
    os.utime(taken.segment.path, (1, 1))
    kept.look_around()
    assert kept._counts.dropped == {"too old": 6}
    assert kept.set_aside(taken.batch, taken) is None
    assert not (tmp_path / "d" / REFUSED).exists()
