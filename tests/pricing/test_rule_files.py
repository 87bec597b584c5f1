"""Price files: both formats, and errors that say where."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from otel_agentops.pricing import PriceBook, PriceFileError
from otel_agentops.records import Cost

MANUAL = Path(__file__).parent.parent.parent / "docs" / "pricing.md"

GOOD = """
[[price]]
provider = "acme"
match = "big"
from = 2026-01-01
when = { service_tier = "priority" }
input = 0.1
cache_read = 0.01
tool.web_search = 0.005
above = { tokens = 200000, input = 0.2 }

[[alias]]
provider = "acme"
match = "big-latest"
model = "big"

[[adjust]]
provider = "acme"
match = "*"
multiply = 0.9
"""

SAME_IN_JSON = """
{"price": [{"provider": "acme", "match": "big", "from": "2026-01-01", "when": {"service_tier": "priority"},
            "input": 0.1, "cache_read": 0.01, "tool.web_search": 0.005,
            "above": {"tokens": 200000, "input": 0.2}}],
 "alias": [{"provider": "acme", "match": "big-latest", "model": "big"}],
 "adjust": [{"provider": "acme", "match": "*", "multiply": 0.9}]}
"""


@pytest.mark.parametrize(("name", "text"), [("p.toml", GOOD), ("p.json", SAME_IN_JSON)])
def test_both_formats(price: Callable[..., Cost], tmp_path: Path, name: str, text: str) -> None:
    """TOML and JSON say the same, and 0.1 is exactly 0.1."""
    file = tmp_path / name
    file.write_text(text)
    book = PriceBook(files=[file])
    fields = {"input_tokens": 100_001, "output_tokens": 0, "cache_read_input_tokens": 1, "web_searches": 1}
    cost = price("acme", "big-latest", book=book, service_tier="priority", **fields)
    assert cost == Cost(Decimal("0.009000009") + Decimal("0.005"), "override")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[[price]]\nprovider = "a"\nmatch = "m"\ninputs = 1', ["p.toml:1", "'inputs'", "cache_read"]),
        (
            '[[alias]]\nprovider="a"\nmatch="m"\nmodel="x"\n\n[[price]]\nprovider="a"\nmatch="m"\ninput=-1',
            [":6", "[[price]] number 1", "input", "0 or more"],
        ),
        ('[[price]]\nmatch = "m"\ninput = 1', ["'provider' is missing"]),
        ('[[alias]]\nprovider = "a"\nmatch = "m"', ["'model' is missing"]),
        ('[[prices]]\nprovider = "a"', ["unknown table 'prices'", "price, alias, adjust"]),
        ("[[price]\n", ["p.toml", "line 1"]),
        ('price = ["x"]', ["expected a table"]),
        ('[[price]]\nprovider="a"\nmatch="m"\ninput=1\nfrom=5', ["from", "expected a date"]),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, parts: list[str]) -> None:
    """Start-up stops with the file, the line, the table, the key and what is allowed."""
    file = tmp_path / "p.toml"
    file.write_text(text)
    with pytest.raises(PriceFileError) as caught:
        PriceBook(files=[file])
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_the_manuals_example_is_a_price_file(price: Callable[..., Cost], tmp_path: Path) -> None:
    """What the manual shows can be used as it stands."""
    text = MANUAL.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    file = tmp_path / "prices.toml"
    file.write_text(text)
    cost = price("azure.ai.openai", "prod-chat", book=PriceBook(files=[file]))
    assert cost.usd == price("azure", "gpt-4o").usd


@pytest.mark.parametrize("name", ["missing.toml", "prices.yaml"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A file that is not there, or of another kind, is named."""
    (tmp_path / "prices.yaml").write_text("")
    with pytest.raises(PriceFileError, match=name):
        PriceBook(files=[tmp_path / name])
