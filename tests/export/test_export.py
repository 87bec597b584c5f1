"""Programs of their own process, exporting to real OTLP receivers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export.collector import grpc_collector, http_collector, make_certificate

PROGRAM = """
import otel_agentops as ao
ao.init(service_name="svc", auto_session=False)
with ao.session("s"), ao.agent("a"), ao.model_call(provider="openai", model="gpt-4o-mini") as call:
    call.response(usage=ao.Usage(input_tokens=10, output_tokens=2))
"""
SPANS = ["chat gpt-4o-mini", "invoke_agent a", "invoke_workflow s"]
METRICS = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}


def run(program: str, expect: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, with these variables and no other of OpenTelemetry's."""
    authorities = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OTEL_") and name not in authorities
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == expect, done.stderr
    return done


def test_http_by_standard_variables() -> None:
    """Endpoint, headers, compression and resource come from the standard variables; exit sends all."""
    with http_collector() as collector:
        done = run(
            PROGRAM,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-team=blue",
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        )
    assert collector.spans == SPANS
    assert collector.metrics >= METRICS
    assert all(headers["x-team"] == "blue" for headers in collector.headers)
    assert all(headers["content-encoding"] == "gzip" for headers in collector.headers)
    assert collector.resource["service.name"] == "svc"
    assert collector.resource["deployment.environment.name"] == "test"
    assert done.stderr == ""


def test_grpc() -> None:
    """The same over gRPC, with headers as metadata."""
    with grpc_collector() as collector:
        run(
            PROGRAM,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-team=blue",
        )
    assert collector.spans == SPANS
    assert collector.metrics >= METRICS
    assert collector.headers[0]["x-team"] == "blue"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, to make a certificate, is missing")
def test_tls(tmp_path: Path) -> None:
    """A server's certificate is checked, against the standard variable's authority."""
    certificate = make_certificate(tmp_path)
    with http_collector(certificate) as collector:
        run(PROGRAM, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert collector.spans == []
        run(
            PROGRAM,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate[0]),
        )
        assert collector.spans == SPANS


def test_console_beside_otlp() -> None:
    """Several destinations at once: the console and a collector."""
    with http_collector() as collector:
        done = run(PROGRAM, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_EXPORTER="otlp,console")
    assert collector.spans == SPANS
    assert done.stdout.count('"trace_id"') >= 3
    assert "invoke_agent a" in done.stdout


def test_several_collectors() -> None:
    """`exporters=` takes URLs of several collectors, of either protocol."""
    program = PROGRAM.replace("auto_session=False", 'auto_session=False, exporters=["{http}", "{grpc}"]')
    with http_collector() as first, grpc_collector() as second:
        run(program.format(http=first.url, grpc=second.url.replace("http", "grpc")))
    assert first.spans == second.spans == SPANS


def test_none_and_disabled() -> None:
    """`none` and `OTEL_SDK_DISABLED` send nothing, and the program runs."""
    with http_collector() as collector:
        for variables in (
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
            {"OTEL_SDK_DISABLED": "true"},
        ):
            run(PROGRAM, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **variables)
    assert collector.headers == []


def test_unknown_exporter_is_named() -> None:
    """A name that no package has is one clear message; the program runs on."""
    done = run(PROGRAM, OTEL_TRACES_EXPORTER="jaegr", OTEL_METRICS_EXPORTER="none")
    assert "OTEL_TRACES_EXPORTER='jaegr'" in done.stderr
    assert "console" in done.stderr


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_exit_does_not_wait_for_the_dead() -> None:
    """With nobody at the other end a program ends within its deadline."""
    program = PROGRAM + "\nimport time\nprint(time.monotonic())\n"
    done = run(
        program,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed_port()}",
        OTEL_AGENTOPS_EXIT_TIMEOUT="1",
    )
    # the raw SDK takes 7 to 30 seconds here
    assert time.monotonic() - float(done.stdout) < 5


def test_flush_is_honest() -> None:
    """`flush` says whether the spans were sent, by the exporter's own answer."""
    program = PROGRAM + "\nprint(ao.flush(timeout_s=5))\n"
    with http_collector() as collector:
        assert run(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url).stdout == "True\n"
        collector.status = 400
        assert run(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url).stdout == "False\n"


def test_a_dead_destination_costs_another_nothing() -> None:
    """Spans for a healthy collector arrive although another one hangs."""
    program = PROGRAM.replace("auto_session=False", 'auto_session=False, exporters=["{dead}", "{live}"]')
    with http_collector() as collector:
        run(program.format(dead=f"http://127.0.0.1:{closed_port()}", live=collector.url))
    assert collector.spans == SPANS


