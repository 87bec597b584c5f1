"""How signals reach the main thread, which alone runs their handlers.

Python notes a signal and runs its handler as soon as the main thread is between two of its instructions.
A wait that the thread is just about to begin, for a lock, is not interrupted by a signal that came before.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["on_main_thread", "signals_elsewhere", "wake_for"]

_WAIT_FOR_MAIN = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD")


def on_main_thread() -> bool:
    """Whether handlers may be set here."""
    return os.name == "posix" and threading.current_thread() is threading.main_thread()


@contextmanager
def signals_elsewhere() -> Iterator[None]:
    """Threads that are started in the block are never given the process's signals.

    Of two signals at once the kernel may give both to another thread while the main one sleeps, and
    sleeps on: Python runs their handlers on the main thread, when that wakes.
    """
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name) for name in _WAIT_FOR_MAIN})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- a signal that came just before a wait ---

_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_pipe: tuple[int, int] | None = None


def wake_for(number: int, unheard: Callable[[], bool]) -> None:
    """Have the main thread interrupted once more when a signal has come and its handler does not run.

    On the main thread only. Nothing is done where somebody else, such as asyncio, is woken by signals.

    Args:
        number: Of the signal.
        unheard: Whether its handler is still to run.

    Raises:
        OSError: The process may have no more files.
        RuntimeError: The process may have no more threads.
    """
    global _pipe  # noqa: PLW0603 - there is one such descriptor a process
    if _pipe is not None or "trio" in sys.modules:  # which warns of a descriptor that is there before its own
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    _pipe = reader, writer
    if before != -1:
        signal.set_wakeup_fd(before)
        _close()
        return
    with signals_elsewhere():
        threading.Thread(
            target=_watch, args=(reader, number, unheard), name="otel-agentops-signals", daemon=True
        ).start()


def _watch(reader: int, number: int, unheard: Callable[[], bool]) -> None:
    while seen := os.read(reader, 64):
        for pause_s in _PAUSES_S if number in seen else ():
            time.sleep(pause_s)
            main = threading.main_thread().ident
            if main is None or not unheard():
                break
            signal.pthread_kill(main, number)


def _close() -> None:
    global _pipe  # noqa: PLW0603 - as above
    for each in _pipe or ():
        with suppress(OSError):
            os.close(each)
    _pipe = None


def _forget() -> None:
    """In a forked child: its signals must not be told to its parent."""
    if _pipe is not None:
        present = signal.set_wakeup_fd(-1)
        if present not in (-1, _pipe[1]):
            signal.set_wakeup_fd(present)
        _close()


os.register_at_fork(after_in_child=_forget)
