"""What was written to files last, kept in memory as well, so that it need not be read from them again.

With `durability="crash"` every span is in a file before its `end` returns, and most of them are sent a
moment later: reading, checking and taking apart what has only just been put together would cost as much as
writing it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otel_agentops.export.batches import Batch
    from otel_agentops.export.segments import Segment

__all__ = ["Fresh", "Written"]

_MOST_BYTES = 2_000_000
"""A few batches of the usual size; what is older is read from its file."""


class Written(NamedTuple):
    """What waits in a file.

    Attributes:
        batches: In order, each with the offset behind its record.
        end: Offset up to which that is all.
    """

    batches: list[tuple[int, Batch]]
    end: int


class _Place(NamedTuple):
    """A batch, and where its record stands."""

    segment: Segment
    start: int
    end: int
    batch: Batch


class Fresh:
    """The newest batches of a store, in the order in which they were written; the caller holds its lock."""

    def __init__(self) -> None:
        self._written: deque[_Place] = deque()
        self._bytes = 0

    def note(self, segment: Segment, start: int, batch: Batch) -> None:
        """Remember what now stands in a file between `start` and its end, and forget the oldest."""
        self._written.append(_Place(segment, start, segment.size, batch))
        self._bytes += segment.size - start
        while self._bytes > _MOST_BYTES:
            self._forget_first()

    def behind_settled(self, segment: Segment, limit: int) -> Written | None:
        """What waits in a file, if the first of it is here.

        Args:
            segment: The file.
            limit: Bytes, but one batch at least.
        """
        written = self._written
        while written and written[0].segment is segment and written[0].start < segment.settled:
            self._forget_first()
        if not written or written[0].segment is not segment or written[0].start != segment.settled:
            return None
        found: list[tuple[int, Batch]] = []
        most = segment.settled + limit
        for place in written:
            if place.segment is not segment or (found and place.end > most):
                break
            found.append((place.end, place.batch))
        return Written(found, found[-1][0])

    def forget(self, segment: Segment) -> None:
        """A file is gone."""
        kept = [each for each in self._written if each.segment is not segment]
        self._written = deque(kept)
        self._bytes = sum(each.end - each.start for each in kept)

    def _forget_first(self) -> None:
        first = self._written.popleft()
        self._bytes -= first.end - first.start
