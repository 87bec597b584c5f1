"""Budgets stop the next call, whoever makes it and however many are on their way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace

import otel_agentops as ao
from otel_agentops.spans import current
from otel_agentops.testing import Captured, capture

PRICE = Decimal("0.00021")
"""1,000 tokens in and 100 out of gpt-4o-mini."""


@pytest.fixture
def started() -> Iterator[ao.Runtime]:
    """A runtime that writes nowhere."""
    yield ao.init(tracer_provider=trace.NoOpTracerProvider(), auto_session=False, instrument=[])
    ao.shutdown()


def ask(text: Any = "hello", sent: int = 1000, received: int = 100, **more: Any) -> None:
    """One call; 4,000 bytes are taken for 1,000 tokens."""
    prompt = f"{text} ".ljust(4 * sent - 11)
    with ao.model_call(provider="openai", model="gpt-4o-mini", messages=prompt, **more) as call:
        call.response(usage=ao.Usage(input_tokens=sent, output_tokens=received))


def calls_until_stopped(most: int = 100, **more: Any) -> int:
    """How many calls go out."""
    for number in range(most):
        try:
            ask(number, **more)
        except ao.BudgetExceeded:
            return number
    return most


LIMITS: list[tuple[dict[str, Any], int]] = [
    ({"usd": PRICE * 4}, 4),
    ({"usd": "0.00001"}, 0),
    ({"usd": 0}, 0),
    ({"tokens": 3300}, 3),
    ({"tokens": 3299}, 2),
    ({"calls": 5}, 5),
    ({"calls": 5, "tokens": 2200}, 2),
]


@pytest.mark.parametrize(("limits", "calls"), LIMITS, ids=str)
def test_the_call_too_many_is_not_sent(started: ao.Runtime, limits: dict[str, Any], calls: int) -> None:
    """As many calls go out as fit."""
    with ao.session("s", budget=ao.Budget(**limits)) as session:
        assert calls_until_stopped(max_tokens=100) == calls
        assert session.total.model_calls == calls


def test_it_is_sticky_and_says_why(started: ao.Runtime) -> None:
    """After the first refusal even the smallest call is refused; outside, calls go on."""
    with ao.session("outer"):
        with (
            pytest.raises(ao.BudgetExceeded) as stopped,
            ao.agent("worker", budget=ao.Budget(usd=PRICE * 3 / 2)),
        ):
            with pytest.raises(ao.BudgetExceeded):
                for number in range(3):
                    ask(number, max_tokens=100)
            ask("x", 1, 1)
        ask("outside")
    assert stopped.value.limit == "usd"
    assert stopped.value.spent.usd == PRICE
    assert "agent worker" in str(stopped.value)


def test_tools_and_repeats(started: ao.Runtime) -> None:
    """Executions of tools, what they cost, and calls that are part of a loop can be limited, too."""

    @ao.tool(cost_usd="0.5")
    def look(what: int) -> None:
        done.append(what)

    for budget in (ao.Budget(tool_calls=2), ao.Budget(usd=1)):
        done: list[int] = []
        with pytest.raises(ao.BudgetExceeded), ao.session("s", budget=budget):
            for number in range(9):
                look(number)
        assert done == [0, 1]
    done = []
    with pytest.raises(ao.BudgetExceeded) as stopped, ao.session("s", budget=ao.Budget(repeats=1)):
        for _ in range(9):
            look(1)
    assert (len(done), stopped.value.limit) == (3, "repeats")


def test_a_session_by_its_id(started: ao.Runtime) -> None:
    """A session of several requests has one budget; another session has another."""
    sent = []
    for session_id in ("a", "a", "b", "a"):
        with ao.session("chat", session_id=session_id, budget=ao.Budget(calls=3)) as session:
            sent.append((calls_until_stopped(2), session.total.model_calls, session.remaining["calls"]))
    assert sent == [(2, 2, 1), (1, 3, 0), (2, 2, 1), (0, 3, 0)]


def test_per_user_and_process() -> None:
    """One budget for each user, and one for all of them together."""
    budgets = [ao.Budget(calls=2, per="user.id"), ao.Budget(calls=5)]
    runtime = ao.init(tracer_provider=trace.NoOpTracerProvider(), auto_session=False, budgets=budgets)
    try:
        sent = []
        for user in ("ann", "bob", "ann", "cid"):
            with ao.session("chat", user_id=user):
                sent.append(calls_until_stopped())
        assert sent == [2, 2, 0, 1]
        assert runtime.remaining == {"calls": 0}
        with pytest.raises(ao.BudgetExceeded):
            ask("outside any session")
    finally:
        ao.shutdown()


def test_warnings_and_functions(started: ao.Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """`warn` tells once and goes on; a function decides."""
    told: list[ao.BudgetExceeded] = []

    def stop(exceeded: ao.BudgetExceeded) -> None:
        raise exceeded

    def fail(_exceeded: ao.BudgetExceeded) -> None:
        raise KeyError("x")

    sent = []
    for action in ("warn", told.append, stop, fail):
        with ao.session("s", budget=ao.Budget(calls=2, on_exceeded=action)):  # type: ignore[arg-type]
            sent.append(calls_until_stopped(6))
    assert sent == [6, 6, 2, 2]
    assert len(told) == 1
    assert caplog.text.count("budget_exceeded (calls of session s)") == 4


def test_unpriced_calls(started: ao.Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """What has no price is unknown to a budget in dollars, which says so or blocks it."""
    with ao.session("s", budget=ao.Budget(usd=1)), ao.model_call(provider="acme", model="m1") as call:
        call.response(usage=ao.Usage(input_tokens=1, output_tokens=1))
    assert "the budget of session s does not see what calls of m1 cost" in caplog.text
    with (
        pytest.raises(ao.BudgetExceeded) as stopped,
        ao.session("s", budget=ao.Budget(usd=1, unpriced="block")),
    ):
        ask()
        with ao.model_call(provider="acme", model="m1"):
            pass
    assert stopped.value.limit == "unpriced"


def test_answers_are_expected_as_long_as_before(started: ao.Runtime) -> None:
    """Without `max_tokens`, what a model usually answers is held for its next answer."""
    with ao.session("s", budget=ao.Budget(tokens=4000)) as session:
        ask(sent=10, received=1000)
        ask(sent=10, received=1000)
        held = current().budgets.remaining  # type: ignore[union-attr]
        with ao.model_call(provider="openai", model="gpt-4o-mini", messages="x" * 400) as call:
            left = held(None), session.remaining["tokens"]
            call.response(usage=ao.Usage(input_tokens=100, output_tokens=10))
        assert left[1] < 4000 - 2020 - 1000
        assert session.remaining["tokens"] == 4000 - 2020 - 110


def test_what_is_never_ended_is_free_again(started: ao.Runtime) -> None:
    """A call that nobody ends, or that fails, or is cancelled, holds nothing for ever."""
    clock = [0.0]
    budgets = current().budgets  # type: ignore[union-attr]
    budgets._clock = lambda: clock[0]
    with ao.session("s", budget=ao.Budget(tokens=3000)) as session:
        lost = ao.model_call(provider="openai", model="gpt-4o-mini", messages="x" * 8000)
        copy_context().run(lost.__enter__)
        assert session.remaining["tokens"] < 1001
        clock[0] = 601.0
        assert session.remaining["tokens"] == 3000
        lost.__exit__(None, None, None)
        assert session.remaining["tokens"] == 3000
        with (
            pytest.raises(ValueError, match="no"),
            ao.model_call(provider="openai", model="m", messages="x" * 4000),
        ):
            raise ValueError("no")
        assert session.remaining["tokens"] == 3000


class Overshoot:
    """Calls on their way at once, and what they were expected to use."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.sent = 0
        self.refused = 0
        self.excess = 0
        self.lock = threading.Lock()

    def begin(self, number: int) -> Any:
        """Start a call, if there is room; what its answer is longer than `max_tokens` is excess."""
        call = ao.model_call(
            provider="openai", model="gpt-4o-mini", messages=f"{number} ".ljust(389), max_tokens=50
        )
        try:
            call.__enter__()
        except ao.BudgetExceeded:
            with self.lock:
                self.refused += 1
            return None
        return call

    def end(self, call: Any, received: int) -> None:
        """End it with an answer of this length."""
        held = call._call.held[0].tokens
        call.response(usage=ao.Usage(input_tokens=100, output_tokens=received))
        call.__exit__(None, None, None)
        with self.lock:
            self.sent += 1
            self.excess += 100 + received - held

    def check(self, limit: int) -> None:
        """No more was spent than the limit and the excess of what was on its way."""
        total = self.session.total
        spent = total.input_tokens + total.output_tokens
        assert self.sent + self.refused == 200
        assert self.refused > 0
        assert total.model_calls == self.sent
        assert spent <= limit + max(0, self.excess)
        assert self.session.remaining["tokens"] == max(0, limit - spent)


