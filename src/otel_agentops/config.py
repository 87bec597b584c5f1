"""Every setting of the library, and the only reader of the environment.

An argument of `init()` wins over the environment, which wins over the default. A wrong argument is the
developer's error and stops `init()`; a wrong environment variable may be somebody else's, so it is
reported once and the default holds.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from otel_agentops import readers
from otel_agentops.failsafe import warn_once
from otel_agentops.readers import ConfigError
from otel_agentops.semconv import DEFAULT_PROFILE, PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LOOP_LIMITS", "Config", "ConfigError", "loop_limits", "loops", "variable"]


LOOPS = ("warn", "raise", "off")
"""What to do about loops."""
LOOP_LIMITS: Mapping[str, int] = {"repeated_prompt": 3, "repeated_tool_call": 3, "cycle": 3, "retry_storm": 3}
"""How often is too often, unless somebody says otherwise; 0 is never."""


OWN_NAMES = ("otel_agentops", "otel-agentops")
"""What this library is called where instrumentations are switched off."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one runtime; see `docs/settings.md` for the variables.

    Attributes:
        service_name: `service.name` of the resource; None leaves it to `OTEL_SERVICE_NAME`.
        semconv: Profile of names that is written.
        cost_names: `default` or `otel-443`, the names of the open proposal instead of ours.
        capture_content: Whether prompts, answers, tool arguments and results are written to spans.
        redact: What is taken out of content and error messages before they are written: names of
            built-in rules, pairs of a name and a regular expression, functions.
        content_limit: Characters that one content attribute may have; None for no limit of ours.
        value_limit: The SDK's own limit, which content is made to fit; None for none.
        foreign_spans: `complete` adds to other instrumentations' spans what they lack of the conventions'
            names, and the session they belong to; `cost` only the cost.
        loops: What to do about loops: `warn` (find and tell), `raise` (stop the next call) or `off`.
        loop_limits: Finding -> how often is too often.
        auto_session: Whether calls outside any session open one for the whole process; None decides
            by what the process looks like (a script: yes, a server worker: no).
        stream_usage: Whether the usage of chat streams is asked for where the caller did not.
        stream_usage_hosts: Further hosts that are known to answer such a request.
        prices: Files with price rules, later ones winning.
        digest_key: Key of the prompt digests; random per process unless set, so that a digest says
            nothing about its prompt to somebody without the key.
        exit_timeout_s: Seconds that the end of the process may wait for the last spans.
        flush_on_sigterm: Whether SIGTERM sends the last spans where the program does not handle it.
        propagate_threads: Whether threads run inside the scope that they are started in.
        baggage: Whether session and user are taken from, and put into, the baggage of requests.
        instrument: Names of the libraries to instrument; None means all that are known.
        gate: Names of the libraries whose calls are only checked, as somebody else makes their spans.
        disabled: Names never to instrument (`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`).
        traces: Names of span exporters, by `OTEL_TRACES_EXPORTER`.
        metrics: Names of metric exporters, by `OTEL_METRICS_EXPORTER`; None is `otlp`, or nothing where
            `init(exporters=)` sends the spans to a place of its own.
        traces_protocol: `http/protobuf` or `grpc`, for OTLP spans.
        metrics_protocol: The same for OTLP metrics.
        sdk_disabled: `OTEL_SDK_DISABLED`.
        spool: Whether spans that cannot be sent are kept in files.
        spool_directory: Where; None is `otel-agentops/spool` in the user's directory for state.
        spool_max_bytes: For all files of one destination.
        spool_max_age_s: Seconds after which kept spans are given up.
        spool_request_bytes: Bytes of one request at most; None is what collectors take by default.
        durability: `outage` keeps what cannot be sent, `crash` writes every span before its `end()` returns.
        export_delay_s: Seconds that a span waits for others to be sent with.
        config_file: `OTEL_CONFIG_FILE`, a declarative configuration; None for the variables.
        configurator: `OTEL_PYTHON_CONFIGURATOR`, the one that the launcher uses; None for the first.
        otlp: The variables of OTLP exporters as they stand, for `export/destination.py`; they may hold
            credentials, so they are never shown.
    """

    service_name: str | None = None
    semconv: str = DEFAULT_PROFILE
    cost_names: str = "default"
    capture_content: bool | Literal["findings"] = False
    redact: tuple[Any, ...] = ("keys",)
    content_limit: int | None = None
    value_limit: int | None = None
    foreign_spans: str = "complete"
    loops: str = "warn"
    loop_limits: Mapping[str, int] = field(default_factory=lambda: LOOP_LIMITS)
    auto_session: bool | None = None
    stream_usage: bool = True
    stream_usage_hosts: tuple[str, ...] = ()
    prices: tuple[str, ...] = ()
    digest_key: bytes | None = None
    exit_timeout_s: float = 2.0
    flush_on_sigterm: bool = True
    propagate_threads: bool = False
    baggage: bool = False
    instrument: tuple[str, ...] | None = None
    gate: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    traces: tuple[str, ...] = ("otlp",)
    metrics: tuple[str, ...] | None = None
    traces_protocol: str = "http/protobuf"
    metrics_protocol: str = "http/protobuf"
    sdk_disabled: bool = False
    spool: bool = False
    spool_directory: str | None = None
    spool_max_bytes: int = 1_000_000_000
    spool_max_age_s: float = 7 * 86400.0
    spool_request_bytes: int | None = None
    durability: str = "outage"
    export_delay_s: float = 5.0
    config_file: str | None = None
    configurator: str | None = None
    otlp: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def switched_off(self) -> bool:
        """Whether `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` names all instrumentations, or all of ours."""
        return not {"*", *OWN_NAMES}.isdisjoint(self.disabled)

    @staticmethod
    def arguments() -> tuple[str, ...]:
        """Names that `load` takes."""
        return tuple(_ARGUMENTS)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **arguments: Any) -> Config:
        """Settings from arguments, environment and defaults, in this order.

        Args:
            environ: Variables to read; the process's own when None.
            **arguments: Arguments of `init()`; those that are None count as not given.

        Raises:
            ConfigError: An argument has a value that is not allowed.
        """
        environ = os.environ if environ is None else environ
        values = _from_environment(environ)
        values["otlp"] = {name: environ[name] for name in environ if name.startswith(_EXPORTERS)}
        for name, value in arguments.items():
            if value is not None:
                values[name] = _ARGUMENTS[name](name, value)
        return cls(**values)


# --- readers: (name, value) -> value, or ConfigError ---

_text, _flag, _choice, _seconds = readers.text, readers.flag, readers.choice, readers.seconds
_names, _paths, _key = readers.words, readers.files, readers.secret
_milliseconds, _at_least = readers.milliseconds, readers.at_least


REDACTIONS = ("keys", "email", "cards")
"""Rules that redaction has built in."""


def _redact(name: str, value: object) -> tuple[Any, ...]:
    """Names, functions, and pairs of a name and a regular expression; `none` alone is nothing."""
    items = value.split(",") if isinstance(value, str) else [value] if callable(value) else value
    try:
        wanted = [item.strip() if isinstance(item, str) else item for item in items]  # type: ignore[attr-defined]
    except TypeError:
        wanted = [value]
    if wanted == ["none"]:
        return ()
    for item in wanted:
        if not (item in REDACTIONS or callable(item) or _is_rule(item)):
            allowed = ", ".join(REDACTIONS)
            raise ConfigError(name, item, f"none, {allowed}, a function, or (name, regular expression)")
    return tuple(wanted)


def _is_rule(item: Any) -> bool:
    try:
        title, pattern = item
        return isinstance(title, str) and bool(re.compile(pattern))
    except (TypeError, ValueError, re.error):
        return False


def _characters(name: str, value: object) -> int:
    try:
        characters = int(str(value))
    except ValueError:
        characters = 0
    if characters < _LEAST_CONTENT:
        raise ConfigError(name, value, f"a number of characters, at least {_LEAST_CONTENT}")
    return characters


_LEAST_CONTENT = 64


def loop_limits(name: str, value: object) -> dict[str, int]:
    """Limits as `{"cycle": 4}` or `cycle=4,retry_storm=0`; those that are not named are left out.

    Raises:
        ConfigError: A name is unknown, or a limit is neither 0 nor at least 2.
    """
    given: Any = value
    try:
        if isinstance(value, str):
            given = dict(pair.split("=") for pair in value.split(",") if pair.strip())
        limits = {str(kind).strip(): int(limit) for kind, limit in dict(given).items()}
    except (TypeError, ValueError):
        limits = {"": 1}
    if not limits.keys() <= LOOP_LIMITS.keys() or any(limit < 0 or limit == 1 for limit in limits.values()):
        raise ConfigError(name, value, ", ".join(LOOP_LIMITS) + ", each 0 (never) or 2 and more")
    return limits


def _all_limits(name: str, value: object) -> dict[str, int]:
    return {**LOOP_LIMITS, **loop_limits(name, value)}


def _length(name: str, value: object) -> int:
    if not str(value).strip().isdigit():
        raise ConfigError(name, value, "a number of characters")
    return int(str(value))


_CONTENT_MODES: dict[str, bool | Literal["findings"]] = {
    "no_content": False,
    "span_only": True,
    "event_only": False,
    "span_and_event": True,
    "findings": "findings",
}


def _content(name: str, value: object) -> bool | Literal["findings"]:
    """The standard variable's modes; content goes to spans only, so the event modes are reported."""
    word = str(value).strip().lower()
    if "event" in word and word in _CONTENT_MODES:
        warn_once(name, "%s=%s: content is written to spans only, not to events", name, value)
    if word in _CONTENT_MODES:
        return _CONTENT_MODES[word]
    try:
        return _flag(name, value)
    except ConfigError:
        raise ConfigError(name, value, ", ".join(_CONTENT_MODES) + ", true, false") from None


