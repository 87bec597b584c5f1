"""Is this span, is this metric what the conventions and our own list of names say? Problems as sentences.

Read from `tests/data/semconv`, never from the library: a name that is wrong there is found here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from opentelemetry.sdk.metrics.export import Histogram, Metric, MetricsData, Sum
from opentelemetry.trace import StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["PROFILES", "check_metrics", "check_span", "load_profile"]

Json = dict[str, Any]
Values = Mapping[str, Any]

SEMCONV = Path(__file__).resolve().parent.parent / "data" / "semconv"
PROFILES = ("1.41", "latest")

OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"

STAMPS = frozenset({"gen_ai.agent.name", "gen_ai.conversation.id"})
"""Allowed on every span inside a scope, besides our own names."""

PROVIDERS_OF = {
    "openai.": {"openai", "azure.ai.openai", "azure.ai.inference"},
    "azure.": {"azure.ai.openai", "azure.ai.inference"},
    "aws.bedrock.": {"aws.bedrock"},
}
"""Whose calls alone may have the names of a provider."""

BILLED = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
"""Operations that cost something by themselves; elsewhere a cost would be counted twice."""

FETCH: Json = {
    "kind": "client",
    "name_format": "{gen_ai.operation.name}",
    "attributes": {name: {"requirement": "required"} for name in (OPERATION, PROVIDER, "gen_ai.response.id")},
}
"""`fetch_response` in versions that do not know it: a custom operation."""

CUSTOM: Json = {
    "kind": None,
    "name_format": "{gen_ai.operation.name} {gen_ai.request.model} | {gen_ai.operation.name}",
    "attributes": {OPERATION: {"requirement": "required"}},
}

ALIASES: dict[str, dict[str, str]] = {
    PROVIDER: {
        "azure": "azure.ai.openai",
        "az.ai.openai": "azure.ai.openai",
        "az.ai.inference": "azure.ai.inference",
        "bedrock": "aws.bedrock",
        "mistral": "mistral_ai",
        "gemini": "gcp.gemini",
        "google": "gcp.gen_ai",
        "vertex_ai": "gcp.vertex_ai",
        "watsonx": "ibm.watsonx.ai",
        "grok": "x_ai",
        "moonshot": "moonshot_ai",
    },
    OPERATION: {
        "completion": "text_completion",
        "embedding": "embeddings",
        "tool": "execute_tool",
        "agent": "invoke_agent",
        "workflow": "invoke_workflow",
    },
    "gen_ai.output.type": {"json_object": "json", "json_schema": "json", "audio": "speech"},
    "gen_ai.token.type": {"prompt": "input", "completion": "output"},
    "openai.api.type": {"chat": "chat_completions", "response": "responses"},
}
"""Other spellings of listed values; those that differ by case or punctuation alone need no entry."""

NEVER: dict[str, Any] = {
    "gen_ai.request.choice.count": 1,
    "gen_ai.request.stream": False,
    "gen_ai.conversation.compacted": False,
    "openai.request.service_tier": "auto",
}
"""Values of which the conventions want the attribute to be absent instead."""


# --- data


@cache
def load_profile(name: str) -> Json:
    """Read the description of one of `PROFILES`."""
    if name not in PROFILES:
        raise ValueError(f"profile {name!r} is none of {', '.join(PROFILES)}")
    return _load(name)


def _load(name: str) -> Json:
    return dict(json.loads((SEMCONV / f"{name}.json").read_text(encoding="utf-8")))


@cache
def _own() -> Json:
    return _load("own")


def _own_attribute(name: str) -> Json | None:
    known = _own()["attributes"]
    prefix = (entry for key, entry in known.items() if key.endswith("*") and name.startswith(key[:-1]))
    return known.get(name) or next(prefix, None)


def _attribute(profile: Json, name: str) -> Json | None:
    """Entry of a name: the profile's, else our own."""
    entry = profile["attributes"].get(name)
    template = next((e for k, e in _templates(profile) if name.startswith(k + ".")), None)
    return entry or template or _own_attribute(name)


def _templates(profile: Json) -> list[tuple[str, Json]]:
    return [(k, e) for k, e in profile["attributes"].items() if e["type"].startswith("template")]