@pytest.mark.parametrize("received", [20, 50, 400], ids=["shorter", "as expected", "longer"])
def test_200_threads_at_once(started: ao.Runtime, received: int) -> None:
    """The overshoot is no more than what calls on their way used beyond their estimates."""
    limit = 9000
    gate = threading.Barrier(200)
    with ao.session("s", budget=ao.Budget(tokens=limit)) as session:
        test = Overshoot(session)

        def work(number: int) -> None:
            gate.wait(60)
            call = test.begin(number)
            gate.wait(60)
            if call is not None:
                test.end(call, received)

        with ThreadPoolExecutor(200) as pool:
            list(pool.map(lambda job: job[0].run(work, job[1]), [(copy_context(), n) for n in range(200)]))
        test.check(limit)


@pytest.mark.parametrize("received", [20, 400], ids=["shorter", "longer"])
async def test_200_tasks_at_once(started: ao.Runtime, received: int) -> None:
    """The same for tasks of one event loop, which overlap in another way."""
    limit = 9000
    with ao.session("s", budget=ao.Budget(tokens=limit)) as session:
        test = Overshoot(session)

        async def work(number: int) -> None:
            await asyncio.sleep(number % 7 / 1000)
            call = test.begin(number)
            await asyncio.sleep(0.01)
            if call is not None:
                test.end(call, received)

        await asyncio.gather(*map(work, range(200)))
        test.check(limit)


