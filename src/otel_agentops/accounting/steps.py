"""What one agent did lately, packed: 24 bytes a step, so that thousands of sessions can be remembered."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FAILED", "History", "Seen", "now"]

_STEP = struct.Struct("<QQII")
_SIZE = _STEP.size
_TOKEN = struct.Struct("<Q")
_REST = struct.Struct("<QII")
_FEW = 32 * _SIZE
"""Bytes that are searched faster than they are marked."""
_MARKS = 8192
_KEPT = 256
"""Steps that an open session remembers."""
_SETTLED = 24
"""Steps that stay of a session between two requests: three times the longest cycle."""
FAILED = 0x8000_0000
"""Outcomes with this bit are errors."""


class Seen(NamedTuple):
    """One step of the past.

    Attributes:
        token: Who was asked what; tools have odd ones, prompts even ones.
        span_id: Its span, 0 if there was none.
        outcome: Fingerprint of what came of it; 0 while it runs or when nobody knows.
        ended: Milliseconds on the clock of `now`; 0 while it runs.
    """

    token: int
    span_id: int
    outcome: int
    ended: int


def now(time_ns: int | None = None) -> int:
    """A clock of 32 bits in milliseconds, never 0; the present when no UTC time is given."""
    return (((time.time_ns() if time_ns is None else time_ns) // 1_000_000) & 0xFFFF_FFFF) or 1


class History:
    """The last steps of one agent, oldest first.

    Attributes:
        first: Number of the oldest step that is remembered; numbers go on from there.
        turn: Number of the first step of the turn that is going on.
    """

    __slots__ = ("_packed", "_seen", "first", "turn")

    def __init__(self) -> None:
        self._packed = bytearray()
        self._seen: bytearray | None = None  # marks of the tokens that are there; searching takes long
        self.first = 0
        self.turn = 0

    def __len__(self) -> int:
        return len(self._packed) // _SIZE

    def new_turn(self) -> None:
        """What comes now belongs to another turn of the agent."""
        self.turn = self.first + len(self)

    def add(self, token: int, span_id: int = 0, outcome: int = 0, ended: int = 0) -> int:
        """Note a step; its number."""
        packed = self._packed
        size = len(packed)
        if self._seen is not None:
            if size >= 2 * _KEPT * _SIZE:
                self._forget(_KEPT)
                size = len(packed)
            self._seen[(token >> 1) % _MARKS] = 1
        elif size >= _FEW:
            self._mark()
            self._seen[(token >> 1) % _MARKS] = 1  # type: ignore[index]  # there is one now
        packed += _STEP.pack(token, span_id, outcome, ended)
        return self.first + size // _SIZE

    def _mark(self) -> None:
        self._seen = seen = bytearray(_MARKS)
        for step in _STEP.iter_unpack(self._packed):
            seen[(step[0] >> 1) % _MARKS] = 1

    def settle(self) -> None:
        """Forget all but the last few steps: nobody is working any more."""
        if len(self) > _SETTLED:
            self._forget(_SETTLED)
        self._packed = bytearray(self._packed)  # without the room to grow
        self._seen = None
        self.new_turn()

    def _forget(self, kept: int) -> None:
        self.first += len(self) - kept
        del self._packed[: len(self._packed) - kept * _SIZE]
        if self._seen is not None:
            self._mark()

    def end(self, number: int, span_id: int, outcome: int, ended: int) -> None:
        """A step that was noted when it started has ended."""
        at = (number - self.first) * _SIZE
        if at >= 0:
            _REST.pack_into(self._packed, at + _TOKEN.size, span_id, outcome, ended)

    def drop(self, number: int) -> None:
        """A step was noted that is not made after all."""
        at = (number - self.first) * _SIZE
        if number == self.first + len(self) - 1:
            del self._packed[-_SIZE:]
        elif at >= 0:  # others came after it: it becomes a prompt like no other, which says nothing
            _STEP.pack_into(self._packed, at, number << 1, 0, 0, now())

    def lacks(self, token: int) -> bool:
        """Whether there is certainly no step with this token; quick, and false where it would take long."""
        return self._seen is not None and not self._seen[(token >> 1) % _MARKS]

    def places(self, token: int, most: int) -> list[int]:
        """Numbers of the last steps with this token, at most so many, oldest first."""
        found: list[int] = []
        if self.lacks(token):
            return found
        packed, wanted = self._packed, _TOKEN.pack(token)
        at = packed.rfind(wanted)
        while at >= 0:
            if at % _SIZE == 0:
                found.append(self.first + at // _SIZE)
                if len(found) >= most:
                    break
            at = packed.rfind(wanted, 0, at + _TOKEN.size - 1)
        found.reverse()
        return found

    def seen(self, number: int) -> Seen:
        """One step."""
        return Seen._make(_STEP.unpack_from(self._packed, (number - self.first) * _SIZE))

    @property
    def last(self) -> Seen | None:
        """The step that was noted last; None before the first."""
        packed = self._packed
        return Seen._make(_STEP.unpack_from(packed, len(packed) - _SIZE)) if packed else None

    def since(self, number: int) -> Iterator[tuple[int, int, int, int]]:
        """All steps from this one on, as the fields of `Seen`."""
        return _STEP.iter_unpack(self._packed[(number - self.first) * _SIZE :])
