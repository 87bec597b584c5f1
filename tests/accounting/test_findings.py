"""A finding is told in every place, once; on request it stops the call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace

import otel_agentops as ao
from otel_agentops.failsafe import failures
from otel_agentops.testing import Captured, capture


@pytest.fixture
def quiet() -> Iterator[Captured]:
    """Everything into memory, without a session of the process."""
    with capture(auto_session=False, instrument=[]) as everything:
        yield everything


def ask(text: str = "hello", usage: ao.Usage | None = None, reason: str = "stop", **more: Any) -> None:
    """One call."""
    with ao.model_call(provider="openai", model="gpt-4o-mini", messages=text, **more) as call:
        call.response(
            usage=usage or ao.Usage(input_tokens=10, output_tokens=5), finish_reasons=[reason], output="hi"
        )


def found(span: Any) -> dict[str, Any]:
    """What a span says of findings."""
    return {
        name.removeprefix("otel_agentops.finding."): value
        for name, value in (span.attributes or {}).items()
        if name.startswith("otel_agentops.finding")
    }


def counted(captured: Captured) -> dict[str, int]:
    """The counter of findings, by kind and agent."""
    data = captured.metrics
    metrics = [
        metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "otel_agentops.findings"
    ]
    return {
        " ".join(map(str, (point.attributes or {}).values())): point.value  # type: ignore[union-attr]
        for metric in metrics
        for point in metric.data.data_points
    }


def test_every_place(caplog: pytest.LogCaptureFixture) -> None:
    """Span, event, counter, log, callback and handle tell of one finding, with its evidence."""
    told: list[ao.Finding] = []
    with capture(auto_session=False, instrument=[], on_finding=told.append) as captured:
        with ao.session("s", session_id="s-1") as session, ao.agent("a"):
            for _ in range(5):
                ask()
        assert session.findings == told
        spans = captured.named("chat")
        ids = [f"{span.context.span_id:016x}" for span in spans]
        assert [found(span).get("count") for span in spans] == [None, None, 3, 4, 5]
        assert found(spans[4]) == {
            "kinds": ("repeated_prompt",), "count": 5, "first_span_id": ids[0], "last_span_id": ids[4],
        }  # fmt: skip
        (event,) = captured.span("invoke_workflow s").events
        assert dict(event.attributes or {}) == {
            "otel_agentops.finding.kind": "repeated_prompt",
            "otel_agentops.finding.name": "gpt-4o-mini",
            "otel_agentops.finding.count": 3,
            "otel_agentops.finding.first_span_id": ids[0],
            "otel_agentops.finding.last_span_id": ids[2],
        }
        assert counted(captured) == {"repeated_prompt a": 1}
    assert (told[0].kind, told[0].count, told[0].session_id) == ("repeated_prompt", 5, "s-1")
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        f"repeated_prompt (gpt-4o-mini): 3 times in session s-1; first span {ids[0]}, last span {ids[2]}"
    ]


def test_a_failing_callback_stays_outside() -> None:
    """What `on_finding` raises is counted and goes no further."""

    def broken(_finding: ao.Finding) -> None:
        raise KeyError("theirs")

    with capture(strict=False, auto_session=False, instrument=[], on_finding=broken), ao.session("s"):
        for _ in range(4):
            ask()
    assert failures["calling on_finding"] == 1


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("truncated", {"reason": "length"}),
    ("truncated", {"reason": "MAX_TOKENS"}),
    ("content_filtered", {"reason": "content_filter"}),
    ("content_filtered", {"reason": "SAFETY"}),
    ("empty_output", {"usage": ao.Usage(input_tokens=5, output_tokens=0)}),
    ("empty_output", {"usage": ao.Usage(input_tokens=5, output_tokens=9, reasoning_output_tokens=9)}),
]


@pytest.mark.parametrize(("kind", "answer"), SILENT, ids=str)
def test_silent_failures(kind: str, answer: dict[str, Any], quiet: Captured) -> None:
    """Answers that are none are told, inside and outside of sessions; good ones are not."""
    ask(**answer)
    with ao.session("s") as session:
        ask("another")
        ask("one more", **answer)
    assert [found(span).get("kinds") for span in quiet.named("chat")] == [(kind,), None, (kind,)]
    assert [finding.kind for finding in session.findings] == [kind]
    assert counted(quiet) == {kind: 2}


def test_swallowed_errors(quiet: Captured) -> None:
    """A tool that failed inside a scope that ended well; not one that worked later, or was passed on."""

    def use(name: str, error: bool) -> None:
        try:
            with ao.tool(name):
                if error:
                    raise ValueError(name)
        except ValueError:
            pass

    with ao.session("s") as session:
        with ao.agent("careless"):
            use("a", error=True)
            use("b", error=True)
            use("b", error=False)
        with pytest.raises(KeyError), ao.agent("honest"):
            use("c", error=True)
            raise KeyError("c")
        with ao.agent("fine"):
            use("d", error=False)
    assert [(finding.kind, finding.name) for finding in session.findings] == [("swallowed_error", "a")]
    assert found(quiet.span("invoke_agent careless"))["kinds"] == ("swallowed_error",)
    assert found(quiet.span("invoke_agent honest")) == found(quiet.span("invoke_agent fine")) == {}


def test_content_of_findings_only() -> None:
    """With `capture_content="findings"` the content of those calls is kept, redacted, and no other."""
    key = "sk-proj-" + "a1B2" * 12
    with capture(capture_content="findings", auto_session=False, instrument=[]) as captured, ao.session("s"):
        for _ in range(3):
            ask(f"my key is {key}")
        ask("fine")
        ask("cut", reason="length")
    texts = [(span.attributes or {}).get("gen_ai.input.messages") for span in captured.named("chat")]
    assert [text is not None for text in texts] == [False, False, True, False, True]
    assert key not in str(texts)


def test_two_sessions_and_two_keys_are_apart(quiet: Captured) -> None:
    """The same prompt in different sessions, models, seeds or embeddings is no repetition."""
    for _ in range(4):
        with ao.session("s") as session:
            ask()
        assert session.findings == []
    with ao.session("s") as session:
        for _ in range(6):
            ask(operation="embeddings")
    assert session.findings == []


def test_a_session_goes_on_in_the_next_request(quiet: Captured) -> None:
    """A loop over several requests of one session id is found, and its totals go on."""
    for number in range(3):
        with ao.session("s", session_id="same") as session:
            ask()
        assert session.total.model_calls == number + 1
    assert [finding.kind for finding in session.findings] == ["repeated_prompt"]
    totals = [(s.attributes or {})["otel_agentops.total.model_calls"] for s in quiet.named("invoke_workflow")]
    assert totals == [1, 1, 1]


# --- stopping ---


def test_model_calls_are_stopped(quiet: Captured) -> None:
    """The third of a kind is not sent and has no span; other calls go on; so does another session."""
    with ao.session("s", loops="raise") as session:
        ask()
        ask()
        for count in (3, 4):
            with pytest.raises(ao.LoopDetected) as stopped:
                ask()
            assert (stopped.value.finding.kind, stopped.value.finding.stopped) == (
                "repeated_prompt",
                count - 2,
            )
        ask("another")
    assert len(quiet.named("chat")) == 3
    assert session.total.model_calls == 3
    assert len(quiet.span("invoke_workflow s").events) == 1


def test_tools_are_stopped(quiet: Captured) -> None:
    """Before they run, in every shape of a function."""
    ran: list[str] = []

    class Tools:
        @ao.tool
        def method(self, what: str) -> None:
            ran.append(what)

        @ao.tool(repeatable=True)
        def wait(self, what: str) -> None:
            ran.append(what)

    with ao.session("s", loops="raise"):
        Tools().method("a")
        Tools().method("a")
        with pytest.raises(ao.LoopDetected):
            Tools().method("a")
        for _ in range(5):
            Tools().wait("b")
        Tools().method("c")
    assert ran == ["a", "a", *"bbbbb", "c"]


async def test_async_tools_and_generators_are_stopped(quiet: Captured) -> None:
    """Coroutines and generators as well, and nothing is left un-awaited."""

    @ao.tool
    async def look(what: str) -> str:
        return what

    @ao.tool
    def lines(what: str) -> Iterator[str]:
        yield what

    with ao.session("s", loops="raise"):
        for _ in range(2):
            await look("a")
            list(lines("a"))
        with pytest.raises(ao.LoopDetected):
            await look("a")
        with pytest.raises(ao.LoopDetected):
            list(lines("a"))


def test_storms_are_stopped(quiet: Captured) -> None:
    """After three failures of one kind the fourth attempt is not made; one that works is no storm."""
    tries = []

    @ao.tool
    def fetch(what: str) -> None:
        tries.append(what)
        raise ConnectionError(what)

    with ao.session("s", loops="raise") as session:
        for _ in range(3):
            with pytest.raises(ConnectionError):
                fetch("x")
        with pytest.raises(ao.LoopDetected):
            fetch("x")
    assert (len(tries), next(finding.kind for finding in session.findings)) == (3, "retry_storm")


def test_limits_of_a_session(quiet: Captured) -> None:
    """Each session may have its own, and `off` looks at nothing."""
    for limits, calls in (
        ({"repeated_prompt": 2}, 1),
        ({"repeated_prompt": 5}, 2),
        ({"repeated_prompt": 0}, 2),
    ):
        limits["cycle"] = 0
        with ao.session("s", loops="raise", loop_limits=limits):
            for _ in range(calls):
                ask()
            if limits["repeated_prompt"] == 2:
                with pytest.raises(ao.LoopDetected):
                    ask()
    with ao.session("s", loops="off") as session:
        for _ in range(9):
            ask()
    assert session.findings == []
    with pytest.raises(ao.ConfigError):
        ao.session("s", loops="maybe")
    with pytest.raises(ao.ConfigError):
        ao.session("s", loop_limits={"repeated_prompt": 1})


OBJECTS: list[Any] = [object(), open, [object()], {"a": {"b": object()}}]


@pytest.mark.parametrize("odd", OBJECTS, ids=lambda odd: type(odd).__name__)
def test_arguments_that_cannot_be_compared(odd: Any, quiet: Captured) -> None:
    """Calls of which nobody can tell that they are equal are each one of a kind."""

    @ao.tool
    def use(what: Any) -> None:
        del what

    with ao.session("s") as session:
        for _ in range(9):
            use(odd)
    assert session.findings == []


# --- spans of others ---


def foreign(tracer: trace.Tracer, name: str, **attributes: Any) -> None:
    """A span that another instrumentation makes."""
    with tracer.start_as_current_span(
        name, attributes={k.replace("__", "."): v for k, v in attributes.items()}
    ):
        pass


CHAT = {
    "gen_ai__operation__name": "chat", "gen_ai__provider__name": "openai",
    "gen_ai__request__model": "gpt-4o-mini", "gen_ai__usage__input_tokens": 10,
    "gen_ai__usage__output_tokens": 5,
}  # fmt: skip
TOOLS: list[dict[str, Any]] = [
    {
        "gen_ai__operation__name": "execute_tool",
        "gen_ai__tool__name": "look",
        "gen_ai__tool__call__arguments": "{}",
    },
    {"openinference__span__kind": "TOOL", "tool__name": "look", "input__value": "{}"},
    {"traceloop__span__kind": "tool", "traceloop__entity__name": "look", "traceloop__entity__input": "{}"},
]


@pytest.mark.parametrize("inside", [True, False], ids=["in a session", "in a trace of their own"])
def test_loops_on_spans_of_others(inside: bool, quiet: Captured) -> None:
    """Prompts and tools on spans of others are looked at, by session or else by trace."""
    tracer = quiet.provider.get_tracer("somebody.else")
    prompt = {"gen_ai__input__messages": "[]"}
    with ao.session("s") if inside else tracer.start_as_current_span("their root"):
        for _ in range(3):
            foreign(tracer, "chat x", **CHAT, **prompt)
        for _ in range(3):
            foreign(tracer, "tool", **TOOLS[0])
    assert [found(span).get("kinds") for span in quiet.named("chat")] == [None, None, ("repeated_prompt",)]
    assert [found(s).get("kinds") for s in quiet.named("tool")] == [None, None, ("repeated_tool_call",)]
    assert counted(quiet) == {"repeated_prompt": 1, "repeated_tool_call": 1}
    for _ in range(3):
        foreign(tracer, "apart", **CHAT, **prompt)
    assert [found(span) for span in quiet.named("apart")] == [{}, {}, {}]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: next(iter(tool)))
def test_tools_of_each_dialect(tool: dict[str, Any], quiet: Captured) -> None:
    """The names of several instrumentations are understood."""
    tracer = quiet.provider.get_tracer("somebody.else")
    with ao.session("s") as session:
        for number in range(6):
            foreign(tracer, "tool", **(tool if number % 2 else {"x": 1}))
    assert [(finding.kind, finding.name) for finding in session.findings] == [("repeated_tool_call", "look")]


def test_truncated_answers_on_spans_of_others(quiet: Captured) -> None:
    """The reasons that others write are read."""
    tracer = quiet.provider.get_tracer("somebody.else")
    foreign(tracer, "chat x", **CHAT, gen_ai__response__finish_reasons=("length",))
    foreign(tracer, "chat x", **CHAT, gen_ai__response__finish_reasons=("stop",))
    assert [found(span).get("kinds") for span in quiet.named("chat")] == [("truncated",), None]
