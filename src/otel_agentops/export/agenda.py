"""When the sender has to do what: plain times and tallies, for its thread alone."""

from __future__ import annotations

import math
from typing import NamedTuple

from otel_agentops.export.ids import jitter

__all__ = ["KEEP_AGAIN_S", "SLOW_S", "Agenda", "Limits"]

SLOW_S = 2.0
"""Seconds after which an attempt counts as failing, so that nothing waits in memory for its end."""
KEEP_AGAIN_S = 1.0
_LOOK_S = 30.0
_EMPTY_S = 0.02
"""Seconds until a flush looks again for spans that another thread is just handing over."""
_LONGEST_WAIT_S = 30.0
_LONGEST_PAUSE_S = 3600.0


class Limits(NamedTuple):
    """How much and how long.

    Attributes:
        pack_bytes: One request.
        soon_bytes: So many in memory are sent at once.
        spill_bytes: More than so many go to the store, even if the collector seems well.
        queue_bytes: Memory at most; then the oldest are dropped.
        delay_s: Seconds that spans wait for others.
        timeout_s: Seconds of one attempt.
    """

    pack_bytes: int
    soon_bytes: int = 500_000
    spill_bytes: int = 16_000_000
    queue_bytes: int = 64_000_000
    delay_s: float = 5.0
    timeout_s: float = 10.0


class Agenda:
    """Moments on the monotonic clock, in seconds; 0 is long ago.

    Attributes:
        backlog: Whether there is something older than what came in last.
        retry_at: The collector is left alone until then.
        keep_at: The store is left alone until then.
        flushing: Whether somebody waits for everything to be sent.
        stop_at: Everything has to be over then; None for not at all.
        save_at: What is not sent by then goes to the store; a busy machine leaves no time for it at the end.
        failures: Attempts in a row that the collector was away.
    """

    def __init__(self, limits: Limits) -> None:
        self._soon_bytes = limits.soon_bytes
        self._delay_s = limits.delay_s
        self._fresh_bytes = 0
        self._fresh_since: float | None = None
        self._empty_until = 0.0
        self._look_at = 0.0
        self.backlog = False
        self.retry_at = 0.0
        self.keep_at = 0.0
        self.flushing = False
        self.stop_at: float | None = None
        self.save_at = math.inf
        self.failures = 0

    def stop(self, now: float, timeout_s: float) -> None:
        """Have everything sent or kept in so many seconds."""
        self.save_at = now + timeout_s / 2
        self.stop_at = now + timeout_s
        self.retry_at = 0.0

    # --- spans ---

    @property
    def timed(self) -> bool:
        """Whether spans that came in are waiting for their time, so that others may join them unnoticed."""
        return self._fresh_since is not None

    def came(self, size: int, now: float) -> None:
        """Note a new span."""
        self._fresh_bytes += size
        if self._fresh_since is None:
            self._fresh_since = now

    def went(self, size: int, now: float) -> None:
        """Note that spans are on their way."""
        self._fresh_bytes = max(0, self._fresh_bytes - size)
        self._fresh_since = now if self._fresh_bytes else None

    def none_left(self, now: float) -> None:
        """There was nothing to send."""
        self.backlog = False
        self._empty_until = now + _EMPTY_S
        self.kept()

    def kept(self) -> None:
        """Nothing is left in memory."""
        self._fresh_bytes, self._fresh_since = 0, None

    # --- the collector ---

    def taken(self) -> None:
        """It took a batch."""
        self.failures, self.retry_at = 0, 0.0

    def away(self, now: float, retry_after_s: float | None = None) -> None:
        """It did not, and may have said for how long; otherwise longer from time to time."""
        wait = retry_after_s
        if wait is None:
            wait = min(2.0**self.failures, _LONGEST_WAIT_S) * jitter()
        self.failures += 1
        self.retry_at = now + min(wait, _LONGEST_PAUSE_S)
        self.backlog = True

    # --- what is due ---

    def look_now(self, now: float) -> bool:
        """Whether to look for files of others now: at the start, and now and then until the end."""
        if now < self._look_at or (self.stop_at is not None and self._look_at):
            return False
        self._look_at = now + _LOOK_S
        return True

    def due(self, now: float) -> bool:
        """Whether to send something now."""
        if now < self.retry_at or (self.stop_at is not None and now >= self.stop_at):
            return False
        if self._must():
            return now >= self._empty_until
        fresh_at = self._fresh_at(now)
        return fresh_at is not None and now >= fresh_at

    def _must(self) -> bool:
        return self.backlog or self.stop_at is not None or self.flushing

    def _fresh_at(self, now: float) -> float | None:
        if self._fresh_since is None:
            return None
        return now if self._fresh_bytes >= self._soon_bytes else self._fresh_since + self._delay_s

    def pause(self, now: float, since: float | None, store: bool, crowded: bool) -> float:
        """Seconds until something has to be done.

        Args:
            now: The time.
            since: When the batch was sent that is on its way; None if none is.
            store: Whether there is one.
            crowded: Whether there is more in memory than should be.
        """
        moments = [now + _LOOK_S if self.stop_at is not None and self._look_at else self._look_at]
        if self.stop_at is not None:
            moments.append(self.stop_at if now >= self.save_at else self.save_at)
        if store:
            moments += self._keeping(now, since, crowded)
        if since is None:
            moments += self._sending(now)
        return max(0.0, min(moments) - now)

    def _keeping(self, now: float, since: float | None, crowded: bool) -> list[float]:
        """When memory has to go to the store."""
        fresh_at = self._fresh_at(now)
        if crowded:
            return [self.keep_at]
        if fresh_at is None or (since is None and now >= self.retry_at):
            return []
        return [max(fresh_at, self.keep_at, 0.0 if since is None else since + SLOW_S)]

    def _sending(self, now: float) -> list[float]:
        if self._must():
            return [max(self.retry_at, self._empty_until)]
        fresh_at = self._fresh_at(now)
        return [] if fresh_at is None else [max(fresh_at, self.retry_at)]
