"""What was promised and what was measured, as lines of a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Scale(NamedTuple):
    """How much is done.

    Attributes:
        name: `short`, as CI does it, or `long`.
        rounds: Repetitions of each end with a collector that takes nothing.
        stock: Whether the SDK alone is measured beside it.
        outage_s: Seconds without a collector.
        kills: Processes that are killed at a random moment.
        corruptions: Files that are damaged.
        loop_s: Seconds that an event loop is watched.
        soak_s: Seconds of load, over all moods of the collector.
    """

    name: str
    rounds: int
    stock: bool
    outage_s: float
    kills: int
    corruptions: int
    loop_s: float
    soak_s: float


SHORT = Scale("short", 1, False, 15, 20, 500, 6, 60)
LONG = Scale("long", 3, True, 600, 200, 10_000, 20, 600)


class Check(NamedTuple):
    """One promise and what became of it.

    Attributes:
        what: What was done.
        promise: What should be.
        measured: What was.
        kept: Whether the promise was; None where the figure is only context.
        broken: Whether it is so far off that no busy machine explains it.
    """

    what: str
    promise: str
    measured: str
    kept: bool | None
    broken: bool = False

    @property
    def verdict(self) -> str:
        """A word for people."""
        return {None: "", True: "kept", False: "**not kept**"}[self.kept]


def exactly(what: str, measured: int, wanted: int = 0, promise: str = "0 lost") -> Check:
    """A count that has no allowance."""
    return Check(what, promise, f"{measured:,}", measured == wanted, broken=measured != wanted)


def at_most(what: str, measured: float, most: float, allowance: float, unit: str = "s") -> Check:
    """A time; more than `most` is told, and more than `allowance` is a failure also on a busy machine."""
    text = f"{measured:.3g} {unit}"
    return Check(what, f"at most {most:g} {unit}", text, measured <= most, broken=measured > allowance)


def at_least(what: str, measured: float, least: float, allowance: float, unit: str) -> Check:
    """A rate, with an allowance as above."""
    text = f"{measured:,.0f} {unit}"
    return Check(what, f"at least {least:,.0f} {unit}", text, measured >= least, broken=measured < allowance)


def context(what: str, measured: str) -> Check:
    """A figure without a promise."""
    return Check(what, "", measured, None)


class Fault(NamedTuple):
    """One way of going wrong.

    Attributes:
        name: For the command line.
        title: For the table.
        run: Makes it happen.
    """

    name: str
    title: str
    run: Callable[[Scale], list[Check]]


Results = list[tuple[Fault, list[Check]]]


HEAD = ("| fault | | promised | measured | |", "|---|---|---|--:|---|")


def table(results: Results) -> str:
    """As Markdown."""
    return "\n".join([*HEAD, *(line for lines in _blocks(results).values() for line in lines)])


def _blocks(results: Results) -> dict[str, list[str]]:
    """The lines of each fault, by its title."""
    return {
        fault.title: [
            f"| {'' if number else fault.title} | {check.what} | {check.promise}"
            f" | {check.measured} | {check.verdict} |"
            for number, check in enumerate(checks)
        ]
        for fault, checks in results
    }


def write(path: Path, caption: str, results: Results, titles: list[str]) -> None:
    """Put the results between the markers of a document; those of other faults stay as they are."""
    document = path.read_text(encoding="utf-8")
    pattern = re.compile(f"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", re.DOTALL)
    present = pattern.search(document)
    if present is None:
        raise SystemExit(f"{path} has no place for the table")
    blocks = _read(present.group()) | _blocks(results)
    lines = [*HEAD, *(line for title in titles for line in blocks.get(title, ()))]
    text = "\n".join((caption, "", *lines, ""))
    path.write_text(pattern.sub(lambda _: text, document), encoding="utf-8")


def _read(text: str) -> dict[str, list[str]]:
    blocks: dict[str, list[str]] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("|") and line not in HEAD:
            title = line.split("|")[1].strip() or title
            blocks.setdefault(title, []).append(line)
    return blocks
