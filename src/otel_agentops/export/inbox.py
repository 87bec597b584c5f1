"""How spans and questions reach the sender's thread, without a lock that an interrupted thread could hold.

A signal handler runs between any two steps of the main thread, also inside `put`, and waits for the last
spans to leave. Whatever is handed over here is therefore handed over by operations that are whole.
"""

from __future__ import annotations

import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from otel_agentops.export.wire import EncodedSpan, encode
from otel_agentops.failsafe import swallowed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_agentops.export.counts import Counts

__all__ = ["Inbox", "Waiters", "encoded"]

_SOON = 64
"""So many wait to be encoded, and the thread is woken."""
_AT_ONCE = 16
"""Spans that are encoded in one go: a third of a millisecond, in which other threads may have to wait."""
_MOST_RAW = 512
"""Spans whose size nobody knows yet."""


def encoded(span: ReadableSpan, counts: Counts) -> EncodedSpan | None:
    """An ended span; one that cannot be written is counted and costs no other."""
    try:
        return encode(span)
    except Exception as error:  # noqa: BLE001 - as said
        counts.add("ended", 1)
        counts.drop("could not be encoded", 1)
        swallowed("encoding a span", error)
        return None


class Inbox:
    """Spans that came in, and the bell that wakes the thread.

    Args:
        soon_bytes: The bell rings for so many bytes; for fewer only if nobody is going to look.

    Attributes:
        held: Bytes in it, about.
    """

    def __init__(self, soon_bytes: int) -> None:
        self._soon_bytes = soon_bytes
        self._spans: deque[ReadableSpan | EncodedSpan | int] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._bytes = 0
        self._raw = 0
        self._asleep = False
        self.held = 0

    def put(self, span: EncodedSpan, kept: bool) -> None:
        """Hand over a span, or the news that one is in the store."""
        size = span.size
        self._spans.append(size if kept else span)
        self.held += size  # two threads at once may lose one of them: these two are hints
        self._bytes += size
        if self._asleep or self._bytes >= self._soon_bytes:
            self._asleep, self._bytes = False, 0
            self._bell.put(None)

    @property
    def full(self) -> bool:
        """Whether so many wait to be encoded that the thread seems to be kept from it."""
        return len(self._spans) >= _MOST_RAW

    def put_raw(self, span: ReadableSpan) -> None:
        """Hand over a span that is still to be encoded."""
        self._spans.append(span)
        self._raw += 1
        if self._asleep or self._raw >= _SOON:
            self._asleep, self._raw = False, 0
            self._bell.put(None)

    def take(self, counts: Counts) -> list[EncodedSpan | int]:
        """Everything so far, counted and encoded: spans, and the sizes of those in the store."""
        self.held = self._raw = 0
        found: list[EncodedSpan | int] = []
        for number in range(1, len(self._spans) + 1):
            try:
                span = self._spans.popleft()
            except IndexError:  # at the end, others take out as well
                break
            known = span if isinstance(span, EncodedSpan | int) else encoded(span, counts)
            if known is not None:
                found.append(known)
            if number % _AT_ONCE == 0:
                time.sleep(0)  # whoever waits for the interpreter may go first
        counts.add("ended", len(found))
        return found

    def ring(self) -> None:
        """Wake the thread."""
        self._bell.put(None)

    def sleep(self, seconds: float, unless_put: bool) -> None:
        """Wait for the bell.

        Args:
            seconds: At most.
            unless_put: Whether each span is to ring it; else the thread looks by itself after that time.
        """
        self._asleep = unless_put
        if self._spans and unless_put:  # put there before it could know
            return
        try:
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()
        except Empty:
            self._asleep = False


class _Waiter:
    """Somebody who wants to know when everything is sent."""

    def __init__(self) -> None:
        self.seen = False
        self.target: int | None = None
        self.unhappy = 0
        self.hurry = False
        self.answer: SimpleQueue[bool] = SimpleQueue()


class Waiters:
    """Those who wait for a flush."""

    def __init__(self) -> None:
        self._all: deque[_Waiter] = deque()

    @property
    def hurry(self) -> bool:
        """Whether one of them cannot wait for the collector any longer."""
        return any(waiter.hurry for waiter in list(self._all))  # a copy: others append

    def wait(self, inbox: Inbox, timeout_s: float, rest_s: float) -> bool:
        """Wait for everything that is there now.

        Args:
            inbox: Its bell is rung.
            timeout_s: Seconds to wait for the collector.
            rest_s: Seconds after that for the store.

        Returns:
            Whether the collector has all of it.
        """
        waiter = _Waiter()
        self._all.append(waiter)
        inbox.ring()
        try:
            return waiter.answer.get(timeout=timeout_s)
        except Empty:
            waiter.hurry = True
            inbox.ring()
        try:
            return waiter.answer.get(timeout=rest_s)
        except Empty:
            return False

    def see(self) -> bool:
        """Note who is there, before the look at what has come in: they wait for that. Whether anybody is."""
        for waiter in list(self._all):
            waiter.seen = True
        return bool(self._all)

    def tell(self, counts: Counts, unhappy: int) -> bool:
        """Answer those who have waited for long enough; whether there are others. On the sender's thread."""
        for _ in range(len(self._all)):
            waiter = self._all.popleft()
            if waiter.target is None and waiter.seen:
                waiter.target, waiter.unhappy = counts.total, unhappy
            if waiter.target is not None and counts.settled >= waiter.target:
                waiter.answer.put(waiter.unhappy == unhappy)
            elif waiter.hurry:
                waiter.answer.put(False)
            else:
                self._all.append(waiter)
        return bool(self._all)
