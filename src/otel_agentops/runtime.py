"""`init()` and `shutdown()`: the one place that joins the parts."""

from __future__ import annotations

import time
from threading import RLock
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_agentops import providers
from otel_agentops.config import Config, ConfigError
from otel_agentops.exits import Exits
from otel_agentops.failsafe import failsafe, logger, warn_once
from otel_agentops.instrumentation import registry, threads
from otel_agentops.spans import Recorder, current, drain, end_streams, heard, price_book, use, wants_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer, TracerProvider

    from otel_agentops.accounting import Budget, Finding, Ledger
    from otel_agentops.pricing import Adjust, Alias, Price, PriceBook
    from otel_agentops.records import ModelCall

__all__ = ["Runtime", "end_session", "flush", "init", "instrument", "shutdown", "tracer", "uninstrument"]

_lock = RLock()
_runtime: Runtime | None = None


class Runtime:
    """What `init()` returns.

    Attributes:
        config: The settings in force.
        provider: The tracer provider that spans go to; None for whatever is the global one.
        launched: Whether `opentelemetry-instrument` started it and no `init()` has taken it over yet.
    """

    def __init__(
        self, config: Config, recorder: Recorder, provider: TracerProvider | None, launched: bool = False
    ) -> None:
        self.config = config
        self.provider = provider
        self.launched = launched
        self._recorder = recorder

    @property
    def total(self) -> Ledger:
        """What the whole process has spent since `init()`."""
        return self._recorder.scopes.process

    @property
    def remaining(self) -> dict[str, Decimal | int]:
        """What is left of the budgets of the process, by limit; empty where there is none."""
        return self._recorder.budgets.remaining(None)

    @property
    def prices(self) -> PriceBook:
        """The prices in force, and what they could not price."""
        return self._recorder.book

    def flush(self, timeout_s: float = 2.0) -> bool:
        """See `otel_agentops.flush`."""
        return flush(timeout_s)

    def shutdown(self, timeout_s: float | None = None) -> bool:
        """See `otel_agentops.shutdown`."""
        return shutdown(timeout_s)


