"""Dollars, calls without a price, duplicates and our own failures as metrics."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_agentops as ao
from otel_agentops.failsafe import failsafe
from otel_agentops.spans.sums import MOST_SERIES
from otel_agentops.testing import Captured, capture
from support.conventions import check_metrics

PRICE = 0.00021
"""1,000 tokens in and 100 out of gpt-4o-mini."""


def ask(text: str, model: str = "gpt-4o-mini", usage: bool = True, **more: Any) -> None:
    """One call."""
    with ao.model_call(provider="openai", model=model, messages=text, **more) as call:
        if usage:
            call.response(model=model, usage=ao.Usage(input_tokens=1000, output_tokens=100))


def points(data: Any, name: str) -> list[tuple[dict[str, Any], Any]]:
    """Attributes and values of a metric of ours."""
    return [
        (dict(point.attributes), point.value)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "otel_agentops." + name
        for point in metric.data.data_points
    ]


def test_cost_by_model_agent_and_source(captured: Captured) -> None:
    """The counters add up to the totals, and have the names and units that are documented."""
    with ao.session("s") as session:
        ask("a")
        with ao.agent("worker"):
            ask("b")
            ask("c")
            ask("d", usage=False)
        ask("e", model="no-such-model-1")
        total = session.total.cost_usd
    data = captured.metrics
    assert check_metrics(data, "1.41") == []
    model = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini",
    }
    source = {"otel_agentops.cost.source": "genai-prices"}
    assert points(data, "cost_usd") == [
        ({**model, **source}, pytest.approx(PRICE, rel=1e-12)),
        ({**model, "gen_ai.agent.name": "worker", **source}, pytest.approx(2 * PRICE, rel=1e-12)),
    ]
    assert sum(value for _, value in points(data, "cost_usd")) == pytest.approx(float(total), rel=1e-12)
    reasons = {attributes["otel_agentops.cost.reason"]: n for attributes, n in points(data, "unpriced_calls")}
    assert reasons == {"no_usage": 1, "unknown_model": 1}
    assert points(data, "duplicate_calls") == []


def test_spans_of_others(captured: Captured) -> None:
    """Their calls are counted like ours, a second span of one call as a duplicate."""
    captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }
    with (
        ao.agent("worker"),
        captured.provider.get_tracer("outer").start_as_current_span("chat", attributes=attributes),
        captured.provider.get_tracer("inner").start_as_current_span("chat", attributes=attributes),
    ):
        pass
    data = captured.metrics
    ((found, usd),) = points(data, "cost_usd")
    assert (found["gen_ai.agent.name"], usd) == ("worker", pytest.approx(PRICE, rel=1e-12))
    assert points(data, "duplicate_calls") == [({"gen_ai.provider.name": "openai"}, 1)]


def test_a_price_that_is_known_later(captured: Captured) -> None:
    """A call of which the inner span did not know the usage is not without a price for ever."""
    captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
    }
    outer, inner = captured.provider.get_tracer("outer"), captured.provider.get_tracer("inner")
    for _ in range(5):
        with outer.start_as_current_span("chat", attributes=attributes) as span:
            with inner.start_as_current_span("chat", attributes=attributes):
                pass
            span.set_attributes({"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100})
    data = captured.metrics
    assert [value for _, value in points(data, "unpriced_calls")] == [1]
    assert sum(value for _, value in points(data, "cost_usd")) == pytest.approx(5 * PRICE, rel=1e-12)


def test_a_price_that_is_known_later_is_of_its_own_model(captured: Captured) -> None:
    """A call of one model that gets its usage later takes back none that another model missed."""
    captured.provider.add_span_processor(ao.AgentOpsSpanProcessor())
    outer, inner = captured.provider.get_tracer("outer"), captured.provider.get_tracer("inner")
    known, unknown = (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        for provider, model in (("openai", "gpt-4o-mini"), ("anthropic", "claude-3-5-haiku-latest"))
    )
    seen: list[dict[str, int]] = []

    def look() -> None:
        found = points(captured.metrics, "unpriced_calls")
        seen.append({attributes["gen_ai.request.model"]: value for attributes, value in found})

    with outer.start_as_current_span("chat", attributes=known) as span:
        with inner.start_as_current_span("chat", attributes=known):
            pass
        span.set_attributes({"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100})
    look()
    for attributes in (unknown, unknown, known, known):
        with inner.start_as_current_span("chat", attributes=attributes):
            pass
        look()
    x, y = "gpt-4o-mini", "claude-3-5-haiku-latest"
    assert seen == [{x: 1}, {x: 1, y: 1}, {x: 1, y: 2}, {x: 1, y: 2}, {x: 2, y: 2}]


def test_sampling_leaves_the_counters_alone() -> None:
    """A call whose span nobody keeps is counted all the same."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    traces = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    ao.init(tracer_provider=traces, meter_provider=meters, auto_session=False, instrument=[])
    try:
        with ao.session("s", loops="off"):
            for number in range(3):
                ask(str(number))
                ask(str(number), usage=False)
    finally:
        ao.shutdown()
    data = reader.get_metrics_data()
    assert [value for _, value in points(data, "cost_usd")] == [pytest.approx(3 * PRICE, rel=1e-12)]
    assert [value for _, value in points(data, "unpriced_calls")] == [3]
    meters.shutdown()


