"""What everything that can be instrumented has in common, whether it is patched or has hooks of its own."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from opentelemetry.context import get_current

__all__ = ["MODELS_SUPPRESSED", "Gateable", "Instrumentation", "TargetState", "suppressed"]

MODELS_SUPPRESSED = "suppress_language_model_instrumentation"
"""Key in the context by which instrumentations of model calls ask each other to keep quiet."""


class TargetState(NamedTuple):
    """What became of one target.

    Attributes:
        name: Its full name: `module.Class.method`.
        state: `active`, `off`, `missing` in this version of the library, or `not imported` yet.
        layers: Who has wrapped the method, outermost first.
    """

    name: str
    state: str
    layers: list[str]


class Instrumentation(Protocol):
    """What can be switched on and off by its name."""

    @property
    def name(self) -> str:
        """What `instrument()` and the settings call it."""

    @property
    def active(self) -> bool:
        """Whether it is switched on."""

    def instrument(self) -> None:
        """Switch on; nothing is imported for it. Idempotent."""

    def uninstrument(self) -> None:
        """Switch off, and put everything back that can be put back."""

    def to_top(self) -> None:
        """Be outermost again, where others have wrapped the same since."""

    @property
    def package(self) -> str:
        """The distribution that is instrumented."""

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that something is done to when they are imported."""

    def inspect(self) -> list[TargetState]:
        """What became of each target in this process, and who else is there."""


@runtime_checkable
class Gateable(Protocol):
    """What can only check calls, without spans of its own.

    Attributes:
        gate: Whether it does so now.
        only_gate: Whether it can do nothing else.
    """

    gate: bool
    only_gate: bool


def suppressed(gate: bool = False) -> bool:
    """Whether somebody above asked instrumentations to keep quiet.

    Args:
        gate: Whether the call is only to be checked; then it does not matter that somebody else records it.
    """
    context = get_current()
    return bool(context.get("suppress_instrumentation") or (not gate and context.get(MODELS_SUPPRESSED)))
