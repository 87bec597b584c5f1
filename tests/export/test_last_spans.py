"""Spans that end in other threads while the sender stops: delivered, in a file, or counted as lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.collector import Received, http_collector
from export.test_export import run
from export.test_spool import PATIENCE_S, Program

ROUNDS = 12
TESTS = str(Path(__file__).parent.parent)

PROGRAM = f"""
import json, sys, threading, time
from pathlib import Path
sys.path.insert(0, {TESTS!r})
from export.test_spool import Program
from otel_agentops.failsafe import failures

sys.setswitchinterval(1e-6)  # between any two steps of the sender others may end spans

def work(program, names, over):
    while not over.is_set():
        name = f"{{number}} {{threading.get_ident()}} {{len(names)}}"
        program.end(name)
        names.append(name)
        time.sleep(0.0002)

rounds = []
for number in range({ROUNDS}):
    program = Program(URL, Path(FOLDER), spool=SPOOL, spool_directory=FOLDER if SPOOL else None)
    over = threading.Event()
    lists = [[] for _ in range(8)]
    threads = [threading.Thread(target=work, args=(program, names, over)) for names in lists]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    program.sender.stop(0.1)
    time.sleep(0.02)
    over.set()
    for thread in threads:
        thread.join()
    names = sum(lists, [])
    end = time.monotonic() + 10
    while program.counts["ended"] < len(names) and time.monotonic() < end:
        time.sleep(0.01)  # a crowded machine may keep the sender from its end for longer than `stop` waits
    rounds.append((names, program.counts))
    if program.counts["ended"] < len(names):
        break
print(json.dumps([rounds, failures]))
"""


@pytest.fixture
def collector() -> Iterator[Received]:
    """A collector that is well."""
    with http_collector() as received:
        yield received


@pytest.mark.parametrize("spool", [True, False], ids=["spool", "memory"])
def test_none_is_lost_without_a_word(collector: Received, tmp_path: Path, spool: bool) -> None:
    """What ended is what arrived, at once or with the next start, and what the count of lost spans says."""
    settings = f"URL, FOLDER, SPOOL = {collector.url!r}, {str(tmp_path)!r}, {spool}\n"
    rounds, failures = json.loads(run(settings + PROGRAM).stdout)
    assert failures == {}
    assert [counts["ended"] for _, counts in rounds] == [len(names) for names, _ in rounds]
    lost = sum(counts["lost"] for _, counts in rounds)
    if spool:
        assert lost == 0
        _start_again(collector, tmp_path)
    missing = {name for names, _ in rounds for name in names}.difference(collector.spans)
    assert len(missing) <= lost  # what is on its way at the end may arrive after it was given up


def _start_again(collector: Received, directory: Path) -> None:
    """What the last process has left is sent."""
    program = Program(collector.url, directory)
    program.sender.adopt()
    assert program.sender.flush(PATIENCE_S)
    assert program.sender.stop(PATIENCE_S)
