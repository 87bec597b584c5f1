"""Long content becomes short content that is still JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentops as ao
from otel_agentops.spans.shorten import shorten
from otel_agentops.testing import capture

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=60,
)


@given(VALUES, st.integers(2, 400))
@settings(max_examples=400, deadline=None)
def test_fits_and_parses(value: Any, limit: int) -> None:
    """Whatever the value and the limit: within it, valid, and untouched where it fits."""
    text = json.dumps({"value": value}, ensure_ascii=False, separators=(",", ":"))
    short = shorten(text, limit)
    json.loads(short)
    assert len(short) <= limit
    assert (short == text) == (len(text) <= limit)


def test_what_stays() -> None:
    """Long strings are cut and counted first; of many messages the first and the last stay."""
    long = json.dumps([{"role": "user", "content": "x" * 1000}, {"role": "user", "content": "short"}])
    cut = json.loads(shorten(long, 400))
    assert cut[1]["content"] == "short"
    assert cut[0]["content"].startswith("xxxx")
    assert cut[0]["content"].endswith(f"[+{1000 - cut[0]['content'].count('x')}]")
    many = json.loads(shorten(json.dumps([{"n": number} for number in range(100)]), 100))
    assert (many[0], many[-1]) == ({"n": 0}, {"n": 99})


@pytest.mark.parametrize(
    ("variable", "argument", "limit"), [("200", None, 200), (None, 300, 300), ("200", 300, 200)]
)
def test_content_fits_the_sdks_limit(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, argument: int | None, limit: int
) -> None:
    """The SDK finds nothing to cut: what it would break is shortened before, and counted."""
    if variable:
        monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", variable)
    with capture(capture_content=True, content_limit=argument, auto_session=False) as captured:
        with ao.model_call(provider="acme", model="m", messages="word " * 500):
            pass
        attributes = captured.span("chat m").attributes
    text = attributes["gen_ai.input.messages"]
    assert limit // 2 < len(text) <= limit
    assert json.loads(text)[0]["parts"][0]["content"].startswith("word word")
    assert attributes["otel_agentops.content.shortened"] > 2000
