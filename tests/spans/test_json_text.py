"""JSON on spans is always valid, whatever goes in."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from otel_agentops.spans.json_text import to_json


@dataclass
class Point:
    """A dataclass of the program."""

    x: int


VALUES: list[Any] = [
    "plain", "ünïcode \U0001f600", "\ud800 broken", b"bytes", b"\xff\xfe", {1, 2}, Decimal("1.5"),
    float("nan"), float("inf"), datetime.datetime(2026, 1, 1), Point(1), object(), {1: 2}, (1, 2), None,
    {"nested": [{"deep": ["\ud800", b"\xff"]}]},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_always_valid_json(value: Any) -> None:
    """The text can be parsed, and exported as UTF-8."""
    text = to_json({"value": value})
    assert "value" in json.loads(text)
    text.encode()


def test_the_same_without_pydantic() -> None:
    """Programs without pydantic get the same text for plain data."""
    code = """
import sys
from otel_agentops.spans.json_text import to_json
value = {"a": [1, 2.5, "x", None, True], "b": {"c": "\\u00fc"}}
before = to_json(value)
assert "pydantic_core" not in sys.modules
import pydantic_core
assert to_json(value) == before == '{"a":[1,2.5,"x",null,true],"b":{"c":"\\u00fc"}}', before
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
