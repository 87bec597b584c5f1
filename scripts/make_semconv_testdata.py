"""Write the test data that says what a span and a metric of each profile must look like.

python scripts/make_semconv_testdata.py semconv-genai.json

The argument is a machine-readable description of the GenAI conventions: their main branch, and older
versions as dialects. Written are tests/data/semconv/1.41.json and latest.json, one entry a line.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TARGET = Path(__file__).parent.parent / "tests" / "data" / "semconv"

OLD_IDS = {
    "gen_ai.inference.client": "gen_ai.client.inference",
    "openai.inference.client": "openai.gen_ai.client.inference",
    "azure.ai.inference.client": "azure.ai.gen_ai.client.inference",
    "anthropic.inference.client": "anthropic.gen_ai.client.inference",
    "aws.bedrock.client": "aws.bedrock.gen_ai.client.inference",
}
"""Ids of spans in 1.41 that have other ids today."""

CACHE_WRITES = {"gen_ai.usage.cache_creation.input_tokens": ["gen_ai.usage.input_tokens"]}
"""Parts of totals in 1.41 that today's registry knows no more."""

KEPT = ("type", "enum", "subset_of", "only_value")


def main() -> None:
    """Read the description, write both profiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path)
    source = json.loads(parser.parse_args().source.read_text(encoding="utf-8"))
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, profile in (("1.41", _old(source)), ("latest", _latest(source))):
        (TARGET / f"{name}.json").write_text(_lines(profile), encoding="utf-8", newline="\n")


def _latest(source: Json) -> Json:
    """Profile of the main branch."""
    spans = {span["id"]: span for span in source["spans"]}
    known = {name: entry for name, entry in source["attributes"].items() if "deprecated" not in entry}
    return {
        "profile": "latest",
        "source": f"{source['source']['repository']}@{source['source']['commit']}",
        "schema_url": None,
        "attributes": {name: _picked(entry, KEPT) for name, entry in known.items()},
        "replaced": _replaced(source, known),
        "spans": {key: _span(span, span, spans.get(span.get("refines"))) for key, span in spans.items()},
        "metrics": {m["name"]: _metric(m, m) for m in source["metrics"] if "deprecated" not in m},
        "content_schemas": source["content_schemas"],
    }


def _old(source: Json) -> Json:
    """Profile of 1.41: its own names and levels; formats, buckets and types as they are today."""
    old, now = source["dialects"]["1.41.0"], source["attributes"]
    today = {span["id"]: span for span in source["spans"]}
    by_id = {span["id"]: span for span in old["spans"]}
    spans = {}
    for key, span in by_id.items():
        twin = today[OLD_IDS.get(key, key)]
        base = next((o for o in by_id.values() if OLD_IDS.get(o["id"], o["id"]) == twin.get("refines")), None)
        spans[key] = _span(span, twin, base)
    metrics = {metric["name"]: metric for metric in source["metrics"]}
    attributes = {
        name: {**_picked(now.get(name, {}), ("subset_of",)), **_picked(entry, KEPT)}
        for name, entry in old["attributes"].items()
    }
    for name, whole in CACHE_WRITES.items():
        attributes[name]["subset_of"] = whole
    return {
        "profile": "1.41",
        "source": source["source"]["dialect_sources"]["1.41.0"],
        "schema_url": old["schema_url"],
        "attributes": attributes,
        "replaced": _replaced(source, attributes),
        "spans": spans,
        "metrics": {m["name"]: _metric(m, metrics[m["name"]]) for m in old["metrics"]},
        "content_schemas": _old_schemas(source["content_schemas"]),
    }


def _picked(entry: Json, names: tuple[str, ...]) -> Json:
    return {name: entry[name] for name in names if name in entry}


def _replaced(source: Json, known: Json) -> Json:
    """Names that this profile does not know, with the name it has instead."""
    pairs = {
        old: entry["deprecated"]["replaced_by"]
        for old, entry in source["attributes"].items()
        if entry.get("deprecated", {}).get("replaced_by")
    }
    both = {**pairs, **{new: old for old, new in pairs.items()}}
    return {old: new for old, new in both.items() if old not in known and new in known}


def _span(span: Json, twin: Json, base: Json | None) -> Json:
    """One span; what refines another lists only what it adds or changes.

    Args:
        span: Id, kind and attributes.
        twin: The same span today, for what old versions lack.
        base: The span that this one refines.
    """
    inherited = _levels(base["attributes"]) if base else {}
    levels = {
        name: level for name, level in _levels(span["attributes"]).items() if inherited.get(name) != level
    }
    entry = {
        "operation": twin["operation"],
        "kind": span["kind"],
        "name_format": twin["name_format"],
        "provider": twin.get("provider"),
        "refines": base["id"] if base else None,
        "attributes": levels,
    }
    return {name: value for name, value in entry.items() if value is not None}


def _levels(attributes: list[Json]) -> Json:
    return {entry["name"]: _picked(entry, ("requirement", "condition")) for entry in attributes}


def _metric(metric: Json, twin: Json) -> Json:
    """One metric; the provider's own attributes are only in today's lists.

    Args:
        metric: Name, instrument, unit and attributes.
        twin: The same metric today, with buckets and value type.
    """
    extra = [entry for entry in twin["attributes"] if str(entry.get("condition", "")).startswith("provider ")]
    return {
        **_picked(metric, ("instrument", "unit")),
        **_picked(twin, ("value_type", "buckets")),
        "attributes": _levels([*metric["attributes"], *extra]),
    }


def _old_schemas(schemas: Json) -> Json:
    """1.41 required a finish reason and allowed every part among the instructions, but no compaction."""
    old = json.loads(json.dumps(schemas))
    parts: list[Json] = []
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        parts = old[name]["items"]["properties"]["parts"]["items"]["anyOf"]
        parts[:] = [part for part in parts if part["properties"]["type"].get("const") != "compaction"]
        parts[-1]["properties"]["type"]["not"]["enum"].remove("compaction")
    old["gen_ai.system_instructions"]["items"]["anyOf"] = parts
    output = old["gen_ai.output.messages"]["items"]
    output["required"] = ["role", "parts", "finish_reason"]
    output["properties"]["finish_reason"] = {"type": "string"}
    names = ("gen_ai.memory.records",)
    return {name: schema for name, schema in old.items() if name not in names}


def _lines(profile: Json) -> str:
    """JSON with one line for each entry of the top-level objects, so that a change is a small diff."""
    sections = []
    for name, value in profile.items():
        if isinstance(value, dict) and value:
            entries = ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items())
            sections.append(f" {json.dumps(name)}: {{\n{entries}\n }}")
        else:
            sections.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


if __name__ == "__main__":
    main()