def test_there_is_an_end_to_the_series(captured: Captured) -> None:
    """Names without end are counted together beyond the thousandth, and nothing gets lost."""
    more = 50
    with ao.session("s", loops="off"):
        for number in range(MOST_SERIES + more):
            with ao.agent(f"agent {number}"):
                ask(str(number), model="gpt-4o-mini")
        ask("x", model="gpt-4o-mini" * 100)
        for number in range(MOST_SERIES + more):
            ask("x", model=f"model {number}", usage=False)
    data = captured.metrics
    for name, amount, beyond in (("cost_usd", PRICE, more), ("unpriced_calls", 1, more + 1)):
        found = points(data, name)
        assert len(found) == MOST_SERIES + 1
        (over,) = [value for attributes, value in found if attributes == {"otel.metric.overflow": True}]
        assert over == pytest.approx(beyond * amount, rel=1e-9)
        assert sum(value for _, value in found) == pytest.approx((MOST_SERIES + beyond) * amount, rel=1e-9)
    kinds = [
        len(metric.data.data_points)
        for metric in data.resource_metrics[0].scope_metrics[0].metrics  # type: ignore[union-attr]
        if not metric.name.startswith("otel_agentops.")
    ]
    assert kinds
    assert max(kinds) <= 2 * (MOST_SERIES + 1)


def test_our_own_failures() -> None:
    """What this library failed at is a counter, too."""
    with capture(auto_session=False, strict=False) as captured:
        for _ in range(3):
            with failsafe("testing a failure"):
                raise ValueError("ours")
        data = captured.metrics
    assert check_metrics(data, "1.41") == []
    assert points(data, "internal_errors") == [({"otel_agentops.doing": "testing a failure"}, 3)]


def test_off_and_on_again() -> None:
    """The sums of a meter provider go on in the next `init()`; those of another one are its own."""
    reader, other = InMemoryMetricReader(), InMemoryMetricReader()
    meters, others = (MeterProvider([each], shutdown_on_exit=False) for each in (reader, other))
    for provider, calls in ((meters, 1), (meters, 2), (others, 4)):
        ao.init(
            tracer_provider=TracerProvider(shutdown_on_exit=False),
            meter_provider=provider,
            auto_session=False,
            instrument=[],
        )
        for number in range(calls):
            ask(str(number))
        ao.shutdown()
    for each, calls in ((reader, 3), (other, 4)):
        found = [Decimal(str(round(value, 9))) for _, value in points(each.get_metrics_data(), "cost_usd")]
        assert found == [Decimal(str(round(calls * PRICE, 9)))]
    meters.shutdown()
    others.shutdown()


GLOBAL = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
import otel_agentops as ao

def ask():
    with ao.model_call(provider="openai", model="gpt-4o-mini", messages="x") as call:
        call.response(usage=ao.Usage(input_tokens=1000, output_tokens=100))

for again in range(3):
    ao.init(tracer_provider=TracerProvider(), auto_session=False, instrument=[])
    ask()
    if again == 1:
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
    ao.shutdown()
scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
for metric in [metric for scope in scopes for metric in scope.metrics]:
    if metric.name == "otel_agentops.cost_usd":
        print([round(point.value, 6) for point in metric.data.data_points])
