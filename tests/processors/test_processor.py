"""The processor on spans that others make."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_agentops as ao
from otel_agentops.failsafe import failures
from otel_agentops.spans import current

FOREIGN = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
COST = Decimal("0.00021")


@pytest.fixture
def started() -> Iterator[ao.Runtime]:
    """A runtime that writes its own spans nowhere."""
    yield ao.init(tracer_provider=trace.NoOpTracerProvider(), auto_session=False, instrument=[])
    ao.shutdown()


class Pipeline:
    """A provider of the program's own, with exporters before and after our processor."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self.provider = provider or TracerProvider(shutdown_on_exit=False)
        self.before, self.after, self.batched = (InMemorySpanExporter() for _ in range(3))
        self.provider.add_span_processor(SimpleSpanProcessor(self.before))
        self.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        self.provider.add_span_processor(SimpleSpanProcessor(self.after))
        self.provider.add_span_processor(BatchSpanProcessor(self.batched))
        self.tracer = self.provider.get_tracer("somebody.else")

    def attributes(self, name: str) -> dict[str, Any]:
        """The same attributes at every exporter."""
        assert self.provider.force_flush()
        seen = [
            [dict(span.attributes or {}) for span in exporter.get_finished_spans() if span.name == name]
            for exporter in (self.before, self.after, self.batched)
        ]
        assert seen[0] == seen[1] == seen[2]
        assert len(seen[0]) == 1
        return seen[0][0]


@pytest.fixture
def pipeline(started: ao.Runtime) -> Iterator[Pipeline]:
    """The plain one."""
    made = Pipeline()
    yield made
    made.provider.shutdown()


def test_foreign_call_is_priced_before_it_ends(pipeline: Pipeline) -> None:
    """A model call in the current conventions gets its cost, wherever its exporters stand."""
    with pipeline.tracer.start_as_current_span("call", attributes=FOREIGN):
        pass
    attributes = pipeline.attributes("call")
    assert attributes["gen_ai.usage.cost"] == pytest.approx(float(COST), rel=1e-12)
    assert attributes["otel_agentops.cost.status"] == "priced"
    assert {name: attributes[name] for name in FOREIGN} == FOREIGN


@pytest.mark.parametrize("written", ["cache_creation", "cache_write"])
def test_both_profiles_are_read(pipeline: Pipeline, written: str) -> None:
    """Cache writes are read under the old and the new name, with the billing inputs of ours."""
    with pipeline.tracer.start_as_current_span("call") as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.response.model": "claude-sonnet-4-5-20250929",
                "gen_ai.usage.input_tokens": 12000,
                "gen_ai.usage.cache_read.input_tokens": 8000,
                f"gen_ai.usage.{written}.input_tokens": 3000,
                "otel_agentops.usage.cache_creation_1h_input_tokens": 2000,
                "gen_ai.usage.output_tokens": 500,
            }
        )
    assert pipeline.attributes("call")["gen_ai.usage.cost"] == pytest.approx(0.02865, rel=1e-12)


def test_service_tier_decides(pipeline: Pipeline) -> None:
    """The tier that the provider served is part of the price."""
    with pipeline.tracer.start_as_current_span("call") as span:
        span.set_attributes(
            {
                **FOREIGN,
                "gen_ai.request.model": "gpt-5.1",
                "openai.response.service_tier": "priority",
                "gen_ai.usage.input_tokens": 8000,
                "gen_ai.usage.cache_read.input_tokens": 3000,
                "gen_ai.usage.output_tokens": 1000,
            }
        )
    assert pipeline.attributes("call")["gen_ai.usage.cost"] == pytest.approx(0.03325, rel=1e-12)


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "invoke_workflow", "plan"])
def test_only_model_calls_are_priced(pipeline: Pipeline, operation: str) -> None:
    """Agents repeat what is inside them; their tokens are not counted again."""
    with pipeline.tracer.start_as_current_span(
        "outer", attributes={**FOREIGN, "gen_ai.operation.name": operation}
    ):
        pass
    assert "gen_ai.usage.cost" not in pipeline.attributes("outer")


