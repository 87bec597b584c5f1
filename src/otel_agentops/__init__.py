"""OpenTelemetry for AI agents: sessions, agents, tools and model calls as spans, with exact costs.

The names below are loaded when they are first used: whoever imports one module of ours, as
`opentelemetry-instrument` does in every process, neither pays for the others nor fails with them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from otel_agentops.accounting import Budget, BudgetExceeded, Finding, LoopDetected
    from otel_agentops.config import ConfigError
    from otel_agentops.decorators import agent, model_call, operation, session, start_session, tool
    from otel_agentops.pricing import Adjust, Alias, Price, PriceFileError
    from otel_agentops.processors import AgentOpsSpanProcessor
    from otel_agentops.processors.logs import AgentOpsLogProcessor
    from otel_agentops.records import Usage
    from otel_agentops.runtime import (
        Runtime,
        end_session,
        flush,
        init,
        instrument,
        shutdown,
        tracer,
        uninstrument,
    )

__all__ = [
    "Adjust",
    "AgentOpsLogProcessor",
    "AgentOpsSpanProcessor",
    "Alias",
    "Budget",
    "BudgetExceeded",
    "ConfigError",
    "Finding",
    "LoopDetected",
    "Price",
    "PriceFileError",
    "Runtime",
    "Usage",
    "agent",
    "end_session",
    "flush",
    "init",
    "instrument",
    "model_call",
    "operation",
    "session",
    "shutdown",
    "start_session",
    "tool",
    "tracer",
    "uninstrument",
]

_PLACES = {
    "accounting": ("Budget", "BudgetExceeded", "Finding", "LoopDetected"),
    "config": ("ConfigError",),
    "decorators": ("agent", "model_call", "operation", "session", "start_session", "tool"),
    "pricing": ("Adjust", "Alias", "Price", "PriceFileError"),
    "processors": ("AgentOpsSpanProcessor",),
    "processors.logs": ("AgentOpsLogProcessor",),
    "records": ("Usage",),
    "runtime": (
        "Runtime", "end_session", "flush", "init", "instrument", "shutdown", "tracer", "uninstrument",
    ),
}  # fmt: skip
_HOMES = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
