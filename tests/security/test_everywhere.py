"""Secrets of a program are nowhere where we write: spans on the wire, spool files, logs, reports."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.services import free_ports
from export.collector import http_collector
from support.replay import ReplayServer, load_exchanges

pytest.importorskip("openai")

TESTS = Path(__file__).resolve().parent.parent
KEY = "sk-" + "proj-" + "4eC39HqLyjWDarjtT1zdp7dc0123456789"
"""Looks like a key, so that what is written of texts is redacted; what we never read needs no look."""
PASSWORD = "c0rrecthorsebatterystaple"
"""Looks like nothing: only what is not read, and not shown, keeps it in."""
KNOWN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process with secrets in its settings; what it wrote."""
    environ = {
        **KNOWN,
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent / 'src'}",
        "THE_KEY": KEY,
        "OPENAI_API_KEY": KEY,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{PASSWORD},x-api-key={PASSWORD}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_AGENTOPS_SPOOL_DIRECTORY": str(folder / "spool"),
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command], env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def endpoint(port: str) -> str:
    """A collector's address with a password in it."""
    return f"http://user:{PASSWORD}@127.0.0.1:{port}"


def leaked(text: str) -> list[str]:
    """The secrets that are in a text."""
    return [secret for secret in (KEY, PASSWORD) if secret in text]


def written(folder: Path) -> bytes:
    """All bytes of all files below."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize(
    "variables", [{}, {"CONTENT": "1"}, {"DEBUG": "1"}], ids=["", "content", "debug logs"]
)
def test_a_program_whose_collector_is_away(tmp_path: Path, variables: dict[str, str]) -> None:
    """Neither the spool nor the log has a secret; the spool is for its owner alone, whatever the umask."""
    (port,) = free_ports(1)
    with ReplayServer([load_exchanges("openai/openai__test_chat.json")[0]]) as server:
        before = os.umask(0)
        try:
            done = run(
                ["-m", "security.hostile", server.url],
                tmp_path,
                OTEL_EXPORTER_OTLP_ENDPOINT=endpoint(port),
                **variables,
            )
        finally:
            os.umask(before)
    assert done.returncode == 0, done.stderr
    kept = written(tmp_path / "spool")
    assert b"execute_tool fetch" in kept  # there is something to look at
    assert b"PermissionError" in kept
    assert leaked(kept.decode("latin-1")) == []
    ours = [line for line in done.stderr.splitlines() if "otel_agentops" in line]
    assert leaked("\n".join(ours)) == []
    modes = {
        path.relative_to(tmp_path): stat.S_IMODE(path.stat().st_mode)
        for path in [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]
    }
    assert all(mode == (0o700 if (tmp_path / path).is_dir() else 0o600) for path, mode in modes.items()), (
        modes
    )


def test_a_program_whose_collector_is_there(tmp_path: Path) -> None:
    """What arrives has no secret, the collector's own password goes into its header alone."""
    with (
        ReplayServer([load_exchanges("openai/openai__test_chat.json")[0]]) as server,
        http_collector() as received,
    ):
        done = run(
            ["-m", "security.hostile", server.url],
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=received.url,
            CONTENT="1",
        )
        assert done.returncode == 0, done.stderr
        assert "execute_tool fetch" in received.spans
        assert leaked(b"".join(received.bodies).decode("latin-1")) == []
        assert all(PASSWORD in headers["authorization"] for headers in received.headers)


COMMANDS = (
    ["doctor"],
    ["doctor", "--json", "--import", "openai"],
    ["spool", "status"],
    ["spool", "flush"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_commands(tmp_path: Path, command: list[str], protocol: str) -> None:
    """Reports name the collector, never its password; neither do complaints about headers."""
    (port,) = free_ports(1)
    done = run(
        ["-c", "from otel_agentops.cli import main; raise SystemExit(main())", *command],
        tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint(port),
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_TRACES_HEADERS=f"Bearer {PASSWORD}",
        OTEL_AGENTOPS_DIGEST_KEY=PASSWORD,
    )
    told = done.stdout + done.stderr
    assert told
    assert "Traceback" not in told
    assert leaked(told) == []