# --- spans


@dataclass(frozen=True)
class _Seen:
    """A span and what it should look like."""

    span: ReadableSpan
    values: Values
    profile: Json
    wanted: Json

    @property
    def operation(self) -> str | None:
        return self.values.get(OPERATION)


def check_span(span: ReadableSpan, profile: str) -> list[str]:
    """
    Find what is wrong with one ended span of ours; an empty list if nothing is.

    Args:
        span: As an exporter gets it.
        profile: One of `PROFILES`.
    """
    data = load_profile(profile)
    values = dict(span.attributes or {})
    seen = _Seen(span, values, data, _wanted(values, data))
    return [f"{span.name}: {problem}" for rule in SPAN_RULES for problem in rule(seen)]


def _wanted(values: Values, profile: Json) -> Json:
    """Definition of the span that has these attributes, with its provider's refinement."""
    operation = values.get(OPERATION)
    if operation is None:
        return {"name_format": None, **_own()["spans"]["operation"]}
    spans = [span for span in profile["spans"].values() if operation in span["operation"]]
    plain = [span for span in spans if "refines" not in span and OPERATION in span["attributes"]]
    plain = [span for span in plain if operation != "invoke_agent" or span["kind"] == "internal"]
    plain = [span for span in plain if span["attributes"][OPERATION]["requirement"] == "required"]
    if not plain:
        custom = FETCH if operation == "fetch_response" else CUSTOM
        every: Json = {name: {} for name in profile["attributes"]}
        return {**custom, "attributes": {**every, **custom["attributes"]}}
    provider = values.get(PROVIDER)
    refined = [span["attributes"] for span in spans if provider and span.get("provider") == provider]
    levels: Json = {}
    for attributes in (plain[0]["attributes"], *refined):
        levels.update(attributes)
    return {**plain[0], "attributes": levels}


def _name(seen: _Seen) -> Iterator[str]:
    formats = seen.wanted["name_format"]
    if formats is None:
        return
    given = [parts for parts in formats.split(" | ") if all(key in seen.values for key in _keys(parts))]
    names = [_filled(parts, seen.values) for parts in given or formats.split(" | ")[:1]]
    if seen.span.name not in names:
        yield f"name should be {' or '.join(map(repr, names))}"


def _keys(parts: str) -> list[str]:
    return re.findall(r"{([^}]+)}", parts)


def _filled(parts: str, values: Values) -> str:
    filled = re.sub(r"{([^}]+)}", lambda key: str(values.get(key[1], "")), parts)
    return " ".join(filled.split())


def _kind(seen: _Seen) -> Iterator[str]:
    kind, wanted = seen.span.kind.name.lower(), seen.wanted["kind"]
    if kind != wanted if wanted else kind not in ("client", "internal"):
        yield f"kind is {kind}, should be {wanted or 'client or internal'}"


def _operation(seen: _Seen) -> Iterator[str]:
    """Without an operation of the conventions it is one of ours, which says so."""
    if seen.operation is None and seen.values.get("otel_agentops.span.kind") != "operation":
        yield f"neither {OPERATION} nor otel_agentops.span.kind=operation"


def _status(seen: _Seen) -> Iterator[str]:
    status, failed = seen.span.status, "error.type" in seen.values
    if status.status_code is StatusCode.OK:
        yield "status is OK, which is for the application to say"
    if failed and status.status_code is not StatusCode.ERROR:
        yield "error.type without status ERROR"
    if status.status_code is StatusCode.ERROR and not failed:
        yield "status ERROR without error.type"
    if status.status_code is StatusCode.ERROR and not status.description:
        yield "status ERROR without a description"


def _names(seen: _Seen) -> Iterator[str]:
    for name in seen.values:
        if _attribute(seen.profile, name) is None:
            instead = seen.profile["replaced"].get(name)
            yield f"unknown attribute {name}" + (f", it is {instead} in this version" if instead else "")
        elif not _allowed(seen, name):
            yield f"attribute {name} does not belong on this span"


