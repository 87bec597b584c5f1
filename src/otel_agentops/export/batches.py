"""Spans on their way to a collector: batches with an id, and the bounded queue that they come from."""

from __future__ import annotations

import os
from collections import deque
from hashlib import blake2b
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_agentops.export.wire import EncodedSpan

__all__ = ["Batch", "Queue", "first_of", "joined_id", "new_id", "packs"]

_prefix = os.urandom(8)
_numbers = count(1)


def new_id() -> bytes:
    """16 bytes that no other batch has."""
    return _prefix + next(_numbers).to_bytes(8)


def joined_id(*ids: bytes) -> bytes:
    """The id of a batch that is made of others, or of parts of them: the same for the same ones."""
    return ids[0] if len(ids) == 1 else blake2b(b"".join(ids), digest_size=16).digest()


def _new_prefix() -> None:
    global _prefix  # noqa: PLW0603 - a child must not go on with its parent's numbers
    _prefix = os.urandom(8)


os.register_at_fork(after_in_child=_new_prefix)


class Batch(NamedTuple):
    """Spans that are sent together.

    Attributes:
        id: Stays with them however often they are sent, so that a receiver can know them again.
        spans: In the order of their ends.
    """

    id: bytes
    spans: list[EncodedSpan]


def packs(spans: Sequence[EncodedSpan], limit: int) -> Iterator[list[EncodedSpan]]:
    """Spans in order, in portions of at most so many bytes; one that is larger has a portion of its own."""
    portion: list[EncodedSpan] = []
    size = 0
    for span in spans:
        if portion and size + span.size > limit:
            yield portion
            portion, size = [], 0
        portion.append(span)
        size += span.size
    if portion:
        yield portion


def first_of(spans: list[EncodedSpan], limit: int, at_least_one: bool) -> tuple[list[EncodedSpan], int]:
    """As many of the first as fit into so many bytes, and how many bytes those have."""
    size = 0
    for number, span in enumerate(spans):
        more = span.size
        if size + more > limit and (number or not at_least_one):
            return spans[:number], size
        size += more
    return spans, size


class Queue:
    """Encoded spans in memory, at most so many bytes of them.

    Attributes:
        size: Bytes in it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._spans: deque[EncodedSpan] = deque()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._spans)

    def put(self, span: EncodedSpan) -> int:
        """Append one; returns how many of the oldest had to go for it."""
        with self._lock:
            self._spans.append(span)
            self.size += span.size
            return self._fit()

    def put_back(self, spans: Iterable[EncodedSpan]) -> int:
        """Put spans to the front again; returns how many of the oldest had to go for them."""
        with self._lock:
            back = list(spans)
            self._spans.extendleft(reversed(back))
            self.size += sum(span.size for span in back)
            return self._fit()

    def _fit(self) -> int:
        dropped = 0
        while self.size > self.limit and self._spans:
            self.size -= self._spans.popleft().size
            dropped += 1
        return dropped

    def take(self, limit: int) -> list[EncodedSpan]:
        """The oldest, at most so many bytes of them, but one at least if there is any."""
        taken: list[EncodedSpan] = []
        size = 0
        with self._lock:
            while self._spans and (not taken or size + self._spans[0].size <= limit):
                taken.append(self._spans.popleft())
                size += taken[-1].size
            self.size -= size
        return taken