def init(
    *,
    service_name: str | None = None,
    semconv: str | None = None,
    cost_names: str | None = None,
    foreign_spans: str | None = None,
    capture_content: bool | str | None = None,
    redact: str | Callable[[str], str] | Iterable[Any] | None = None,
    content_limit: int | None = None,
    loops: str | None = None,
    loop_limits: Mapping[str, int] | None = None,
    on_finding: Callable[[Finding], object] | None = None,
    budgets: Iterable[Budget] | Budget = (),
    auto_session: bool | None = None,
    stream_usage: bool | None = None,
    stream_usage_hosts: Iterable[str] | None = None,
    prices: Iterable[str] | str | None = None,
    price_rules: Sequence[Price | Alias | Adjust] = (),
    price_hook: Callable[[ModelCall], Decimal | None] | None = None,
    instrument: Iterable[str] | None = None,
    gate: Iterable[str] | None = None,
    exporters: Sequence[SpanExporter | str] = (),
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    digest_key: bytes | str | None = None,
    exit_timeout_s: float | None = None,
    flush_on_sigterm: bool | None = None,
    propagate_threads: bool | None = None,
    spool: bool | None = None,
    spool_directory: str | None = None,
    durability: str | None = None,
    baggage: bool | None = None,
) -> Runtime:
    """Start recording; everything has a default. A second call changes nothing.

    A tracer provider that the program has set is joined: the accounting is attached to it and nothing
    else is touched. Where there is none, one is built from the standard `OTEL_*` variables. What
    `opentelemetry-instrument` has started is taken over: its providers stay, these settings hold.

    Args:
        service_name: `service.name`, where we build the provider.
        semconv: Names to write: `1.41` (default), `latest`, `1.36` or `langfuse`.
        cost_names: `default`, or `otel-443` for the names of the open proposal instead.
        foreign_spans: `complete`, or `cost` to add nothing but the cost to spans of others.
        capture_content: Write prompts, answers, tool arguments and results to the spans; `findings`
            writes only those of calls with which something is wrong.
        redact: What to take out of them and of error messages before they are written: `keys` (default),
            `email`, `cards`, pairs of a name and a regular expression, functions of a text, or `none`.
        content_limit: Characters that one content attribute may have; what is longer stays valid JSON.
        loops: What to do about loops: `warn` (default), `raise` (stop the next call), or `off`.
        loop_limits: Finding -> how often is too often; 0 is never.
        on_finding: Called for each new loop or silent failure, on the thread on which it happened.
        budgets: What the process may spend and, with `per`, each user and the like.
        auto_session: Open a session for the process at the first call outside any; None decides by
            what the process looks like.
        stream_usage: Ask for the usage of chat streams whose caller did not (default: yes).
        stream_usage_hosts: Further hosts that understand such a request.
        prices: Files with price rules.
        price_rules: Rules in code, which win over those in files.
        price_hook: Asked first about each call; returns US dollars, or None to pass.
        instrument: Names of libraries to instrument; all that are known when None.
        gate: Names of libraries, or `all`, whose calls are only checked, since others make their spans.
        exporters: Where spans go, instead of `OTEL_TRACES_EXPORTER`: names, URLs, exporter objects.
        tracer_provider: Write to this provider instead of the global one.
        meter_provider: The same for metrics.
        digest_key: Key of the prompt digests; set it to compare them between processes.
        exit_timeout_s: Seconds that the end of the process may wait for the last spans (default 2).
        flush_on_sigterm: Send what our pipeline has also at SIGTERM, if nobody handles that (default: yes).
        propagate_threads: Run threads inside the session or agent that they are started in (default: no).
        spool: Keep spans that cannot be sent in files, and send them later, where we build the provider.
        spool_directory: Where to keep them.
        durability: `outage` (default), or `crash` to write every span before its `end()` returns.
        baggage: Take session and user over from the caller's baggage and hand them on (default: no).

    Raises:
        ConfigError: A setting has a value that is not allowed; names setting, value and allowed values.
        PriceFileError: A price file cannot be used.
    """
    config = Config.load(
        service_name=service_name,
        semconv=semconv,
        cost_names=cost_names,
        foreign_spans=foreign_spans,
        capture_content=capture_content,
        redact=redact,
        content_limit=content_limit,
        loops=loops,
        loop_limits=loop_limits,
        auto_session=auto_session,
        stream_usage=stream_usage,
        stream_usage_hosts=stream_usage_hosts,
        prices=prices,
        digest_key=digest_key,
        exit_timeout_s=exit_timeout_s,
        flush_on_sigterm=flush_on_sigterm,
        propagate_threads=propagate_threads,
        baggage=baggage,
        instrument=instrument,
        gate=gate,
        spool=spool,
        spool_directory=spool_directory,
        durability=durability,
    )
    wanted = registry.wanted_by(config, strict=(instrument, gate) != (None, None))
    exporters = (exporters,) if isinstance(exporters, str) else tuple(exporters)
    watch = heard(on_finding, budgets)
    for given, method in ((tracer_provider, "get_tracer"), (meter_provider, "get_meter")):
        if given is not None and not hasattr(given, method):
            raise ConfigError(method.replace("get_", "") + "_provider", given, f"an object with {method}()")
    providers.declare(config)
    with _lock:
        if _runtime is not None and not _runtime.launched:
            if _runtime.config != config:
                warn_once("init twice", "init() was called again with other settings; the first ones hold")
            return _runtime
        book = price_book(config, tuple(price_rules), price_hook, strict=prices is not None)
        for name in wanted:
            book.warm(name, time.time_ns())
        runtime = _start(config, book, exporters, tracer_provider, meter_provider, **watch)
    registry.drop_others(wanted)  # those of the launcher, which knows the variables alone
    registry.install(wanted, config.gate)
    providers.prepare()
    return runtime


def launch(
    config: Config,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    again: bool = False,
) -> None:
    """Start recording for `opentelemetry-instrument`, until an `init()` of the program takes over.

    `again`: whether these settings hold where it has been started already, since somebody gave them.
    """
    with _lock:
        if _runtime is not None and not (again and _runtime.launched):
            return
        wanted = registry.wanted_by(config)
        book = price_book(config)
        _start(config, book, (), tracer_provider, meter_provider, launched=True)
    registry.install(wanted, config.gate)
    providers.prepare([module for instrumentor in registry.loaded() for module in instrumentor.modules])
    registry.when_imported(lambda name: book.warm(name, time.time_ns()))


def launched() -> None:
    """Everybody else is installed: be the outermost again, which sees what the program sees."""
    for instrumentor in registry.loaded():
        with failsafe(f"instrumenting {instrumentor.name} once more"):
            instrumentor.to_top()


def _start(
    config: Config,
    book: PriceBook,
    exporters: Sequence[SpanExporter | str],
    tracer_provider: TracerProvider | None,
    meter_provider: MeterProvider | None,
    launched: bool = False,
    **watch: Any,
) -> Runtime:
    global _runtime  # noqa: PLW0603 - one runtime a process
    under_launcher = launched or _runtime is not None
    provider = providers.provide(config, exporters, tracer_provider, take_over=_runtime is not None)
    pipeline = providers.own_pipeline(provider)
    meters = meter_provider or (pipeline.meter_provider if pipeline is not None else None)
    recorder = Recorder(
        config, book, provider, meters, lambda: wants_session(config, under_launcher), **watch
    )
    use(recorder)
    _runtime = Runtime(config, recorder, provider, launched)
    threads.propagate(config.propagate_threads)
    _exits.arm(pipeline is not None, config.flush_on_sigterm, config.exit_timeout_s)
    return _runtime


