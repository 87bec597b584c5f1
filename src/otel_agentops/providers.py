"""Whose pipeline spans go to: the program's, which is joined, or one of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import wrapt
from opentelemetry import metrics, trace

from otel_agentops.failsafe import failsafe, warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import TracerProvider

    from otel_agentops.config import Config
    from otel_agentops.export import Pipeline

__all__ = ["await_span", "declare", "explain_theirs", "own_pipeline", "prepare", "provide"]

_pipeline: Pipeline | None = None
_early: SdkTracerProvider | None = None
_joined: WeakSet[Any] = WeakSet()
_declared = False


def own_pipeline(provider: TracerProvider | None) -> Pipeline | None:
    """The pipeline behind this provider if we built it; None stands for the global provider."""
    if _pipeline is not None and provider in (None, _pipeline.tracer_provider):
        return _pipeline
    return None


def provide(
    config: Config,
    exporters: Sequence[SpanExporter | str],
    given: TracerProvider | None,
    take_over: bool = False,
) -> TracerProvider | None:
    """The provider to write to, joined or built; None for the global one.

    Args:
        config: The settings.
        exporters: Where spans go, instead of what the settings say.
        given: Write to this provider.
        take_over: Whether a provider is in use already that was set up without these settings.
    """
    if given is not None:
        _join(given)
        return given
    if take_over:
        _check_name(config)
    if _pipeline is not None:
        _connect(_pipeline, config, exporters, take_over)
        return _pipeline.tracer_provider
    existing = trace.get_tracer_provider()
    if existing is _early:
        return _build(config, exporters)
    if not isinstance(existing, trace.ProxyTracerProvider):
        _join(existing)
        if exporters:
            warn_once("exporters", "exporters= is not used: the program has a tracer provider of its own")
        return None
    if config.config_file is not None and not exporters:  # it has been read, and wants no provider
        return None
    return _build(config, exporters)


def await_span(config: Config, start: Callable[[], object]) -> bool:
    """Have everything started by the first span, of whomever; a provider is built where there is none.

    Args:
        config: The settings.
        start: What starts it, and comes here again by `provide`.

    Returns:
        Whether it will be; False where nobody can be told of spans, so that it must be started now.
    """
    global _early  # noqa: PLW0603 - as `_pipeline`
    from otel_agentops.export import Early, make_provider  # noqa: PLC0415 - loads the SDK

    provider = trace.get_tracer_provider()
    if provider in _joined:
        return True
    if isinstance(provider, trace.ProxyTracerProvider) and config.config_file is None:
        provider = _early = make_provider()
        trace.set_tracer_provider(provider)
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        return False
    add(Early(start))
    _joined.add(provider)
    return True


def declare(config: Config, applied: bool = False) -> None:
    """Apply the file of `OTEL_CONFIG_FILE`, once, unless the program has a pipeline already.

    The SDK reads it only under `opentelemetry-instrument`, and there only with a distro installed.

    Args:
        config: Names the file.
        applied: Whether it has been applied by somebody else.
    """
    global _declared  # noqa: PLW0603 - what it sets up is as global
    if config.config_file is None or config.sdk_disabled or _declared:
        return
    _declared = True
    if applied:
        return
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider) and _no_meter_provider():
        from otel_agentops.export import apply_file  # noqa: PLC0415 - as below

        apply_file(config.config_file)


def prepare(modules: Iterable[str] | None = None) -> None:
    """Import what sends the spans of a pipeline of ours.

    Args:
        modules: Do it when one of these is imported, which takes longer anyway; now when None.
    """
    pipeline = _pipeline
    if pipeline is None:
        return
    if modules is None:
        pipeline.prepare()
    for module in modules or ():
        wrapt.register_post_import_hook(lambda _module: pipeline.prepare(), module)


def explain_theirs(config: Config) -> None:
    """Say why the spans of a pipeline that the launcher's distro built do not arrive."""
    if _pipeline is None and hasattr(trace.get_tracer_provider(), "add_span_processor"):
        from otel_agentops.export import listen  # noqa: PLC0415 - as below

        listen(config)


def _connect(
    pipeline: Pipeline, config: Config, exporters: Sequence[SpanExporter | str], running: bool
) -> None:
    if not running:  # it was shut down before
        pipeline.start(config, exporters)
    elif exporters:
        pipeline.stop(config.exit_timeout_s)
        pipeline.start(config, exporters)


def _check_name(config: Config) -> None:
    """A provider's resource cannot be changed once it is there."""
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    named = resource.attributes.get("service.name") if resource is not None else None
    if config.service_name not in (None, named):
        warn_once(
            "service name",
            "service_name=%r is not used: spans are already sent as %r; set OTEL_SERVICE_NAME",
            config.service_name,
            named,
        )


def _build(config: Config, exporters: Sequence[SpanExporter | str]) -> TracerProvider | None:
    global _pipeline  # noqa: PLW0603 - the providers we own live as long as the process
    from otel_agentops.export import Pipeline  # noqa: PLC0415 - costs start-up time only where it is used

    _pipeline = Pipeline(config, exporters, _early)
    if _early is None:
        _joined.add(_pipeline.tracer_provider)
        trace.set_tracer_provider(_pipeline.tracer_provider)
    if _pipeline.meter_provider is not None and _no_meter_provider():
        metrics.set_meter_provider(_pipeline.meter_provider)
    return _pipeline.tracer_provider


def _no_meter_provider() -> bool:
    return not hasattr(metrics.get_meter_provider(), "force_flush")


def _join(provider: Any) -> None:
    """Attach the accounting to somebody else's provider, once; change nothing else about it."""
    if provider in _joined:
        return
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        warn_once(
            "no processors",
            "the tracer provider %s takes no span processors: our own spans and totals are right, but"
            " spans of others are not accounted for",
            type(provider).__name__,
        )
        return
    from otel_agentops.processors import AgentOpsSpanProcessor  # noqa: PLC0415 - as above

    with failsafe("joining the tracer provider"):
        add(AgentOpsSpanProcessor())
        _joined.add(provider)
