"""A streamed chat call: what each chunk costs."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.driver import Plan, Result, Row, Spread, main, over, ratio, run, same_signals

if TYPE_CHECKING:
    from benchmarks.driver import Rounds

BARE, SAME, OWN = "stream.bare", "stream.same", "stream.own"
SHORT, LONG = 200, 1000
MORE = 2
"""Chunks besides the tokens: the end and the usage."""


def _per_chunk(groups: list[Rounds], arm: str, bare: str, what: str, chunks: int) -> Spread:
    whole = over(groups, arm, bare, what)
    return Spread(*(each / chunks for each in whole))


def _marginal(short: list[Rounds], long: list[Rounds], arm: str, bare: str) -> Spread:
    def cost(rounds: Rounds) -> float:
        return median(each[arm]["call"] - each[bare]["call"] for each in rounds)

    more = LONG - SHORT
    return Spread.of([(cost(two) - cost(one)) / more for one, two in zip(short, long, strict=True)])


def measure() -> Result:
    """Cost of a recorded stream, a chunk at a time."""
    same_signals("stream.joined", SAME)
    arms = (BARE, OWN, SAME, "stream.asked_bare", "stream.asked")
    short = run(arms, Plan(groups=5, rounds=11, block=40, warm=40))
    long = run((BARE, OWN, SAME), Plan(groups=5, rounds=9, block=10, warm=15), chunks=LONG)
    asked = "stream.asked"
    rows = [
        Row(
            "own pipeline: us a chunk of 200, calling thread, the call's own cost included",
            _per_chunk(short, OWN, BARE, "call", SHORT + MORE),
            target=1.0,
        ),
        Row(
            "own pipeline: us a chunk of 200, whole process with the export",
            _per_chunk(short, OWN, BARE, "total", SHORT + MORE),
        ),
        Row(
            "own pipeline: us for one more chunk (1000 against 200)",
            _marginal(short, long, OWN, BARE),
        ),
        Row("raw SDK, same span: us for one more chunk", _marginal(short, long, SAME, BARE)),
        Row(
            "own pipeline / raw SDK writing the same, calling thread",
            ratio(short, OWN, SAME, BARE, "call"),
        ),
        Row(
            "usage asked for by the library: us a chunk of 200, calling thread",
            _per_chunk(short, asked, "stream.asked_bare", "call", SHORT + MORE),
        ),
        Row("own pipeline: us a stream of 200, calling thread", over(short, OWN, BARE, "call"), 1),
        Row("own pipeline: us a stream of 200, whole process", over(short, OWN, BARE, "total"), 1),
        Row("raw, same span: us a stream of 200, calling thread", over(short, SAME, BARE, "call"), 1),
        Row("raw, same span: us a stream of 200, whole process", over(short, SAME, BARE, "total"), 1),
    ]
    return Result("stream", "Streamed chat call", rows)


if __name__ == "__main__":
    main(measure)
