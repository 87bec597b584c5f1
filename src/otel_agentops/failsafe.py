"""Our failures are logged, never the caller's problem.

The library runs inside other people's programs. Each piece of our own work there is done inside
`failsafe("what we were doing")`: if it fails, the failure is counted and logged once per place, and
the program goes on. Under our own tests the failure is raised instead, so that nothing hides.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "Refusal",
    "failsafe",
    "failures",
    "forget_warnings",
    "logger",
    "reraise",
    "swallowed",
    "warn_once",
]

logger = logging.getLogger("otel_agentops")
"""The one logger of this library; everything it has to say goes there."""

failures: Counter[str] = Counter()
"""How often each piece of our work failed since the process started, by what it was doing."""

_raising = False
_warned: set[str] = set()
_WARNED_LIMIT = 4096


class Refusal(Exception):  # noqa: N818 - the name of what it is; those that are raised are named below it
    """What this library raises in the caller's own call because it was asked to: never a failure of ours."""


def reraise(on: bool) -> None:
    """Let our own failures through (for tests of this library) or keep them in (the default)."""
    global _raising  # noqa: PLW0603 - one process-wide switch for the test-suite
    _raising = on


def swallowed(doing: str, error: BaseException) -> None:
    """Count a failure of ours and log it once per place."""
    failures[doing] += 1
    if _raising:
        raise error
    if failures[doing] == 1:
        logger.warning("otel_agentops failed while %s; the program is not affected", doing, exc_info=error)


def warn_once(key: str, message: str, *args: object) -> None:
    """Log a warning the first time `key` is seen in this process."""
    if key in _warned or len(_warned) >= _WARNED_LIMIT:
        return
    _warned.add(key)
    logger.warning(message, *args)


def forget_warnings() -> None:
    """Warn about everything once more (for tests)."""
    _warned.clear()


class failsafe:  # noqa: N801 - reads as a statement: `with failsafe("pricing a call"):`
    """Run a block of our own code so that no exception of it leaves the block.

    Never put the caller's code inside: its exceptions must pass unchanged.

    Args:
        doing: What the block does, for the log and the counter; a constant, low-cardinality phrase.
    """

    __slots__ = ("doing",)

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, Refusal):
            return False
        swallowed(self.doing, error)
        return True
