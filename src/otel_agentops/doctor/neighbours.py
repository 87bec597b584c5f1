"""Other tools that watch the same calls, and how they and this library get on."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_agentops.config import Config, variable
from otel_agentops.doctor.findings import Finding
from otel_agentops.doctor.versions import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["look"]

_ON = frozenset({"true", "1", "yes", "on"})


def look(_config: Config) -> Iterator[Finding]:
    """Who else is here, and which of their settings break traces."""
    yield _provider()
    for name, see in (("Sentry", _sentry), ("ddtrace", _ddtrace)):
        seen = see()
        if seen is not None:
            yield Finding("neighbours", "note", f"{name}: {seen}")
    for name in _instrumentors():
        yield Finding(
            "neighbours",
            "note",
            f"the instrumentation {name} is active",
            "if it records the same calls, switch one off: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        )
    for applies, level, text, advice in _TRAPS:
        if applies():
            yield Finding("neighbours", level, text, advice)  # type: ignore[arg-type]  # a literal in the table


def _provider() -> Finding:
    provider = trace.get_tracer_provider()
    kind = f"{type(provider).__module__}.{type(provider).__qualname__}"
    if isinstance(provider, trace.ProxyTracerProvider):
        return Finding("neighbours", "ok", "no tracer provider is set: init() will build one")
    if hasattr(provider, "add_span_processor"):
        return Finding("neighbours", "ok", f"a tracer provider is set ({kind}): it will be joined")
    return Finding(
        "neighbours",
        "warning",
        f"the tracer provider {kind} takes no span processors: spans of others get no cost",
        "set an SDK TracerProvider before that tool does, or accept costs on our own spans only",
    )


def _sentry() -> str | None:
    sentry = sys.modules.get("sentry_sdk")
    if sentry is None:
        number = installed("sentry-sdk")
        return f"{number} is installed, not imported here" if number else None
    return (
        "its client is active; it is another back end, not a duplicate" if sentry.is_initialized() else None
    )


def _ddtrace() -> str | None:
    number = installed("ddtrace")
    if number is None:
        return None
    running = "ddtrace.bootstrap.sitecustomize" in sys.modules or "ddtrace.auto" in sys.modules
    return f"{number} {'is running' if running else 'is installed, not running here'}"


def _instrumentors() -> Iterator[str]:
    """Active instrumentations; a package that nobody has imported is not imported to be looked at."""
    for point in entry_points(group="opentelemetry_instrumentor"):
        module = sys.modules.get(point.module)
        if module is None or point.module.startswith("otel_agentops"):
            continue
        kind: Any = getattr(module, point.attr or "", None)
        instance = vars(kind).get("_instance") if isinstance(kind, type) else None
        if instance is not None and getattr(instance, "is_instrumented_by_opentelemetry", False):
            yield point.name


def _set(name: str) -> Callable[[], bool]:
    return lambda: (variable(name) or "").lower() in _ON


def _is(name: str, value: str) -> Callable[[], bool]:
    return lambda: (variable(name) or "").lower() == value


def _with_ddtrace(applies: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: installed("ddtrace") is not None and applies()


_TRAPS: tuple[tuple[Callable[[], bool], str, str, str], ...] = (
    (
        _with_ddtrace(_set("DD_TRACE_OTEL_ENABLED")),
        "warning",
        "DD_TRACE_OTEL_ENABLED: ddtrace takes the global tracer provider, nothing reaches OTLP",
        "unset it, or pass a provider of your own: init(tracer_provider=...)",
    ),
    (
        _with_ddtrace(_is("OTEL_SDK_DISABLED", "false")),
        "warning",
        "OTEL_SDK_DISABLED=false makes ddtrace take the global tracer provider",
        "unset the variable: false is the default anyway",
    ),
    (
        _with_ddtrace(_set("DD_METRICS_OTEL_ENABLED")),
        "note",
        "DD_METRICS_OTEL_ENABLED replaces the OpenTelemetry context: spans of others may lose their parents",
        "our own spans keep theirs",
    ),
    (
        _with_ddtrace(_is("OTEL_TRACES_EXPORTER", "none")),
        "warning",
        "OTEL_TRACES_EXPORTER=none switches ddtrace's tracing off too",
        "unset it and use init(exporters=['none'])",
    ),
    (
        _with_ddtrace(_is("OTEL_TRACES_EXPORTER", "otlp")),
        "warning",
        "OTEL_TRACES_EXPORTER=otlp makes ddtrace send its spans there too: model calls arrive twice",
        "unset it: otlp is our default anyway",
    ),
    (
        lambda: variable("OTEL_EXPERIMENTAL_CONFIG_FILE") is not None,
        "warning",
        "OTEL_EXPERIMENTAL_CONFIG_FILE is ignored by the SDK",
        "use OTEL_CONFIG_FILE, with opentelemetry-configuration installed",
    ),
    (
        _set("OTEL_SDK_DISABLED"),
        "warning",
        "OTEL_SDK_DISABLED: nothing is exported",
        "unset it to see spans again; totals are counted all the same",
    ),
    (
        lambda: variable("OTEL_SEMCONV_STABILITY_OPT_IN") is not None,
        "note",
        "OTEL_SEMCONV_STABILITY_OPT_IN does not change what this library writes",
        "OTEL_AGENTOPS_SEMCONV does",
    ),
)
"""Rows of (whether it applies, level, what happens, what to do)."""
