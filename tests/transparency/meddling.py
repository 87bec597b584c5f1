"""What an instrumentation must not do, one thing each, so that the kit can be seen to notice every one."""

from __future__ import annotations

import copy
import functools
import logging
import os
import random
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MEDDLINGS", "TOGETHER", "Meddling", "meddle"]

Call = Callable[..., Any]
_kept: list[Any] = []


@dataclass(frozen=True)
class Meddling:
    """One thing that an instrumentation must not do.

    Attributes:
        around: `(call, self, kwargs)` -> the result.
        scene: Where it shows.
        facet: In what, as a regular expression for the path to it.
        wrapped: Whether it passes for what it wraps.
    """

    around: Callable[[Call, Any, dict[str, Any]], Any]
    scene: str
    facet: str
    wrapped: bool = True


def _reads_ahead(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    stream = call(me, **kwargs)
    if type(stream).__name__ == "Stream":
        stream._iterator = iter(list(stream._iterator))
    return stream


def _drains(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    stream = call(me, **kwargs)
    return iter(list(stream)) if type(stream).__name__ == "Stream" else stream


def _drops_the_last(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    stream = call(me, **kwargs)
    if type(stream).__name__ == "Stream":
        stream._iterator = _all_but_last(stream._iterator)
    return stream


def _all_but_last(parts: Any) -> Any:
    before = next(parts)
    for part in parts:
        yield before
        before = part


def _copies(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    return call(me, **{name: copy.copy(value) for name, value in kwargs.items()})


def _edits(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    kwargs["messages"].append({"role": "user", "content": "more"})
    return call(me, **kwargs)


def _adds(**more: Any) -> Callable[[Call, Any, dict[str, Any]], Any]:
    return lambda call, me, kwargs: call(me, **{**kwargs, **more})


def _sends_twice(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    call(me, **kwargs)
    return call(me, **kwargs)


def _raises_its_own(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    try:
        return call(me, **kwargs)
    except Exception as error:
        raise RuntimeError(str(error)) from error


def _notes(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    try:
        return call(me, **kwargs)
    except Exception as error:
        error.add_note("seen")
        raise


def _raises_elsewhere(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    try:
        return call(me, **kwargs)
    except Exception as error:
        raise error.with_traceback(None) from None


def _looks_alike(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    return types.SimpleNamespace(**vars(call(me, **kwargs)))


def _passes(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
    return call(me, **kwargs)


def _open() -> None:
    _kept.append(Path(__file__).open())  # noqa: SIM115 - left open


def _after(act: Callable[[], object]) -> Callable[[Call, Any, dict[str, Any]], Any]:
    def around(call: Call, me: Any, kwargs: dict[str, Any]) -> Any:
        result = call(me, **kwargs)
        act()
        return result

    return around


def _thread() -> None:
    threading.Thread(target=time.sleep, args=(60,), daemon=True, name="left behind").start()


def _log() -> None:
    logging.getLogger("meddling").info("a line")


def _complain() -> None:
    logging.getLogger("otel_agentops.meddling").warning("a line")


def _attach() -> None:
    from opentelemetry import context

    context.attach(context.set_value("left", "behind"))


def _propagator() -> None:
    from opentelemetry import propagate
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagate.set_global_textmap(TraceContextTextMapPropagator())


OK, STREAM = "chat.completions.create: ok", "chat.completions.create: stream, step by step"
REFUSED, GIVEN = "chat.completions.create: refused with 429", "chat.completions.create: its arguments"
LOOKED_AT, WARM = "chat.completions.create: looked at", "async first call on a warm loop"

TOGETHER: tuple[dict[str, Meddling], ...] = (
    {
        "adds a header": Meddling(_adds(extra_headers={"x-more": "1"}), OK, r"\.wire\[0\]\[4\]"),
        "leaves a thread": Meddling(_after(_thread), OK, r"\.threads"),
        "leaves a file open": Meddling(_after(_open), OK, r"\.files"),
        "logs": Meddling(_after(_log), OK, r"\.logs"),
        "logs a warning as we would": Meddling(_after(_complain), OK, r"\.warned by us"),
        "warns": Meddling(_after(lambda: warnings.warn("more", stacklevel=1)), OK, r"\.warnings"),
        "prints": Meddling(_after(lambda: print("more")), OK, r"\.stdout"),
        "prints an error": Meddling(_after(lambda: sys.stderr.write("more\n")), OK, r"\.stderr"),
        "draws random numbers": Meddling(_after(random.random), OK, r"\.random numbers left"),
        "leaves the context changed": Meddling(_after(_attach), OK, r"\.context"),
        "sets a variable": Meddling(_after(lambda: os.environ.update(MORE="1")), OK, r"\.process\.environ"),
        "sets a signal's handler": Meddling(
            _after(lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN)), OK, r"\.process\.signals\.SIGUSR1"
        ),
        "sets a hook": Meddling(
            _after(lambda: setattr(sys, "displayhook", _after)), OK, r"\.process\.hooks\.display"
        ),
        "sets the propagator": Meddling(_after(_propagator), OK, r"\.process\.propagator"),
        "is seen by introspection": Meddling(_passes, LOOKED_AT, r"\.function\.signature", wrapped=False),
    },
    {
        "adds to the body": Meddling(_adds(extra_body={"more": 1}), OK, r"\.wire\[0\]\[5\]"),
        "reads a stream ahead": Meddling(_reads_ahead, STREAM, r"\.tape"),
        "copies arguments": Meddling(_copies, GIVEN, r"\.arrived\.changed"),
        "raises an error of its own": Meddling(_raises_its_own, REFUSED, r"\.raised\.class"),
        "holds up the loop": Meddling(_after(lambda: time.sleep(0.05)), WARM, "the loop stood still"),
    },
    {
        "gives a list for a stream": Meddling(_drains, STREAM, r"\.tape"),
        "changes arguments": Meddling(_edits, GIVEN, r"\.returned\.same"),
        "adds a note to an error": Meddling(_notes, REFUSED, r"\.raised\.notes"),
        "returns something alike": Meddling(_looks_alike, OK, r"\.returned\.isinstance"),
    },
    {
        "loses the last part of a stream": Meddling(_drops_the_last, STREAM, r"\.outcome\.returned\[0\]"),
        "takes an error's frames": Meddling(_raises_elsewhere, REFUSED, r"\.raised\.frames"),
        "sends twice": Meddling(_sends_twice, OK, r"\.wire"),
    },
)
"""By what each does; those that can be told apart in one program are together."""
MEDDLINGS = {name: each for together in TOGETHER for name, each in together.items()}


def meddle(name: str) -> None:
    """Let the methods of chats do it, outermost.

    Args:
        name: Of a meddling.
    """
    from openai.resources.chat import completions

    meddling = MEDDLINGS[name]
    for owner in (completions.Completions, completions.AsyncCompletions):
        original = owner.create

        def create(self: Any, _call: Any = original, **kwargs: Any) -> Any:
            return meddling.around(_call, self, kwargs)

        if meddling.wrapped:  # so that introspection shows nothing
            functools.update_wrapper(create, original)
        owner.create = create  # type: ignore[method-assign,assignment]
