"""Three nested decorators around empty functions: session, agent, operation."""

from __future__ import annotations

from benchmarks.driver import Plan, Result, Row, main, over, ratio, run

BARE, OURS, PLAIN = "decorators.bare", "decorators.own", "decorators.plain"
PLAN = Plan(groups=5, rounds=15, block=150, warm=300)


def measure() -> Result:
    """Cost of three nested decorators against three with a raw span each."""
    groups = run((BARE, OURS, PLAIN), PLAN, spans_each=3)
    return Result(
        "decorators",
        "Session, agent and operation, nested and empty",
        [
            Row(
                "own pipeline / raw SDK, whole process",
                ratio(groups, OURS, PLAIN, BARE, "total"),
                target=1.4,
            ),
            Row("own pipeline / raw SDK, calling thread only", ratio(groups, OURS, PLAIN, BARE, "call")),
            Row("ours: us for all three, whole process", over(groups, OURS, BARE, "total"), 1),
            Row("ours: us for all three, calling thread", over(groups, OURS, BARE, "call"), 1),
            Row("raw: us for all three, whole process", over(groups, PLAIN, BARE, "total"), 1),
            Row("raw: us for all three, calling thread", over(groups, PLAIN, BARE, "call"), 1),
        ],
    )


if __name__ == "__main__":
    main(measure)
