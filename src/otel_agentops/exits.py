"""Ends of the process: the normal exit, SIGTERM, and children of `multiprocessing`.

Python runs nothing of ours when SIGTERM kills it, nor when a child of `multiprocessing` ends (`os._exit`).
Where spans go through a pipeline of our own it is ours to send them there, too. The program notices
nothing: exit status, output and the handlers that it sets itself stay what they are without us.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import wrapt

from otel_agentops.failsafe import failsafe
from otel_agentops.interrupts import on_main_thread, wake_for

__all__ = ["Exits"]

Work = Callable[[], object]


class Exits:
    """What is done when the process ends, however it does.

    Args:
        stop: At a normal exit.
        end_open: Ends what is still open; for where Python itself would do nothing more.
        save: Sends what has ended, or keeps it, within so many seconds, and takes no lock of ours; as above.
    """

    def __init__(self, stop: Work, end_open: Work, save: Callable[[float], object]) -> None:
        self._stop = stop
        self._end_open = end_open
        self._send_or_keep = save
        self._timeout_s = 0.0
        self._registered = False
        self._children = False
        self._armed = False
        self._busy = False
        self._asked = False
        self._handler: Any = self._on_sigterm  # one object: a method is a new one each time it is read

    def arm(self, owned: bool, sigterm: bool, timeout_s: float) -> None:
        """Be ready for the end; may be called again.

        Args:
            owned: Whether the pipeline is our own; another's owner looks after its ends.
            sigterm: Whether SIGTERM may be handled.
            timeout_s: Seconds that an end may wait for the last spans.
        """
        if not self._registered:
            atexit.register(self._stop)
            self._registered = True
        if not owned:
            return
        self._armed, self._timeout_s = True, timeout_s
        if sigterm:
            with failsafe("preparing for SIGTERM"):
                self._handle_sigterm()
        with failsafe("preparing for the ends of child processes"):
            if not self._children:
                self._children = True
                wrapt.register_post_import_hook(self._watch_children, "multiprocessing.util")

    def disarm(self) -> None:
        """After a shutdown: SIGTERM is handled by its default again."""
        self._armed = False
        with failsafe("giving SIGTERM back"):
            if on_main_thread() and self._in_place:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _save(self) -> None:
        """End what is open and send everything, but stop nothing.

        The main thread may have been interrupted anywhere, even with a lock of ours in its hands, so what
        is open is ended on another, and must not keep what has ended from leaving.
        """
        if not self._armed:
            return
        end = time.monotonic() + self._timeout_s
        with failsafe("sending what is waiting before the process ends"):
            ending = threading.Thread(target=self._end_open, name="otel-agentops-ending", daemon=True)
            try:
                ending.start()
                ending.join(self._timeout_s / 4)
            except RuntimeError:  # Python is exiting and starts no thread any more
                self._end_open()
            self._send_or_keep(max(0.0, end - time.monotonic()))

    # --- SIGTERM ---

    @property
    def _in_place(self) -> bool:
        return signal.getsignal(signal.SIGTERM) is self._handler

    def _handle_sigterm(self) -> None:
        if not on_main_thread():
            return
        present = signal.getsignal(signal.SIGTERM)
        if present is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._handler)
        else:
            self._beside_uvicorn(getattr(present, "__self__", None))

    def _on_sigterm(self, _number: int, _frame: object) -> None:
        """Send, then die of the signal as the program does without us."""
        if not self._in_place:
            return  # the program's own handler is in place and hands it on to what it found: it decides
        self._asked = True
        if not self._busy:
            with self.finishing():
                self._save()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """While the last spans leave, SIGTERM waits; it takes effect right afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._busy = True
        try:
            yield
        finally:  # also when Ctrl-C interrupts the waiting
            self._busy = False
            if self._asked:
                self._asked = False
                self._die()

    def _die(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        # the kernel keeps it from the first process of a container, which then runs on, as without us
        signal.signal(signal.SIGTERM, self._handler)

    def _beside_uvicorn(self, server: Any) -> None:
        """Send when a server of uvicorn has shut down.

        It gives SIGTERM back to the default and dies of it without leaving Python, and where `init()` is
        called while it runs (`--workers`, lifespan) its own handler is in place, so that ours cannot be.
        """
        uvicorn = sys.modules.get("uvicorn.server")
        if uvicorn is None or not isinstance(server, uvicorn.Server) or "shutdown" in vars(server):
            return
        shutdown = server.shutdown

        async def shutdown_and_send(*args: Any, **kwargs: Any) -> Any:
            try:
                return await shutdown(*args, **kwargs)
            finally:
                await asyncio.get_running_loop().run_in_executor(None, self._save)

        server.shutdown = shutdown_and_send

    # --- children of multiprocessing ---

    def _watch_children(self, util: Any) -> None:
        with failsafe("preparing for the ends of child processes"):
            util.register_after_fork(self, lambda exits: exits._at_end_of_child(util))
            process = sys.modules.get("multiprocessing.process")
            if process is not None and process.parent_process() is not None:
                self._at_end_of_child(util)  # `init()` in a child
            elif "__mp_main__" in sys.modules:
                self._wait_for_sigterm()  # and where a spawned one imports the program

    def _at_end_of_child(self, util: Any) -> None:
        util.Finalize(None, self._save, exitpriority=_LAST)
        self._wait_for_sigterm()

    def _wait_for_sigterm(self) -> None:
        """A child that is terminated just before it waits, as in pools that are left, must not wait on."""
        with failsafe("preparing for SIGTERM"):
            if on_main_thread() and self._in_place:
                wake_for(signal.SIGTERM, self._unheard)

    def _unheard(self) -> bool:
        """Whether a SIGTERM that has come is still to be noticed."""
        return self._in_place and not (self._busy or self._asked)


_LAST = -1000
"""After everything else, above all after queues have handed over their results (-5)."""
