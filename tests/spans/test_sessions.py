"""Sessions and roll-up: whose call it is, and what it adds up to."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

import otel_agentops as ao
from otel_agentops.testing import Captured, capture
from support.conventions import check_span

PRICE = Decimal("0.0000027")
"""What `call()` costs: 10 tokens in at 0.15 and 2 out at 0.60 US dollars a million."""


def call(fail: bool = False) -> None:
    """One model call of a known price."""
    with ao.model_call(provider="openai", model="gpt-4o-mini") as made:
        if fail:
            raise RuntimeError("no answer")
        made.response(usage=ao.Usage(input_tokens=10, output_tokens=2), finish_reasons=["stop"])


def totals(captured: Captured, name: str) -> dict[str, Any]:
    """`otel_agentops.total.*` of one span."""
    attributes = captured.span(name).attributes or {}
    prefix = "otel_agentops.total."
    return {key.removeprefix(prefix): value for key, value in attributes.items() if key.startswith(prefix)}


def test_everything_rolls_up(captured: Captured) -> None:
    """Each scope has what ran inside it; tools add their own cost to what is around them."""
    with ao.session("s") as session:
        with ao.agent("a"):
            call()
            with ao.operation("o"):
                call()
            with ao.tool("t", cost_usd="0.01"):
                call()
        call()
    price = float(PRICE)
    assert totals(captured, "o")["cost_usd"] == pytest.approx(price, rel=1e-12)
    assert totals(captured, "execute_tool t")["cost_usd"] == pytest.approx(price, rel=1e-12)
    assert totals(captured, "invoke_agent a") == {
        "cost_usd": pytest.approx(0.01 + 3 * price, rel=1e-12),
        "input_tokens": 30, "output_tokens": 6, "model_calls": 3, "tool_calls": 1, "errors": 0,
    }  # fmt: skip
    assert session.total.cost_usd == Decimal("0.01") + 4 * PRICE
    assert totals(captured, "invoke_workflow s")["model_calls"] == 4
    assert captured.runtime.total.cost_usd == session.total.cost_usd


def test_profiles_are_kept(profile: str) -> None:
    """Spans of every kind are valid in each profile, empty, full and failed."""
    with capture(semconv=profile, auto_session=False, capture_content=True) as captured:
        with ao.session("s", user_id="u", conversation_id="c", tags=["x"], metadata={"k": 1}) as session:
            with ao.agent("a"), ao.operation("o"), ao.tool("t", cost_usd=1, arguments={"a": 1}) as tool:
                tool.result({"b": 2})
                call()
            with pytest.raises(RuntimeError), ao.agent("failing"), ao.tool("failing"):
                call(fail=True)
            session.outcome("Success")
        with ao.agent(), ao.session():
            pass
        problems = [check_span(span, profile) for span in captured.spans]
    assert problems == [[]] * len(problems)


def test_nothing_counted_nothing_written(captured: Captured) -> None:
    """A scope in which nothing was counted has no totals, rather than zeros."""
    with ao.agent("idle"):
        pass
    assert totals(captured, "invoke_agent idle") == {}


def test_unknown_prices_are_not_zero(captured: Captured) -> None:
    """A call without a price is missing from the total, and the total says so."""
    with ao.session("s"):
        call()
        with ao.model_call(provider="nobody", model="m") as made:
            made.response(usage=ao.Usage(input_tokens=1, output_tokens=1))
    assert totals(captured, "invoke_workflow s")["unpriced_calls"] == 1
    assert totals(captured, "invoke_workflow s")["cost_usd"] == pytest.approx(float(PRICE))
    unpriced = captured.named("chat m")[0].attributes or {}
    assert unpriced["otel_agentops.cost.status"] == "unpriced"
    assert unpriced["otel_agentops.cost.reason"] == "unknown_provider"
    assert "gen_ai.usage.cost" not in unpriced


def test_tasks_count_to_the_scope_they_were_made_in(captured: Captured) -> None:
    """Tasks copy the context; each is under its own agent and all under the session."""

    @ao.agent
    async def work() -> None:
        await asyncio.sleep(0)
        call()

    async def main() -> None:
        with ao.session("s"):
            await asyncio.gather(*(work() for _ in range(50)))

    asyncio.run(main())
    assert totals(captured, "invoke_workflow s")["model_calls"] == 50
    assert {
        (span.attributes or {})["otel_agentops.total.model_calls"] for span in captured.named("invoke_agent")
    } == {1}


def test_copied_contexts(captured: Captured) -> None:
    """A thread that runs in a copy of the context is inside."""
    with ao.session("s") as session, ThreadPoolExecutor(4) as pool:
        contexts = [contextvars.copy_context() for _ in range(20)]
        list(pool.map(lambda context: context.run(call), contexts))
        assert session.total.model_calls == 20
    parents = {span.parent.span_id for span in captured.named("chat") if span.parent}
    assert parents == {captured.span("invoke_workflow s").context.span_id}


def test_explicit_parents(captured: Captured) -> None:
    """A thread that is handed nothing but the OpenTelemetry context of a span is inside its scope."""
    with ao.session("s"), ao.agent("a") as agent:
        handed = trace.set_span_in_context(agent.span)  # type: ignore[arg-type]

        def work() -> None:
            token = otel_context.attach(handed)
            call()
            otel_context.detach(token)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert totals(captured, "invoke_agent a")["model_calls"] == 1
    assert captured.named("chat")[0].parent.span_id == captured.span("invoke_agent a").context.span_id  # type: ignore[union-attr]


def test_lost_threads_count_to_the_process_and_warn_once(
    captured: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread with neither counts to the process only, and one warning says so."""
    with caplog.at_level(logging.WARNING), ao.session("s") as session:
        for _ in range(3):
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
        assert session.total.model_calls == 0
    assert captured.runtime.total.model_calls == 3
    assert [record.message for record in caplog.records if "outside every session" in record.message] != []
    assert len(caplog.records) == 1