_PROTOCOL = _choice("http/protobuf", "grpc")
_SEMCONV = _choice(*PROFILES)
_COST_NAMES = _choice("default", "otel-443")
_FOREIGN_SPANS = _choice("complete", "cost")
_DURABILITY = _choice("outage", "crash")
_SPOOL_BYTES = _at_least(1_000_000, "bytes")
_AGE = _at_least(60, "seconds")
_REQUEST_BYTES = _at_least(100_000, "bytes")
loops = _choice(*LOOPS)
"""Reads what to do about loops."""

_ARGUMENTS: dict[str, Callable[[str, Any], Any]] = {
    "service_name": _text,
    "semconv": _SEMCONV,
    "cost_names": _COST_NAMES,
    "capture_content": _content,
    "redact": _redact,
    "content_limit": _characters,
    "foreign_spans": _FOREIGN_SPANS,
    "loops": loops,
    "loop_limits": _all_limits,
    "auto_session": _flag,
    "stream_usage": _flag,
    "stream_usage_hosts": _names,
    "prices": _paths,
    "digest_key": _key,
    "exit_timeout_s": _seconds,
    "flush_on_sigterm": _flag,
    "propagate_threads": _flag,
    "baggage": _flag,
    "instrument": _names,
    "gate": _names,
    "spool": _flag,
    "spool_directory": _text,
    "durability": _DURABILITY,
    "traces": _names,
    "metrics": _names,
}
"""Arguments of `init()` that are settings, and how each is read."""

