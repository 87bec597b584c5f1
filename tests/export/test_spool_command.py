"""`otel-agentops spool`: what waits, sending it, and taking it elsewhere as OTLP JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from export.collector import http_collector
from export.test_export import closed_port
from export.test_spool import PATIENCE_S, Program, files, names, until
from otel_agentops import cli

OTLP = "OTEL_EXPORTER_OTLP_"


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A spool with 30 spans that wait and 3 that were refused; the port that nobody listens on."""
    port = closed_port()
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv(OTLP + "ENDPOINT", url)
    monkeypatch.setenv("OTEL_AGENTOPS_SPOOL_DIRECTORY", str(tmp_path))
    with http_collector(port=port) as collector:
        collector.script = [(400, {})]
        program = Program(url, tmp_path)
        program.end(*names(3, 100))
        until(lambda: program.counts["set_aside"] == 3)
    program.end(*names(30))
    program.sender.stop(0)
    return port


def test_status(left: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says how much waits, where, for whom, and changes nothing."""
    before = {path: path.read_bytes() for path in files(tmp_path)}
    assert cli.main(["spool", "status", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["spans"], found["refused"], found["files"], found["damaged"]) == (30, 3, 1, 0)
    assert found["destination"] == "http/protobuf 127.0.0.1"
    assert found["current"] is True
    assert cli.main(["spool", "status"]) == 0
    text = capsys.readouterr().out
    assert "30 spans" in text
    assert "3 refused" in text
    assert {path: path.read_bytes() for path in files(tmp_path)} == before


def test_nothing_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No spool is no error."""
    monkeypatch.setenv("OTEL_AGENTOPS_SPOOL_DIRECTORY", str(tmp_path / "nowhere"))
    assert cli.main(["spool", "status"]) == 0
    assert cli.main(["spool", "export"]) == 0
    assert "nothing" in capsys.readouterr().out


def test_flush(left: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It sends what waits, and says when it cannot."""
    assert cli.main(["spool", "flush", "--timeout", "0.3"]) == 1
    assert "30 spans still wait" in capsys.readouterr().out
    with http_collector(port=left) as collector:
        assert cli.main(["spool", "flush", "--timeout", str(PATIENCE_S)]) == 0
        assert collector.spans == names(30)
        assert "30 spans were delivered" in capsys.readouterr().out
        assert cli.main(["spool", "flush", "--refused"]) == 0
        assert collector.spans == [*names(30), *names(3, 100)]
    assert files(tmp_path) == []


def test_export(left: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One OTLP JSON object a line, ids in hex, as a collector reads them; the spool stays."""
    before = files(tmp_path)
    for arguments, expected in (([], names(30)), (["--refused"], names(3, 100))):
        assert cli.main(["spool", "export", *arguments]) == 0
        lines = capsys.readouterr().out.splitlines()
        found = []
        for line in lines:
            for resource in json.loads(line)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        assert len(bytes.fromhex(span["traceId"])) == 16
                        assert len(bytes.fromhex(span["spanId"])) == 8
                        assert int(span["startTimeUnixNano"]) > 1e18
                        assert span["kind"] == 1
                        found.append(span["name"])
            assert Parse(line, TracesData()).resource_spans
        assert found == expected
    assert files(tmp_path) == before


def test_of_a_running_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a living process has is seen, and left to it."""
    url = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv(OTLP + "ENDPOINT", url)
    monkeypatch.setenv("OTEL_AGENTOPS_SPOOL_DIRECTORY", str(tmp_path))
    program = Program(url, tmp_path, durability="crash")
    program.end(*names(5))
    before = files(tmp_path)
    assert cli.main(["spool", "flush", "--timeout", "0.3"]) == 0
    assert files(tmp_path) == before
    program.sender.stop(0)