def test_retried_errors_are_counted(captured: Captured) -> None:
    """A failed call that is caught is an error in the total; the agent itself succeeded."""
    with ao.agent("a"):
        try:
            call(fail=True)
        except RuntimeError:
            call()
    assert totals(captured, "invoke_agent a")["errors"] == 1
    assert totals(captured, "invoke_agent a")["model_calls"] == 2
    assert "unpriced_calls" not in totals(captured, "invoke_agent a")
    assert captured.span("invoke_agent a").status.is_unset


def test_stamps(captured: Captured) -> None:
    """Everything inside carries the session, its user and tags, and the agent's name."""
    with ao.session("s", session_id="id", user_id="u", conversation_id="c", tags=["x", "y"]), ao.agent("a"):
        call()
        with ao.model_call(provider="openai", model="e", operation="embeddings"):
            pass
    chat = captured.named("chat")[0].attributes or {}
    assert {name: chat[name] for name in STAMPS} == STAMPS
    assert "gen_ai.conversation.id" not in (captured.named("embeddings")[0].attributes or {})


STAMPS = {
    "session.id": "id",
    "user.id": "u",
    "gen_ai.conversation.id": "c",
    "otel_agentops.tags": ("x", "y"),
    "gen_ai.agent.name": "a",
}


def test_session_handle(captured: Captured) -> None:
    """A started session runs until it is ended, with its outcome in lower case, once."""
    session = ao.start_session("s", session_id=7)  # type: ignore[arg-type]
    call()
    session.end("SUCCESS")
    session.end("failure")
    call()
    attributes = captured.span("invoke_workflow s").attributes or {}
    assert session.session_id == attributes["session.id"] == "7"
    assert attributes["otel_agentops.session.outcome"] == "success"
    assert attributes["otel_agentops.total.model_calls"] == 1
    assert captured.named("chat")[1].parent is None


def test_async_blocks(captured: Captured) -> None:
    """Every block is an async block, too."""

    async def main() -> None:
        async with (
            ao.session("s"),
            ao.agent("a"),
            ao.operation("o"),
            ao.tool("t"),
            ao.model_call(provider="openai", model="gpt-4o-mini") as made,
        ):
            await asyncio.sleep(0)
            made.response(usage=ao.Usage(input_tokens=10, output_tokens=2))

    asyncio.run(main())
    assert [s.name for s in captured.spans] == [
        "chat gpt-4o-mini", "execute_tool t", "o", "invoke_agent a", "invoke_workflow s",
    ]  # fmt: skip


