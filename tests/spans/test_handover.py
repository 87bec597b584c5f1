"""Session and user from one service to the next, by the headers of a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject

import otel_agentops as ao
from otel_agentops.testing import Captured, capture


@pytest.fixture
def handed() -> Iterator[Captured]:
    """Everything recorded, with baggage on."""
    with capture(auto_session=False, baggage=True) as everything:
        yield everything


@contextmanager
def served(headers: dict[str, str]) -> Iterator[None]:
    """Inside a request, as an instrumentation of a server sets it up."""
    token = context.attach(extract(headers, Context()))
    try:
        yield
    finally:
        context.detach(token)


def call(name: str) -> None:
    """A model call in an operation."""
    with ao.operation(name), ao.model_call(provider="openai", model=name) as model_call:
        model_call.response(usage=ao.Usage(input_tokens=1, output_tokens=1))


def test_a_hop(handed: Captured) -> None:
    """The next service's spans are in the same trace, session and user; ours end where the session does."""
    headers: dict[str, str] = {}
    with ao.session("s", session_id="sitzung, 1; ä", user_id="u-1"), ao.agent("a"):
        inject(headers)
    assert not baggage.get_all()
    with served(headers):
        with handed.provider.get_tracer("theirs").start_as_current_span("server"):
            call("outside")
            with ao.session("inner") as session:
                call("inside")
                again: dict[str, str] = {}
                inject(again)
        assert session.session_id == "sitzung, 1; ä"
    agent = handed.span("invoke_agent a")
    for name in ("server", "outside", "chat outside", "invoke_workflow inner", "inside", "chat inside"):
        span = handed.span(name)
        assert span.attributes["session.id"] == "sitzung, 1; ä", name
        assert span.attributes["user.id"] == "u-1", name
        assert span.context.trace_id == agent.context.trace_id
    assert handed.span("server").parent.span_id == agent.context.span_id
    assert again["baggage"] == headers["baggage"]


def test_off_by_default(captured: Captured) -> None:
    """Without the setting nothing is taken and nothing is given."""
    headers: dict[str, str] = {}
    with ao.session("s", session_id="s-1"):
        inject(headers)
    assert "baggage" not in headers
    with served({"baggage": "session.id=s-1,user.id=u-1"}):
        call("outside")
        with ao.session("inner") as session:
            assert session.session_id != "s-1"
    assert not {"session.id", "user.id"} & set(captured.span("outside").attributes)


def test_what_the_program_says_wins(handed: Captured) -> None:
    """Explicit ids, and sessions inside sessions, are the program's own; other baggage is kept."""
    with served({"baggage": "session.id=theirs,user.id=u-1,tenant=blue"}):
        with ao.session("outer", session_id="mine", user_id="me"):
            assert baggage.get_all() == {"session.id": "mine", "user.id": "me", "tenant": "blue"}
            with ao.session("inner") as inner:
                assert inner.session_id not in ("mine", "theirs")
        assert baggage.get_all() == {"session.id": "theirs", "user.id": "u-1", "tenant": "blue"}
    assert handed.span("invoke_workflow outer").attributes["session.id"] == "mine"
    assert handed.span("invoke_workflow outer").attributes["user.id"] == "me"


@pytest.mark.parametrize("value", ["x" * 129, "a%0Ab", ""])
def test_ids_that_are_none(handed: Captured, value: str) -> None:
    """Too long, with control characters or empty: as if nothing had come."""
    with served({"baggage": f"session.id={value}"}):
        call("outside")
        with ao.session("s") as session:
            pass
    assert "session.id" not in handed.span("outside").attributes
    assert session.session_id is not None
    assert len(session.session_id) == 32


def test_long_ids_stay_here(handed: Captured) -> None:
    """An id that no other service would take is not sent."""
    with ao.session("s", session_id="x" * 129, user_id="u-1"):
        assert baggage.get_all() == {"user.id": "u-1"}


def test_totals_are_not_found_again_by_baggage(handed: Captured) -> None:
    """What anybody can send opens no session that was there before."""
    for _ in range(2):
        with served({"baggage": "session.id=s-1"}), ao.session("s") as session:
            call("inside")
            assert session.total.model_calls == 1


def test_generators_hand_over_inside_only(handed: Captured) -> None:
    """A session that is a generator has its baggage in its own steps, not in its consumer's."""

    @ao.session(name="s", session_id="s-1")
    def steps() -> Iterator[object]:
        yield baggage.get_baggage("session.id")
        yield baggage.get_baggage("session.id")

    assert [(inside, baggage.get_baggage("session.id")) for inside in steps()] == [("s-1", None)] * 2
    assert trace.get_current_span() is trace.INVALID_SPAN