def _allowed(seen: _Seen, name: str) -> bool:
    prefix = next((prefix for prefix in PROVIDERS_OF if name.startswith(prefix)), None)
    if prefix is not None:
        called = seen.span.kind.name == "CLIENT"
        return called and seen.values.get(PROVIDER) in PROVIDERS_OF[prefix]
    wanted = seen.wanted["attributes"]
    listed = name in wanted or any(
        k in wanted and name.startswith(k + ".") for k, _ in _templates(seen.profile)
    )
    operation = seen.operation is None and name == "error.type"
    return listed or operation or name in STAMPS or _own_attribute(name) is not None


def _required(seen: _Seen) -> Iterator[str]:
    yield from _missing(seen.wanted["attributes"], seen.values)


def _missing(levels: Json, values: Values) -> Iterator[str]:
    for name, level in levels.items():
        if name in values:
            continue
        if level.get("requirement") == "required":
            yield f"required attribute {name} is missing"
        elif name == "server.port" and "server.address" in values and _follows_address(level):
            yield "server.address without server.port"


def _follows_address(level: Json) -> bool:
    return "server.address" in level.get("condition", "") and level["requirement"] == "conditionally_required"


def _values(seen: _Seen) -> Iterator[str]:
    yield from _bad_values(seen.values, seen.profile)


def _bad_values(values: Values, profile: Json) -> Iterator[str]:
    for name, value in values.items():
        entry = _attribute(profile, name)
        if entry is None:
            continue
        if not TYPES[entry["type"]](value):
            yield f"attribute {name} should be {entry['type']}, is {value!r}"
            continue
        if name in NEVER and value == NEVER[name]:
            yield f"attribute {name} should be absent rather than {value!r}"
        listed = _listed(name, value, entry.get("enum", ()))
        if listed is not None:
            yield f"attribute {name} is {value!r}, the listed value is {listed!r}"


def _listed(name: str, value: Any, enum: list[str]) -> str | None:
    """Listed value that was meant by another spelling; None if it is listed, or a custom value."""
    if value in enum or not enum:
        return None
    alike = {_bare(known): known for known in enum}
    meant = alike.get(_bare(value)) or ALIASES.get(name, {}).get(value.lower())
    return meant if meant in enum else None


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _strings(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _primitive(value: Any) -> bool:
    items = value if isinstance(value, (list, tuple)) else (value,)
    return len({type(item) for item in items}) <= 1 and all(isinstance(i, (str, int, float)) for i in items)


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "template[string]": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "double": lambda value: type(value) is float and math.isfinite(value),
    "bool": lambda value: type(value) is bool,
    "boolean": lambda value: type(value) is bool,
    "string[]": _strings,
    "primitive": _primitive,
    "any": lambda value: isinstance(value, str),
}
"""Type of the conventions -> whether a Python value has it. Structured values are JSON strings on spans."""


def _content(seen: _Seen) -> Iterator[str]:
    for name, value in seen.values.items():
        entry = seen.profile["attributes"].get(name)
        if entry is None or entry["type"] != "any" or not isinstance(value, str):
            continue
        try:
            parsed = json.loads(value)
        except ValueError as error:
            yield f"attribute {name} is no JSON: {error}"
            continue
        schema = seen.profile["content_schemas"].get(name, {})
        for problem in Draft202012Validator(schema).iter_errors(parsed):
            yield f"attribute {name} at {problem.json_path}: {problem.message[:200]}"


def _choices(seen: _Seen) -> Iterator[str]:
    """One output message and one finish reason for each choice."""
    reasons = seen.values.get("gen_ai.response.finish_reasons")
    try:
        messages = json.loads(seen.values.get("gen_ai.output.messages", "null"))
    except (TypeError, ValueError):
        return
    if reasons is not None and isinstance(messages, list) and len(messages) != len(reasons):
        yield f"{len(messages)} output messages, but {len(reasons)} finish reasons"


def _parts_of_totals(seen: _Seen) -> Iterator[str]:
    """What is counted inside a total is not larger than the total."""
    for name, value in seen.values.items():
        entry = seen.profile["attributes"].get(name, {})
        for whole in entry.get("subset_of", ()):
            total = seen.values.get(whole)
            if type(value) is int and type(total) is int and value > total:
                yield f"{name} {value} is larger than {whole} {total}, which contains it"


