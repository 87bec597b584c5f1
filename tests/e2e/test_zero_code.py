"""A plain script under `opentelemetry-instrument` -> collector -> file and Jaeger: its tree, with costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.arrived import Json, delivered, plain
from e2e.conftest import module
from e2e.services import Collector, Start, eventually, jaeger_spans
from support.replay import ReplayServer, expected
from zerocode.launching import CHAT, LAUNCHER, cost_of

USAGE = expected(CHAT)
MESSAGE = "Say this is a test"

OPENAI = f"""
import openai
from opentelemetry import trace

with trace.get_tracer("app").start_as_current_span("handle request"):
    openai.OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{{"role": "user", "content": "{MESSAGE}"}}]
    )
"""

LANGCHAIN = f"""
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.output_parsers import StrOutputParser
from langchain_openai import ChatOpenAI
from opentelemetry import trace

chain = ChatPromptTemplate.from_template("{{text}}") | ChatOpenAI(model="gpt-4o-mini") | StrOutputParser()
with trace.get_tracer("app").start_as_current_span("handle request"):
    chain.invoke({{"text": "{MESSAGE}"}})
"""


@pytest.fixture
def provider() -> Iterator[ReplayServer]:
    """It has this one answer, whatever a framework adds to the request."""
    with ReplayServer([CHAT]) as server:
        yield server


def launch(program: str, folder: Path, provider: ReplayServer, collector: Collector, protocol: str) -> None:
    """Run a script that knows nothing of us, as the documents say."""
    script = folder / "app.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [LAUNCHER, sys.executable, script],
        env={
            **os.environ,
            # the real host, so that provider and price are found as they are in production
            "OPENAI_BASE_URL": "http://api.openai.com/v1",
            "OPENAI_API_KEY": "test-key",
            "HTTP_PROXY": provider.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "OTEL_SERVICE_NAME": "plain",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def path_to(span: Json, spans: dict[str, Json]) -> list[str]:
    """Names from the root down."""
    parent = spans.get(span["parent_id"])
    return [*(path_to(parent, spans) if parent else []), span["name"]]


def check(spans: dict[str, Json]) -> tuple[Json, list[str]]:
    """The one model call, with the provider's usage and the price of genai-prices itself; and its path."""
    [chat] = [span for span in spans.values() if plain(span).get("gen_ai.operation.name") == "chat"]
    said = plain(chat)
    assert said["gen_ai.usage.input_tokens"] == USAGE["input_tokens"]
    assert said["gen_ai.usage.output_tokens"] == USAGE["output_tokens"]
    assert said["gen_ai.usage.cost"] == float(cost_of())
    assert {span["trace_id"] for span in spans.values()} == {chat["trace_id"]}
    assert {span["resource"]["service.name"][1] for span in spans.values()} == {"plain"}
    return chat, path_to(chat, spans)


def arrived(collector: Collector) -> dict[str, Json]:
    """Every span, once the root is there."""
    found = delivered(collector.folder)
    assert any(not span["parent_id"] for span in found.values())
    return found


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_openai_script(start: Start, provider: ReplayServer, tmp_path: Path, protocol: str) -> None:
    """No line of ours in it, and its call arrives inside the program's own span, with its cost."""
    collector = start("file")
    launch(OPENAI, tmp_path, provider, collector, protocol)
    _, path = check(eventually(lambda: arrived(collector)))
    assert path == ["handle request", "chat gpt-4o-mini"]


def test_openai_script_in_jaeger(
    start: Start, provider: ReplayServer, tmp_path: Path, jaeger: tuple[str, str]
) -> None:
    """The same from Jaeger's API, beside the file."""
    endpoint, api = jaeger
    collector = start("file", "jaeger", JAEGER_ENDPOINT=endpoint)
    launch(OPENAI, tmp_path, provider, collector, "http/protobuf")
    spans = eventually(lambda: arrived(collector))
    check(spans)
    _same_in_jaeger(api, spans)


def _same_in_jaeger(api: str, spans: dict[str, Json]) -> None:
    [trace_id] = {span["trace_id"] for span in spans.values()}
    shown = eventually(lambda: jaeger_spans(api, trace_id, len(spans)))
    assert shown.keys() == spans.keys()
    for name, span in spans.items():
        tags: dict[str, Any] = {tag["key"]: tag["value"] for tag in shown[name]["tags"]}
        for key, value in plain(span).items():
            assert (json.loads(tags[key]) if isinstance(value, list) else tags[key]) == value


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_langchain_script(
    start: Start, provider: ReplayServer, tmp_path: Path, jaeger: tuple[str, str], protocol: str
) -> None:
    """A plain chain: one model call with one cost below it, in the file and in Jaeger."""
    module("langchain_openai")
    endpoint, api = jaeger
    collector = start("file", "jaeger", JAEGER_ENDPOINT=endpoint)
    launch(LANGCHAIN, tmp_path, provider, collector, protocol)
    spans = eventually(lambda: arrived(collector))
    _, path = check(spans)
    assert path == ["handle request", "RunnableSequence", "chat gpt-4o-mini"]
    _same_in_jaeger(api, spans)
