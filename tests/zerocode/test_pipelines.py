"""Pipelines that somebody else configures: a distro, a declarative file, or both."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from zerocode.launching import ANSWER, CALL, World, cost_of, world

pytest.importorskip("opentelemetry.distro", reason="opentelemetry-distro is not in the `test` extra")
pytest.importorskip("opentelemetry.configuration", reason="opentelemetry-configuration is not in `test`")

NO_DISTRO = {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"}
"""Variables with which the launcher behaves as if no distro were installed."""


@pytest.fixture
def here() -> Iterator[World]:
    """A provider, a receiver, and the environment between them."""
    with world() as it:
        yield it


FOREIGN = """
from opentelemetry import trace
with trace.get_tracer("somebody").start_as_current_span("chat") as span:
    span.set_attributes({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5,
    })
"""


@pytest.mark.parametrize("variables", [{}, NO_DISTRO], ids=["distro", "no distro"])
def test_spans_of_others_are_priced(here: World, variables: dict[str, str]) -> None:
    """A model call that somebody else describes gets its cost, whoever built the provider."""
    here.run(FOREIGN, **variables)
    (span,) = here.spans
    assert span.attributes["gen_ai.usage.cost"] == float(cost_of())


def test_the_distro_keeps_its_pipeline(here: World) -> None:
    """With a distro nothing is built beside it: one provider, one exporter, one span."""
    done = here.run(CALL)
    (span,) = here.spans
    assert "telemetry.auto.version" in span.resource  # the configurator's mark
    assert done.stderr == ""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_failures_of_the_distro_are_explained(here: World, protocol: str) -> None:
    """The distro's exporter fails and says so; one line of ours adds which setting, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    done = here.run(
        CALL + "import time; time.sleep(2)",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_TIMEOUT="2",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    assert done.stdout == ANSWER
    said = f"OTEL_EXPORTER_OTLP_ENDPOINT='{endpoint}', protocol {protocol}: nobody listens on"
    assert done.stderr.count(said) == 1
    assert "opentelemetry" in done.stderr.lower() or "export" in done.stderr  # theirs is still printed


FILE = """
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: declared
tracer_provider:
  processors:
    - simple:
        exporter:
          otlp_http:
            endpoint: {url}/v1/traces
instrumentation/development:
  python:
    otel_agentops:
      {option}
"""


def declared(here: World, folder: Path, option: str = "capture_content: true") -> str:
    """A declarative file with an option for us; its path."""
    file = folder / "otel.yaml"
    file.write_text(FILE.format(url=here.receiver.url, option=option))
    return str(file)


@pytest.mark.parametrize("variables", [{}, NO_DISTRO], ids=["distro", "no distro"])
def test_a_declarative_file(here: World, tmp_path: Path, variables: dict[str, str]) -> None:
    """Its provider is joined, and options for us hold, with and without a distro."""
    done = here.run(CALL + FOREIGN, OTEL_CONFIG_FILE=declared(here, tmp_path), **variables)
    assert done.stdout == ANSWER
    ours, foreign = here.chats()
    assert ours.resource["service.name"] == foreign.resource["service.name"] == "declared"
    assert ours.attributes["gen_ai.usage.cost"] == foreign.attributes["gen_ai.usage.cost"] == float(cost_of())
    assert "Say this is a test" in ours.attributes["gen_ai.input.messages"]
    assert "otel_agentops" not in done.stderr


def test_a_declarative_file_for_init(here: World, tmp_path: Path) -> None:
    """Without the launcher `init()` reads it; its arguments go before the file's options."""
    start = "import otel_agentops as ao\nao.init(capture_content=False, auto_session=False)\n"
    here.run(start + CALL, bare=True, OTEL_CONFIG_FILE=declared(here, tmp_path))
    (span,) = here.chats()
    assert span.resource["service.name"] == "declared"
    assert "gen_ai.input.messages" not in span.attributes


def test_a_wrong_option_in_the_file(here: World, tmp_path: Path) -> None:
    """It is named and left out; the spans are there."""
    done = here.run(CALL, OTEL_CONFIG_FILE=declared(here, tmp_path, 'semconv: "9.9"'))
    assert done.stderr.count("semconv='9.9' is not usable; allowed: 1.41, latest") == 1
    assert len(here.chats()) == 1


@pytest.mark.parametrize("variables", [{}, NO_DISTRO], ids=["distro", "no distro"])
def test_a_file_that_wants_no_spans(here: World, tmp_path: Path, variables: dict[str, str]) -> None:
    """Without a `tracer_provider` in it, none is built behind its back, not by `init()` either."""
    file = tmp_path / "otel.yaml"
    file.write_text('file_format: "1.0"\n')
    program = CALL + "import otel_agentops as ao\nao.init()\n" + CALL
    assert here.run(program, OTEL_CONFIG_FILE=str(file), **variables).stdout == ANSWER * 2
    assert here.spans == []


@pytest.mark.parametrize("content", [None, 'file_format: "1.0'], ids=["missing", "malformed"])
@pytest.mark.parametrize("bare", [False, True], ids=["launcher", "init"])
def test_an_unusable_file(here: World, tmp_path: Path, content: str | None, bare: bool) -> None:
    """One message names the variable and the file; the program runs, and nothing is sent elsewhere."""
    file = tmp_path / "otel.yaml"
    if content is not None:
        file.write_text(content)
    start = "import otel_agentops as ao\nao.init()\n"
    done = here.run(start + CALL, bare=bare, OTEL_CONFIG_FILE=str(file), **NO_DISTRO)
    assert done.stdout == ANSWER
    assert done.stderr.count(f"OTEL_CONFIG_FILE={str(file)!r} cannot be used") == 1
    assert here.spans == []
