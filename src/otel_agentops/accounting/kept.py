"""What outlives its use for a while: at most so many things, and none longer than an hour."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Kept"]

T = TypeVar("T")

_HOUR_S = 3600.0


class Kept(Generic[T]):
    """A bounded map that forgets what was used least recently, and whatever was not used for an hour.

    Not thread-safe by itself; the caller holds a lock.

    Args:
        most: Entries that are kept.
        clock: Seconds that only go forward.
    """

    __slots__ = ("_clock", "_entries", "_most")

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under this key, or else what `make` gives from now on."""
        now = self._clock()
        entries = self._entries
        known = entries.pop(key, None)
        value = make() if known is None or now - known[0] > _HOUR_S else known[1]
        entries[key] = now, value
        while len(entries) > self._most or now - next(iter(entries.values()))[0] > _HOUR_S:
            entries.popitem(last=False)
        return value
