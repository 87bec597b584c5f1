"""A pipeline of our own, for programs that have none: SDK providers built from the standard variables.

Exporters are imported only when they are used, since the gRPC one alone costs more start-up time than
everything else together.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from otel_agentops.config import Config, ConfigError
from otel_agentops.export.destination import SCHEMES, only_stock, resolve, what
from otel_agentops.export.doubt import Doubt
from otel_agentops.export.ids import OwnIds
from otel_agentops.export.otlp import OtlpExporter, load
from otel_agentops.export.sender import LAST_S
from otel_agentops.export.spool import SpoolProcessor, make_sender
from otel_agentops.export.switch import Switch
from otel_agentops.export.workers import Workers
from otel_agentops.failsafe import failsafe, warn_once
from otel_agentops.interrupts import signals_elsewhere
from otel_agentops.processors import AgentOpsSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_agentops.export.destination import Destination
    from otel_agentops.export.later import LateMetricExporter
    from otel_agentops.export.sender import Sender

__all__ = ["Pipeline", "span_exporter"]


class Pipeline:
    """The providers that we made ourselves, and therefore flush and shut down ourselves.

    Attributes:
        tracer_provider: Its spans go to every exporter that the settings name.
        meter_provider: None when metrics are switched off.
    """

    def __init__(
        self,
        config: Config,
        exporters: Sequence[SpanExporter | str] = (),
        early: TracerProvider | None = None,
    ) -> None:
        if early is None:
            attributes = {"service.name": config.service_name} if config.service_name else {}
            resource = Resource.create(attributes)
            early = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=OwnIds())
            early.add_span_processor(AgentOpsSpanProcessor())
        self.tracer_provider = early
        self._resource = early.resource
        self._workers = Workers()
        self._switch = Switch(self._workers.wake)
        self.tracer_provider.add_span_processor(self._switch)
        self.meter_provider: MeterProvider | None = None
        self._spans: list[_Counted] = []
        self._late: list[LateMetricExporter] = []
        self.start(config, exporters)

    def start(self, config: Config, exporters: Sequence[SpanExporter | str] = ()) -> None:
        """Connect exporters; also again after `stop`, for a program that starts over."""
        self._processors: list[SpanProcessor] = []
        self._spans = []
        self._doubts: list[Doubt] = []
        self._spooled: list[Destination] = []
        self._switch.targets = ()
        if config.sdk_disabled:
            return
        for wanted in exporters:  # a wrong one is the developer's, who named it right here
            self._connect(wanted, config)
        for name in () if exporters else config.traces:
            with _set_up("span", name, Doubt.about(name, config)):
                self._connect(name, config)
        names = config.metrics if config.metrics is not None else () if exporters else ("otlp",)
        with _set_up("metric", ",".join(names)):
            if self.meter_provider is None:
                self.meter_provider = _meter_provider(names, config, self._resource, self._late)

    def prepare(self) -> None:
        """Import what sends, which is else put off until there is something to send."""
        imports = [functools.partial(load, destination) for destination in self._spooled]
        exporters: list[_Counted | LateMetricExporter] = [*self._spans, *self._late]
        for prepare in (*imports, *(exporter.prepare for exporter in exporters)):
            with failsafe("preparing an exporter"):
                prepare()

    def _connect(self, wanted: SpanExporter | str, config: Config) -> None:
        doubt = Doubt.about(wanted, config)
        destination = _destination(wanted, config) if config.spool else None
        if destination is not None:
            self._spooled.append(destination)
            self._spool(make_sender(config, destination), doubt)
            return
        exporter = span_exporter(wanted, config)
        if exporter is None:
            return
        counted = _Counted(exporter, doubt)
        self._spans.append(counted)
        with signals_elsewhere():
            processor = SimpleSpanProcessor(counted) if wanted == "console" else BatchSpanProcessor(counted)
        self._add(processor, doubt)

    def _spool(self, sender: Sender, doubt: Doubt | None) -> None:
        if doubt is not None:
            sender.why, sender.dispel = doubt.why, doubt.dispel
        with signals_elsewhere():
            processor = SpoolProcessor(sender)
        self._add(processor, doubt)

    def _add(self, processor: SpanProcessor, doubt: Doubt | None) -> None:
        self._processors.append(processor)
        if doubt is not None:
            self._doubts.append(doubt)
        self._switch.targets = tuple(self._processors)
        self._workers.want(len(self._processors))

    def flush(self, timeout_s: float) -> bool:
        """Send what is waiting.

        Returns:
            Whether every span was sent within `timeout_s` seconds, by the exporters' own answers; the
            SDK's answer says less.
        """
        works = [functools.partial(_flush, processor, timeout_s) for processor in self._processors]
        return self._send(works, timeout_s)

    def stop(self, timeout_s: float) -> bool:
        """Send what is waiting and let the exporters go; returns as `flush` does."""
        works = [functools.partial(_stop, processor, timeout_s) for processor in self._processors]
        return self._send(works, timeout_s + self._last_s)

    def save(self, timeout_s: float) -> bool:
        """Before the process is ended by force: send what is waiting, keep what can be kept; as `flush`.

        Should the process live on, spans go on leaving, by the spool if there is one.
        """
        works = [functools.partial(_save, processor, timeout_s) for processor in self._processors]
        return self._send(works, timeout_s + self._last_s)

    @property
    def _last_s(self) -> float:
        return LAST_S if any(isinstance(processor, SpoolProcessor) for processor in self._processors) else 0.0

    def _send(self, works: Sequence[Callable[[], bool]], timeout_s: float) -> bool:
        failed = sum(exporter.failed for exporter in self._spans)
        answers: list[bool] = []
        noted = [functools.partial(_note, work, answers) for work in works]
        sent = self._workers.within(timeout_s, noted, self._flush_metrics, self._hint)
        return sent and all(answers) and sum(exporter.failed for exporter in self._spans) == failed

    def _hint(self) -> None:
        for doubt in self._doubts:
            doubt.hint()

    def _flush_metrics(self) -> None:
        if self.meter_provider is not None:
            self.meter_provider.force_flush()


def _note(work: Callable[[], bool], answers: list[bool]) -> None:
    answers.append(work())


def _flush(processor: SpanProcessor, timeout_s: float) -> bool:
    if isinstance(processor, SpoolProcessor):
        return processor.sender.flush(timeout_s)
    processor.force_flush()
    return True  # what `_Counted` saw counts


def _save(processor: SpanProcessor, timeout_s: float) -> bool:
    if isinstance(processor, SpoolProcessor):
        return processor.sender.stop(timeout_s)
    return _flush(processor, timeout_s)


def _stop(processor: SpanProcessor, timeout_s: float) -> bool:
    if isinstance(processor, SpoolProcessor):
        return processor.sender.stop(timeout_s)
    processor.shutdown()
    return True


class _Counted(SpanExporter):
    """An exporter whose answers are remembered."""

    def __init__(self, exporter: SpanExporter, doubt: Doubt | None = None) -> None:
        self._exporter = exporter
        self._speaks = isinstance(exporter, OtlpExporter)
        self.doubt = doubt
        self.failed = 0
        if doubt is not None and isinstance(exporter, OtlpExporter):
            exporter.why = doubt.why

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass on, and note what failed."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._note(result, len(spans))
        return result

    def prepare(self) -> None:
        """Pass on, to those that can."""
        if isinstance(self._exporter, OtlpExporter):
            self._exporter.prepare()

    def _note(self, result: SpanExportResult, number: int) -> None:
        if result is SpanExportResult.SUCCESS:
            if self.doubt is not None:
                self.doubt.dispel()
            return
        self.failed += number
        if not self._speaks:
            warn_once(
                "export failed",
                "%d spans could not be exported by %s; see the exporter's own messages%s",
                number,
                type(self._exporter).__name__,
                self.doubt.why() if self.doubt is not None else "",
            )

    def shutdown(self) -> None:
        """Pass on."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Pass on."""
        return self._exporter.force_flush(timeout_millis)


