"""What the doctor has to say: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Finding", "Level", "worst"]

Level = Literal["ok", "note", "warning", "error"]
_LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "error")


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        topic: `program`, `versions`, `libraries`, `neighbours`, `settings` or `endpoint`.
        level: `ok`, `note`, `warning` (something is lost or doubled), `error` (it does not work).
        text: What was found.
        advice: What to do about it; None if nothing.
    """

    topic: str
    level: Level
    text: str
    advice: str | None = None


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level; `ok` for none at all."""
    return max((finding.level for finding in findings), key=_LEVELS.index, default="ok")
