"""The shipped file: fresh, whole, cheap to read."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from genai_prices import data

from otel_agentops.pricing import PriceBook, cards, newer
from otel_agentops.pricing.compiling import compile_lines
from otel_agentops.pricing.windows import DAY_NS, Window, segment
from otel_agentops.records import Cost

from .calls import model_call

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "compile_cards.py"


def test_shipped_cards_are_fresh() -> None:
    """The file is exactly what the installed genai-prices compiles to."""
    shipped = cards.shipped_cards()
    fresh = "\n".join([*compile_lines(shipped.data_time), ""])
    assert Path(cards.__file__).with_name("cards.jsonl").read_text(encoding="utf-8") == fresh


def test_check_mode_of_the_script() -> None:
    """CI can ask whether the file is up to date."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "up to date\n"), done.stderr


def test_version_names_data_and_time() -> None:
    """A cost can say which prices it was made from."""
    expected = rf"genai-prices {re.escape(version('genai-prices'))} \(\d{{4}}-\d\d-\d\d\)"
    assert re.fullmatch(expected, PriceBook().version)


def test_every_card_can_be_read() -> None:
    """All models of all providers are found by their own id, or by the one that shadows them."""
    shipped = cards.shipped_cards()
    assert all(shipped.find(p.id, m.id) for p in data.providers for m in p.models if m.is_match(m.id))


@pytest.mark.parametrize("host", ["api.openai.com", "a.openai.azure.com", "x.googleapis.com", "nobody.net"])
def test_hints_hide_no_host(host: str) -> None:
    """The quick test before a pattern never skips a pattern that would match."""
    url = f"https://{host}"
    expected = next((p.id for p in data.providers if re.match(p.api_pattern, url)), None)
    assert cards.shipped_cards().provider_of_host(host) == expected


PROGRAM = """
import sys
from otel_agentops.pricing import PriceBook
from otel_agentops.records import ModelCall, Usage
book = PriceBook()
assert book.price(ModelCall("openai", "gpt-4o", usage=Usage(1, 1)), 0).usd
assert book.price(ModelCall("openai", "no-such-model", usage=Usage(1, 1)), 0).reason == "unknown_model"
wanted = {"genai_prices", "pydantic", "httpx2", "httpx"}
print(sorted(wanted & set(sys.modules)))
"""


def test_pricing_imports_no_library() -> None:
    """A price, and a miss, need neither genai-prices nor pydantic."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_newer_prices_are_loaded_in_the_background(
    monkeypatch: pytest.MonkeyPatch, price: Callable[..., Cost]
) -> None:
    """After an upgrade of genai-prices a model that we lack is unpriced first, then priced."""
    shipped, expected = cards.shipped_cards(), price("openai", "gpt-4o")
    old = cards.Cards(
        b'{"library":"genai-prices 0.0.1","data_time":"","providers":[{"id":"openai","host":"x","hint":"x",'
        b'"match":null,"fallback":[],"size":3}]}\n',
        lambda *_: b"[]\n",
    )
    monkeypatch.setattr("otel_agentops.pricing.cards.shipped_cards", lambda: old)
    monkeypatch.setattr(newer, "shipped_cards", lambda: old)
    monkeypatch.setattr("otel_agentops.pricing.resolving.newer_cards", newer.NewerCards())
    book = PriceBook()
    assert price("openai", "gpt-4o", book=book).reason == "unknown_model"
    deadline = time.monotonic() + 20
    while price("openai", "gpt-4o", book=book).usd is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert price("openai", "gpt-4o", book=book) == expected
    monkeypatch.undo()
    assert shipped is cards.shipped_cards()


def test_daily_windows_across_midnight() -> None:
    """A window may cross midnight, and the interval of a plan ends at its edge."""
    window = Window(daily_ns=(DAY_NS * 22 // 24, DAY_NS * 2 // 24))
    hours = [hour for hour in range(24) if window.active(5 * DAY_NS + hour * DAY_NS // 24)]
    assert hours == [0, 1, 22, 23]
    assert segment([window], 5 * DAY_NS) == (5 * DAY_NS - DAY_NS // 12, 5 * DAY_NS + DAY_NS // 12)


def test_a_card_keeps_its_decimals() -> None:
    """No rate ever was a float: what genai-prices writes is what is multiplied."""
    cost = PriceBook(corrections=False).price(model_call("deepseek", "deepseek-v4-pro"), 0)
    assert str(cost.usd).rstrip("0") == "0.000522"
