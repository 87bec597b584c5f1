"""Program -> collector -> real destinations, each asked through its own interface for what it got."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.arrived import Json, plain
from e2e.conftest import module, tool
from e2e.services import Run, Service, Start, eventually, free_ports, get, jaeger_spans

HERE = Path(__file__).resolve().parent
BRING = "run scripts/install-test-tools"


# --- Jaeger: the trace, back from its API


def test_jaeger_has_the_whole_trace(start: Start, run: Run, jaeger: tuple[str, str]) -> None:
    """Asked for each trace, it gives back every span with its parent, times, and all attributes as tags."""
    endpoint, api = jaeger
    ran = run(start("jaeger", JAEGER_ENDPOINT=endpoint).http)
    for trace_id in {span["trace_id"] for span in ran.spans.values()}:
        written = {name: span for name, span in ran.spans.items() if span["trace_id"] == trace_id}
        found = eventually(lambda: jaeger_spans(api, trace_id, len(written)))  # noqa: B023 - called at once
        assert found.keys() == written.keys()
        for name, span in written.items():
            _same_in_jaeger(span, found[name])


def _same_in_jaeger(written: Json, found: Json) -> None:
    assert found["operationName"] == written["name"]
    assert found["startTime"] == written["start_ns"] // 1000
    parents = [r["spanID"] for r in found["references"] if r["refType"] == "CHILD_OF"]
    assert parents == ([written["parent_id"]] if written["parent_id"] else [])
    tags = {tag["key"]: tag["value"] for tag in found["tags"]}
    for name, value in plain(written).items():
        shown = json.loads(tags[name]) if isinstance(value, list) else tags[name]
        assert shown == value
    assert tags.get("error", False) is (written["status"][0] == "ERROR")


# --- Datadog: what its agent would get


@pytest.fixture
def datadog(tmp_path: Path) -> Iterator[str]:
    """URL of the OTLP receiver of Datadog's test agent."""
    program = tool("ddapm/bin/ddapm-test-agent", BRING)
    apm, http, grpc = free_ports(3)
    command = [program, "--port", apm, "--otlp-http-port", http, "--otlp-grpc-port", grpc]
    command += ["--web-ui-port", "0", "--disable-llmobs-data-forwarding"]
    url = f"http://127.0.0.1:{http}"
    with Service(command, tmp_path / "ddapm", f"{url}/test/session/traces"):
        yield url


def test_datadogs_agent_has_every_span(start: Start, run: Run, datadog: str) -> None:
    """Ids, parents, names, and every attribute with its type."""
    ran = run(start("datadog-agent", DD_AGENT_OTLP_ENDPOINT=datadog).grpc, "grpc")
    found = eventually(lambda: _datadog_spans(datadog, len(ran.spans)))
    assert found.keys() == ran.spans.keys()
    for name, span in ran.spans.items():
        assert found[name] == {
            "name": span["name"],
            "trace_id": span["trace_id"],
            "parent_id": span["parent_id"],
            "attributes": span["attributes"],
            "service": "e2e",
        }


def _datadog_spans(url: str, wanted: int) -> dict[str, Json]:
    found = {}
    for request in json.loads(get(f"{url}/test/session/traces")):
        for resource in request["resource_spans"]:
            service = _datadog_values(resource["resource"])["service.name"][1]
            for span in (s for scope in resource["scope_spans"] for s in scope["spans"]):
                found[_hex(span["span_id"])] = {
                    "name": span["name"],
                    "trace_id": _hex(span["trace_id"]),
                    "parent_id": _hex(span.get("parent_span_id", "")),
                    "attributes": _datadog_values(span),
                    "service": service,
                }
    assert len(found) >= wanted
    return found


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()


_READ: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "string_value": ("str", str), "int_value": ("int", int), "double_value": ("float", float),
    "bool_value": ("bool", bool),
}  # fmt: skip


def _datadog_values(holder: Json) -> Json:
    return {item["key"]: _datadog_value(item["value"]) for item in holder.get("attributes", ())}


def _datadog_value(value: Json) -> list[Any]:
    [(key, raw)] = value.items()
    if key == "array_value":
        return ["array", [_datadog_value(item) for item in raw.get("values", ())]]
    kind, read = _READ[key]
    return [kind, read(raw)]


# --- Prometheus: a scrape


