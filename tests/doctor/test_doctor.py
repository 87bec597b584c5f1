"""The doctor names what is there, what is wrong, and ends with an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from export.collector import grpc_collector, http_collector

pytest.importorskip("openai")

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "DD_"))}


RUN = "from otel_agentops.cli import main; raise SystemExit(main())"


def doctor(*arguments: str, cwd: Path | None = None, **variables: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings of the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, "doctor", "--json", *arguments],
        check=False,
        env={**CLEAN, **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def found(findings: list[dict[str, Any]], text: str) -> dict[str, Any]:
    """The one finding that says this."""
    matching = [finding for finding in findings if text in finding["text"]]
    assert len(matching) == 1, (text, [one["text"] for one in findings])
    return matching[0]


def test_a_clean_environment() -> None:
    """Every method that the installed SDK has is instrumented; nothing is wrong but the missing collector."""
    _, findings = doctor()
    (openai,) = (one for one in findings if "openai (" in one["text"] and "instrumented" in one["text"])
    active, _, total = openai["text"].partition(": ")[2].split()[:3]
    assert openai["level"] == "ok"
    lacking = [one["text"].partition("does not have ")[2] for one in findings]
    assert int(active) + sum(len(text.split(", ")) for text in lacking if text) == int(total)
    assert int(active) >= 8
    assert [
        one for one in findings if one["level"] in ("warning", "error") and one["topic"] != "endpoint"
    ] == []
    assert found(findings, "content (prompts")["level"] == "ok"
    assert found(findings, "prices: genai-prices")["topic"] == "settings"


@pytest.mark.parametrize(
    ("variables", "says", "level"),
    [
        ({"OTEL_AGENTOPS_SEMCONV": "9"}, "OTEL_AGENTOPS_SEMCONV='9'", "warning"),
        ({"OTEL_SDK_DISABLED": "true"}, "nothing is exported", "warning"),
        ({"OTEL_EXPERIMENTAL_CONFIG_FILE": "x"}, "is ignored by the SDK", "warning"),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai"}, "openai: switched off", "note"),
        (
            {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true", "OTEL_AGENTOPS_REDACT": "none"},
            "nothing is taken out",
            "warning",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_matter(variables: dict[str, str], says: str, level: str) -> None:
    """A variable that changes what is recorded is told, with what to do."""
    with http_collector() as collector:
        code, findings = doctor("--strict", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **variables)
    finding = found(findings, says)
    assert (finding["level"], bool(finding["advice"])) == (level, True)
    assert code == int(level == "warning")


PROGRAM = """
import functools
from openai.resources.chat.completions import Completions

bare = Completions.create

@functools.wraps(bare)
def create(*args, **kwargs):
    return bare(*args, **kwargs)

Completions.create = create
"""


def test_what_the_program_itself_does(tmp_path: Path) -> None:
    """With `--import` the wrappers that the program puts in place are seen, and named after their module."""
    (tmp_path / "shop.py").write_text(PROGRAM)
    _, findings = doctor("--import", "shop", cwd=tmp_path)
    assert "shop has wrapped 1 of these methods" in found(findings, "has wrapped")["text"]
    code, findings = doctor("--import", "no_such_module", cwd=tmp_path)
    assert code == 1
    assert found(findings, "no_such_module cannot be imported")["level"] == "error"


SPENDING = "import otel_agentops as ao; ao.init(budgets=ao.Budget(usd=5, calls=20), exporters=['none'])"


def test_budgets_of_the_program(tmp_path: Path) -> None:
    """What the process may spend is told; without a program there is nothing to tell of."""
    (tmp_path / "spending.py").write_text(SPENDING)
    _, findings = doctor("--import", "spending", cwd=tmp_path)
    assert found(findings, "budgets:")["text"] == "budgets: the process has 20 calls, 5 usd left"
    _, findings = doctor()
    assert "none for the process" in found(findings, "budgets:")["text"]


def test_what_is_left_to_others(tmp_path: Path) -> None:
    """Behind a gate it is said to whom the spans are left, and if there is nobody."""
    (tmp_path / "shop.py").write_text(PROGRAM)
    _, findings = doctor("--import", "shop", cwd=tmp_path, OTEL_AGENTOPS_GATE="openai")
    assert "methods are gated" in found(findings, "methods are")["text"]
    assert found(findings, "has wrapped")["text"].endswith("too: Completions.create")
    assert "spans are left to shop" in found(findings, "are left to")["text"]
    _, findings = doctor(OTEL_AGENTOPS_GATE="openai")
    assert found(findings, "nobody is seen here")["advice"]


RENAMED = """
import openai.resources.embeddings as module
del module.Embeddings.create
module.AsyncEmbeddings.make = module.AsyncEmbeddings.create
del module.AsyncEmbeddings.create
"""


def test_a_renamed_method(tmp_path: Path) -> None:
    """What a new version of the library has renamed is named; the rest is instrumented."""
    (tmp_path / "renamed.py").write_text(RENAMED)
    _, findings = doctor("--import", "renamed", cwd=tmp_path)
    lacking = found(findings, "does not have")
    assert "embeddings.AsyncEmbeddings.create" in lacking["text"]
    assert "embeddings.Embeddings.create" in lacking["text"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_whether_the_endpoint_answers(protocol: str) -> None:
    """A collector that takes spans is fine; nobody there, or one that refuses, ends with exit code 1."""
    server = grpc_collector if protocol == "grpc" else http_collector
    with server() as collector:
        address = collector.url
        code, findings = doctor(
            OTEL_EXPORTER_OTLP_ENDPOINT=address,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_HEADERS="x-key=abc",
        )
        assert (code, found(findings, "takes spans")["level"]) == (0, "ok")
        assert collector.headers[0]["x-key"] == "abc"
        assert collector.spans == []
    code, findings = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert (code, found(findings, "does not take spans")["level"]) == (1, "error")


def test_a_collector_that_refuses() -> None:
    """What it says is told, and no key from the URL."""
    with http_collector() as collector:
        collector.status = 401
        url = collector.url.replace("http://", "http://me:hunter2@")
        code, findings = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert code == 1
    assert "HTTP 401" in found(findings, "does not take spans")["text"]
    assert "hunter2" not in json.dumps(findings)
