"""Threads for work that may hang: sending what is waiting, within a deadline of our own.

The SDK's time-outs are not kept by its exporters. The threads are there before they are needed, because
Python 3.12 starts none any more while it exits.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread

from otel_agentops.failsafe import failsafe
from otel_agentops.interrupts import signals_elsewhere

__all__ = ["Workers"]

Work = Callable[[], object]


class Workers:
    """One thread for each destination, so that one that hangs does not cost another its spans."""

    def __init__(self) -> None:
        self._threads: list[_Worker] = []
        self._after = _Worker()
        self.want(1)

    def want(self, number: int) -> None:
        """Have at least this many."""
        while len(self._threads) < number:
            self._threads.append(_Worker())

    def wake(self) -> None:
        """Start the threads again that a fork has left behind."""
        for worker in (*self._threads, self._after):
            worker.wake()

    def within(
        self, timeout_s: float, works: Sequence[Work], afterwards: Work, meanwhile: Work | None = None
    ) -> bool:
        """Do works side by side and wait no longer than this for all of them.

        Args:
            timeout_s: Seconds to wait.
            works: What must be done, at most one for each thread.
            afterwards: Done after the last of them, since two encoders side by side would only wait for
                each other, and on a thread of its own, since it may hang as well.
            meanwhile: Done once, if there is much to wait for.

        Returns:
            Whether all of `works` was done; `afterwards` is waited for but does not count.
        """
        end = time.monotonic() + timeout_s
        done: list[Work] = []
        ended: SimpleQueue[None] = SimpleQueue()

        def run(work: Work, last: bool) -> None:
            with failsafe("sending what is waiting"):
                work()
                done.append(work)
            if last:
                self._after.do(finish)
            ended.put(None)

        def finish() -> None:
            with failsafe("sending metrics"):
                afterwards()
            ended.put(None)

        jobs = [*works] or [_nothing]
        for worker, job in zip(self._threads, jobs, strict=False):
            worker.do(functools.partial(run, job, job is jobs[-1]))
        if meanwhile is not None:
            doubts = functools.partial(self._after.do, functools.partial(_guarded, meanwhile))
            _wait_for(ended, len(jobs) + 1, end, time.monotonic() + timeout_s * _PATIENCE, doubts)
        else:
            _wait_for(ended, len(jobs) + 1, end, end, _nothing)
        return len(done) == len(jobs)


_PATIENCE = 0.25
"""Share of the time to wait after which one may ask why it takes so long."""


def _wait_for(ended: SimpleQueue[None], number: int, end: float, doubtful: float, doubts: Work) -> None:
    """Wait until so many have ended or it is time, and on the way do `doubts` once."""
    while number:
        try:
            ended.get(timeout=max(0.0, min(doubtful, end) - time.monotonic()))
            number -= 1
        except Empty:
            if doubtful >= end:
                return
            doubts()
            doubtful = end


def _guarded(work: Work) -> None:
    with failsafe("finding out why spans do not leave"):
        work()


def _nothing() -> None:
    """For pipelines without destinations."""


class _Worker:
    """A daemon thread that does one job after the other; started again in a forked child."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._jobs: SimpleQueue[Work] = SimpleQueue()
        self._thread = Thread(target=_serve, args=(self._jobs,), name="otel-agentops-flush", daemon=True)
        with signals_elsewhere():
            self._thread.start()

    def wake(self) -> None:
        """Have a living thread; RuntimeError where none can be had any more."""
        if not self._thread.is_alive():
            self._start()

    def do(self, job: Work) -> None:
        """Queue a job; where no thread can be had any more, it is done here and now."""
        try:
            self.wake()
        except RuntimeError:
            job()
            return
        self._jobs.put(job)


def _serve(jobs: SimpleQueue[Work]) -> None:
    while True:
        jobs.get()()
