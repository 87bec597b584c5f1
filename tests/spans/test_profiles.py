"""Profiles that rename what 1.41 writes: golden spans, the official list of 1.36, and what is read back.

`python -m spans.test_profiles` writes the golden spans anew; look at the difference before it is committed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

import otel_agentops as ao
from otel_agentops.accounting import model_call
from otel_agentops.testing import Captured, capture

DATA = Path(__file__).resolve().parents[1] / "data"
FOLDER = DATA / "profiles"
PROFILES = ("1.36", "langfuse")
CALL_1_36 = json.loads((DATA / "semconv" / "1.36.json").read_text("utf-8"))
CHANGING = {"otel_agentops.input.digest", "gen_ai.response.time_to_first_chunk"}
FOREIGN = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "gen_ai.usage.cache_read.input_tokens": 400,
}


def run(profile: str) -> Captured:
    """Everything that has a span, once."""
    with capture(semconv=profile, auto_session=False, instrument=[], capture_content=True) as captured:
        captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        with ao.session("triage", session_id="s-1", user_id="u-7", tags=["a", "b"], metadata={"plan": "pro"}):
            with ao.agent("worker"), ao.operation("step"):
                _calls()
                with ao.tool("lookup", arguments={"q": "x"}) as tool:
                    tool.result({"found": 3})
            tracer = captured.provider.get_tracer("somebody.else")
            with tracer.start_as_current_span("theirs", attributes=FOREIGN):
                pass
        return captured


def _calls() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"q": "x"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "three"},
    ]
    with ao.model_call(
        provider="openai", model="gpt-4o-mini", messages=messages, temperature=0.5, max_tokens=50
    ) as call:
        call.response(
            model="gpt-4o-mini-2024-07-18",
            response_id="r-1",
            usage=ao.Usage(1000, 100, cache_read_input_tokens=400, reasoning_output_tokens=30),
            finish_reasons=["stop"],
            output=[{"role": "assistant", "content": "Three."}],
        )
    with ao.model_call(provider="x_ai", model="grok-4", messages="hello") as call:
        call.response(usage=ao.Usage(10, 5))
    with ao.model_call(provider="openai", model="text-embedding-3-small", operation="embeddings") as call:
        call.response(usage=ao.Usage(7))
    with pytest.raises(ValueError, match="broken"), ao.model_call(provider="openai", model="gpt-4o-mini"):
        raise ValueError("broken")


def shown(span: ReadableSpan) -> dict[str, Any]:
    """What a golden span has."""
    attributes = {key: value for key, value in (span.attributes or {}).items() if key not in CHANGING}
    events = [
        {"name": event.name, "attributes": dict(event.attributes or {})}
        for event in span.events
        if event.name != "exception"
    ]
    scope = span.instrumentation_scope
    return {
        "name": span.name,
        "kind": span.kind.name,
        "schema_url": scope.schema_url if scope is not None else None,
        "attributes": attributes,
        "events": events,
    }


def made(profile: str) -> Any:
    """The golden spans as they would be written now."""
    return json.loads(json.dumps([shown(span) for span in run(profile).spans]))


@pytest.mark.parametrize("profile", PROFILES)
def test_golden_spans(profile: str) -> None:
    """Names, values and events are those that were looked at."""
    assert made(profile) == json.loads((FOLDER / f"{profile}.json").read_text("utf-8"))


def _ours(profile: str) -> list[ReadableSpan]:
    return [span for span in run(profile).spans if span.name != "theirs"]


def test_1_36_is_what_the_conventions_said() -> None:
    """Every name that is not ours is on the official list of that version, with its type; none is missing."""
    known, types = CALL_1_36["attributes"], {"string": str, "int": int, "double": float, "string[]": tuple}
    wanted = {op: span for span in CALL_1_36["spans"].values() for op in span["operation"]}
    for span in _ours("1.36"):
        attributes = dict(span.attributes or {})
        names = {name for name in attributes if not name.startswith(("otel_agentops.", "session.", "user."))}
        assert names - {"gen_ai.usage.cost"} <= set(known), span.name
        for name in names & set(known):
            assert isinstance(attributes[name], types[known[name]["type"]]), name
        operation = attributes.get("gen_ai.operation.name")
        if operation in wanted:
            assert set(wanted[operation]["required"]) <= set(attributes), span.name
        scope = span.instrumentation_scope
        assert scope is not None
        assert scope.schema_url == CALL_1_36["schema_url"]


def test_1_36_has_its_events() -> None:
    """Messages are events of that version, with the fields of their bodies."""
    events = [event for span in _ours("1.36") for event in span.events if event.name != "exception"]
    assert [event.name for event in events][:5] == [
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
    ]
    for event in events:
        official = CALL_1_36["events"][event.name]
        assert set(event.attributes or {}) <= {*official["attributes"], *official["body"]}


def test_1_36_has_its_metrics() -> None:
    """The two metrics of that version, with `gen_ai.system`."""
    data = run("1.36").metrics
    assert data is not None
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name.startswith("otel_agentops."):
                    continue
                official = CALL_1_36["metrics"][metric.name]
                assert metric.unit == official["unit"]
                for point in metric.data.data_points:
                    names = set(point.attributes or {})
                    assert set(official["required"]) <= names <= set(official["attributes"])


def test_langfuse_counts_nothing_twice() -> None:
    """No number under `gen_ai.usage.` but the cost; the kinds of usage add up to the total."""
    for span in _ours("langfuse"):
        attributes = dict(span.attributes or {})
        assert {name for name in attributes if name.startswith("gen_ai.usage.")} <= {"gen_ai.usage.cost"}
        assert "langfuse.observation.type" in attributes
        usage = json.loads(attributes.get("langfuse.observation.usage_details", "{}"))
        assert sum(count for key, count in usage.items() if key != "total") == usage.get("total", 0)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_written_can_be_read(profile: str) -> None:
    """Somebody else's books find model, provider, counts and cost again."""
    for span in _ours(profile):
        attributes = dict(span.attributes or {})
        if attributes.get("gen_ai.request.model") != "gpt-4o-mini" or "error.type" in attributes:
            continue
        call = model_call(attributes, "somebody.else")
        assert call is not None
        assert call.usage is not None
        assert (call.provider, call.response_model) == ("openai", "gpt-4o-mini-2024-07-18")
        usage = call.usage
        assert (usage.input_tokens, usage.output_tokens) == (1000, 100)
        assert (usage.cache_read_input_tokens, usage.reasoning_output_tokens) == (400, 30)
        assert float(call.emitter_cost_usd or 0) == attributes["gen_ai.usage.cost"]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_others_wrote_stays(profile: str) -> None:
    """Their span keeps its names and has the provider only once."""
    attributes = dict(run(profile).span("theirs").attributes or {})
    assert FOREIGN.items() <= attributes.items()
    if profile == "1.36":
        assert "gen_ai.provider.name" not in attributes
    else:
        usage = json.loads(attributes["langfuse.observation.usage_details"])
        assert usage == {"input_cached_tokens": 400, "input": 600, "output": 100, "total": 1100}


def _write() -> None:
    for profile in PROFILES:
        text = json.dumps(made(profile), indent=1)
        (FOLDER / f"{profile}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(_write())
