"""Beside Sentry, ddtrace and other instrumentations: the program, they and we get what each gets alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import pytest

from neighbours.accounts import beside, from_bare
from neighbours.orders import NEEDED, OURS, orders, undoings
from neighbours.peers import PACKAGES
from transparency.kit import Program, Seen


def _missing() -> list[str]:
    found = []
    for name, module in PACKAGES.items():
        try:
            there = find_spec(module) is not None
        except ModuleNotFoundError:
            there = False
        found += [] if there else [name]
    return found


pytestmark = pytest.mark.skipif(
    bool(_missing()) and not NEEDED,
    reason=f"not installed: {', '.join(_missing())} (constraints-neighbours.txt)",
)

SCENES = (
    "chat.completions.create: ok",
    "chat.completions.create: refused",
    "chat.completions.create: unknown argument",
    "chat.completions.create: raw",
    "chat.completions.create: streaming raw of a stream, parse",
    "chat.completions.create: stream, full",
    "chat.completions.create: stream, closed",
    "chat.completions.create: stream, dropped",
    "chat.completions.parse: ok",
    "async chat.completions.create: ok",
    "async chat.completions.create: stream, full",
    "async chat.completions.create: unknown argument",
    "responses.create: ok",
    "responses.create: stream, full",
    "embeddings.create: ok",
    "completions.create: ok",
    "chat stream helper: full",
    "many t",
)
_OTEL = ("openllmetry", "genai", "openinference")


def program(steps: Sequence[str]) -> Program:
    """A program that plays the scenes after these steps."""
    return Program(steps, module="neighbours.peers", scenes=SCENES, again=False)


def without_us(steps: Sequence[str]) -> tuple[str, ...]:
    """The same steps without ours."""
    return tuple(step for step in steps if not step.startswith("ours") and step != "undo ours")


BARE = ("provider", "import")
ALONE = (*BARE, OURS)
ORDERS, UNDOINGS = orders(), undoings()


@pytest.fixture(scope="module")
def seen() -> dict[tuple[str, ...], Seen]:
    """What all programs saw, two run at a time."""
    wanted = {BARE, ALONE}
    for steps in (*ORDERS, *UNDOINGS):
        wanted |= {steps, without_us(steps)}
    ordered = sorted(wanted)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(ordered, pool.map(lambda steps: program(steps).run(), ordered), strict=True))


def spans(account: dict[str, Any], *, ours: bool) -> list[dict[str, Any]]:
    """Spans of ours, or of others."""
    return [span for span in account["spans"] if (span["scope"] == "otel_agentops") is ours]


def named(steps: Sequence[str]) -> str:
    """For the ids of tests."""
    return " > ".join(steps[1:]).replace(OURS, "ours")


@pytest.mark.parametrize("steps", [*ORDERS, *UNDOINGS], ids=named)
def test_program_and_peers(seen: dict[tuple[str, ...], Seen], steps: tuple[str, ...]) -> None:
    """We change nothing for the program, nor for what Sentry and Datadog get."""
    assert beside(seen[without_us(steps)], seen[steps], quiet="openllmetry" in steps) == []


@pytest.mark.parametrize("steps", [*ORDERS, *UNDOINGS], ids=named)
def test_as_bare(seen: dict[tuple[str, ...], Seen], steps: tuple[str, ...]) -> None:
    """Results and errors are those of a bare program, unless it is the peers alone who change them."""
    theirs = from_bare(seen[BARE], seen[without_us(steps)])
    assert [line for line in from_bare(seen[BARE], seen[steps]) if line not in theirs] == []


@pytest.mark.parametrize("steps", ORDERS, ids=named)
def test_spans(seen: dict[tuple[str, ...], Seen], steps: tuple[str, ...]) -> None:
    """Each call is one span that is not marked as a duplicate, ours or another's, and has one cost.

    Two others that both tell of a call without us may go on telling of it twice between themselves.
    """
    for name, alone in seen[ALONE]["scenes"].items():
        account = seen[steps]["scenes"][name]
        if name.startswith("async ") and name.endswith("unknown argument"):
            continue  # refused by the call, or where a peer is below us by the await, which is a failed call
        if len(told(account)) > len(alone["spans"]):
            peers = {span["scope"] for span in told(account)} - {"otel_agentops"}
            among = told(seen[without_us(steps)]["scenes"][name])
            assert len(peers) > 1, name
            assert len(told(account)) <= len(among), name
            continue
        assert len(told(account)) == len(alone["spans"]), name
        assert len(spans(account, ours=True)) <= len(alone["spans"]), name
        assert all(span["ended"] for span in account["spans"])
        if not any(peer in steps and name.startswith(scene) for peer, scene in _NO_COST):
            assert costs(account) == costs(alone), name


_NO_COST = (
    # tells only the name of the model that answered, an old one, and not that which was asked for
    ("openinference", "completions.create: ok"),
    # ends its span before the stream is read
    ("openllmetry", "chat.completions.create: raw stream"),
    ("openllmetry", "chat.completions.create: streaming raw of a stream"),
)
"""Peers whose span tells of a call, and calls of which it then cannot tell the cost."""


@pytest.mark.parametrize("steps", ORDERS, ids=named)
def test_no_spans_besides(seen: dict[tuple[str, ...], Seen], steps: tuple[str, ...]) -> None:
    """Others write no more spans than without us, and fewer only where they keep quiet."""
    for name, account in seen[without_us(steps)]["scenes"].items():
        theirs = Counter(span["scope"] for span in spans(account, ours=False))
        beside_us = Counter(span["scope"] for span in spans(seen[steps]["scenes"][name], ours=False))
        assert beside_us <= theirs, name
        fewer = theirs - beside_us
        assert all("openai.v1" in scope or "genai" in scope for scope in fewer), name


@pytest.mark.parametrize("steps", UNDOINGS, ids=named)
def test_undone(seen: dict[tuple[str, ...], Seen], steps: tuple[str, ...]) -> None:
    """When we are switched off we write nothing more; when others are, each call is still one span."""
    for name, alone in seen[ALONE]["scenes"].items():
        account = seen[steps]["scenes"][name]
        broken = seen[without_us(steps)]["scenes"][name]["outcome"] != seen[BARE]["scenes"][name]["outcome"]
        if broken and "raised" in account["outcome"]:
            continue  # by peers that take off each other's wrappers
        if "undo ours" in steps:
            assert not spans(account, ours=True), name
        else:
            assert len(told(account)) == len(alone["spans"]), name


def told(account: dict[str, Any]) -> list[Any]:
    """Spans that tell of a call, one for each.

    One that was dropped unread may end just before another tells what its call used: nothing can be written
    on it any more, and it told nothing that would be told twice.
    """
    found = [span for span in account["spans"] if not span["attributes"].get("otel_agentops.duplicate")]
    telling = [span for span in found if not _unread(span["attributes"])]
    return telling or found


def _unread(attributes: dict[str, Any]) -> bool:
    return (
        attributes.get("otel_agentops.ending") == "abandoned"
        and "gen_ai.usage.input_tokens" not in attributes
    )


def costs(account: dict[str, Any]) -> list[Any]:
    """What the spans of a scene cost, those that say so."""
    found = [span["attributes"].get("gen_ai.usage.cost") for span in account["spans"]]
    return sorted(cost for cost in found if cost is not None)