_OTLP = "OTEL_EXPORTER_OTLP_"
_EXPORTERS = (_OTLP, "OTEL_PYTHON_EXPORTER_OTLP_", "OTEL_PYTHON_SDK_INTERNAL_METRICS_")
"""How the names begin of the variables that OTLP exporters read."""

_VARIABLES: tuple[tuple[str, str, Callable[[str, Any], Any]], ...] = (
    ("OTEL_AGENTOPS_SEMCONV", "semconv", _SEMCONV),
    ("OTEL_AGENTOPS_COST_NAMES", "cost_names", _COST_NAMES),
    ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "capture_content", _content),
    ("OTEL_AGENTOPS_REDACT", "redact", _redact),
    ("OTEL_AGENTOPS_CONTENT_LIMIT", "content_limit", _characters),
    # the SDK cuts JSON in the middle, so content is made to fit its limits; the general one first
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "value_limit", _length),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "value_limit", _length),
    ("OTEL_AGENTOPS_FOREIGN_SPANS", "foreign_spans", _FOREIGN_SPANS),
    ("OTEL_AGENTOPS_LOOPS", "loops", loops),
    ("OTEL_AGENTOPS_LOOP_LIMITS", "loop_limits", _all_limits),
    ("OTEL_AGENTOPS_AUTO_SESSION", "auto_session", _flag),
    ("OTEL_AGENTOPS_STREAM_USAGE", "stream_usage", _flag),
    ("OTEL_AGENTOPS_STREAM_USAGE_HOSTS", "stream_usage_hosts", _names),
    ("OTEL_AGENTOPS_PRICES", "prices", _paths),
    ("OTEL_AGENTOPS_DIGEST_KEY", "digest_key", _key),
    ("OTEL_AGENTOPS_EXIT_TIMEOUT", "exit_timeout_s", _seconds),
    ("OTEL_AGENTOPS_FLUSH_ON_SIGTERM", "flush_on_sigterm", _flag),
    ("OTEL_AGENTOPS_PROPAGATE_THREADS", "propagate_threads", _flag),
    ("OTEL_AGENTOPS_BAGGAGE", "baggage", _flag),
    ("OTEL_AGENTOPS_INSTRUMENT", "instrument", _names),
    ("OTEL_AGENTOPS_GATE", "gate", _names),
    ("OTEL_AGENTOPS_SPOOL", "spool", _flag),
    ("OTEL_AGENTOPS_SPOOL_DIRECTORY", "spool_directory", _text),
    ("OTEL_AGENTOPS_SPOOL_MAX_BYTES", "spool_max_bytes", _SPOOL_BYTES),
    ("OTEL_AGENTOPS_SPOOL_MAX_AGE", "spool_max_age_s", _AGE),
    ("OTEL_AGENTOPS_SPOOL_REQUEST_BYTES", "spool_request_bytes", _REQUEST_BYTES),
    ("OTEL_AGENTOPS_DURABILITY", "durability", _DURABILITY),
    ("OTEL_BSP_SCHEDULE_DELAY", "export_delay_s", _milliseconds),
    ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "disabled", _names),
    ("OTEL_TRACES_EXPORTER", "traces", _names),
    ("OTEL_METRICS_EXPORTER", "metrics", _names),
    # the general variable first: the one of the signal overrides it
    (_OTLP + "PROTOCOL", "traces_protocol", _PROTOCOL),
    (_OTLP + "PROTOCOL", "metrics_protocol", _PROTOCOL),
    (_OTLP + "TRACES_PROTOCOL", "traces_protocol", _PROTOCOL),
    (_OTLP + "METRICS_PROTOCOL", "metrics_protocol", _PROTOCOL),
    ("OTEL_SDK_DISABLED", "sdk_disabled", _flag),
    ("OTEL_CONFIG_FILE", "config_file", _text),
    ("OTEL_PYTHON_CONFIGURATOR", "configurator", _text),
)
"""Rows of (variable, setting, reader), later rows winning; tests hold `docs/settings.md` to them."""


def variable(name: str) -> str | None:
    """A variable that is nobody's setting here, for looking at the neighbours'; None if unset or empty."""
    return os.environ.get(name) or None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, setting, read in _VARIABLES:
        text = environ.get(variable)
        if not text:  # the specification treats an empty variable as unset
            continue
        try:
            values[setting] = read(variable, text)
        except ConfigError as error:
            warn_once(variable, "%s; the default holds", error)
    return values


assert {setting for _, setting, _ in _VARIABLES} <= {field.name for field in fields(Config)}  # noqa: S101