def test_leaving_never_takes_away_anothers_context(captured: Captured) -> None:
    """A block that ends while somebody else's context is current leaves that in place."""

    def badly_nested() -> object:
        block = ao.operation("o")
        block.__enter__()
        theirs = otel_context.attach(otel_context.set_value("theirs", 1))
        block.__exit__(None, None, None)
        found = otel_context.get_value("theirs")
        otel_context.detach(theirs)
        return found

    assert contextvars.copy_context().run(badly_nested) == 1


def test_the_session_of_a_script() -> None:
    """A script that opens none is given one, which takes all calls, threads included."""
    with capture(auto_session=True) as captured:
        call()
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        with ao.agent("a"):
            call()
        assert ao.end_session("Success")
        (session,) = captured.named("invoke_workflow")
        assert (session.attributes or {})["otel_agentops.total.model_calls"] == 3
        assert (session.attributes or {})["otel_agentops.session.outcome"] == "success"
        assert {span.context.trace_id for span in captured.spans} == {session.context.trace_id}
        call()
    assert len(captured.named("invoke_workflow")) == 2


def test_no_session_of_its_own_beside_an_explicit_one() -> None:
    """Where the program opens sessions itself, none is made up."""
    with capture(auto_session=True) as captured:
        with ao.session("mine"):
            call()
        assert [s.name for s in captured.named("invoke_workflow")] == ["invoke_workflow mine"]


def test_no_session_for_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the worker of a server one session for all users would be wrong."""
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", object())  # type: ignore[arg-type]
    with capture() as captured:
        call()
        assert captured.named("invoke_workflow") == []


def test_unsampled_calls_are_counted() -> None:
    """Totals and metrics do not depend on sampling."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    runtime = ao.init(tracer_provider=TracerProvider(sampler=ALWAYS_OFF), auto_session=False)
    try:
        with ao.session("s") as session, ao.agent("a"):
            call()
        assert session.total.cost_usd == PRICE
        assert runtime.total.model_calls == 1
    finally:
        ao.shutdown()


def test_without_any_sdk() -> None:
    """Without a provider there are no spans, and the totals are right all the same."""
    ao.init(tracer_provider=trace.NoOpTracerProvider(), auto_session=False)
    try:
        with ao.session("s") as session, ao.agent("a") as agent:
            call()
            assert agent.total.model_calls == 1
        assert session.total.cost_usd == PRICE
    finally:
        ao.shutdown()


def test_after_shutdown_everything_passes_through() -> None:
    """Switched off, blocks and decorators do nothing but run the program."""
    with capture():
        pass
    with ao.session("s") as session, ao.agent("a"), ao.tool("t") as tool:
        tool.result(1)
        call()
    assert session.total.model_calls == 0
    assert session.session_id is None
    assert ao.operation(lambda: 5)() == 5


def test_calls_of_an_agents_turn() -> None:
    """The newest conventions count an agent's own calls: those of its operations, not of sub-agents."""
    from support.conventions import check_metrics

    with capture(semconv="latest", auto_session=False) as captured:
        with ao.agent("boss"):
            with ao.operation("o"):
                call()
            with ao.tool("t"):
                call()
            with ao.agent("helper"):
                call()
        data = captured.metrics
        assert check_metrics(data, "latest") == []
    points = {
        (metric.name, point.attributes["gen_ai.agent.name"]): point.sum
        for resource in data.resource_metrics  # type: ignore[union-attr]
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith("gen_ai.invoke_agent.") and "calls" in metric.name
        for point in metric.data.data_points
    }
    assert points == {
        ("gen_ai.invoke_agent.inference_calls", "boss"): 2,
        ("gen_ai.invoke_agent.tool_calls", "boss"): 1,
        ("gen_ai.invoke_agent.inference_calls", "helper"): 1,
        ("gen_ai.invoke_agent.tool_calls", "helper"): 0,
    }
