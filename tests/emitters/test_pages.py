"""The code of "Keep your instrumentation" does what the page says, beside the real packages."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from emitters import pages, table
from emitters.billing import billed
from emitters.golden import run


@pytest.mark.parametrize("title", pages.SECTIONS)
def test_the_code_of_a_section(title: str) -> None:
    """With nothing but this code, the call is counted once, at what the provider billed."""
    reason = table.missing(pages.SECTIONS[title][0])
    if reason is not None:
        pytest.skip(reason)
    found = run(title, module="pages")
    (answer,) = map(billed, found["served"])
    assert found["model_calls"] == 1
    assert found["tokens"] == [answer.input_tokens, answer.output_tokens]
    assert Decimal(found["cost_usd"]) == answer.cost_usd


def test_no_code_is_left_out() -> None:
    """Every section with code is one that is run, and so is the code before the first."""
    sections = re.split(r"\n## (.*)\n", pages.PAGE.read_text("utf-8"))
    titles = {
        title for title, text in zip(sections[1::2], sections[2::2], strict=True) if "```python" in text
    }
    assert titles | {pages.INTRODUCTION} == set(pages.SECTIONS)
    assert "```python" in sections[0]
