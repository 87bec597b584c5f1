"""Settings: arguments stop `init`, variables warn, defaults hold."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import otel_agentops as ao
from otel_agentops.config import Config, ConfigError

WRONG: list[tuple[str, Any, str]] = [
    ("semconv", "1.99", "1.41, latest"),
    ("cost_names", "euro", "default, otel-443"),
    ("foreign_spans", "none", "complete, cost"),
    ("capture_content", "maybe", "no_content"),
    ("auto_session", "sometimes", "true or false"),
    ("loops", "stop", "warn, raise, off"),
    ("loop_limits", {"circle": 3}, "repeated_prompt"),
    ("loop_limits", {"cycle": 1}, "0 (never) or 2 and more"),
    ("on_finding", 5, "a function of a finding"),
    ("stream_usage", 3, "true or false"),
    ("service_name", "", "a text"),
    ("prices", ["/no/such/file.toml"], "readable TOML or JSON"),
    ("exit_timeout_s", -1, "seconds from 0 to 3600"),
    ("exit_timeout_s", "soon", "seconds from 0 to 3600"),
    ("digest_key", b"", "1 to 64 bytes"),
    ("instrument", ["openai", "nothing"], "openai"),
    ("instrument", 5, "a list of names"),
    ("gate", ["langchain"], "openai"),
    ("price_rules", ["x"], "Price, Alias and Adjust"),
    ("price_hook", 5, "a function"),
    ("tracer_provider", object(), "get_tracer"),
    ("meter_provider", 5, "get_meter"),
]


@pytest.mark.parametrize(("setting", "value", "allowed"), WRONG)
def test_wrong_arguments_stop_init(setting: str, value: Any, allowed: str) -> None:
    """The error names the setting, the value and what is allowed, and nothing has been started."""
    with pytest.raises(ConfigError) as error:
        ao.init(**{"tracer_provider": trace.NoOpTracerProvider(), setting: value})
    assert setting in str(error.value)
    assert allowed in str(error.value)
    assert not ao.init(tracer_provider=trace.NoOpTracerProvider()).config.capture_content
    ao.shutdown()


def test_malformed_price_file_stops_init(tmp_path: Path) -> None:
    """A price file that cannot be used says which file and where."""
    file = tmp_path / "prices.toml"
    file.write_text('[[price]]\nprovider = "acme"\nmatch = "m"\ninputt = 3\n')
    with pytest.raises(ao.PriceFileError) as error:
        ao.init(tracer_provider=trace.NoOpTracerProvider(), prices=[str(file)])
    assert str(file) in str(error.value)
    assert "inputt" in str(error.value)


def test_unknown_names_to_instrument() -> None:
    """`instrument` and `uninstrument` name what there is."""
    for function in (ao.instrument, ao.uninstrument):
        with pytest.raises(ConfigError, match=r"nothing.*openai"):
            function("nothing")


VARIABLES = {
    "OTEL_AGENTOPS_SEMCONV": "1.99",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "perhaps",
    "OTEL_AGENTOPS_EXIT_TIMEOUT": "soon",
    "OTEL_AGENTOPS_LOOPS": "sometimes",
    "OTEL_AGENTOPS_LOOP_LIMITS": "cycle=many",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon",
    "OTEL_AGENTOPS_PRICES": "/no/such/file.toml",
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_wrong_variables_warn_once(variable: str, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong variable is reported once, and the default holds."""
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert Config.load({variable: VARIABLES[variable]}) == Config.load({})
    (record,) = caplog.records
    assert variable in record.getMessage()
    assert VARIABLES[variable] in record.getMessage()


def test_argument_over_variable_over_default() -> None:
    """The order of precedence."""
    environ = {"OTEL_AGENTOPS_SEMCONV": "latest"}
    assert Config.load({}).semconv == "1.41"
    assert Config.load(environ).semconv == "latest"
    assert Config.load(environ, semconv="1.41").semconv == "1.41"


CONTENT = {
    "true": True, "false": False, "SPAN_ONLY": True, "span_and_event": True,
    "NO_CONTENT": False, "EVENT_ONLY": False, "": False,
}  # fmt: skip


@pytest.mark.parametrize("value", CONTENT)
def test_content_variable(value: str) -> None:
    """The standard variable's modes are understood in any case."""
    variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert Config.load({variable: value}).capture_content is CONTENT[value]


def test_signal_protocol_over_general() -> None:
    """`OTEL_EXPORTER_OTLP_TRACES_PROTOCOL` wins over `OTEL_EXPORTER_OTLP_PROTOCOL`."""
    config = Config.load(
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    )
    assert (config.traces_protocol, config.metrics_protocol) == ("http/protobuf", "grpc")


def test_init_is_idempotent(caplog: pytest.LogCaptureFixture) -> None:
    """A second call gives the same runtime; other settings are reported and do not count."""
    first = ao.init(tracer_provider=TracerProvider(shutdown_on_exit=False))
    try:
        with caplog.at_level(logging.WARNING):
            assert ao.init() is first
            assert caplog.records == []
            assert ao.init(semconv="latest") is first
        assert first.config.semconv == "1.41"
        assert "again with other settings" in caplog.text
    finally:
        ao.shutdown()


def test_instrumenting_nothing() -> None:
    """An empty list of libraries means none."""
    import inspect

    import openai

    client = openai.OpenAI(api_key="k")
    before = inspect.getattr_static(type(client.chat.completions), "create")
    ao.init(tracer_provider=TracerProvider(shutdown_on_exit=False), instrument=[])
    try:
        assert inspect.getattr_static(type(client.chat.completions), "create") is before
    finally:
        ao.shutdown()
        client.close()
