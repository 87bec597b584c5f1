"""In which orders tools are switched on and off beside us: all pairs; triples and undoings by a fixed lot."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator

from neighbours.peers import PEERS, UNDONE

__all__ = ["EVERYTHING", "NEEDED", "OURS", "orders", "undoings"]

_MODE = os.environ.pop("AGENTOPS_NEIGHBOURS", "")
NEEDED = _MODE in ("required", "all")
"""Whether the peers have to be there, as in CI."""
EVERYTHING = _MODE == "all"
"""Whether every order is tried, which takes about twenty minutes."""

OURS = "ours, not asking"
_LOT = 20261121
_TRIPLES, _UNDOINGS = 6, 7
Steps = tuple[str, ...]


def orders() -> list[Steps]:
    """Steps that switch on one or two peers and us; the SDK is imported before, after or between."""
    lot = random.Random(_LOT)
    pairs = [order for name in PEERS for order in itertools.permutations((name, OURS))]
    triples = [
        order for two in itertools.combinations(PEERS, 2) for order in itertools.permutations((*two, OURS))
    ]
    chosen = pairs + (triples if EVERYTHING else lot.sample(triples, _TRIPLES))
    return [_imported(order, lot) for order in chosen]


def undoings() -> list[Steps]:
    """Steps after which some or all that can be are switched off again, in any order."""
    lot = random.Random(_LOT + 1)
    every = list(_undoings(lot))
    return every if EVERYTHING else lot.sample(every, _UNDOINGS)


def _undoings(lot: random.Random) -> Iterator[Steps]:
    removable = [name.removeprefix("undo ") for name in UNDONE]
    for name in removable:
        for order in itertools.permutations((name, OURS)):
            yield (*_imported(order, lot), f"undo {name}")
            yield (*_imported(order, lot), "undo ours")
            yield (*_imported(order, lot), *lot.sample((f"undo {name}", "undo ours"), 2))
    for two in itertools.combinations(PEERS, 2):
        for order in itertools.permutations((*two, OURS)):
            undone = [f"undo {name}" for name in two if name in removable] + ["undo ours"]
            lot.shuffle(undone)
            yield (*_imported(order, lot), *undone[: lot.randint(1, len(undone))])


def _imported(order: Steps, lot: random.Random) -> Steps:
    at = lot.randint(0, len(order))
    return ("provider", *order[:at], "import", *order[at:])