"""


def test_a_meter_provider_that_is_set_later() -> None:
    """Calls before and after the program sets the global one are counted together."""
    done = subprocess.run(
        [sys.executable, "-c", GLOBAL], check=True, capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert done.stdout.strip().splitlines()[-1] == "[0.00063]"


def durations(data: Any) -> int:
    """How many calls were measured."""
    return sum(
        point.count
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "gen_ai.client.operation.duration"
        for point in metric.data.data_points
    )


@pytest.mark.parametrize("calls", [1, 21, 500])
def test_every_measurement_is_there_when_somebody_looks(captured: Captured, calls: int) -> None:
    """Few that wait, as many as are handed over at once, and many more."""
    for _ in range(calls):
        ask("a")
    assert durations(captured.metrics) == calls


def test_collecting_while_calls_end(captured: Captured) -> None:
    """Nobody waits for anybody, and nothing is measured twice or lost."""
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            _ = captured.metrics

    looking = threading.Thread(target=look)
    asking = [threading.Thread(target=lambda: [ask("a") for _ in range(200)]) for _ in range(4)]
    for thread in (looking, *asking):
        thread.start()
    for thread in asking:
        thread.join(60)
    done.set()
    looking.join(10)
    assert not any(thread.is_alive() for thread in (looking, *asking))
    assert durations(captured.metrics) == 800


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_tells_its_own_measurements() -> None:
    """What waited in the parent when it forked is the parent's to tell."""
    program = """
import os, sys
import otel_agentops as ao
from otel_agentops.testing import capture

def ask():
    with ao.model_call(provider="openai", model="gpt-4o-mini", messages="a") as call:
        call.response(model="gpt-4o-mini")

def count(data):
    return sum(
        point.count for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics for metric in scope.metrics
        if metric.name == "gen_ai.client.operation.duration" for point in metric.data.data_points
    )

with capture(auto_session=False) as captured:
    for _ in range(5):
        ask()
    child = os.fork()
    if child == 0:
        ask()
        os._exit(count(captured.metrics))
    told = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(told, count(captured.metrics))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["1", "5"]


INTERRUPTED = """
import faulthandler, signal
faulthandler.dump_traceback_later(20, exit=True)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
import otel_agentops as ao

reader = InMemoryMetricReader()
meters = MeterProvider([reader], shutdown_on_exit=False)
ao.init(tracer_provider=TracerProvider(), meter_provider=meters, auto_session=False, instrument=[])
collected, busy = 0, False

class Model(str):
    # a name that is looked up is where the signal comes; a program's comes anywhere
    def __hash__(self):
        signal.raise_signal(signal.SIGTERM)
        return super().__hash__()
    __eq__ = str.__eq__

def handler(*_):
    global collected, busy
    if not busy:
        busy = True
        collected += meters.force_flush()
        busy = False

for number in range(6):
    model = Model("gpt-4o-mini")
    with ao.model_call(provider="openai", model=model, messages=str(number)) as call:
        if number % 2:
            call.response(usage=ao.Usage(input_tokens=1000, output_tokens=100))
        signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(collected > 6)
busy = True
for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics:
    for metric in scope.metrics:
        if metric.name in ("otel_agentops.cost_usd", "otel_agentops.unpriced_calls"):
            print(metric.name, [round(point.value, 6) for point in metric.data.data_points])
"""


def test_a_signal_handler_that_collects() -> None:
    """A handler runs between any two steps of the main thread, also where a call is being counted."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "True",
        "otel_agentops.cost_usd [0.00063]",
        "otel_agentops.unpriced_calls [3]",
    ]


def test_a_provider_that_cannot_be_hashed() -> None:
    """Some providers, such as Logfire's, are compared by value; it is the same set of sums all the same."""

    class Unhashable(MeterProvider):
        __hash__ = None  # type: ignore[assignment]

    reader = InMemoryMetricReader()
    meters = Unhashable([reader], shutdown_on_exit=False)
    tracers = TracerProvider(shutdown_on_exit=False)
    for text in ("a", "b"):
        ao.init(tracer_provider=tracers, meter_provider=meters, auto_session=False, instrument=[])
        ask(text)
        ao.shutdown()
    assert [value for _, value in points(reader.get_metrics_data(), "cost_usd")] == [pytest.approx(2 * PRICE)]
    meters.shutdown()
