"""The hooks of `opentelemetry-instrument`: entry points, and nothing of ours gets past them.

What a hook raises, and be it while it is imported, stops the instrumentations of everybody. So this
module imports next to nothing, and everything else is imported inside a guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]  # is untyped
    BaseInstrumentor,
)

from otel_agentops.failsafe import failsafe

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Instrumentor", "attach", "to_top"]

_DOING = "working under opentelemetry-instrument"
"""One for all hooks: what is broken for one is so for the others, and is said once."""


def attach() -> None:
    """`opentelemetry_pre_instrument`: the providers are set, nothing is instrumented yet."""
    with failsafe(_DOING):
        from otel_agentops import launch  # noqa: PLC0415 - guarded

        launch.attach()


def to_top() -> None:
    """`opentelemetry_post_instrument`: everybody is instrumented."""
    with failsafe(_DOING):
        from otel_agentops import launch  # noqa: PLC0415 - guarded

        launch.to_top()


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]  # is untyped
    """`opentelemetry_instrumentor`: the name, options and switch that launchers know us by."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: a library that is missing is no reason to leave the others alone."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Start; again is no mistake, since a declarative file and the launcher both do it.

        Args:
            **kwargs: Arguments of `init()`.
        """
        if not self.is_instrumented_by_opentelemetry:
            super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        with failsafe(_DOING):
            from otel_agentops import launch  # noqa: PLC0415 - guarded

            launch.instrument(kwargs)

    def _uninstrument(self, **_kwargs: Any) -> None:
        with failsafe(_DOING):
            from otel_agentops import runtime  # noqa: PLC0415 - guarded

            runtime.uninstrument()
