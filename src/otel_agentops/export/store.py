"""The spool directory of one destination: what could not be sent, in files with bounds.

    BASE/1f0c…/destination.txt   for people: protocol and host
    BASE/1f0c…/*.spool           batches that wait, each file with one owner
    BASE/1f0c…/refused/*.spool   batches that the collector refused

Files are taken over when the lock of their process is gone. No method raises, whatever the disk does.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.export.batches import Batch, first_of, joined_id
from otel_agentops.export.fresh import Fresh, Written
from otel_agentops.export.private import private_directory
from otel_agentops.export.refused import Refused
from otel_agentops.export.segments import SUFFIX, Segment, frame, new_name
from otel_agentops.export.unwire import spans_of
from otel_agentops.export.wire import request
from otel_agentops.failsafe import warn_once

if TYPE_CHECKING:
    from pathlib import Path

    from otel_agentops.export.counts import Counts
    from otel_agentops.export.segments import Record
    from otel_agentops.export.wire import EncodedSpan

__all__ = ["Store", "Taken"]

_SEGMENT_BYTES = 4_000_000
_SEEN_S = 1.0
_PAUSE_S = 5.0
"""Between two attempts on a disk that failed."""


class Taken(NamedTuple):
    """A batch that is read and not yet settled.

    Attributes:
        batch: Its spans.
        segment: Where it stands.
        end: Offset behind the last record that is in it whole.
        skip: Spans of the record behind it that are in it too.
    """

    batch: Batch
    segment: Segment
    end: int
    skip: int


def _read(segment: Segment, size: int, limit: int) -> Written:
    """What waits in a file; OSError if it cannot be read."""
    records, end, _ = segment.read(limit, size)
    return Written([(record.end, Batch(record.id, _spans(record))) for record in records], end)


def _spans(record: Record) -> list[EncodedSpan]:
    try:
        return spans_of(record.body)
    except ValueError:  # of another version: nothing that can be sent
        return []


class Store:
    """Batches in files, oldest first.

    Args:
        directory: For this destination alone.
        max_bytes: For all files together, also those of other processes.
        max_age_s: Files that were not written to for longer are given up.
        counts: Told what is lost.
    """

    def __init__(self, directory: Path, max_bytes: int, max_age_s: float, counts: Counts) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = min(_SEGMENT_BYTES, max(max_bytes // 4, 1))
        self._max_age_s = max_age_s
        self._counts = counts
        self._lock = RLock()
        self._forget()

    def _forget(self) -> None:
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._spans: dict[Segment, int] = {}
        self._skip = 0
        self._retry_at = 0.0
        self._bytes = 0
        self._others = 0
        self._seen_at = 0.0
        self._fresh = Fresh()
        self._refused = Refused(self.directory, self._segment_bytes, self._counts)

    def reborn(self) -> None:
        """In a forked child: the parent goes on with the files, so let them go untouched."""
        mine, refused = self._segments, self._refused
        self._lock = RLock()  # a thread that the child has not got may hold the other
        self._forget()
        for segment in mine:
            segment.close()
        refused.close()

    # --- writing ---

    def keep(self, batch: Batch) -> bool:
        """Write a batch; False if it cannot be kept, which is logged once per reason."""
        framed = frame(batch.id, len(batch.spans), request(batch.spans))
        more = len(framed)
        with self._lock:
            now = time.monotonic()
            if more > self._max_bytes or now < self._retry_at:
                return False
            try:
                if self._others + self._bytes + more > self._max_bytes:
                    self._make_room(more)
                segment = self._writable(more, now)
                segment.append(framed)
            except OSError as error:
                self._failed(error)
                return False
            self._bytes += more
            self._spans[segment] += len(batch.spans)
            self._fresh.note(segment, segment.size - more, batch)
            return True

    def _failed(self, error: OSError) -> None:
        self._current = None
        self._retry_at = time.monotonic() + _PAUSE_S
        reason = os.strerror(error.errno) if error.errno else str(error)
        warn_once(
            f"spool {self.directory} {reason}",
            "spans cannot be kept in %s: %s; they wait in memory instead",
            self.directory,
            reason,
        )

    def _writable(self, more: int, now: float) -> Segment:
        """The current file, or a new one where that is full or deleted.

        Whether it has been deleted is asked now and then: for each span it costs too much.
        """
        current = self._current
        if current is not None and current.size + more <= self._segment_bytes:
            if now - self._seen_at < _SEEN_S:
                return current
            self._seen_at = now
            if not current.removed:
                return current
        private_directory(self.directory)
        self._current = Segment.create(self.directory / new_name())
        self._own(self._current, 0)
        self._segments.append(self._current)
        return self._current

    def _own(self, segment: Segment, spans: int) -> None:
        self._spans[segment] = spans
        self._bytes += segment.size

    def _make_room(self, more: int) -> None:
        while self._segments and self.size + more > self._max_bytes:
            self._drop(self._segments[0], "spool full")
        if self.size + more > self._max_bytes:
            raise OSError("the spool is full of other processes' spans")

    def _drop(self, segment: Segment, reason: str) -> None:
        left = self._spans[segment]
        self._remove(segment)
        self._counts.drop(reason, left)

    def _remove(self, segment: Segment) -> None:
        if segment is self._segments[0]:
            self._skip = 0
        if segment is self._current:
            self._current = None
        self._segments.remove(segment)
        self._fresh.forget(segment)
        del self._spans[segment]
        self._bytes -= segment.size
        segment.close(remove=True)

    def keep_alone(self, batch: Batch) -> Taken | None:
        """Write a batch and take it, in one; None if it cannot be kept or others wait, which go first."""
        with self._lock:
            return self.take(1 << 62) if not self.waiting and self.keep(batch) else None

    def set_aside(self, batch: Batch, taken: Taken | None = None) -> bool | None:
        """Write a batch that was refused to a place of its own.

        Args:
            batch: What was refused.
            taken: Where it waits; that is settled. None if it came from memory.

        Returns:
            False if it cannot be written; None if it had to make room meanwhile, as `done` tells it.
        """
        with self._lock:
            if taken is not None and taken.segment not in self._spans:
                return None
            written = True
            try:
                self._refused.add(batch)
            except OSError as error:
                self._failed(error)
                written = False
            if taken is not None:
                self.done(taken)
            return written

    # --- reading ---

    @property
    def size(self) -> int:
        """Bytes of all files of this destination, those of others as they were at the last look."""
        return self._others + self._bytes

    @property
    def waiting(self) -> int:
        """Spans that wait in files of ours."""
        with self._lock:
            return sum(self._spans.values())

    def take(self, limit: int) -> Taken | None:
        """The oldest spans, at most so many bytes of them but one at least; None if none wait."""
        while True:
            with self._lock:
                if not self._segments:
                    return None
                segment, size = self._segments[0], self._segments[0].size
                written = self._fresh.behind_settled(segment, limit)
            try:
                written = written or _read(segment, size, limit)
            except OSError:
                written = None
            taken = self._cut(segment, written, limit) if written is not None else None
            with self._lock:
                if segment not in self._spans:  # made room meanwhile: another file may have been read
                    continue
                if taken is not None and taken.batch.spans:
                    return taken
                if taken is None or segment.size == size:
                    self._drop(segment, "damaged")  # whatever was counted and is not there
                else:
                    self._advance(taken)

    def _cut(self, segment: Segment, written: Written, limit: int) -> Taken:
        """Of what was found behind what is settled, as much as may be sent together."""
        spans: list[EncodedSpan] = []
        ids: list[bytes] = []
        used, skip, end = 0, self._skip, segment.settled
        for record_end, batch in written.batches:
            inside = batch.spans[skip:] if skip else batch.spans
            fitting, size = first_of(inside, limit - used, not spans)
            spans += fitting
            used += size
            first, skip = skip, skip + len(fitting)
            whole = not first and len(fitting) == len(inside)
            if fitting:
                ids.append(batch.id if whole else joined_id(batch.id, bytes(f"{first}-{skip}", "ascii")))
            if len(fitting) < len(inside):
                break
            end, skip = record_end, 0
        else:
            end = written.end
        return Taken(Batch(joined_id(*ids) if ids else b"", spans), segment, end, skip)

    def done(self, taken: Taken) -> bool:
        """What was taken is settled; files with nothing else in them are deleted.

        Returns:
            False if it had to make room meanwhile, and has been counted as dropped.
        """
        with self._lock:
            if taken.segment not in self._spans:
                return False
            self._spans[taken.segment] -= len(taken.batch.spans)
            self._advance(taken)
            return True

    def _advance(self, taken: Taken) -> None:
        segment = taken.segment
        if taken.end > segment.settled:
            try:
                segment.settle(taken.end)
            except OSError as error:
                self._failed(error)
        self._skip = taken.skip
        if segment.finished and not taken.skip:
            left = self._spans[segment]
            self._remove(segment)
            self._counts.drop("damaged", left)

    # --- other processes' files, and bounds ---

    def look_around(self) -> bool:
        """Take over files of processes that are gone, and give up what is too old or too much.

        Returns:
            Whether something was taken over.
        """
        with self._lock:
            found = False
            with suppress(OSError):  # no directory, or none that can be read
                found = self._adopt()
                self._trim()
            return found

    def _adopt(self) -> bool:
        mine = {segment.path for segment in self._segments}
        adopted: list[Segment] = []
        self._others = 0
        for path in sorted(self.directory.glob(f"*{SUFFIX}")):
            if path in mine:
                continue
            try:
                segment = Segment.adopt(path)
                if segment is None:
                    self._others += path.stat().st_size
                    continue
                spans = sum(record.spans for record in segment.read(segment.size).records)
            except OSError:
                continue
            if not spans:
                segment.close(remove=True)
                continue
            self._counts.add("adopted", spans)
            self._own(segment, spans)
            adopted.append(segment)
        self._insert(adopted)
        return bool(adopted)

    def _insert(self, adopted: list[Segment]) -> None:
        """Oldest first, but not before the one that is being read."""
        first, rest = self._segments[:1], self._segments[1:]
        self._segments = [*first, *sorted([*rest, *adopted], key=lambda segment: segment.path.name)]

    def _trim(self) -> None:
        oldest = time.time() - self._max_age_s
        for segment in [*self._segments]:
            if segment.written_at < oldest:
                self._drop(segment, "too old")
        while self._segments and self.size > self._max_bytes:
            self._drop(self._segments[0], "spool full")
        self._refused.trim(oldest, self._max_bytes // 4)

    def close(self) -> None:
        """Leave what waits to whoever looks around next."""
        with self._lock:
            self._current = None  # it may have been deleted since the last look
            for segment in [*self._segments]:
                try:
                    self._leave(segment)
                except OSError as error:
                    self._failed(error)
            for segment in self._segments:
                segment.close()
            self._refused.close()
            self._forget()

    def _leave(self, segment: Segment) -> None:
        if segment.finished:
            self._remove(segment)
        elif segment.removed:  # somebody has deleted the file, but what is in it can still be read
            for record in segment.read(segment.size).records:
                framed = frame(record.id, record.spans, record.body)
                self._writable(len(framed), time.monotonic()).append(framed)
