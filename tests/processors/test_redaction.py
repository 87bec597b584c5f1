"""Secrets in what other instrumentations write: gone before any exporter sees them, and nothing else is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

import otel_agentops as ao
from otel_agentops.config import REDACTIONS
from otel_agentops.testing import capture
from spans.test_redact import HOSTILE, KEYS, VALUES

KEY = KEYS[1]
MAIL = "jane@example.org"
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
SAID = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f'my key:\n"{KEY}"'}]}])

CONTENT: dict[str, dict[str, Any]] = {
    "otel": {**CALL, "gen_ai.input.messages": SAID, "gen_ai.output.messages": SAID},
    "openinference": {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.input_messages.0.message.content": f"my key: {KEY}",
        "llm.output_messages.0.message.contents.0.message_content.text": f"your key: {KEY}",
        "input.value": SAID,
        "output.value": f"your key: {KEY}",
    },
    "openinference chain": {"openinference.span.kind": "CHAIN", "input.value": SAID},
    "openllmetry": {
        "gen_ai.system": "openai",
        "llm.request.type": "chat",
        "gen_ai.prompt.0.content": f"my key: {KEY}",
        "gen_ai.completion.0.content": f"your key: {KEY}",
    },
    "openllmetry tool": {"traceloop.span.kind": "tool", "traceloop.entity.input": SAID},
    "logfire": {"gen_ai.system": "openai", "request_data": SAID, "response_data": SAID},
    "pydantic-ai": {"gen_ai.operation.name": "invoke_agent", "pydantic_ai.all_messages": SAID},
    "langfuse": {"langfuse.observation.type": "generation", "langfuse.observation.input": SAID},
    "vercel": {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.prompt.messages": SAID,
        "ai.prompt.tools": [SAID, "plain"],
        "ai.response.text": f"your key: {KEY}",
    },
    "mlflow": {"mlflow.spanType": '"LLM"', "mlflow.spanInputs": SAID, "mlflow.spanOutputs": SAID},
    "tool": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": json.dumps({"key": KEY})},
    "sentry": {"gen_ai.operation.name": "chat", "gen_ai.request.messages": SAID, "gen_ai.response.text": KEY},
}


class Provider:
    """A program's own provider: one exporter before our processor and one after it."""

    def __init__(self, limits: SpanLimits | None = None) -> None:
        self.exporters = InMemorySpanExporter(), InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, span_limits=limits)
        provider.add_span_processor(SimpleSpanProcessor(self.exporters[0]))
        provider.add_span_processor(ao.AgentOpsSpanProcessor())
        provider.add_span_processor(SimpleSpanProcessor(self.exporters[1]))
        self.tracer = provider.get_tracer("somebody.else")

    @property
    def last(self) -> ReadableSpan:
        """The span that ended last; both exporters have the same."""
        before, after = (exporter.get_finished_spans()[-1] for exporter in self.exporters)
        assert before.to_json() == after.to_json()
        return before

    def ended(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Attributes of a span that had these."""
        span = self.tracer.start_span("theirs")
        span.set_attributes(attributes)
        span.end()
        return dict(self.last.attributes or {})


@pytest.fixture
def provider() -> Iterator[Provider]:
    """With the settings of `init()` that nobody changed."""
    with capture(auto_session=False, instrument=[]):
        yield Provider()


@pytest.mark.parametrize("dialect", CONTENT)
def test_every_dialect(provider: Provider, dialect: str) -> None:
    """No key is left, JSON stays JSON, and every attribute that was there is there."""
    before = CONTENT[dialect]
    after = provider.ended(before)
    assert KEY not in provider.last.to_json()
    assert "[REDACTED:key]" in provider.last.to_json()
    assert set(before) <= set(after)
    for name, value in before.items():
        if value == SAID:
            assert json.loads(after[name])[0]["parts"][0]["content"] == 'my key:\n"[REDACTED:key]"'
        elif KEY not in str(value):
            assert after[name] == value


def test_what_is_no_secret_stays_the_same(provider: Provider) -> None:
    """Nothing is parsed and written anew where nothing is found, also if it is no JSON."""
    odd = {**CALL, "gen_ai.input.messages": '[{"role":  "user" }]', "gen_ai.output.messages": '[{"cut": "of'}
    after = provider.ended(odd)
    assert {name: after[name] for name in odd} == odd


def test_spans_of_other_kinds_stay_as_they_are(provider: Provider) -> None:
    """A database's or a server's span is no content of ours to look at."""
    plain = {"db.statement": f"select '{KEY}'", "input.value": KEY}
    assert provider.ended(plain) == plain


def test_digests_and_costs_are_as_without() -> None:
    """They are taken before: two prompts that differ in a secret are two, with the same price."""
    digests = []
    for redact in ("keys", "none"):
        with capture(auto_session=False, instrument=[], redact=redact, digest_key=b"k"):
            provider = Provider()
            found = []
            for key in (KEYS[0], KEYS[1], KEYS[0]):
                after = provider.ended({**CALL, "gen_ai.input.messages": json.dumps([{"content": key}])})
                assert (key in provider.last.to_json()) is (redact == "none")
                assert after["gen_ai.usage.cost"] == pytest.approx(0.00021, rel=1e-12)
                found.append(after["otel_agentops.input.digest"])
            digests.append(found)
    assert digests[0] == digests[1]
    assert digests[0][0] == digests[0][2] != digests[0][1]


def test_whoever_wants_nothing_but_the_cost() -> None:
    """`foreign_spans="cost"` leaves content, events and status alone."""
    with capture(auto_session=False, instrument=[], foreign_spans="cost", redact=list(REDACTIONS)):
        provider = Provider()
        with provider.tracer.start_as_current_span("theirs", attributes=CONTENT["otel"]) as span:
            span.add_event("gen_ai.user.message", {"content": KEY})
        after = dict(provider.last.attributes or {})
        (event,) = provider.last.events
    assert after["gen_ai.input.messages"] == SAID
    assert dict(event.attributes or {}) == {"content": KEY}
    assert "gen_ai.usage.cost" in after


def test_a_full_span_loses_nothing() -> None:
    """Values are replaced where they stand: on a span without room every attribute is kept."""
    with capture(auto_session=False, instrument=[]):
        provider = Provider(SpanLimits(max_span_attributes=20))
        full = {**CONTENT["otel"], **{f"theirs.{number}": number for number in range(13)}}
        assert len(full) == 20
        after = provider.ended(full)
    assert set(full) <= set(after)
    assert KEY not in str(after)


def test_events_exceptions_and_status(provider: Provider) -> None:
    """Content in events, and what an exception and the status of a call say."""
    with (
        pytest.raises(ValueError, match="Incorrect"),
        provider.tracer.start_as_current_span("theirs", attributes=CALL) as span,
    ):
        span.add_event("gen_ai.user.message", {"content": f"my key: {KEY}", "role": "user"}, 17)
        span.add_event("theirs", {"note": KEY})
        raise ValueError(f"Incorrect API key: {KEY}")
    message, theirs, exception = provider.last.events
    assert dict(message.attributes or {}) == {"content": "my key: [REDACTED:key]", "role": "user"}
    assert message.timestamp == 17
    assert dict(theirs.attributes or {}) == {"note": KEY}
    assert (exception.attributes or {})["exception.message"] == "Incorrect API key: [REDACTED:key]"
    assert KEY not in str((exception.attributes or {})["exception.stacktrace"])
    assert provider.last.status.description == "ValueError: Incorrect API key: [REDACTED:key]"
    assert provider.last.status.status_code is StatusCode.ERROR


def test_exceptions_of_other_spans(provider: Provider) -> None:
    """They are their emitter's."""
    with (
        pytest.raises(ValueError, match="Incorrect"),
        provider.tracer.start_as_current_span("theirs") as span,
    ):
        span.set_status(Status(StatusCode.UNSET))
        raise ValueError(f"Incorrect API key: {KEY}")
    (exception,) = provider.last.events
    assert (exception.attributes or {})["exception.message"] == f"Incorrect API key: {KEY}"


def test_log_records() -> None:
    """Processors behind ours see records of the conventions without secrets, and others as they are."""
    with capture(auto_session=False, instrument=[], redact=["keys", "email"]):
        seen = InMemoryLogRecordExporter()
        logs = LoggerProvider(shutdown_on_exit=False)
        logs.add_log_record_processor(ao.AgentOpsLogProcessor())
        logs.add_log_record_processor(SimpleLogRecordProcessor(seen))
        logger, provider = logs.get_logger("somebody"), Provider()
        with provider.tracer.start_as_current_span("theirs", attributes=CALL):
            body = {"content": f"{KEY} and {MAIL}", "parts": [{"n": 1, "text": MAIL}], "role": "user"}
            logger.emit(LogRecord(event_name="gen_ai.user.message", body=body))
            attributes = {"gen_ai.input.messages": SAID, "session": MAIL}
            logger.emit(
                LogRecord(event_name="gen_ai.client.inference.operation.details", attributes=attributes)
            )
            logger.emit(LogRecord(event_name="theirs", body=MAIL))
        message, details, theirs = (each.log_record for each in seen.get_finished_logs())
    assert message.body == {
        "content": "[REDACTED:key] and [REDACTED:email]",
        "parts": [{"n": 1, "text": "[REDACTED:email]"}],
        "role": "user",
    }
    assert KEY not in str(details.attributes)
    assert (details.attributes or {})["session"] == MAIL
    assert theirs.body == MAIL
    assert body["content"] == f"{KEY} and {MAIL}"


@given(VALUES, st.sampled_from(sorted(CONTENT)))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_content_stays_json(value: Any, dialect: str) -> None:
    """Whatever is in it: it can be parsed as before, and no secret is left."""
    text = json.dumps({"value": value})
    with capture(auto_session=False, instrument=[], redact=list(REDACTIONS)):
        before = {name: text if value == SAID else value for name, value in CONTENT[dialect].items()}
        after = Provider().ended(before)
    for name, was in before.items():
        if was == text:
            json.loads(after[name])
    assert all(secret not in str(after) for secret in KEYS[:6])


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_length(piece: str) -> None:
    """An attribute made to be slow takes four times as long when it is four times as long, not sixteen."""
    size = 40_000 // len(piece)
    with capture(auto_session=False, instrument=[], redact=list(REDACTIONS)):
        provider = Provider()

        def seconds(times: int) -> float:
            text = piece * times + "@ key= eyJ ://"
            best = float("inf")
            for _ in range(3):
                span = provider.tracer.start_span(
                    "theirs", attributes={**CALL, "gen_ai.input.messages": text}
                )
                begun = time.thread_time()
                span.end()
                best = min(best, time.thread_time() - begun)
            return best

        assert seconds(4 * size) < 10 * seconds(size) + 0.004
