"""Scenes of threads: what `propagate_threads` replaces, inside a session where there is one."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from opentelemetry import trace

from transparency.look import method_of, plain
from transparency.see import See, raised

__all__ = ["SCENES", "See"]

SCENES: dict[str, Callable[[See], Any]] = {}
"""All scenes by name."""
_mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="unset")


def scene(name: str) -> Callable[[Callable[[See], Any]], Callable[[See], Any]]:
    """Add a scene."""

    def add(function: Callable[[See], Any]) -> Callable[[See], Any]:
        SCENES[name] = function
        return function

    return add


class _Mine(threading.Thread):
    """A thread with a method of its own."""

    def __init__(self, see: See) -> None:
        super().__init__(name="mine")
        self.see = see

    def run(self) -> None:
        self.see.tape.append(f"run in {threading.current_thread().name}, {_mine.get()}")


@scene("thread: a target")
def _target(see: See) -> Any:
    thread = threading.Thread(target=see.tape.append, args=("ran",), name="t", daemon=True)
    before = sorted(vars(thread))
    returned = thread.start()
    thread.join()
    return returned, before, sorted(vars(thread)), thread.daemon, plain(repr(thread)), raised(thread.start)


@scene("thread: a class of the program's own")
def _own(see: See) -> Any:
    token = _mine.set("set")
    thread = _Mine(see)
    thread.start()
    thread.join()
    _mine.reset(token)
    return type(thread.run).__name__, sorted(vars(thread))


@scene("thread: run replaced on the object")
def _replaced(see: See) -> Any:
    thread = threading.Thread(name="t")
    thread.run = lambda: see.tape.append("ran mine")  # type: ignore[method-assign]
    thread.start()
    thread.join()
    return "run" in vars(thread)


@scene("thread: one that fails")
def _failing(see: See) -> Any:
    told: list[Any] = []
    before, threading.excepthook = threading.excepthook, told.append
    try:
        thread = threading.Thread(target=lambda: 1 / 0, name="t")
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    (error,) = told
    names = [frame.f_code.co_name for frame in _frames(error.exc_traceback)]
    return error.exc_type.__name__, str(error.exc_value), names[0], names[-1], error.thread is thread


def _frames(trace: Any) -> Any:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


@scene("thread: what it holds is let go")
def _let_go(see: See) -> Any:
    class Thing:
        pass

    thing = Thing()
    seen = weakref.ref(thing)
    thread = threading.Thread(target=lambda kept=thing: None, name="t")
    thread.start()
    thread.join()
    del thing
    gc.collect()
    return seen() is None


@scene("thread: a span of the program's own")
def _span(see: See) -> Any:
    tracer = trace.get_tracer("the program")
    thread = threading.Thread(target=lambda: tracer.start_span("inside").end(), name="t")
    thread.start()
    thread.join()


@scene("timer")
def _timer(see: See) -> Any:
    timer = threading.Timer(0.001, see.tape.append, ("rang",))
    timer.start()
    timer.join()


def _work(see: See, number: int, fail: bool = False) -> Any:
    see.tape.append(f"work {number} {_mine.get()}")
    if fail:
        raise LookupError("the program's own")
    return number, threading.current_thread().name.rpartition("_")[0]


@scene("pool: submit")
def _submit(see: See) -> Any:
    with ThreadPoolExecutor(1, "p", initializer=see.tape.append, initargs=("begun",)) as pool:
        good, bad = pool.submit(_work, see, 1), pool.submit(_work, see, number=2, fail=True)
        told = good.result(), raised(bad.result), plain(repr(good)), type(good).__name__
    return told, raised(lambda: pool.submit(print)), raised(lambda: ThreadPoolExecutor(1).submit())  # type: ignore[call-arg]


@scene("pool: map")
def _map(see: See) -> Any:
    with ThreadPoolExecutor(1, "p") as pool:
        return list(pool.map(lambda number: _work(see, number), range(3))), raised(
            lambda: list(pool.map(lambda number: 1 // number, [1, 0]))
        )


@scene("pool: cancelled and waited for")
def _cancelled(see: See) -> Any:
    gate = threading.Event()
    with ThreadPoolExecutor(1, "p") as pool:
        first, second = pool.submit(gate.wait, 5), pool.submit(_work, see, 2)
        cancelled = second.cancel()
        gate.set()
        done, undone = wait([first, second], 5)
    return cancelled, second.cancelled(), len(done), len(undone), raised(second.result)


@scene("pool: something that cannot be called")
def _uncallable(see: See) -> Any:
    with ThreadPoolExecutor(1, "p") as pool:
        return raised(pool.submit(None).result)  # type: ignore[arg-type]


@scene("future: callbacks")
def _callbacks(see: See) -> Any:
    future: Future[int] = Future()
    for number in range(2):
        future.add_done_callback(lambda done, n=number: see.tape.append(f"{n} told {done.result()}"))  # type: ignore[misc]
    future.add_done_callback(lambda _: 1 // 0)  # logged by the library
    future.set_result(7)
    future.add_done_callback(lambda done: see.tape.append(f"late {done is future}"))
    return raised(future.add_done_callback), raised(lambda: Future().add_done_callback(None))  # type: ignore[arg-type, call-arg]


@scene("loop: executors")
def _loop(see: See) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        inside = await loop.run_in_executor(None, lambda: _work(see, 1)[0])
        token = _mine.set("of the task")
        handed = await asyncio.to_thread(lambda: _work(see, 2)[0])
        _mine.reset(token)
        return inside, handed

    return asyncio.run(main())


@scene("methods: looked at")
def _looked_at(see: See) -> Any:
    methods = (threading.Thread.start, ThreadPoolExecutor.submit, Future.add_done_callback)
    bound = threading.Thread(name="t").start
    return [method_of(method) for method in methods], bound == bound.__self__.start  # type: ignore[attr-defined]
