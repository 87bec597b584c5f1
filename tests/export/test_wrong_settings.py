"""Programs with wrong settings: one line that names the setting, and everything else as always."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.collector import grpc_collector, http_collector
from export.test_export import PROGRAM, closed_port, run

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
RUNS_ON = PROGRAM + "\nprint('the end')\nraise SystemExit(3)\n"
FLUSHES = PROGRAM + "\nao.flush(timeout_s=3)\nprint('the end')\nraise SystemExit(3)\n"


def said(program: str, **environ: str) -> str:
    """The one line about a setting that a program logs; it prints and returns what it should."""
    done = run(program, expect=3, **{"OTEL_METRICS_EXPORTER": "none", **environ})
    assert done.stdout == "the end\n"
    (line,) = [line for line in done.stderr.splitlines() if "OTEL_" in line or "exporters=" in line]
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.parametrize("program", [RUNS_ON, FLUSHES], ids=["at exit", "at a flush"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_listens(protocol: str, program: str) -> None:
    """Short and long programs say which variable is wrong, once, although the exporter still tries."""
    endpoint = f"http://127.0.0.1:{closed_port()}"
    line = said(program, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert f"{ENDPOINT}={endpoint!r}, protocol {protocol}: nobody listens" in line


def test_http_to_the_grpc_port() -> None:
    """The HTTP exporter at a gRPC receiver."""
    with grpc_collector() as collector:
        line = said(RUNS_ON, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in line


def test_grpc_to_the_http_port() -> None:
    """The gRPC exporter at an HTTP receiver."""
    with http_collector() as collector:
        line = said(RUNS_ON, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in line


def test_tls_to_a_plain_port() -> None:
    """`https://` where no TLS is spoken."""
    with http_collector() as collector:
        line = said(RUNS_ON, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url.replace("http://", "https://"))
    assert f"set the endpoint to {collector.url}" in line


def test_refused_credentials() -> None:
    """A receiver that wants a key: its answer, and where keys are set."""
    with http_collector() as collector:
        collector.status = 401
        line = said(FLUSHES, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert "401" in line
    assert "OTEL_EXPORTER_OTLP_HEADERS" in line


def test_a_url_in_code() -> None:
    """`exporters=` is named where it said where to send."""
    url = f"http://127.0.0.1:{closed_port()}"
    program = RUNS_ON.replace("auto_session=False", f'auto_session=False, exporters=["{url}"]')
    assert f"exporters='{url}'" in said(program)


def test_the_stock_exporter_is_explained_too() -> None:
    """Where the SDK's own exporter has to be used, its messages are followed by ours."""
    done = run(
        FLUSHES,
        expect=3,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed_port()}",
        OTEL_EXPORTER_OTLP_TIMEOUT="2",
        OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED="true",
        OTEL_METRICS_EXPORTER="none",
    )
    assert done.stderr.count("nobody listens") == 1


def test_a_collector_that_comes_back_is_no_wrong_setting() -> None:
    """What was delivered once is not doubted when it fails later."""
    later = (
        PROGRAM
        + "\nao.flush(timeout_s=5)\nprint(flush := input())\nwith ao.agent('b'):\n    pass\nao.flush()\n"
    )
    import os
    import subprocess
    import sys

    with http_collector() as collector:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        process = subprocess.Popen(
            [sys.executable, "-c", later],
            env={**clean, ENDPOINT: collector.url, "OTEL_METRICS_EXPORTER": "none"},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while not collector.spans:
            assert process.poll() is None
        collector.status = 400
        out, log = process.communicate("go on\n", timeout=60)
    assert out == "go on\n"
    assert "HTTP 400" in log
    assert ENDPOINT not in log


@pytest.mark.parametrize(
    ("variable", "name"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_METRICS_EXPORTER", "prometheus")],
)
def test_a_missing_exporter_package(variable: str, name: str) -> None:
    """An exporter that is not installed: its variable, and what there is instead."""
    quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", variable: name}
    line = said(RUNS_ON, **quiet)
    assert f"{variable}={name!r}" in line
    assert "allowed: " in line


@pytest.mark.parametrize("content", [None, "[[price]]\noops = 1\n"], ids=["missing", "malformed"])
def test_an_unusable_file_of_prices(tmp_path: Path, content: str | None) -> None:
    """A price file that cannot be read."""
    file = tmp_path / "prices.toml"
    if content is not None:
        file.write_text(content)
    line = said(RUNS_ON, OTEL_TRACES_EXPORTER="none", OTEL_AGENTOPS_PRICES=str(file))
    assert "OTEL_AGENTOPS_PRICES" in line
    assert str(file) in line


def test_an_unusable_configuration_file(tmp_path: Path) -> None:
    """`OTEL_CONFIG_FILE` that is not there, or that nothing is installed to read."""
    file = tmp_path / "otel.yaml"
    line = said(RUNS_ON, OTEL_CONFIG_FILE=str(file))
    assert line.startswith(f"OTEL_CONFIG_FILE={str(file)!r}")


@pytest.mark.parametrize(
    "variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"]
)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_missing_certificate_file(variable: str, protocol: str, tmp_path: Path) -> None:
    """A file of authorities that is not there."""
    file = str(tmp_path / "ca.pem")
    environ = {ENDPOINT: "https://127.0.0.1:1", variable: file, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    line = said(FLUSHES, **environ)
    assert f"{file!r}" in line
    assert variable in line
