"""One price, warm: the price book alone, beside the library that its rate cards come from."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.driver import ROOT, Result, Row, Spread, environment, main

if TYPE_CHECKING:
    from collections.abc import Callable

CASES: tuple[tuple[str, str, str], ...] = (
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("openai", "gpt-4.1", "gpt-4.1-2025-04-14"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
)
"""Provider, requested model, answered model: cached tokens, tiers by size, several providers."""

GROUPS, ROUNDS, EACH = 5, 7, (2000, 200)


def _loop(call: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begun) / times * 1e6


def _ours(provider: str, asked: str, answered: str) -> Callable[[], object]:
    from otel_agentops.pricing import PriceBook
    from otel_agentops.records import ModelCall, Usage

    book, now = PriceBook(), time.time_ns()
    call = ModelCall(provider, asked)
    call.response_model = answered
    call.usage = Usage(2400, 410, 1280)
    if book.price(call, now).usd is None:
        raise SystemExit(f"{answered} has no price")
    return lambda: book.price(call, now)


def _theirs(provider: str, _asked: str, answered: str) -> Callable[[], object]:
    from genai_prices import Usage, calc_price

    names = {"gcp.gemini": "google"}
    usage = Usage(input_tokens=2400, output_tokens=410, cache_read_tokens=1280)
    return lambda: calc_price(usage, answered, provider_id=names.get(provider, provider))


def _worker() -> None:
    calls = {case: (_ours(*case), _theirs(*case)) for case in CASES}
    found: dict[str, Any] = {case[2]: [[], []] for case in CASES}
    for number in range(ROUNDS):
        for case, pair in calls.items():
            for side in (0, 1) if number % 2 else (1, 0):
                pair[side]()
                found[case[2]][side].append(_loop(pair[side], EACH[side]))
    print(json.dumps({name: [median(side) for side in pair] for name, pair in found.items()}))


def measure() -> Result:
    """Cost of one price."""
    groups = []
    for seed in range(GROUPS):
        output = subprocess.check_output(
            [sys.executable, "-m", "benchmarks.price", "--worker"], cwd=ROOT, env=environment(seed)
        )
        groups.append(json.loads(output.splitlines()[-1]))
    rows = []
    for _, _, name in CASES:
        ours = Spread.of([group[name][0] for group in groups])
        rows.append(Row(f"{name}: us a price", ours, target=3.0))
    for _, _, name in CASES:
        theirs = Spread.of([group[name][1] for group in groups])
        rows.append(Row(f"genai-prices itself, {name}: us a price", theirs, 1))
    return Result("price", "One price, warm", rows)


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        _worker()
    else:
        main(measure)
