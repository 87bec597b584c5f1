"""The spool directory of one destination: what could not be sent, in files with bounds.

    BASE/1f0c…/destination.txt   for people: protocol and host
    BASE/1f0c…/*.spool           batches that wait, each file with one owner
    BASE/1f0c…/refused/*.spool   batches that the collector refused

Files are taken over when the lock of their process is gone. No method raises, whatever the disk does.
"""

from __future__ import annotations

import os
import stat
import time
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.export.batches import Batch, first_of, joined_id
from otel_agentops.export.segments import SUFFIX, Segment, frame, records_in
from otel_agentops.export.unwire import spans_of
from otel_agentops.export.wire import request
from otel_agentops.failsafe import warn_once

if TYPE_CHECKING:
    from pathlib import Path

    from otel_agentops.export.counts import Counts
    from otel_agentops.export.wire import EncodedSpan

__all__ = ["REFUSED", "Store", "Taken", "private_directory", "write_privately"]

REFUSED = "refused"
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


def private_directory(path: Path) -> None:
    """Have a directory that nobody else can look into.

    Raises:
        OSError: There is none and none can be made, or it is somebody else's, or no directory.
    """
    for missing in (*(each for each in reversed(path.parents) if not each.exists()), path):
        missing.mkdir(mode=0o700, exist_ok=True)  # `parents=True` would ask the umask for these
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{path} is not a directory of our own")
    if found.st_mode & 0o077:
        path.chmod(0o700)


def write_privately(path: Path, text: str) -> None:
    """Write a small file that nobody else can read.

    Raises:
        OSError: It cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
        file.write(text)


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
        self._forget()

    def _forget(self) -> None:
        self._lock = RLock()
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._spans: dict[Segment, int] = {}
        self._skip = 0
        self._retry_at = 0.0
        self._number = 0
        self._bytes = 0
        self._others = 0
        self._seen_at = 0.0
        self._refused: Segment | None = None
        self._aside: set[Path] = set()  # files of refused spans that are ours, while they are there

    def reborn(self) -> None:
        """In a forked child: the parent goes on with the files, so let them go untouched."""
        mine = [*self._segments, *([self._refused] if self._refused else [])]
        self._forget()
        for segment in mine:
            segment.close()

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
        self._current = self._new(self.directory)
        self._own(self._current, 0)
        self._segments.append(self._current)
        return self._current

    def _own(self, segment: Segment, spans: int) -> None:
        self._spans[segment] = spans
        self._bytes += segment.size

    def _new(self, directory: Path) -> Segment:
        self._number += 1
        return Segment.create(directory / f"{time.time_ns():x}-{os.getpid()}-{self._number}{SUFFIX}")

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
        del self._spans[segment]
        self._bytes -= segment.size
        segment.close(remove=True)

    def set_aside(self, batch: Batch) -> bool:
        """Write a batch that was refused to a place of its own; False if that cannot be."""
        framed = frame(batch.id, len(batch.spans), request(batch.spans))
        with self._lock:
            try:
                if self._refused is None or self._refused.size + len(framed) > self._segment_bytes:
                    if self._refused is not None:
                        self._refused.close()
                    private_directory(self.directory)
                    private_directory(self.directory / REFUSED)
                    self._refused = self._new(self.directory / REFUSED)
                    self._aside.add(self._refused.path)
                self._refused.append(framed)
            except OSError as error:
                self._refused = None
                self._failed(error)
                return False
            return True

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
            try:
                taken = self._read(segment, size, limit)
            except OSError:
                taken = None
            if taken is not None and taken.batch.spans:
                return taken
            with self._lock:
                if segment in self._spans and (taken is None or segment.size == size):
                    self._drop(segment, "damaged")  # whatever was counted and is not there
                elif taken is not None:
                    self._advance(taken)

    def _read(self, segment: Segment, size: int, limit: int) -> Taken:
        portion = segment.read(limit, size)
        spans: list[EncodedSpan] = []
        ids: list[bytes] = []
        used, skip, end = 0, self._skip, segment.settled
        for record in portion.records:
            try:
                inside = spans_of(record.body)[skip:]
            except ValueError:
                inside = []
            fitting = first_of(inside, limit - used, not spans)
            spans += fitting
            used += sum(span.size for span in fitting)
            first, skip = skip, skip + len(fitting)
            whole = not first and len(fitting) == len(inside)
            if fitting:
                ids.append(record.id if whole else joined_id(record.id, bytes(f"{first}-{skip}", "ascii")))
            if len(fitting) < len(inside):
                break
            end, skip = record.end, 0
        else:
            end = portion.end
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
            try:
                found = self._adopt()
                self._trim()
            except OSError:  # no directory, or none that can be read
                return False
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
        self._trim_refused(oldest)

    def _trim_refused(self, oldest: float) -> None:
        """A quarter of the space, and nothing that is too old."""
        files = sorted((self.directory / REFUSED).glob(f"*{SUFFIX}"), reverse=True)
        used = 0
        for path in files:
            status = path.stat()
            used += status.st_size
            if used > self._max_bytes // 4 or status.st_mtime < oldest:
                self._give_up(path)

    def _give_up(self, path: Path) -> None:
        """Delete a file of refused spans; now they are lost, whoever set them aside."""
        lost = sum(record.spans for record in records_in(path.read_bytes()).records)
        path.unlink()
        if self._refused is not None and path == self._refused.path:
            self._refused.close()
            self._refused = None
        if path in self._aside:
            self._aside.discard(path)
            self._counts.add("set_aside", -lost)
        else:
            self._counts.add("adopted", lost)
        self._counts.drop("refused, and no room or too old", lost)

    def close(self) -> None:
        """Leave what waits to whoever looks around next."""
        with self._lock:
            for segment in [*self._segments]:
                try:
                    self._leave(segment)
                except OSError as error:
                    self._failed(error)
            for segment in self._segments:
                segment.close()
            if self._refused is not None:
                self._refused.close()
            self._forget()

    def _leave(self, segment: Segment) -> None:
        if segment.finished:
            self._remove(segment)
        elif segment.removed:  # somebody has deleted the file, but what is in it can still be read
            for record in segment.read(segment.size).records:
                framed = frame(record.id, record.spans, record.body)
                self._writable(len(framed), time.monotonic()).append(framed)