# --- sessions of scripts ---


def end_session(outcome: str | None = None, timeout_s: float | None = None) -> bool:
    """End the session that a script was given without asking for one, and send its spans.

    Args:
        outcome: What became of it (`success`, `failure`, ...); case does not matter.
        timeout_s: Seconds to wait for the spans to be sent; the exit time-out when None.

    Returns:
        Whether there was such a session and its spans were sent.
    """
    recorder = current()
    if recorder is None or not recorder.end_implicit(str(outcome).lower() if outcome else None):
        warn_once("no session", "end_session(): no session of the process is open")
        return False
    return flush(recorder.config.exit_timeout_s if timeout_s is None else timeout_s)


# --- instrumentations ---


def instrument(*names: str) -> None:
    """Instrument libraries by name; all that are known when none is named. Idempotent.

    Raises:
        ConfigError: A name is unknown.
    """
    for instrumentor in registry.checked(names) or registry.every():
        instrumentor.instrument()
    if not names and _runtime is not None:
        threads.propagate(_runtime.config.propagate_threads)


def uninstrument(*names: str) -> None:
    """Take the instrumentation of these libraries off again; of all when none is named.

    Raises:
        ConfigError: A name is unknown.
    """
    for instrumentor in registry.checked(names) or registry.loaded():
        instrumentor.uninstrument()
    if not names:
        threads.propagate(False)


def tracer(name: str) -> Tracer:
    """A plain OpenTelemetry tracer; what it starts inside a session or agent belongs to that.

    Args:
        name: Name of the instrumentation scope, such as your module's.
    """
    provider = _runtime.provider if _runtime is not None else None
    return trace.get_tracer(name, tracer_provider=provider)


# --- ending ---


def flush(timeout_s: float = 2.0) -> bool:
    """Send what is waiting.

    Args:
        timeout_s: Seconds to wait at most.

    Returns:
        Whether everything was sent in time. With a provider of the program's own this is what that
        provider answers.
    """
    return _flush(_runtime.provider if _runtime is not None else None, timeout_s)


def _flush(provider: TracerProvider | None, timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    drain()
    pipeline = providers.own_pipeline(provider)
    if pipeline is not None:
        return pipeline.flush(max(0.0, end - time.monotonic()))
    force_flush = getattr(provider or trace.get_tracer_provider(), "force_flush", None)
    if force_flush is None:
        return True
    try:
        return force_flush(int(max(0.0, end - time.monotonic()) * 1000)) is not False
    except Exception:  # noqa: BLE001 - their provider may raise anything; the caller asked a question
        logger.warning("the program's tracer provider failed to flush", exc_info=True)
        return False


def shutdown(timeout_s: float | None = None) -> bool:
    """End the open session, send everything and stop recording; `init()` may start again.

    A provider of the program's own is flushed but neither changed nor shut down.

    Args:
        timeout_s: Seconds to wait at most; the exit time-out when None.

    Returns:
        Whether everything was sent in time.
    """
    return _stop(timeout_s, flush_theirs=True)


def _stop(timeout_s: float | None, flush_theirs: bool) -> bool:
    global _runtime
    with _lock:
        runtime, _runtime = _runtime, None
    recorder = current() if runtime is not None else None
    if runtime is None or recorder is None:
        return True
    seconds = runtime.config.exit_timeout_s if timeout_s is None else timeout_s
    with _exits.finishing():
        _end_open()
        with failsafe("shutting down"):
            uninstrument()
            use(None)
        pipeline = providers.own_pipeline(runtime.provider)
        if pipeline is not None:
            sent = pipeline.stop(seconds)
        else:
            sent = _flush(runtime.provider, seconds) if flush_theirs else True
    _exits.disarm()
    return sent


def _exit() -> None:
    """At exit a provider of the program's own flushes itself; doing it here would wait twice."""
    _stop(None, flush_theirs=False)


def _end_open() -> None:
    recorder = current()
    if recorder is not None:
        with failsafe("ending what is open"):
            drain()
            end_streams()
            recorder.end_open()


def _save(timeout_s: float) -> bool:
    pipeline = providers.own_pipeline(None)
    return pipeline is None or pipeline.save(timeout_s)


_exits = Exits(_exit, _end_open, _save)
