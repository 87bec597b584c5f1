"""Streams that nobody finished, on their way from the garbage collector to their end.

A finaliser may run at any moment, also inside a lock of an exporter on the same thread, so it must not
end a span itself. It leaves the work here; a helper thread, started when the first stream is made, or
the next scope to end, whichever comes first, does it.
"""

from __future__ import annotations

import os
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from otel_agentops.failsafe import failsafe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["drain", "leave", "watch"]

_queue: SimpleQueue[Callable[[], object]] = SimpleQueue()
_wake: SimpleQueue[None] = SimpleQueue()
_worker: threading.Thread | None = None
_lock = threading.Lock()
_PATIENCE_S = 0.25
"""Seconds to wait for another thread's exporters; whoever drains may hold up an event loop."""
_draining = threading.RLock()
"""Held from taking work to having done it, so that whoever drains waits for what others took."""


def leave(work: Callable[[], object]) -> None:
    """Queue work; safe to call from `__del__`."""
    _queue.put(work)
    _wake.put(None)


def drain() -> None:
    """Have all queued work done when this returns, unless another thread is very slow at its part."""
    if not _draining.acquire(timeout=_PATIENCE_S):
        return
    try:
        while True:
            try:
                work = _queue.get_nowait()
            except Empty:
                return
            with failsafe("ending an abandoned stream"):
                work()
    finally:
        _draining.release()


def watch() -> None:
    """See to it that queued work is done soon."""
    global _worker  # noqa: PLW0603 - one helper a process
    if _worker is not None:
        return
    with _lock:
        if _worker is None:
            _worker = threading.Thread(target=_work, name="otel-agentops-streams", daemon=True)
            _worker.start()


def _work() -> None:
    while True:
        _wake.get()
        drain()


def _forget_worker() -> None:
    """Threads do not survive a fork, and locks may have been held by one."""
    global _worker, _lock, _draining, _queue, _wake
    _worker, _lock, _draining = None, threading.Lock(), threading.RLock()
    _queue, _wake = SimpleQueue(), SimpleQueue()


os.register_at_fork(after_in_child=_forget_worker)
