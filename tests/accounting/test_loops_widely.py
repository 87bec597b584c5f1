"""Loops and honest runs drawn from wide ranges of parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from opentelemetry import trace

import otel_agentops as ao
from support.play import play
from support.wide_runs import HONEST_FAMILIES, LOOP_FAMILIES, Family, draw, wide_runs

LOOP_KINDS = {"repeated_prompt", "repeated_tool_call", "cycle", "retry_storm"}
RUNS = 2000


@pytest.fixture(autouse=True)
def _started() -> Iterator[None]:
    """A runtime that writes nowhere."""
    ao.init(tracer_provider=trace.NoOpTracerProvider(), auto_session=False, instrument=[])
    yield
    ao.shutdown()


def test_precision_and_recall() -> None:
    """Of 2,000 runs, at least 98 in 100 loops are found, and 98 in 100 findings are loops."""
    found: Counter[bool] = Counter()
    wrong: Counter[str] = Counter()
    for run in wide_runs(RUNS, 1):
        told = any(finding.kind in LOOP_KINDS for finding in play(run))
        found[run.loop] += told
        wrong[run.shape] += told != run.loop
    recall, precision = found[True] / (RUNS / 2), found[True] / max(1, found.total())
    assert (recall >= 0.98, precision >= 0.98) == (True, True), (recall, precision, wrong.most_common(6))


@pytest.mark.parametrize("family", [*LOOP_FAMILIES, *HONEST_FAMILIES], ids=lambda family: family.__name__)
def test_every_family(family: Family) -> None:
    """No family is misjudged more than twice in fifty."""
    runs = [draw(family, seed) for seed in range(50)]
    wrong = [n for n, run in enumerate(runs) if any(f.kind in LOOP_KINDS for f in play(run)) != run.loop]
    assert len(wrong) <= 2