def _cost(seen: _Seen) -> Iterator[str]:
    """Costs and tokens are on the calls that are billed, under one set of names."""
    costs = [name for name in seen.values if re.fullmatch(r"gen_ai\.usage\.cost(\..+)?", name)]
    if costs and seen.operation not in BILLED:
        yield f"{costs[0]} is not on a call that is billed"
    if "gen_ai.usage.cost" in costs and len(costs) > 1:
        yield "both sets of cost names are used"
    if "gen_ai.usage.cost.amount" in costs and len(costs) < 3:
        yield "gen_ai.usage.cost.amount without currency and source"
    if seen.operation == "fetch_response" and any(name.endswith("_tokens") for name in seen.values):
        yield "fetch_response reports usage, which was counted when the response was made"


def _span_schema(seen: _Seen) -> Iterator[str]:
    scope = seen.span.instrumentation_scope
    yield from _bad_schema(scope.schema_url if scope else None, seen.profile)


def _bad_schema(url: str | None, profile: Json) -> Iterator[str]:
    if (url or None) != profile["schema_url"]:
        yield f"schema URL is {url!r}, should be {profile['schema_url']!r}"


SPAN_RULES: tuple[Callable[[_Seen], Iterator[str]], ...] = (
    _name,
    _kind,
    _operation,
    _status,
    _names,
    _required,
    _values,
    _content,
    _choices,
    _parts_of_totals,
    _cost,
    _span_schema,
)


# --- metrics


def check_metrics(metrics_data: MetricsData | None, profile: str) -> list[str]:
    """
    Find what is wrong with collected metrics; an empty list if nothing is.

    Args:
        metrics_data: What a reader's `get_metrics_data()` returned; None is fine, nothing was recorded.
        profile: One of `PROFILES`.
    """
    data = load_profile(profile)
    resources = metrics_data.resource_metrics if metrics_data else ()
    problems: list[str] = []
    for scope in (scope for resource in resources for scope in resource.scope_metrics):
        problems += _bad_schema(scope.scope.schema_url, data)
        for metric in scope.metrics:
            problems += [f"{metric.name}: {problem}" for problem in _metric_problems(metric, data)]
    return problems


def _metric_problems(metric: Metric, profile: Json) -> Iterator[str]:
    wanted = profile["metrics"].get(metric.name) or _own()["metrics"].get(metric.name)
    if wanted is None:
        yield "unknown metric"
        return
    if metric.unit != wanted["unit"]:
        yield f"unit is {metric.unit!r}, should be {wanted['unit']!r}"
    if _instrument(metric.data) != wanted["instrument"]:
        yield f"is a {_instrument(metric.data)}, should be a {wanted['instrument']}"
        return
    for point in metric.data.data_points:
        yield from _point_problems(point, wanted)
        values = dict(point.attributes or {})
        yield from _bad_values(values, profile)
        yield from _missing(wanted["attributes"], values)
        yield from _foreign(values, wanted)


def _instrument(data: Any) -> str:
    if isinstance(data, Histogram):
        return "histogram"
    if isinstance(data, Sum):
        return "counter" if data.is_monotonic else "updowncounter"
    return type(data).__name__.lower()


def _point_problems(point: Any, wanted: Json) -> Iterator[str]:
    counted = point.sum if wanted["instrument"] == "histogram" else point.value
    if type(counted) is not {"int": int, "double": float}[wanted["value_type"]]:
        yield f"values should be {wanted['value_type']}, are {type(counted).__name__}"
    bounds = wanted.get("buckets")
    if bounds is None:
        return
    same = len(bounds) == len(point.explicit_bounds)
    if not same or not all(map(math.isclose, bounds, point.explicit_bounds)):
        yield f"buckets are {list(point.explicit_bounds)}, should be {bounds}"


def _foreign(values: Values, wanted: Json) -> Iterator[str]:
    for name in values:
        if name not in wanted["attributes"]:
            yield f"attribute {name} does not belong on this metric"
        prefix = next((prefix for prefix in PROVIDERS_OF if name.startswith(prefix)), None)
        if prefix is not None and values.get(PROVIDER) not in PROVIDERS_OF[prefix]:
            yield f"attribute {name} on a call of {values.get(PROVIDER)}"
