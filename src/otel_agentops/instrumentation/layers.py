"""Who has wrapped a method: the layers around it, outermost first.

`__module__` and names are copied from the wrapped function by every well-behaved wrapper, so they tell
nothing; the globals of the function that really runs do.
"""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["layers_of", "owner_of"]

_MOST = 32

_PEERS = (
    ("otel_agentops", "otel-agentops"),
    ("sentry_sdk", "Sentry"),
    ("ddtrace", "ddtrace"),
    ("openinference", "OpenInference"),
    ("opentelemetry.instrumentation.genai", "opentelemetry genai"),
    ("opentelemetry.instrumentation.openai_v2", "opentelemetry openai-v2"),
    ("opentelemetry.instrumentation", "opentelemetry-instrumentation (OpenLLMetry and others)"),
    ("opentelemetry.util.genai", "opentelemetry genai"),
    ("traceloop", "OpenLLMetry"),
    ("logfire", "Logfire"),
    ("openlit", "OpenLIT"),
    ("langfuse", "Langfuse"),
    ("langsmith", "LangSmith"),
    ("mlflow", "MLflow"),
    ("agentops", "AgentOps"),
    ("newrelic", "New Relic"),
    ("elasticapm", "Elastic APM"),
    ("scout_apm", "Scout"),
)
"""Beginnings of module names, the longer ones first, and whose they are."""


def layers_of(owner: Any, name: str) -> list[str]:
    """Owners of the wrappers around a method, outermost first; the library's own layers are left out.

    Args:
        owner: The class that has the method.
        name: Its name.
    """
    try:
        layer = inspect.getattr_static(owner, name)
    except AttributeError:
        return []
    home = str(getattr(owner, "__module__", "")).partition(".")[0]
    found: list[str] = []
    for _ in range(_MOST):
        inner = getattr(layer, "__wrapped__", None)
        if inner is None:
            break
        module = _module(layer)
        if module.partition(".")[0] != home:
            found.append(owner_of(module))
        layer = inner
    return found


def owner_of(module: str) -> str:
    """Whose a module is: the name of a known neighbour, else the package."""
    for beginning, whose in _PEERS:
        if module == beginning or module.startswith(beginning + "."):
            return whose
    return module.partition(".")[0] or "unknown"


def _module(layer: Any) -> str:
    """The module of the code that a layer really runs."""
    runs = getattr(layer, "_self_wrapper", layer)  # wrapt's wrappers keep it there
    runs = getattr(runs, "func", runs)  # a partial
    runs = getattr(runs, "__func__", runs)  # a bound method
    names = getattr(runs, "__globals__", None)
    if isinstance(names, dict):
        return str(names.get("__name__", ""))
    return str(type(runs).__module__)
