"""Running arms against each other: several processes of each, one at a time, block by block in turn.

A shared machine has slow phases. They hit all arms of a round alike, so each round gives a ratio of its
own; the result of a group of processes is the median of its rounds, and that of a benchmark the median
over groups, each with fresh processes and another hash seed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
_DROPPED = ("OTEL_", "PYTHON", "OPENAI_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def environment(seed: int) -> dict[str, str]:
    """The environment of a worker: nothing of the caller's that changes what is measured."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED) and name.lower() not in _PROXIES
    }
    return {**kept, "PYTHONHASHSEED": str(seed), "NO_PROXY": "*"}


class Spread(NamedTuple):
    """A median with the extremes over groups."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Summarise values."""
        return cls(median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        """`1.23 [1.20-1.30]`."""
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}-{self.high:.{digits}f}]"


class Worker:
    """A worker process and the receiver that its exporters talk to."""

    def __init__(self, arm: str, seed: int, chunks: int = 200, memory: bool = False) -> None:
        self.arm = arm
        self.calls = 0
        self._sink: subprocess.Popen[str] | None = None
        self._port = 0
        arguments = [sys.executable, "-m", "benchmarks.worker", arm, "--chunks", str(chunks)]
        if not memory and not arm.endswith("bare"):
            self._sink = _start([sys.executable, "-m", "benchmarks.sink"], seed)
            self._port = int(_line(self._sink))
            arguments += ["--endpoint", f"http://127.0.0.1:{self._port}"]
        self._process = _start(arguments, seed)

    def ready(self) -> Worker:
        """Wait until it is set up."""
        self._read()
        return self

    def ask(self, word: str, number: int = 0) -> Any:
        """Send one order and wait for its answer."""
        self.calls += number
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(f"{word} {number}\n")
        stdin.flush()
        return self._read()

    def _read(self) -> Any:
        return json.loads(_line(self._process))

    def lost(self, spans_each: int) -> int:
        """Spans that never arrived; a program that drops them would look cheap."""
        if self._sink is None:
            return 0
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=10) as answer:
            return int(self.calls * spans_each - json.load(answer)["spans"])

    def stop(self) -> None:
        """End both processes."""
        for process in (self._process, self._sink):
            if process is not None:
                process.kill()
                process.wait()


def _start(arguments: list[str], seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment(seed),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _line(process: subprocess.Popen[str]) -> str:
    stdout = process.stdout
    assert stdout is not None
    line = stdout.readline()
    if not line:
        raise SystemExit(f"a worker died: {process.args!r}")
    return line


@contextmanager
def workers(arms: tuple[str, ...], seed: int, chunks: int = 200) -> Iterator[dict[str, Worker]]:
    """One worker of each arm."""
    running: dict[str, Worker] = {}
    try:
        for arm in arms:
            running[arm] = Worker(arm, seed, chunks)
        for worker in running.values():
            worker.ready()
        yield running
    finally:
        for worker in running.values():
            worker.stop()


class Plan(NamedTuple):
    """How much is run.

    Attributes:
        groups: Fresh sets of processes.
        rounds: Blocks of each arm in a group.
        block: Calls in a block.
        warm: Calls before the first block.
    """

    groups: int
    rounds: int
    block: int
    warm: int


Rounds = list[dict[str, dict[str, float]]]


def run(arms: tuple[str, ...], plan: Plan, spans_each: int = 1, chunks: int = 200) -> list[Rounds]:
    """Run the arms in turn; for each group and round, what each arm measured."""
    groups: list[Rounds] = []
    for seed in range(plan.groups):
        with workers(arms, seed, chunks) as running:
            for worker in running.values():
                worker.ask("warm", plan.warm)
            rounds: Rounds = []
            for number in range(plan.rounds):
                turn = number % len(arms)
                order = arms[turn:] + arms[:turn]
                if number % 2:
                    order = order[::-1]
                rounds.append({arm: running[arm].ask("run", plan.block) for arm in order})
            groups.append(rounds)
            for arm, worker in running.items():
                # a session span that is still open at the end is no loss
                if worker.lost(spans_each) > 0:
                    raise SystemExit(f"{arm} lost {worker.lost(spans_each)} spans")
    return groups


def over(groups: list[Rounds], arm: str, bare: str, what: str) -> Spread:
    """What an arm costs a call over the bare one, in microseconds."""
    return Spread.of([median(each[arm][what] - each[bare][what] for each in rounds) for rounds in groups])


def ratio(groups: list[Rounds], ours: str, theirs: str, bare: str, what: str) -> Spread:
    """What ours costs over the bare call in units of what theirs costs."""
    return Spread.of(
        [
            median(
                (each[ours][what] - each[bare][what]) / (each[theirs][what] - each[bare][what])
                for each in rounds
            )
            for rounds in groups
        ]
    )


_OWN_VALUES = frozenset(
    {"session.id", "otel_agentops.input.digest", "gen_ai.response.time_to_first_chunk", "gen_ai.usage.cost"}
)


def same_signals(ours: str, theirs: str) -> None:
    """Stop unless both arms write the same span and the same metrics; else a ratio would say nothing."""
    found = []
    for arm in (ours, theirs):
        worker = Worker(arm, 0, memory=True)
        try:
            found.append(worker.ready().ask("signals"))
        finally:
            worker.stop()
    one, other = ([_comparable(span) for span in each["spans"]] for each in found)
    if one != other:
        raise SystemExit(f"{ours} and {theirs} write different spans:\n{one}\n{other}")
    first, second = (
        {name: sorted(map(str, points)) for name, points in each["metrics"].items()} for each in found
    )
    if first != second:
        raise SystemExit(f"{ours} and {theirs} write different metrics:\n{first}\n{second}")


def _comparable(span: Any) -> Any:
    name, child, attributes = span
    return name, child, {key: 0 if key in _OWN_VALUES else value for key, value in attributes.items()}


# --- results ---


class Row(NamedTuple):
    """One line of a table; `target` is empty for figures that are only context."""

    what: str
    value: Spread
    digits: int = 2
    target: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        return "met" if self.value.median <= self.target else "missed"


class Result(NamedTuple):
    """What one benchmark found."""

    name: str
    title: str
    rows: list[Row]

    def table(self) -> str:
        """As Markdown."""
        lines = [f"### {self.title}", "", "| what | median [min-max] | target | |", "|---|---|---|---|"]
        for row in self.rows:
            target = "" if row.target is None else f"{row.target:g}"
            lines.append(f"| {row.what} | {row.value.text(row.digits)} | {target} | {row.verdict} |")
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        rows = [
            {"what": row.what, **row.value._asdict(), "target": row.target, "verdict": row.verdict}
            for row in self.rows
        ]
        return {"name": self.name, "title": self.title, "rows": rows}


def report(results: list[Result], path: str | None) -> None:
    """Print tables, or write everything as JSON (`-` for standard output)."""
    if path == "-":
        print(json.dumps([result.data() for result in results], indent=1))
        return
    for result in results:
        print(result.table(), end="\n\n", flush=True)
    if path:
        Path(path).write_text(json.dumps([result.data() for result in results], indent=1) + "\n")


def main(measure: Any) -> None:
    """The command line of one benchmark."""
    import argparse

    parser = argparse.ArgumentParser(description=measure.__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too; - for JSON alone")
    options = parser.parse_args()
    report([measure()], options.json)
