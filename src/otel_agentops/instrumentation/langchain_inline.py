"""Whether LangChain calls us inline, and what that must not take from other handlers.

Inline handlers run in the context of the run itself, which is how ours makes spans current. But where a
manager of async callbacks has any inline handler, langchain-core (0.3.10 to 1.7 at least) tells none but
those that a completion model starts: its own handlers for `astream_events` and `astream_log` then know
nothing of the run, and the program gets no events. There we are told as all the others are, in a task of
our own, and an SDK below finds our call by its words. Nothing but the frame that asks can tell that place
apart from any other.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar
from typing import Any

__all__ = ["in_loop", "in_own_task", "inline"]

_WHERE_IT_HARMS = "on_llm_start"
_COMPREHENSION = "<listcomp>"  # a frame of its own before Python 3.12

_asked_in: ContextVar[Any] = ContextVar("otel_agentops_langchain_asked_in", default=None)


def inline(handler: Any) -> bool:
    """Whether our handler is an inline one for whoever reads its attribute right now."""
    frame: Any = sys._getframe(2)
    if frame.f_code.co_name == _COMPREHENSION:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != _WHERE_IT_HARMS:
        return True
    handlers = getattr(frame.f_locals.get("self"), "handlers", None) or ()
    if any(each.run_inline for each in handlers if each is not handler):
        return True  # without us the others are not told either
    _asked_in.set(_task())
    return False


def in_own_task() -> bool:
    """Whether this task was started to tell us of a completion model."""
    asked_in = _asked_in.get()
    if asked_in is None:
        return False
    task = _task()
    return task is not None and task is not asked_in


def in_loop() -> bool:
    """Whether this is a task of an event loop."""
    return _task() is not None


def _task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None
