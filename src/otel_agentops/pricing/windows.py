"""When a price holds: from a date, until a date, at some hours, on some days of the week; all in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALWAYS", "DAY_NS", "Window", "segment"]

DAY_NS = 86_400_000_000_000

_FIRST_WEEKDAY = 3
"""1970-01-01 was a Thursday."""

_BEGINNING = -(1 << 200)
_END = 1 << 200


class Window(NamedTuple):
    """A set of moments, in nanoseconds since 1970 (UTC).

    Attributes:
        from_ns: First moment inside; None for no start.
        until_ns: First moment outside again; None for no end.
        daily_ns: Start (inside) and end (outside) after midnight; an end before the start crosses
            midnight. None for the whole day.
        weekdays: Days of the week, Monday is 0; None for every day.
    """

    from_ns: int | None = None
    until_ns: int | None = None
    daily_ns: tuple[int, int] | None = None
    weekdays: frozenset[int] | None = None

    def active(self, at_ns: int) -> bool:
        """Whether the moment lies inside."""
        if self.from_ns is not None and at_ns < self.from_ns:
            return False
        if self.until_ns is not None and at_ns >= self.until_ns:
            return False
        if self.weekdays is not None and (at_ns // DAY_NS + _FIRST_WEEKDAY) % 7 not in self.weekdays:
            return False
        return self.daily_ns is None or _in_day(self.daily_ns, at_ns % DAY_NS)

    def edges(self, at_ns: int) -> Iterable[int]:
        """The moments around `at_ns` at which `active` may change."""
        yield from (edge for edge in (self.from_ns, self.until_ns) if edge is not None)
        midnight = at_ns - at_ns % DAY_NS
        if self.weekdays is not None:
            yield from (midnight, midnight + DAY_NS)
        for edge in self.daily_ns or ():
            yield from (midnight + edge - DAY_NS, midnight + edge, midnight + edge + DAY_NS)


ALWAYS = Window()


def _in_day(daily_ns: tuple[int, int], time_ns: int) -> bool:
    start, end = daily_ns
    if end < start:
        return time_ns >= start or time_ns < end
    return start <= time_ns < end


def segment(windows: Iterable[Window], at_ns: int) -> tuple[int, int]:
    """The longest interval around `at_ns`, end excluded, in which no window changes."""
    low, high = _BEGINNING, _END
    for window in windows:
        for edge in window.edges(at_ns):
            if edge <= at_ns:
                low = max(low, edge)
            else:
                high = min(high, edge)
    return low, high
