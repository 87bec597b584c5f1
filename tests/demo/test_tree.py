"""Spans -> tree -> rows -> picture, on fixed spans."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

from otel_agentops.viewer import ReceivedSpan, as_json, build, render, totals

GOLDEN = """\

                                       tokens in  out        cost   share    time
 ────────────────────────────────────────────────────────────────────────────────
 session nightly                           1,210  115   $0.004200  100.0%  4.00 s
 ├─ agent Writer                           1,200  110   $0.003200   76.2%  3.00 s
 │  ├─ chat m-large                        1,000  100   $0.001200   28.6%  1.00 s
 │  ├─ chat m-unknown                        200   10    unpriced          500 ms
 │  └─ tool search                                      $0.002000   47.6%  250 ms
 ├─ step                                                                   100 ms
 │  └─ chat m-large ✗                                                       50 ms
 └─ operation check                           10    5   $0.001000   23.8%  200 ms
    └─ chat m-tier                            10    5  ~$0.001000   23.8%  100 ms

 total: 4 calls, 1 failed, 1 unpriced      1,210  115   $0.004200

unpriced chat m-unknown: unknown_model
✗ chat m-large: RateLimitError: slow down
~ chat m-tier: tier_not_applied
a remark
"""


def span(number: int, parent: int | None, name: str, ms: tuple[int, int], **attributes: Any) -> ReceivedSpan:
    """A span by number; `__` in an attribute's name stands for a dot."""
    return ReceivedSpan(
        trace_id="aa",
        span_id=str(number),
        parent_id=None if parent is None else str(parent),
        name=name,
        start_ns=ms[0] * 10**6,
        end_ns=ms[1] * 10**6,
        error="error__type" in attributes,
        message=attributes.pop("message", ""),
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    )


def call(number: int, parent: int, model: str, ms: tuple[int, int], **attributes: Any) -> ReceivedSpan:
    """A model call."""
    names = {"gen_ai__operation__name": "chat", "gen_ai__request__model": model}
    return span(number, parent, f"chat {model}", ms, **names, **attributes)


def used(sent: int, received: int, status: str, cost: float | None = None, **more: Any) -> dict[str, Any]:
    """Attributes of a call that told its usage."""
    values = {
        "gen_ai__usage__input_tokens": sent,
        "gen_ai__usage__output_tokens": received,
        "otel_agentops__cost__status": status,
        **more,
    }
    return values if cost is None else {**values, "gen_ai__usage__cost": cost}


SPANS = [
    call(4, 2, "m-unknown", (1100, 1600),
         **used(200, 10, "unpriced", otel_agentops__cost__reason="unknown_model")),
    call(3, 2, "m-large", (100, 1100), **used(1000, 100, "priced", 0.0012)),
    span(5, 2, "execute_tool search", (1600, 1850), gen_ai__operation__name="execute_tool",
         gen_ai__tool__name="search", otel_agentops__tool__cost_usd=0.002),
    span(2, 1, "invoke_agent Writer", (100, 3100), gen_ai__operation__name="invoke_agent",
         gen_ai__agent__name="Writer"),
    span(6, 1, "step", (3100, 3200)),
    call(7, 6, "m-large", (3100, 3150), error__type="openai.RateLimitError", message="slow down",
         otel_agentops__cost__status="unpriced", otel_agentops__cost__reason="no_usage"),
    span(8, 1, "check", (3200, 3400), otel_agentops__span__kind="operation"),
    call(9, 8, "m-tier", (3200, 3300),
         **used(10, 5, "estimated", 0.001, otel_agentops__cost__flags=["tier_not_applied"])),
    span(1, None, "invoke_workflow nightly", (0, 4000), gen_ai__operation__name="invoke_workflow",
         gen_ai__workflow__name="nightly", otel_agentops__total__cost_usd=0.0042),
]  # fmt: skip
"""Out of order, as spans arrive."""


def test_the_picture() -> None:
    """Branches, numbers, marks, total and remarks, to the letter."""
    out = io.StringIO()
    render.show(build(SPANS), out, notes=["a remark"])
    assert "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n" == GOLDEN


def test_the_totals() -> None:
    """Everything is counted once, a failed call not as unpriced."""
    total = totals(build(SPANS))
    assert (total.cost_usd, total.reported_usd, total.agree) == (Decimal("0.0042"), Decimal("0.0042"), True)
    assert (total.model_calls, total.tool_calls, total.errors) == (4, 1, 1)
    assert (total.unpriced_calls, total.estimated_calls) == (1, 1)


def test_a_duplicate_is_not_counted() -> None:
    """A call that is counted on the calls inside it adds neither tokens nor a call."""
    around = call(1, 0, "own", (0, 9), **{"gen_ai__usage__input_tokens": 7, "otel_agentops__duplicate": True})
    inside = call(2, 1, "m-large", (1, 8), **used(7, 1, "priced", 0.5))
    total = totals(build([around, inside]))
    assert (total.model_calls, total.input_tokens, total.cost_usd) == (1, 7, Decimal("0.5"))


def test_a_session_that_says_something_else_does_not_agree() -> None:
    """The two ways of adding up are compared to 12 digits."""
    session = SPANS[-1]
    wrong = ReceivedSpan(
        session.trace_id, session.span_id, None, session.name, session.start_ns, session.end_ns,
        attributes={**session.attributes, "otel_agentops.total.cost_usd": 0.0042000001},
    )  # fmt: skip
    assert not totals(build([*SPANS[:-1], wrong])).agree


def test_parents_that_never_came() -> None:
    """A span whose parent is elsewhere is a root; equal ids in two traces do not meet."""
    lost = call(2, 99, "m", (5, 6))
    trees = build([lost, span(3, None, "first", (1, 2))])
    assert [tree.name for tree in trees] == ["first", "chat"]


def test_nothing_at_all() -> None:
    """No spans are no tree and a total of zero."""
    out = io.StringIO()
    render.show(build([]), out)
    assert "total: no calls" in out.getvalue()
    assert as_json(build([]))["total"]["cost_usd"] == 0


def test_json_has_null_for_what_is_unknown() -> None:
    """Unknown is null, never 0."""
    calls = as_json(build(SPANS))["tree"][0]["children"][0]["children"]
    assert [node["cost_usd"] for node in calls] == [0.0012, None, 0.002]
    assert calls[1]["cost_note"] == "unknown_model"
    assert calls[2]["input_tokens"] is None
