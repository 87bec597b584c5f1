"""Batches that a collector refused, in files of their own: for people, and for a limited time.

Every process that uses the spool trims all of them but those that another one writes to, so a file that is
closed may be gone at any moment.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from otel_agentops.export.private import private_directory
from otel_agentops.export.segments import SUFFIX, Segment, frame, new_name
from otel_agentops.export.wire import request

if TYPE_CHECKING:
    from pathlib import Path

    from otel_agentops.export.batches import Batch
    from otel_agentops.export.counts import Counts

__all__ = ["REFUSED", "Refused"]

REFUSED = "refused"


class Refused:
    """The folder of one destination; the caller holds the lock of its store.

    Args:
        directory: The destination's.
        segment_bytes: Of one file, about.
        counts: Told what is lost.
    """

    def __init__(self, directory: Path, segment_bytes: int, counts: Counts) -> None:
        self._above = directory
        self._directory = directory / REFUSED
        self._segment_bytes = segment_bytes
        self._counts = counts
        self._current: Segment | None = None
        self._ours: set[Path] = set()  # while they are there

    def add(self, batch: Batch) -> None:
        """Write a batch.

        Raises:
            OSError: It cannot be written.
        """
        framed = frame(batch.id, len(batch.spans), request(batch.spans))
        current = self._current
        if current is None or current.removed or current.size + len(framed) > self._segment_bytes:
            self.close()
            private_directory(self._above)
            private_directory(self._directory)
            current = self._current = Segment.create(self._directory / new_name())
            self._ours.add(current.path)
        try:
            current.append(framed)
        except OSError:
            self.close()
            raise

    def trim(self, oldest: float, most_bytes: int) -> None:
        """Give up what is too old, and the oldest of what is too much.

        Args:
            oldest: When a file must have been written to, in seconds since the epoch.
            most_bytes: All files together.
        """
        used = 0
        paths = sorted(self._directory.glob(f"*{SUFFIX}"), reverse=True)
        self._ours.intersection_update(paths)  # whoever gave up the others has counted them
        for path in paths:
            with suppress(OSError):  # somebody else has just given it up
                status = path.stat()
                used += status.st_size
                if used > most_bytes or status.st_mtime < oldest:
                    self._give_up(path)

    def _give_up(self, path: Path) -> None:
        """Delete a file that no other process writes to; now its spans are lost, whoever set them aside.

        Raises:
            OSError: Somebody else was faster, or it cannot be deleted.
        """
        if self._current is not None and path == self._current.path:
            self.close()
        segment = Segment.adopt(path)
        if segment is None:  # its writer gives it up when it looks around
            return
        try:
            lost = sum(record.spans for record in segment.read(segment.size).records)
            path.unlink()
        finally:
            segment.close()
        if path in self._ours:
            self._ours.discard(path)
            self._counts.add("set_aside", -lost)
        else:
            self._counts.add("adopted", lost)
        self._counts.drop("refused, and no room or too old", lost)

    def close(self) -> None:
        """Leave the file that was written to as it is."""
        current, self._current = self._current, None
        if current is not None:
            current.close()
