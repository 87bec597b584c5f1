"""Prompt digests: equal for equal prompts, keyed, and safe on anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentops.accounting import digest

KEY = b"key"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON)
def test_equal_if_and_only_if_the_prompts_are(one: Any, other: Any) -> None:
    """Same data, same digest; other data, another one."""
    assert digest(KEY, one) == digest(KEY, one)
    if repr(one) != repr(other):
        assert digest(KEY, one) != digest(KEY, other)


def test_keyed() -> None:
    """Without the key nobody can tell what the prompt was by trying."""
    assert digest(b"a", "hello") != digest(b"b", "hello")
    assert len(digest(b"a", "hello")) == 32


@pytest.mark.parametrize(
    ("one", "other"),
    [(["ab", "c"], ["a", "bc"]), ([["a"], "b"], ["a", ["b"]]), ({"a": "b"}, ["a", "b"]), (["1"], [1])],
)
def test_borders_matter(one: Any, other: Any) -> None:
    """Moving a border between two texts is another prompt."""
    assert digest(KEY, one) != digest(KEY, other)


class Message:
    """An SDK's message object."""

    def __init__(self, content: str) -> None:
        self.role = "user"
        self.content = content


def test_objects_count_by_their_fields() -> None:
    """Messages may be objects of an SDK."""
    assert digest(KEY, [Message("a")]) == digest(KEY, [Message("a")])
    assert digest(KEY, [Message("a")]) != digest(KEY, [Message("b")])


def test_nothing_is_consumed() -> None:
    """A generator counts by its type and still has all its items."""

    def items() -> Iterator[int]:
        yield 1

    made = items()
    digest(KEY, made)
    assert list(made) == [1]


def test_cycles_and_depth_end() -> None:
    """A structure that contains itself, or is absurdly deep, has a digest as well."""
    cycle: list[Any] = [Message("x")]
    cycle.append(cycle)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert len(digest(KEY, cycle)) == len(digest(KEY, deep)) == 32


def test_lone_surrogates() -> None:
    """Broken text has a digest."""
    assert digest(KEY, "\ud800") != digest(KEY, "\ud801")


def test_same_objects_do_not_matter() -> None:
    """Whether two equal texts are one object makes no difference."""
    text = "".join(["a", "b"])
    assert digest(KEY, [text, text]) == digest(KEY, ["ab", "".join(["a", "b"])])
