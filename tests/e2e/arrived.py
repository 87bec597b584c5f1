"""What was written down, and what arrived, in one form that can be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_TYPES = {
    "stringValue": ("str", str),
    "intValue": ("int", int),
    "doubleValue": ("float", float),
    "boolValue": ("bool", bool),
}
"""Key of OTLP's JSON -> type of Python, and how to read it: 64-bit integers are strings there."""


def copied(file: Path) -> dict[str, Json]:
    """Spans by id, as the program wrote them down."""
    return {span["span_id"]: span for span in _lines(file)}


def delivered(folder: Path) -> dict[str, Json]:
    """Spans by id, from the collector's `traces.jsonl`.

    Raises:
        AssertionError: A span is there twice.
    """
    found: dict[str, Json] = {}
    for document in _lines(folder / "traces.jsonl"):
        for span in spans_of(document):
            assert span["span_id"] not in found, f"{span['name']} arrived twice"
            found[span["span_id"]] = span
    return found


def points(folder: Path) -> dict[str, list[Json]]:
    """Metric name -> all its data points, from the collector's `metrics.jsonl`."""
    found: dict[str, list[Json]] = {}
    for document in _lines(folder / "metrics.jsonl"):
        for resource in document["resourceMetrics"]:
            for scope in resource["scopeMetrics"]:
                for metric in scope["metrics"]:
                    data = metric.get("histogram") or metric.get("sum") or metric["gauge"]
                    found.setdefault(metric["name"], []).extend(data["dataPoints"])
    return found


def _lines(file: Path) -> list[Json]:
    """Documents of a file that may be written to while it is read."""
    if not file.exists():
        return []
    whole = file.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line]


def spans_of(document: Json) -> list[Json]:
    """Spans of one export request in OTLP's JSON."""
    return [
        _span(span, scope.get("scope", {}), resource["resource"])
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _span(span: Json, scope: Json, resource: Json) -> Json:
    status = span.get("status", {})
    return {
        "trace_id": span["traceId"],
        "span_id": span["spanId"],
        "parent_id": span.get("parentSpanId", ""),
        "name": span["name"],
        "kind": _KINDS[span["kind"]],
        "start_ns": int(span["startTimeUnixNano"]),
        "end_ns": int(span["endTimeUnixNano"]),
        "attributes": attributes(span),
        "events": [
            [event["name"], int(event["timeUnixNano"]), attributes(event)] for event in span.get("events", ())
        ],
        "status": [_STATUSES[status.get("code", 0)], status.get("message", "")],
        "scope": [scope.get("name", ""), scope.get("version", "")],
        "resource": attributes(resource),
    }


def attributes(holder: Json) -> Json:
    """Name -> type and value."""
    return {item["key"]: _value(item["value"]) for item in holder.get("attributes", ())}


def _value(value: Json) -> list[Any]:
    if "arrayValue" in value:
        return ["array", [_value(item) for item in value["arrayValue"].get("values", ())]]
    [(key, raw)] = value.items()
    kind, read = _TYPES[key]
    return [kind, read(raw)]


def plain(span: Json) -> Json:
    """Attributes without their types."""
    return {name: _plain(value) for name, value in span["attributes"].items()}


def _plain(value: list[Any]) -> Any:
    kind, content = value
    return [_plain(item) for item in content] if kind == "array" else content
