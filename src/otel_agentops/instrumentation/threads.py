"""Threads keep their parents: `init(propagate_threads=True)`.

A thread starts without the context of the code that starts it, in Python as in OpenTelemetry. Here threads,
tasks of thread pools and callbacks of their futures run right inside the scope that they were handed over
in. Outside a scope of ours nothing is done, and nothing where OpenTelemetry's own instrumentation of
threads is on. `asyncio` keeps contexts by itself; its `run_in_executor` is a thread pool's `submit`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import sys
import threading
from threading import RLock
from typing import TYPE_CHECKING, Any

from otel_agentops.failsafe import failsafe
from otel_agentops.instrumentation.base import _Patch
from otel_agentops.spans import Carried

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["propagate"]

_lock = RLock()
_patches: dict[tuple[type, str], _Patch] = {}
_active = False
_handing_over = threading.local()


def propagate(on: bool) -> None:
    """Switch it on or off; both may be said twice."""
    global _active  # noqa: PLW0603 - the classes that are patched are the process's, too
    with _lock:
        _active = on
        for (owner, name), wrapper in _PLACES.items():
            with failsafe("following threads"):
                patch = _patches.get((owner, name))
                if on and patch is None:
                    patch = _patches[owner, name] = _Patch(owner, name)
                    patch.apply(wrapper)
                elif not on and patch is not None:
                    patch.undo()
                    if not patch.applied:  # below others ours stays, and passes on
                        del _patches[owner, name]


def _carried() -> Carried | None:
    if not _active or _official():
        return None
    with failsafe("following a thread"):
        return Carried.from_here()
    return None


def _official() -> bool:
    """Whether OpenTelemetry's own instrumentation of threads is on; it takes our spans along."""
    module = sys.modules.get("opentelemetry.instrumentation.threading")
    known = vars(module.ThreadingInstrumentor) if module is not None else {}
    return getattr(known.get("_instance"), "is_instrumented_by_opentelemetry", False) is True


def _start(wrapped: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`Thread.start`: what the thread runs, it runs inside."""
    carried = None if getattr(_handing_over, "on", False) else _carried()
    if carried is None:
        return wrapped(*args, **kwargs)
    restore: Callable[[], object] = _nothing
    with failsafe("following a thread"):
        restore = _replace_run(thread, carried)
    try:
        return wrapped(*args, **kwargs)
    except BaseException:
        restore()
        raise


def _replace_run(thread: threading.Thread, carried: Carried) -> Callable[[], object]:
    """Set `run` on the object, since subclasses have methods of their own; it is gone when it runs."""
    own, run = vars(thread).get("run"), thread.run

    def restore() -> None:
        if own is None:
            vars(thread).pop("run", None)
        else:
            vars(thread)["run"] = own

    def inside() -> None:
        restore()
        carried.run(run)

    vars(thread)["run"] = inside
    return restore


def _submit(wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`ThreadPoolExecutor.submit`: the task runs inside, the thread that it may start does not."""
    carried = _carried() if args and callable(args[0]) and not _leaves_process(pool) else None
    if carried is None:
        return wrapped(*args, **kwargs)
    before, _handing_over.on = getattr(_handing_over, "on", False), True
    try:
        return wrapped(functools.partial(carried.run, args[0]), *args[1:], **kwargs)
    finally:
        _handing_over.on = before


def _leaves_process(pool: Any) -> bool:
    """Pools of interpreters are thread pools, too, but pickle their tasks."""
    return any(kind.__module__ == "concurrent.futures.interpreter" for kind in type(pool).__mro__)


def _callback(
    wrapped: Callable[..., Any], _future: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`Future.add_done_callback`: the callback runs on whatever thread comes to the result."""
    carried = _carried() if args and callable(args[0]) else None
    if carried is None:
        return wrapped(*args, **kwargs)
    return wrapped(functools.partial(carried.run, args[0]), *args[1:], **kwargs)


def _nothing() -> None:
    """Nothing was replaced."""


_PLACES: dict[tuple[type, str], Callable[..., Any]] = {
    (threading.Thread, "start"): _start,
    (concurrent.futures.ThreadPoolExecutor, "submit"): _submit,
    (concurrent.futures.Future, "add_done_callback"): _callback,
}
