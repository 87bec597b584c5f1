"""LangChain and LangGraph, by langchain-core's own callbacks.

langchain-core takes handlers for the whole process (`register_configure_hook`); ours is registered once,
when langchain-core is imported by somebody else, and switched on and off by a flag, since there is no way
to take a handler back.
"""

from __future__ import annotations

import importlib
from contextvars import ContextVar
from importlib.metadata import version
from threading import Lock
from typing import Any

import wrapt

from otel_agentops.failsafe import failsafe
from otel_agentops.instrumentation.switches import TargetState
from otel_agentops.spans import at_end

__all__ = ["INSTRUMENTOR", "LangChain"]

_HOOKS = "langchain_core.tracers.context"
_BASE = "langchain_core.callbacks.base"


class LangChain:
    """Switches the callbacks on and off.

    Attributes:
        name: What `instrument()` and the settings call it.
        package: The distribution that has the callbacks.
        modules: The module whose import the handler waits for.
        handler: The callback handler; None until langchain-core is imported.
    """

    name = "langchain"
    package = "langchain-core"
    modules = (_HOOKS,)

    def __init__(self) -> None:
        self.handler: Any = None
        self._active = False
        self._waits = False
        self._lock = Lock()

    @property
    def active(self) -> bool:
        """Whether it is switched on."""
        return self._active

    def instrument(self) -> None:
        """Switch on, now or when langchain-core is imported. Idempotent."""
        with self._lock:
            self._switch(True)
            waits, self._waits = self._waits, True
        if not waits:
            wrapt.register_post_import_hook(self._register, _HOOKS)

    def uninstrument(self) -> None:
        """Switch off; the handler stays where it is and does nothing."""
        with self._lock:
            self._switch(False)

    def to_top(self) -> None:
        """Callbacks lie beside those of others, not around them."""

    def inspect(self) -> list[TargetState]:
        """Whether the handler is registered."""
        state = "active" if self._active else "off"
        return [TargetState(_BASE, "not imported" if self.handler is None else state, ["otel-agentops"])]

    def _switch(self, active: bool) -> None:
        self._active = active
        if self.handler is not None:
            self.handler.active = active

    def _register(self, hooks: Any) -> None:
        with failsafe("registering with langchain-core"):
            # late: most programs never import langchain-core
            from otel_agentops.instrumentation.langchain_callbacks import Callbacks  # noqa: PLC0415

            base = importlib.import_module(_BASE).BaseCallbackHandler
            members = {"__reduce__": lambda _: (_handler, ())}
            handler = type("AgentOpsCallbackHandler", (Callbacks, base), members)()
            handler.active = self._active
            handler.apart = _apart(version("langchain-core"))
            variable = ContextVar("otel_agentops_langchain", default=handler)
            hooks.register_configure_hook(variable, inheritable=True)
            self.handler = handler
            at_end.append(handler.end_open)


def _apart(installed: str) -> bool:
    """Whether async models announce their calls in tasks of their own, as before 0.3.10."""
    parts = installed.split(".")[:3]
    return all(part.isdecimal() for part in parts) and [int(part) for part in parts] < [0, 3, 10]


INSTRUMENTOR = LangChain()


def _handler() -> Any:
    """What a pickled handler becomes: the one of the process that reads it."""
    return INSTRUMENTOR.handler