def test_foreign_spans_join_the_scope(pipeline: Pipeline) -> None:
    """Foreign spans are stamped and their calls counted to the session around them."""
    with (
        ao.session("s", session_id="id", tags=["x"]) as session,
        ao.agent("a"),
        pipeline.tracer.start_as_current_span("step"),
        pipeline.tracer.start_as_current_span("call", attributes=FOREIGN),
    ):
        pass
    for name in ("step", "call"):
        attributes = pipeline.attributes(name)
        assert attributes["session.id"] == "id"
        assert attributes["gen_ai.agent.name"] == "a"
        assert attributes["otel_agentops.tags"] == ("x",)
    assert session.total.cost_usd == COST
    assert session.total.model_calls == 1


def test_children_of_foreign_spans_stay_in_the_scope(pipeline: Pipeline) -> None:
    """A foreign span carried to another thread as an explicit parent keeps its children inside."""
    with ao.session("s") as session:
        with pipeline.tracer.start_as_current_span("step") as step:
            handed = trace.set_span_in_context(step)

            def work() -> None:
                pipeline.tracer.start_span("call", context=handed, attributes=FOREIGN).end()

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert session.total.model_calls == 1


def test_emitters_attributes_are_kept(pipeline: Pipeline) -> None:
    """What the emitter wrote stands; only its estimate of the cost moves away for ours."""
    theirs = {**FOREIGN, "session.id": "theirs", "gen_ai.response.id": "x", "operation.cost": 8.0}
    with (
        ao.session("s", session_id="ours"),
        pipeline.tracer.start_as_current_span("call", attributes={**theirs, "gen_ai.usage.cost": 7.0}),
    ):
        pass
    attributes = pipeline.attributes("call")
    assert {name: attributes[name] for name in theirs} == theirs
    assert attributes["gen_ai.usage.cost"] == pytest.approx(float(COST), rel=1e-12)
    assert attributes["otel_agentops.cost.emitter_usd"] == 7.0


def test_every_way_to_end_a_span(pipeline: Pipeline) -> None:
    """Explicit times, double ends, exceptions: the cost is there once and the end is the emitter's."""
    span = pipeline.tracer.start_span("timed", start_time=1_700_000_000_000_000_000, attributes=FOREIGN)
    span.end(1_700_000_001_000_000_000)
    span.end()
    with pytest.raises(KeyError), pipeline.tracer.start_as_current_span("failed", attributes=FOREIGN):
        raise KeyError("theirs")
    assert pipeline.attributes("timed")["gen_ai.usage.cost"] == pytest.approx(float(COST))
    assert pipeline.attributes("failed")["gen_ai.usage.cost"] == pytest.approx(float(COST))
    finished: ReadableSpan = pipeline.after.get_finished_spans()[0]
    assert finished.end_time == 1_700_000_001_000_000_000
    assert type(finished).__name__ == "_Span" or "Span" in type(finished).__name__


def test_spans_keep_their_type(pipeline: Pipeline) -> None:
    """A swapped span is still an SDK span to everybody who asks."""
    from opentelemetry.sdk.trace import Span

    with pipeline.tracer.start_as_current_span("x") as span:
        assert isinstance(span, Span)
        assert type(span).__name__ == "_Span"
        assert type(span).__module__ == "opentelemetry.sdk.trace"


def test_an_end_on_the_span_itself(started: ao.Runtime) -> None:
    """Somebody who has put his own `end` on a span is still called, after us."""
    from opentelemetry.sdk.trace import SpanProcessor

    ended: list[str] = []

    class Shadow(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            real = span.end

            def end(end_time: int | None = None) -> None:
                ended.append(span.name)
                real(end_time)

            span.end = end

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return True  # in OpenTelemetry 1.40 the base returns None, which counts as a failure

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Shadow())
    made = Pipeline(provider)
    with made.tracer.start_as_current_span("call", attributes=FOREIGN):
        pass
    assert made.attributes("call")["gen_ai.usage.cost"] == pytest.approx(float(COST))
    assert ended == ["call"]
    provider.shutdown()


