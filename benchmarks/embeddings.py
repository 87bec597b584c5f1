"""An embeddings call."""

from __future__ import annotations

from benchmarks.driver import Plan, Result, Row, main, over, ratio, run, same_signals

BARE, OURS, SAME = "embeddings.bare", "embeddings.joined", "embeddings.same"
PLAN = Plan(groups=5, rounds=15, block=150, warm=300)


def measure() -> Result:
    """Cost of a recorded embeddings call against a program on the raw SDK that writes the same."""
    same_signals(OURS, SAME)
    groups = run((BARE, OURS, SAME), PLAN)
    return Result(
        "embeddings",
        "Embeddings call, 1 KB text",
        [
            Row(
                "joined / raw SDK writing the same, whole process",
                ratio(groups, OURS, SAME, BARE, "total"),
                target=1.6,
            ),
            Row(
                "joined / raw SDK writing the same, calling thread only",
                ratio(groups, OURS, SAME, BARE, "call"),
            ),
            Row("joined: us a call, whole process", over(groups, OURS, BARE, "total"), 1),
            Row("joined: us a call, calling thread", over(groups, OURS, BARE, "call"), 1),
            Row("raw: us a call, whole process", over(groups, SAME, BARE, "total"), 1),
            Row("raw: us a call, calling thread", over(groups, SAME, BARE, "call"), 1),
        ],
    )


if __name__ == "__main__":
    main(measure)
