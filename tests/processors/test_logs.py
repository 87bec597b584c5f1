"""Usage and content that others write to log records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, set_span_in_context

import otel_agentops as ao
from otel_agentops.testing import capture

ASKED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}
USED = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}


class Program:
    """Tracer and logger of an instrumentation that logs."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        traces, logs = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        traces.add_span_processor(SimpleSpanProcessor(self.exporter))
        traces.add_span_processor(ao.AgentOpsSpanProcessor())
        logs.add_log_record_processor(ao.AgentOpsLogProcessor())
        assert logs.force_flush()
        self.tracer, self.logger = traces.get_tracer("somebody"), logs.get_logger("somebody")

    def log(self, span: Span, **fields: Any) -> None:
        """Write one log record about a span."""
        self.logger.emit(LogRecord(context=set_span_in_context(span), **fields))

    def ended(self, *messages: Any, **fields: Any) -> dict[str, Any]:
        """Attributes of a call about which these messages and fields were logged."""
        with self.tracer.start_as_current_span("call", attributes=ASKED) as span:
            for message in messages:
                self.log(span, event_name="gen_ai.user.message", body=message)
            if fields:
                self.log(span, **fields)
        return dict(self.exporter.get_finished_spans()[-1].attributes or {})


@pytest.fixture
def program() -> Iterator[Program]:
    """With both processors of ours."""
    with capture(auto_session=False, instrument=[]):
        yield Program()


def test_usage_on_a_log_record_is_counted(program: Program) -> None:
    """A span without counts is priced by those on its record."""
    with ao.session("s") as session:
        attributes = program.ended(event_name="gen_ai.client.inference.operation.details", attributes=USED)
    assert attributes["gen_ai.usage.cost"] == pytest.approx(0.00021, rel=1e-12)
    assert session.total.input_tokens == 1000


def test_the_span_itself_is_believed_first(program: Program) -> None:
    """What stands on the span is not changed by a record."""
    with program.tracer.start_as_current_span("call", attributes={**ASKED, **USED}) as span:
        program.log(span, attributes={"gen_ai.usage.input_tokens": 7})
    attributes = dict(program.exporter.get_finished_spans()[-1].attributes or {})
    assert attributes["gen_ai.usage.cost"] == pytest.approx(0.00021, rel=1e-12)


def test_equal_messages_have_equal_digests(program: Program) -> None:
    """Prompts that are only in log records are recognised."""
    first = program.ended({"content": "hello"}, {"content": "world"})
    second = program.ended({"content": "hello"}, {"content": "world"})
    other = program.ended({"content": "hello"}, {"content": "you"})
    digests = [each["otel_agentops.input.digest"] for each in (first, second, other)]
    assert digests[0] == digests[1] != digests[2]
    assert not any("content" in name or "message" in name for name in first)


def test_records_about_nothing(program: Program) -> None:
    """Records without a span, after its end, or of any odd kind pass."""
    program.logger.emit(LogRecord(body="no span"))
    span = program.tracer.start_span("call", attributes=ASKED)
    program.log(span, body=b"bytes", attributes={"gen_ai.usage.input_tokens": "many"})
    program.log(span, event_name="gen_ai.user.message", body={"a": [1, {"b": None}]})
    span.end()
    program.log(span, attributes=USED)
    assert (program.exporter.get_finished_spans()[-1].attributes or {})[
        "otel_agentops.cost.reason"
    ] == "invalid_usage"