def test_what_the_spans_say() -> None:
    """The session's span has one event, the counter one finding, and a refused call no span."""
    with capture(auto_session=False, instrument=[]) as captured:
        with pytest.raises(ao.BudgetExceeded), ao.session("s", budget=ao.Budget(calls=2)) as session:
            for number in range(5):
                ask(number)
        assert [finding.kind for finding in session.findings] == ["budget_exceeded"]
        _check_spans(captured)


def _check_spans(captured: Captured) -> None:
    assert [span.name for span in captured.spans] == ["chat gpt-4o-mini"] * 2 + ["invoke_workflow s"]
    span = captured.spans[-1]
    assert (span.attributes or {})["error.type"] == "otel_agentops.accounting.budgets.BudgetExceeded"
    (event,) = [event for event in span.events if event.name == "otel_agentops.finding"]
    assert dict(event.attributes or {})["otel_agentops.finding.kind"] == "budget_exceeded"
    metrics = captured.metrics.resource_metrics[0].scope_metrics[0].metrics  # type: ignore[union-attr]
    (counter,) = [metric for metric in metrics if metric.name == "otel_agentops.findings"]
    assert [point.value for point in counter.data.data_points] == [1]


WRONG: list[dict[str, Any]] = [
    {}, {"usd": -1}, {"usd": "much"}, {"calls": 1.5}, {"tokens": -1}, {"calls": 1, "per": "moon"},
    {"calls": 1, "on_exceeded": "explode"}, {"usd": 1, "unpriced": "maybe"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_budgets(wrong: dict[str, Any]) -> None:
    """A budget that cannot be meant is the developer's error, at once."""
    with pytest.raises(ao.ConfigError):
        ao.Budget(**wrong)
    with pytest.raises(ao.ConfigError):
        ao.session("s", budget=5)  # type: ignore[call-overload]
