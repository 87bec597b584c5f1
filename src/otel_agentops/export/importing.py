"""Imports on threads of ours, long after the start of the program.

What exporters import takes longer than everything else at the start, and many programs that are started
under a launcher send nothing at all. So it is done when there is something to send.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["importing"]

_WAIT_S = 2.0
_lock = Lock()
_held = False


@contextmanager
def importing() -> Iterator[None]:
    """Import inside: a fork in the middle would leave the child an import that never ends, so it waits."""
    with _lock:
        yield


def _before_fork() -> None:
    global _held  # noqa: PLW0603 - forks come one at a time
    _held = _lock.acquire(timeout=_WAIT_S)


def _after_fork() -> None:
    if _held:
        _lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