def test_prometheus_scrapes_calls_and_tokens(start: Start, run: Run) -> None:
    """Calls counted from the spans, per agent and model; tokens as the program measured them."""
    parser = module("prometheus_client.parser")
    collector = start("prometheus")
    ran = run(collector.http)
    url = f"http://127.0.0.1:{collector.prometheus_port}/metrics"
    wanted = ("otel_agentops_spans_calls_total", "gen_ai_client_token_usage_sum")

    def scraped() -> dict[str, list[Any]]:
        samples = [s for family in parser.text_string_to_metric_families(get(url)) for s in family.samples]
        found = {name: [sample for sample in samples if sample.name == name] for name in wanted}
        assert sum(sample.value for sample in found[wanted[0]]) >= len(ran.spans)  # each begins at 0
        return found

    found = eventually(scraped)
    calls = Counter({
        (s.labels["span_name"], s.labels.get("gen_ai_agent_name"), s.labels["status_code"]): int(s.value)
        for s in found[wanted[0]]
    })  # fmt: skip
    assert calls == Counter(
        (s["name"], plain(s).get("gen_ai.agent.name"), f"STATUS_CODE_{s['status'][0]}")
        for s in ran.spans.values()
    )
    assert {sample.labels["job"] for sample in found[wanted[1]]} == {"e2e"}
    tokens = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    models = [a for a in map(plain, ran.spans.values()) if a.get("gen_ai.operation.name") != "invoke_agent"]
    assert sum(s.value for s in found[wanted[1]]) == sum(a.get(name, 0) for a in models for name in tokens)


# --- ClickHouse: rows


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[str]:
    """URL of ClickHouse's HTTP interface."""
    python = tool("chdb/bin/python", BRING)
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [python, HERE / "clickhouse_server.py", port, tmp_path / "chdb-data"]
    with Service(command, tmp_path / "chdb", f"{url}/ping"):
        yield url


def rows(url: str, query: str) -> list[Json]:
    """Rows of an answer."""
    asked = urllib.parse.urlencode({"query": query, "default_format": "JSONEachRow"})
    return [json.loads(line) for line in get(f"{url}/?{asked}").splitlines()]


SPANS = """SELECT SpanId, TraceId, ParentSpanId, SpanName, toUnixTimestamp64Nano(Timestamp) AS start,
    Duration, SpanAttributes, StatusMessage, ServiceName FROM otel.otel_traces"""


def test_clickhouse_has_every_row(start: Start, run: Run, clickhouse: str) -> None:
    """The exporter makes the table and fills it: ids, names, times, durations, every attribute as text."""
    ran = run(start("clickhouse", CLICKHOUSE_ENDPOINT=clickhouse, CLICKHOUSE_COMPRESS="none").http)
    found = {row["SpanId"]: row for row in eventually(lambda: _enough(clickhouse, len(ran.spans)))}
    assert found.keys() == ran.spans.keys()
    for name, span in ran.spans.items():
        row = found[name]
        assert (row["TraceId"], row["ParentSpanId"]) == (span["trace_id"], span["parent_id"])
        assert (row["SpanName"], row["ServiceName"]) == (span["name"], "e2e")
        assert (int(row["start"]), int(row["Duration"])) == (
            span["start_ns"],
            span["end_ns"] - span["start_ns"],
        )
        assert row["StatusMessage"] == span["status"][1]
        assert row["SpanAttributes"].keys() == span["attributes"].keys()
        for key, value in plain(span).items():
            assert _read(row["SpanAttributes"][key], value) == value


def test_clickhouse_sums_the_bill(start: Start, run: Run, clickhouse: str) -> None:
    """The query of the documents gives each agent's cost."""
    query = re.search(
        r"```sql\n(SELECT.*?)```", (HERE.parents[1] / "docs/collectors.md").read_text(encoding="utf-8"), re.S
    )
    assert query is not None
    ran = run(start("clickhouse", CLICKHOUSE_ENDPOINT=clickhouse, CLICKHOUSE_COMPRESS="none").http)
    eventually(lambda: _enough(clickhouse, len(ran.spans)))
    bill = rows(clickhouse, query[1].replace("otel_traces", "otel.otel_traces"))
    models: dict[str, list[float]] = {}
    for values in map(plain, ran.spans.values()):
        if "gen_ai.usage.cost" in values:
            models.setdefault(values["gen_ai.response.model"], []).append(values["gen_ai.usage.cost"])
    assert {row["model"]: (row["agent"], int(row["calls"]), row["cost_usd"]) for row in bill} == {
        model: ("Writer", len(costs), pytest.approx(sum(costs), abs=1e-12)) for model, costs in models.items()
    }
    assert len(bill) == 2


def _enough(url: str, wanted: int) -> list[Json]:
    found = rows(url, SPANS)
    assert len(found) >= wanted
    return found


def _read(text: str, like: Any) -> Any:
    """The value of an attribute from its text."""
    return text if isinstance(like, str) else json.loads(text)
