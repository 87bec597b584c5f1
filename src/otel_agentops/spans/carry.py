"""Taking a place in the program to another thread: what runs there, runs right inside the same scope.

Of the context only what is ours goes along, the scope and the OpenTelemetry context. Context variables of
the program stay what they are without us: a thread of Python starts with none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from otel_agentops.spans.current import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from otel_agentops.accounting import Scope, Scopes

__all__ = ["Carried"]


class Carried:
    """A place inside an open scope; many threads may run something in it at once."""

    __slots__ = ("_context", "_scope", "_scopes")

    def __init__(self, scopes: Scopes, scope: Scope) -> None:
        self._scopes = scopes
        self._scope = scope
        self._context: Context = otel_context.get_current()

    @classmethod
    def from_here(cls) -> Carried | None:
        """Where the running code is; None outside every open scope."""
        recorder = current()
        scope = recorder.scopes.current() if recorder is not None else None
        return cls(recorder.scopes, scope) if recorder is not None and scope is not None else None

    def run(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call something as if it were called there, and leave what was current before."""
        scope, context = self._scopes.swap(self._scope), otel_context.get_current()
        otel_context.attach(self._context)
        try:
            return work(*args, **kwargs)
        finally:
            self._scopes.leave(self._scope, scope)
            if otel_context.get_current() is self._context:
                otel_context.attach(context)