# --- exporters by name ---


@contextmanager
def _set_up(kind: str, name: str, doubt: Doubt | None = None) -> Iterator[None]:
    """Report an exporter that cannot be had, in one line; the others and the program go on."""
    variable = {"span": "OTEL_TRACES_EXPORTER", "metric": "OTEL_METRICS_EXPORTER"}[kind]
    with failsafe(f"setting up the {kind} exporter {name}"):
        try:
            yield
        except ConfigError as error:
            warn_once(variable, "%s; no %ss are sent there", error, kind)
        except (ImportError, OSError) as error:  # a package, or a file that a variable names
            why = doubt.why() if doubt is not None else ""
            warn_once(variable, "%s=%r cannot be used: %s%s", variable, name, error, why)


def span_exporter(wanted: SpanExporter | str, config: Config) -> SpanExporter | None:
    """The exporter of a name, a URL or an exporter object itself; None for `none`.

    Args:
        wanted: `otlp`, `console`, `none`, `http(s)://host:port` (OTLP over HTTP), `grpc(s)://host:port`
            (OTLP over gRPC), the name of an exporter that is installed, or a `SpanExporter`.
        config: Protocol and variables of the OTLP exporters.

    Raises:
        ConfigError: No exporter has that name.
    """
    if not isinstance(wanted, str):
        if not hasattr(wanted, "export"):
            raise ConfigError("exporters", wanted, "names, URLs and objects with export()")
        return wanted
    scheme = wanted.partition("://")[0]
    make = _SPAN_EXPORTERS.get(scheme)
    if make is not None:
        return make(wanted, config)
    exporter: SpanExporter = _installed("opentelemetry_traces_exporter", wanted, "OTEL_TRACES_EXPORTER")()
    return exporter


