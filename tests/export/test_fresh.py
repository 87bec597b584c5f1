"""What was written last is taken from memory, and nobody can tell that from reading the files."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.test_segments import batch, drained, encoded, store
from otel_agentops.export import fresh
from otel_agentops.export import store as stores
from otel_agentops.export.refused import REFUSED
from otel_agentops.export.segments import SUFFIX
from otel_agentops.export.store import Store
from otel_agentops.export.wire import EncodedSpan

SPANS = encoded(8, "x" * 300)
KEEP = st.tuples(st.just("keep"), st.integers(1, 8))
TAKE = st.tuples(st.just("take"), st.integers(1, 6_000))
STEPS = st.lists(st.one_of(KEEP, TAKE, st.tuples(st.just("look"), st.just(0))), max_size=40)


def play(kept: Store, steps: list[tuple[str, int]]) -> None:
    """Do this to a store, and see that what it gives is always the beginning of what waits."""
    waiting: list[EncodedSpan] = []
    for what, number in steps:
        if what == "keep":
            assert kept.keep(batch(SPANS[:number]))
            waiting += SPANS[:number]
        elif what == "look":
            kept.look_around()
        elif (taken := kept.take(number)) is None:
            assert not waiting
        else:
            again = kept.take(number)
            assert again is not None
            assert again.batch == taken.batch
            assert taken.batch.spans == waiting[: len(taken.batch.spans)] != []
            if number % 3:
                assert kept.done(taken)
                del waiting[: len(taken.batch.spans)]
        assert kept.waiting == len(waiting)
    assert drained(kept, 2_000) == waiting


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([0, 3_000, 2_000_000]), st.sampled_from([6_000, 4_000_000]))
def test_in_order_once_and_gone(steps: list[tuple[str, int]], most: int, segment: int) -> None:
    """However much memory holds, and however often another file begins."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(fresh, "_MOST_BYTES", most)
        patch.setattr(stores, "_SEGMENT_BYTES", segment)
        kept = store(Path(folder))
        play(kept, steps)
        assert kept._counts.lost == kept._fresh._bytes == 0
        assert list(Path(folder).rglob(f"*{SUFFIX}")) == []


def test_it_is_not_read_again(tmp_path: Path) -> None:
    """What a file has lost since is still sent, also behind what has been sent before."""
    kept = store(tmp_path)
    for span in SPANS:
        assert kept.keep(batch([span]))
    first = kept.take(1)
    assert first is not None
    assert kept.done(first)
    (path,) = (tmp_path / "d").iterdir()
    os.truncate(path, 40)
    assert [*first.batch.spans, *drained(kept)] == SPANS
    assert kept._counts.lost == 0


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are held; the oldest come from their file."""
    monkeypatch.setattr(fresh, "_MOST_BYTES", 10_000)
    kept = store(tmp_path)
    for span in SPANS * 20:
        assert kept.keep(batch([span]))
        assert kept._fresh._bytes <= 10_000
    assert drained(kept, 5_000) == SPANS * 20
    assert not kept._fresh._written


def test_refused_spans_that_somebody_else_gives_up(tmp_path: Path) -> None:
    """A file that is gone at the second look costs neither the other files their turn nor a take-over."""
    dead = store(tmp_path)
    assert dead.keep(batch(SPANS))
    assert dead.set_aside(batch(SPANS))
    dead.close()
    (tmp_path / "d" / REFUSED / f"z{SUFFIX}").symlink_to(tmp_path / "nowhere")  # listed, and not there
    kept = store(tmp_path, max_age_s=3600)
    (path,) = (each for each in (tmp_path / "d" / REFUSED).iterdir() if not each.is_symlink())
    os.utime(path, (1, 1))
    assert kept.look_around()
    assert drained(kept) == SPANS
    assert not path.exists()
    assert kept._counts.lost == len(SPANS)
