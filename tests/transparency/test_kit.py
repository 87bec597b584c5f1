"""The kit that compares programs notices what it is there for: each kind of meddling, one by one."""

from __future__ import annotations

import re

import pytest

from transparency.kit import Program, differences, run_programs, stalls
from transparency.known import excuse
from transparency.meddling import MEDDLINGS, TOGETHER

pytest.importorskip("pydantic")


@pytest.fixture(scope="module")
def noticed() -> list[str]:
    """What the kit says of programs that were meddled with."""
    found = []
    for together in TOGETHER:
        scenes = sorted({each.scene for each in together.values()})
        bare = Program(["provider", "import", "own layer"], scenes=scenes)
        meddled = Program([*bare.steps, *(f"meddle: {name}" for name in together)], scenes=scenes)
        seen = run_programs({"bare": bare, "meddled": meddled})
        lines = differences(seen["bare"], seen["meddled"], excuse)
        lines += stalls(bare, meddled, (seen["bare"], seen["meddled"]), tries=1)
        found.append("\n".join(lines))
    return found


@pytest.mark.parametrize("name", MEDDLINGS)
def test_meddling_is_noticed(noticed: list[str], name: str) -> None:
    """An instrumentation that does such a thing is caught, in the very point that it concerns."""
    meddling = MEDDLINGS[name]
    told = next(lines for lines, together in zip(noticed, TOGETHER, strict=True) if name in together)
    assert re.search(meddling.facet, told), told
