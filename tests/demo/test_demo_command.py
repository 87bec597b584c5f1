"""`otel-agentops demo`: what it prints is what was received, and it adds up."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

import genai_prices
import pytest

from otel_agentops.demo.replay import Replay, recordings
from otel_agentops.viewer import Receiver

SHAPE = [
    "session inbox",
    "  agent EmailClassifier",
    "    operation extract_sender",
    "      model_call chat gpt-4.1-nano-2025-04-14",
    "    operation summarize",
    "      model_call chat gpt-4o-mini-2024-07-18",
    "  agent TripPlanner",
    "    model_call chat gpt-4o-mini-2024-07-18",
    "    tool get_current_weather",
    "    tool get_current_weather",
    "    model_call chat gpt-4o-mini-2024-07-18",
    "    agent Reviewer",
    "      model_call chat this-model-does-not-exist",
    "      model_call chat gpt-4-0613",
]


def walk(nodes: list[dict[str, Any]], depth: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Depth and node, from top to bottom."""
    for node in nodes:
        yield depth, node
        yield from walk(node["children"], depth + 1)


def calls(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Every model call of a result."""
    return [node for _, node in walk(result["tree"]) if node["kind"] == "model_call"]


def answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Model and usage of every recorded answer that has usage, whole or streamed."""
    for exchange in recordings().values():
        body = exchange["response"]["body"]
        texts = re.findall(r"^data: (\{.*)$", body, re.MULTILINE) if "data: " in body else [body]
        for answer in map(json.loads, texts):
            if answer.get("usage"):
                yield answer["model"], answer["usage"]


def library_price(model: str, usage: dict[str, Any]) -> Decimal:
    """The price by genai-prices itself, from the provider's own words."""
    sent = usage.get("prompt_tokens", usage.get("input_tokens"))
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    counts = genai_prices.Usage(
        input_tokens=sent,
        output_tokens=usage.get("completion_tokens", usage.get("output_tokens")),
        cache_read_tokens=details.get("cached_tokens") or None,
    )
    return genai_prices.calc_price(counts, model, provider_id="openai").total_price


def test_the_tree_is_the_program(result: Any) -> None:
    """Sessions, agents, operations, tools and calls arrive where they happened."""
    found = [
        "  " * depth + " ".join(filter(None, (node["kind"], node["name"], node["model"])))
        for depth, node in walk(result["tree"])
    ]
    assert found == SHAPE


def test_the_total_is_the_sum_of_independently_priced_calls(result: Any) -> None:
    """Printed total, sum of the calls and the recordings priced by the library are one number."""
    expected = sorted(library_price(model, usage) for model, usage in answers())
    received = sorted(
        Decimal(repr(call["cost_usd"])) for call in calls(result) if call["cost_usd"] is not None
    )
    assert len(received) == len(expected) == 5
    assert all(
        math.isclose(ours, theirs, rel_tol=1e-12) for ours, theirs in zip(received, expected, strict=True)
    )
    assert math.isclose(result["total"]["cost_usd"], sum(expected), rel_tol=1e-12)
    assert math.isclose(result["total"]["reported_usd"], sum(expected), rel_tol=1e-12)


def test_the_printed_total_is_the_number_in_the_json(result: Any, printed: str) -> None:
    """The picture and the JSON say the same."""
    total = re.search(r"total: 6 calls, 1 failed +([\d,]+) +([\d,]+) +\$(\S+)", printed)
    assert total is not None
    told = result["total"]
    assert Decimal(total[3]) == Decimal(repr(told["cost_usd"]))
    assert int(total[1].replace(",", "")) == told["input_tokens"] == 1393
    assert int(total[2]) == told["output_tokens"] == 397


def test_every_scope_costs_what_is_in_it(result: Any) -> None:
    """The cost of a scope is the sum of the calls below it, and shares are parts of the whole."""
    for _, node in walk(result["tree"]):
        below = [leaf["cost_usd"] or 0 for _, leaf in walk([node]) if leaf["kind"] == "model_call"]
        assert math.isclose(node["cost_usd"] or 0, math.fsum(below), rel_tol=1e-12)
    top = [node["share"] for node in result["tree"][0]["children"]]
    assert math.isclose(sum(top), 1)


def test_tokens_are_those_of_the_recordings(result: Any) -> None:
    """Streamed calls have usage too, and nothing is invented for the failed one."""
    found = sorted(
        (call["input_tokens"], call["output_tokens"]) for call in calls(result) if call["input_tokens"]
    )
    expected = sorted(
        (usage.get("prompt_tokens", usage.get("input_tokens")), usage["total_tokens"])
        for _, usage in answers()
    )
    assert [(sent, sent + received) for sent, received in found] == expected


def test_the_failure_is_marked_and_costs_nothing(result: Any, printed: str) -> None:
    """The 404 is an error of one call, not of the agent that caught it."""
    failed = [node for _, node in walk(result["tree"]) if node["error"]]
    assert [(node["model"], node["cost_usd"]) for node in failed] == [("this-model-does-not-exist", None)]
    assert failed[0]["error"].startswith("NotFoundError: Error code: 404")
    assert "✗ chat this-model-does-not-exist: NotFoundError" in printed


def test_it_is_quick_and_quiet(run: Any) -> None:
    """It ends by itself within seconds and says nothing on standard error, warnings being errors."""
    begin = time.monotonic()
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - begin < 15  # 2 s on an idle machine


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_SAMPLER": "always_off"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "3"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
        {"OPENAI_API_KEY": "sk-of-somebody", "OPENAI_BASE_URL": "http://127.0.0.1:9"},
        {"OTEL_AGENTOPS_COST_NAMES": "otel-443", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_what_the_shell_says_changes_nothing(demo: Any, variables: dict[str, str]) -> None:
    """Settings that are meant for other programs do not spoil the demo, nor does it use a key."""
    assert demo(**variables)["total"]["cost_usd"] == 0.0010207


def test_a_collector_gets_the_same_spans(demo: Any) -> None:
    """`--otlp` sends a copy of everything, gzip or not."""
    with Receiver() as collector:
        result = demo("--otlp", collector.url, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
        assert {span.span_id for span in collector.spans} == {
            node["span_id"] for _, node in walk(result["tree"])
        }
        assert len(collector.spans) == len(SHAPE)


def test_a_collector_that_is_not_there_is_a_failure(run: Any) -> None:
    """The tree is shown all the same, but the exit code is honest."""
    done = run("demo", "--otlp", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "session inbox" in done.stdout
    assert "not all spans could be sent" in done.stderr


def test_a_collector_needs_a_url(run: Any) -> None:
    """A host alone is refused before anything runs."""
    done = run("demo", "--otlp", "localhost:4318")
    assert done.returncode == 2
    assert "no URL such as http://localhost:4318" in done.stderr


def test_live_without_a_key_says_so(run: Any) -> None:
    """Nothing is contacted, and the message names the variable."""
    done = run("demo", "--live", OPENAI_API_KEY="", OPENAI_BASE_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert "set OPENAI_API_KEY" in done.stderr


def test_the_picture_loads_nothing(run: Any, tmp_path: Any) -> None:
    """The SVG shows the tree and refers to no other host."""
    file = tmp_path / "demo.svg"
    assert run("demo", "--svg", str(file)).returncode == 0
    picture = file.read_text("utf-8")
    assert "EmailClassifier" in picture
    assert set(re.findall(r"https?://[^\"]+", picture)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("package", ["openai", "rich"])
def test_a_missing_package_is_named(package: str) -> None:
    """Without the extra the command says what to install."""
    code = f"import sys; sys.modules[{package!r}] = None"
    code += "; from otel_agentops import cli; sys.exit(cli.main(['demo']))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    told = rf'the demo needs {package}( and openai 1\.66 or later)?: pip install "otel-agentops\[demo\]"'
    assert re.search(told, done.stderr)


@pytest.mark.skipif(find_spec("openai.resources.responses") is not None, reason="this openai is new enough")
def test_too_old_an_openai_is_named() -> None:
    """Where openai is there but knows no responses, the command says which version it needs."""
    code = "import sys; from otel_agentops import cli; sys.exit(cli.main(['demo']))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "the demo needs openai 1.66 or later" in done.stderr


def test_version(run: Any) -> None:
    """The command knows its version."""
    assert run("--version").stdout == "otel-agentops 0.1.0\n"


def test_the_live_path_adds_up_too(demo: Any) -> None:
    """`--live` uses the key and the host of the environment; here that host is the recordings' one."""
    with Replay() as api:
        result = demo("--live", OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=api.url)
    assert result["recorded"] is False
    assert result["total"]["cost_usd"] == 0.0010207


def test_an_api_that_does_not_answer_is_a_failure(run: Any) -> None:
    """An error of the real API ends the demo with its message, not with a traceback."""
    done = run("demo", "--live", OPENAI_API_KEY="sk-test", OPENAI_BASE_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "otel-agentops: the demo failed: Connection error.\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_output_without_branches(run: Any, encoding: str) -> None:
    """A terminal or file that lacks the characters gets plain ones."""
    done = run("demo", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "|- agent EmailClassifier" in done.stdout
    assert done.stdout.isascii()