def _destination(wanted: object, config: Config) -> Destination | None:
    """Where OTLP goes by our own means; None for what is not OTLP, or only for the stock exporters."""
    meant = None if only_stock(config.otlp) else what(wanted, config.traces_protocol)
    # `requests` comes with the stock exporter, which may do without it one day
    if meant is None or (meant[0] != "grpc" and find_spec("requests") is None):
        return None
    return resolve(config.otlp, *meant)


def _otlp(wanted: str, config: Config) -> SpanExporter:
    own = _destination(wanted, config)
    if own is not None:
        return OtlpExporter(own)
    protocol, url = what(wanted, config.traces_protocol) or (config.traces_protocol, None)
    destination = resolve(config.otlp, protocol, url)
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter as Grpc,
        )

        return Grpc() if url is None else Grpc(endpoint=destination.endpoint, insecure=destination.insecure)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return OTLPSpanExporter(endpoint=destination.endpoint)


def _console(_wanted: str, _config: Config) -> SpanExporter:
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415

    return ConsoleSpanExporter()


def _none(_wanted: str, _config: Config) -> None:
    return None


_SPAN_EXPORTERS: dict[str, Callable[[str, Config], SpanExporter | None]] = {
    "otlp": _otlp,
    "console": _console,
    "none": _none,
    **dict.fromkeys(SCHEMES, _otlp),
}


def _installed(group: str, name: str, setting: str) -> Any:
    found = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        raise ConfigError(setting, name, ", ".join(sorted({*found, "otlp", "console", "none"})))
    return found[name].load()


def _meter_provider(
    names: tuple[str, ...], config: Config, resource: Resource, late: list[LateMetricExporter]
) -> MeterProvider | None:
    wanted = [name for name in names if name != "none"]
    if not wanted:
        return None
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - 20 ms for those who want none
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    with signals_elsewhere():
        readers = [PeriodicExportingMetricReader(_metric_exporter(name, config, late)) for name in wanted]
    return MeterProvider(readers, resource=resource, shutdown_on_exit=False)


_NOT_LATER = (
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
)
"""The reader asks an exporter for these at once."""


def _metric_exporter(name: str, config: Config, late: list[LateMetricExporter]) -> Any:
    if name != "otlp":
        return _installed("opentelemetry_metrics_exporter", name, "OTEL_METRICS_EXPORTER")()
    make = _grpc_metrics if config.metrics_protocol == "grpc" else _http_metrics
    if any(config.otlp.get(variable) for variable in _NOT_LATER):
        return make()
    from otel_agentops.export.later import LateMetricExporter  # noqa: PLC0415 - with the SDK's metrics

    late.append(LateMetricExporter(make))
    return late[-1]


def _grpc_metrics() -> Any:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    return OTLPMetricExporter()


def _http_metrics() -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    return OTLPMetricExporter()