JOINED = """
import otel_agentops as ao
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
mine = TracerProvider()
mine.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(mine)
ao.init(auto_session=False)
assert trace.get_tracer_provider() is mine
with ao.session("s"), trace.get_tracer("mine").start_as_current_span("own") as own:
    with ao.model_call(provider="openai", model="gpt-4o-mini") as call:
        call.response(usage=ao.Usage(input_tokens=10, output_tokens=2))
ao.shutdown()
with trace.get_tracer("mine").start_as_current_span("after"):
    pass
spans = {span.name: span for span in exporter.get_finished_spans()}
assert list(spans) == ["chat gpt-4o-mini", "own", "invoke_workflow s", "after"], spans
assert spans["chat gpt-4o-mini"].parent.span_id == spans["own"].context.span_id
assert "session.id" in spans["own"].attributes and "session.id" not in spans["after"].attributes
"""


def test_a_provider_of_the_program_is_joined() -> None:
    """It stays the global one, is not shut down, and nothing is sent anywhere else."""
    with http_collector() as collector:
        run(JOINED, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert collector.headers == []


NO_PROCESSORS = """
import logging, otel_agentops as ao
from opentelemetry import trace
class Theirs(trace.NoOpTracerProvider):
    pass
theirs = Theirs()
trace.set_tracer_provider(theirs)
runtime = ao.init(auto_session=False)
assert trace.get_tracer_provider() is theirs
with ao.session("s") as session, ao.model_call(provider="openai", model="gpt-4o-mini") as call:
    call.response(usage=ao.Usage(input_tokens=10, output_tokens=2))
assert session.total.model_calls == 1
"""


def test_a_provider_without_processors_is_left_alone() -> None:
    """A provider that takes no processors (ddtrace's) is not replaced; totals are right; one warning."""
    done = run(NO_PROCESSORS)
    assert done.stderr.count("takes no span processors") == 1


TWICE = """
import otel_agentops as ao
for turn in range(2):
    ao.init(auto_session=False)
    with ao.agent(f"turn {turn}"):
        pass
    assert ao.shutdown()
"""


def test_starting_over() -> None:
    """After a shutdown `init` starts again, to the same place."""
    with http_collector() as collector:
        run(TWICE, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert collector.spans == ["invoke_agent turn 0", "invoke_agent turn 1"]


SCRIPT = """
import otel_agentops as ao
ao.init()
with ao.model_call(provider="openai", model="gpt-4o-mini") as call:
    call.response(usage=ao.Usage(input_tokens=10, output_tokens=2))
{end}
"""


@pytest.mark.parametrize("end", ["", 'assert ao.end_session("Success")', "raise SystemExit(0)"])
def test_two_line_scripts(end: str) -> None:
    """The session of a script ends with it, however it ends."""
    with http_collector() as collector:
        run(SCRIPT.format(end=end), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert collector.spans == ["chat gpt-4o-mini", "invoke_workflow"]


def test_a_crashing_script_sends_what_it_has() -> None:
    """An exception that ends the program does not end its telemetry."""
    with http_collector() as collector:
        done = run(SCRIPT.format(end="1 / 0"), expect=1, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert collector.spans == ["chat gpt-4o-mini", "invoke_workflow"]
    assert "ZeroDivisionError" in done.stderr


OPEN = """
import otel_agentops as ao
ao.init(auto_session=False)
session = ao.start_session("never ended")
with ao.operation("o"):
    pass
"""


def test_sessions_open_at_exit() -> None:
    """A session that nobody ended ends with the program."""
    with http_collector() as collector:
        run(OPEN, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert collector.spans == ["o", "invoke_workflow never ended"]


FORK = """
import os, otel_agentops as ao
ao.init()
with ao.operation("parent"):
    pass
with ao.session("s"):
    if os.fork() == 0:
        with ao.operation("child"):
            pass
        raise SystemExit
    os.wait()
"""


def test_fork() -> None:
    """A child sends what it made, and never the parent's sessions a second time."""
    with http_collector() as collector:
        run(FORK, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert sorted(collector.spans) == ["child", "invoke_workflow", "invoke_workflow s", "parent"]


WRONG_FILE = """
import otel_agentops as ao, openai
ao.instrument("openai")
try:
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9", max_retries=0)
    client.embeddings.create(model="m", input="x")
except openai.APIConnectionError:
    print("as without us")
"""


def test_wrong_price_file_by_variable(tmp_path: Path) -> None:
    """A price file that the environment names and that is wrong is reported; the program runs."""
    file = tmp_path / "prices.toml"
    file.write_text("[[price]]\noops = 1\n")
    for program in (WRONG_FILE, WRONG_FILE.replace('ao.instrument("openai")', "ao.init(exporters=['none'])")):
        done = run(program, OTEL_AGENTOPS_PRICES=str(file))
        assert done.stdout == "as without us\n"
        assert "OTEL_AGENTOPS_PRICES" in done.stderr


DEAD_METRICS = (
    PROGRAM
    + """
ao.flush(timeout_s=0.3)
with ao.agent("later"):
    pass
"""
)


def test_dead_metrics_cost_no_spans() -> None:
    """A metrics endpoint that hangs from an earlier flush keeps no span from leaving at exit."""
    with http_collector() as collector:
        run(
            DEAD_METRICS,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/v1/traces",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"http://127.0.0.1:{closed_port()}/v1/metrics",
        )
    assert collector.spans == [*SPANS, "invoke_agent later"]
