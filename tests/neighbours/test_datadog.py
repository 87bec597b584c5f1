"""Under `ddtrace-run`, and with settings of Datadog and OpenTelemetry that replace what is below us."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import tool
from e2e.services import Service, eventually, free_ports, get
from neighbours.accounts import beside, steady
from neighbours.orders import NEEDED, OURS
from support.replay import ReplayServer, load_exchanges
from transparency.kit import Program, Seen, environ_of

if NEEDED:
    import ddtrace  # noqa: F401 - an error if it is missing
else:
    pytest.importorskip("ddtrace")

SCENES = (
    "chat.completions.create: ok",
    "chat.completions.create: refused",
    "chat.completions.create: raw",
    "chat.completions.create: stream, ",
    "async chat.completions.create: ok",
    "responses.create: ok",
    "embeddings.create: ok",
)
QUIET = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
}
NOWHERE = {**QUIET, "DD_TRACE_AGENT_URL": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of Datadog's test agent."""
    program = tool("ddapm/bin/ddapm-test-agent", "run scripts/install-test-tools")
    apm, http, grpc = free_ports(3)
    command = [program, "--port", apm, "--otlp-http-port", http, "--otlp-grpc-port", grpc]
    command += ["--web-ui-port", "0", "--disable-llmobs-data-forwarding"]
    url = f"http://127.0.0.1:{apm}"
    with Service(command, tmp_path_factory.mktemp("agent"), f"{url}/info"):
        yield url


def run_under_datadog(agent: str, token: str, steps: tuple[str, ...]) -> tuple[Seen, list[Any]]:
    """What a program saw under `ddtrace-run`, and what the agent received from it."""
    launcher = Path(sys.executable).with_name("ddtrace-run")
    environ = {
        **QUIET,
        "DD_TRACE_AGENT_URL": agent,
        "DD_SERVICE": "neighbours",
        "DD_PATCH_MODULES": "openai:true",
        "_DD_TRACE_WRITER_ADDITIONAL_HEADERS": f"X-Datadog-Test-Session-Token:{token}",
    }
    program = Program(steps, "neighbours.peers", SCENES, environ, (str(launcher),), again=False)
    seen = program.run()
    url = f"{agent}/test/session/traces?test_session_token={token}"
    traces = eventually(lambda: json.loads(get(url)))
    return seen, sorted((_steady_span(span, trace) for trace in traces for span in trace), key=json.dumps)


def _steady_span(span: dict[str, Any], trace: list[dict[str, Any]]) -> list[Any]:
    names = {each["span_id"]: each["resource"] for each in trace}
    tags = {**span.get("meta", {}), **span.get("metrics", {})}
    tags = {name: value for name, value in steady(tags).items() if not name.startswith("_")}
    for changing in (
        "error.stack",
        "language",
        "http.useragent",
        "server.address",
        "network.destination.port",
    ):
        tags.pop(changing, None)
    return [span["name"], span["resource"], names.get(span["parent_id"]), span.get("error", 0), tags]


def test_the_agent_receives_what_it_does_without_us(agent: str) -> None:
    """Under `ddtrace-run` the program sees, and the agent gets, the same spans with and without us."""
    without, their_traces = run_under_datadog(agent, "without", ("provider", "import"))
    with_us, our_traces = run_under_datadog(agent, "with-us", ("provider", OURS, "import"))
    assert beside(without, with_us) == []
    assert len(our_traces) > len(SCENES)
    assert our_traces == their_traces
    recorded = [span for account in with_us["scenes"].values() for span in account["spans"]]
    assert {span["scope"] for span in recorded} == {"otel_agentops"}


PARENTS = [
    ("chat gpt-3.5-turbo", "invoke_agent Worker"),
    ("chat gpt-3.5-turbo", "invoke_agent Worker"),
    ("chat gpt-3.5-turbo", "invoke_agent Worker"),
    ("chat gpt-3.5-turbo", "invoke_workflow run"),
    ("invoke_agent Worker", "invoke_workflow run"),
    ("invoke_workflow run", None),
]
TOTALS = {"session": ["0.0001440", 4], "agent": ["0.0001080", 3]}
"""Four calls of 36 millionths, three of them by the agent."""

SETTINGS: list[tuple[dict[str, str], str | None]] = [
    ({}, "spans"),
    ({"DD_METRICS_OTEL_ENABLED": "true", "OTEL_METRICS_EXPORTER": "none"}, "spans"),
    ({"OTEL_TRACES_EXPORTER": "none"}, "spans"),
    ({"DD_TRACE_OTEL_ENABLED": "true"}, "datadog"),
    ({"DD_TRACE_OTEL_ENABLED": "true", "DD_METRICS_OTEL_ENABLED": "true"}, "datadog"),
    ({"OTEL_SDK_DISABLED": "false"}, "datadog"),
    ({"OTEL_SDK_DISABLED": "true"}, None),
]
"""Variables, and where the spans arrive with them: in the program's pipeline, at Datadog, nowhere."""


@pytest.mark.parametrize(("variables", "arrive"), SETTINGS, ids=str)
def test_parents_and_totals(tmp_path: Path, variables: dict[str, str], arrive: str | None) -> None:
    """Whatever replaces provider or context: parents are right where spans arrive, and totals always."""
    answer = tmp_path / "answer.json"
    with ReplayServer([load_exchanges("openai/openai__test_chat.json")[0]]) as server:
        done = subprocess.run(
            [sys.executable, "-m", "neighbours.nested", str(answer), server.url],
            env=environ_of({**NOWHERE, **variables}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    seen = json.loads(answer.read_text())
    assert seen["totals"] == TOTALS
    ours = {where: _parents(seen[where]) for where in ("spans", "datadog")}
    assert ours == {where: PARENTS if where == arrive else [] for where in ours}


def _parents(spans: list[list[Any]]) -> list[tuple[str, str | None]]:
    """Spans of ours and their parents."""
    ours = ("chat ", "invoke_")
    return sorted((tuple(span) for span in spans if span[0].startswith(ours)), key=str)  # type: ignore[arg-type]
