"""What became of spans: every one that ended is delivered, waiting, set aside or counted as dropped."""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock

from otel_agentops.failsafe import logger

__all__ = ["Counts"]

_QUIET_S = 60.0


class Counts:
    """Tallies of one destination in this process.

    Attributes:
        ended: Spans that were handed over.
        adopted: Spans found in files of processes that are gone.
        delivered: Spans that the collector took.
        set_aside: Spans that it refused, kept in files of their own.
        dropped: Spans that are lost, by reason.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start from nothing, as a forked child does."""
        self.ended = 0
        self.adopted = 0
        self.delivered = 0
        self.set_aside = 0
        self.dropped: Counter[str] = Counter()
        self._lock = Lock()
        self._told_at = 0.0
        self._told = 0

    @property
    def lost(self) -> int:
        """Spans that were dropped for any reason."""
        return sum(self.dropped.values())

    @property
    def settled(self) -> int:
        """Spans that nothing more will happen to."""
        return self.delivered + self.set_aside + self.lost

    @property
    def total(self) -> int:
        """Spans that there ever were."""
        return self.ended + self.adopted

    @property
    def waiting(self) -> int:
        """Spans in memory and in files."""
        return self.total - self.settled

    def add(self, what: str, number: int) -> None:
        """Count spans under the name of an attribute."""
        with self._lock:
            setattr(self, what, getattr(self, what) + number)

    def drop(self, reason: str, number: int) -> None:
        """Count lost spans and say so, at most once a minute."""
        if not number:
            return
        with self._lock:
            self.dropped[reason] += number
            now = time.monotonic()
            if self._told and now - self._told_at < _QUIET_S:
                return
            number, self._told_at, self._told = self.lost - self._told, now, self.lost
            reasons = ", ".join(f"{reason}: {count}" for reason, count in self.dropped.items())
        logger.warning("%d spans were dropped (so far %s)", number, reasons)

    def as_dict(self) -> dict[str, int]:
        """All tallies, for people and tests."""
        names = ("ended", "adopted", "delivered", "waiting", "set_aside", "lost")
        return {name: getattr(self, name) for name in names}