def test_concurrent_processors() -> None:
    """The SDK's concurrent processor runs callbacks on other threads, without the caller's context."""
    concurrent = ConcurrentMultiSpanProcessor(2)
    provider = TracerProvider(active_span_processor=concurrent, shutdown_on_exit=False)
    made = Pipeline(provider)
    ao.init(tracer_provider=provider, auto_session=False, instrument=[])
    try:
        with (
            ao.session("s", session_id="id") as session,
            made.tracer.start_as_current_span("call", attributes=FOREIGN),
        ):
            pass
    finally:
        ao.shutdown()
    assert made.attributes("call")["gen_ai.usage.cost"] == pytest.approx(float(COST))
    assert made.attributes("call")["session.id"] == "id"
    assert session.total.model_calls == 1
    provider.shutdown()


def test_two_processors_of_ours_are_one(started: ao.Runtime) -> None:
    """A provider that got our processor twice counts each call once."""
    made = Pipeline()
    made.provider.add_span_processor(ao.AgentOpsSpanProcessor())
    with ao.session("s") as session, made.tracer.start_as_current_span("call", attributes=FOREIGN):
        pass
    assert session.total.model_calls == started.total.model_calls == 1
    made.provider.shutdown()


def test_many_spans_from_many_threads(pipeline: Pipeline) -> None:
    """Thousands of spans from many threads: every call counted once, nothing left behind."""

    def work() -> None:
        with ao.agent("a"):
            for _ in range(100):
                with pipeline.tracer.start_as_current_span("call", attributes=FOREIGN):
                    pass

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder = current()
    assert recorder is not None
    assert recorder.scopes.process.model_calls == 2000
    assert recorder.scopes.process.cost_usd == 2000 * COST
    assert recorder.scopes._by_span == {}
    assert recorder.scopes._by_trace == {}


def test_a_failure_of_ours_is_not_theirs(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """When our accounting fails, the block runs and the span is exported."""
    from otel_agentops.processors import processor

    def fail(*_: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(processor, "model_call", fail)
    ran = False
    with pipeline.tracer.start_as_current_span("call", attributes=FOREIGN):
        ran = True
    assert ran
    assert "gen_ai.usage.cost" not in pipeline.attributes("call")
    assert failures["accounting for a span"] == 1


def test_alone_in_a_pipeline_without_init() -> None:
    """The processor works by itself, with nothing else of ours called."""
    import subprocess
    import sys

    code = f"""
import otel_agentops as ao
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
provider.add_span_processor(ao.AgentOpsSpanProcessor())
trace.set_tracer_provider(provider)
with ao.session("s") as session, ao.agent("a"):
    with trace.get_tracer("theirs").start_as_current_span("call", attributes={FOREIGN!r}):
        pass
assert session.total.model_calls == 1
names = [span.name for span in exporter.get_finished_spans()]
assert names == ["call", "invoke_agent a", "invoke_workflow s"]
assert exporter.get_finished_spans()[0].attributes["gen_ai.usage.cost"] > 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_cost_that_was_known_without_usage_is_no_second_one() -> None:
    """A hook prices each call; the outer span of the call tells its tokens, and nothing more is to pay."""
    provider = TracerProvider(shutdown_on_exit=False)
    ao.init(
        tracer_provider=trace.NoOpTracerProvider(),
        auto_session=False,
        instrument=[],
        price_hook=lambda _call: Decimal("0.01"),
    )
    provider.add_span_processor(ao.AgentOpsSpanProcessor())
    outer, inner = provider.get_tracer("outer"), provider.get_tracer("inner")
    asked = {name: value for name, value in FOREIGN.items() if "usage" not in name}
    try:
        with ao.session("s") as session, outer.start_as_current_span("chat", attributes=asked) as span:
            with inner.start_as_current_span("chat", attributes=asked):
                pass
            span.set_attributes(FOREIGN)
        total = session.total
        assert (total.model_calls, total.unpriced_calls, total.cost_usd) == (1, 0, Decimal("0.01"))
        assert (total.input_tokens, total.output_tokens) == (1000, 100)
    finally:
        ao.shutdown()
        provider.shutdown()
