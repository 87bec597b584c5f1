"""The rate cards: which models a provider has, and what each of them charges when.

The cards are compiled from genai-prices into `cards.jsonl`: one header line and one line a provider.
Only the header and the lines of providers that are asked for are ever parsed.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from otel_agentops.pricing.windows import ALWAYS, DAY_NS, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Card", "Cards", "Rate", "Rates", "Variant", "shipped_cards"]

_PATH = Path(__file__).with_name("cards.jsonl")


class Rate(NamedTuple):
    """US dollars for one accounting unit (a million tokens, a thousand searches, ...).

    Attributes:
        base: Rate up to the first step.
        steps: Pairs of input tokens and rate: with more input than that, the rate counts for the
            whole call. In ascending order.
    """

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()


Rates: TypeAlias = "Mapping[str, Rate]"
"""Rates by genai-prices' price key, such as `input_mtok`."""


class Variant(NamedTuple):
    """Rates that replace the standard ones under a condition, such as batch processing."""

    when: Mapping[str, str]
    window: Window
    rates: Rates


class Card(NamedTuple):
    """What one model charges.

    Attributes:
        stages: Standard rates by time; the last active one counts, the first if none is.
        variants: Tried first to last; for each price key the first hit counts.
    """

    model: str
    stages: tuple[tuple[Window, Rates], ...]
    variants: tuple[Variant, ...]

    def windows(self) -> tuple[Window, ...]:
        """Everything in time that the card's rates depend on."""
        return (*(window for window, _ in self.stages), *(each.window for each in self.variants))

    def rates(self, at_ns: int, context: Mapping[str, str]) -> tuple[Rates, set[str]]:
        """The rates of a moment, and the keys of `context` that made a difference."""
        active = (rates for window, rates in reversed(self.stages) if window.active(at_ns))
        merged = dict(next(active, self.stages[0][1]))
        applied: set[str] = set()
        chosen: dict[str, Rate] = {}
        for variant in self.variants:
            if variant.window.active(at_ns) and variant.when.items() <= context.items():
                applied.update(variant.when if variant.rates else ())
                chosen = {**variant.rates, **chosen}
        return merged | chosen, applied


class _Provider:
    """One provider's cards; parsed when they are first asked for."""

    def __init__(self, head: Mapping[str, Any], read: Callable[[], bytes]) -> None:
        self.id: str = head["id"]
        self.host: str = head["host"]
        self.hint: str = head["hint"]
        self.match: list[Any] | None = head["match"]
        self.fallback: tuple[str, ...] = tuple(head["fallback"])
        self._read = read
        self._models: list[dict[str, Any]] | None = None

    def find(self, model: str) -> Card | None:
        """The card of a model name in lower case."""
        if self._models is None:
            self._models = json.loads(self._read())
        found = next((each for each in self._models if _matches(each["m"], model)), None)
        return _card(found) if found else None


class Cards:
    """All providers of one compiled file.

    Attributes:
        library: Name and version of the library whose data these are.
        data_time: ISO date on which the data were taken.
    """

    def __init__(self, header: bytes, read: Callable[[int, int], bytes]) -> None:
        head = json.loads(header)
        self.library: str = head["library"]
        self.data_time: str = head["data_time"]
        self._providers: dict[str, _Provider] = {}
        start = len(header)
        for each in head["providers"]:
            self._providers[each["id"]] = _Provider(each, partial(read, start, each["size"]))
            start += each["size"]

    def provider(self, name: str) -> str | None:
        """The id of the provider that goes by this name (lower case)."""
        if name in self._providers:
            return name
        known = self._providers.values()
        return next((each.id for each in known if each.match and _matches(each.match, name)), None)

    def provider_of_host(self, host: str) -> str | None:
        """The id of the provider that answers at this host."""
        url = f"https://{host}"
        hits = (each for each in self._providers.values() if each.hint in host and re.match(each.host, url))
        return next((each.id for each in hits), None)

    def find(self, provider: str, model: str) -> tuple[str, Card] | None:
        """The card of a model and the id of the provider that it was found with.

        That is another provider where genai-prices says so: Azure sells OpenAI's models, and so on.
        """
        if provider not in self._providers:
            return None
        model = model.lower()
        for name in dict.fromkeys((model, _dashed_date(model))):
            for each in (provider, *self._providers[provider].fallback):
                if card := self._providers[each].find(name):
                    return each, card
        return None


def shipped_cards() -> Cards:
    """The cards in this package, shared by the whole process."""
    global _shipped  # noqa: PLW0603 - read-only data, loaded once
    if _shipped is None:
        with _PATH.open("rb") as file:
            _shipped = Cards(file.readline(), _read_shipped)
    return _shipped


_shipped: Cards | None = None


def _read_shipped(start: int, size: int) -> bytes:
    with _PATH.open("rb") as file:
        file.seek(start)
        return file.read(size)


_TESTS: dict[str, Callable[[Any, str], bool]] = {
    "=": lambda value, text: text == value,
    "^": lambda value, text: text.startswith(value),
    "$": lambda value, text: text.endswith(value),
    "*": lambda value, text: value in text,
    "~": lambda value, text: re.search(value, text) is not None,
    "|": lambda value, text: any(_TESTS[sign](part, text) for sign, part in value),
    "&": lambda value, text: all(_TESTS[sign](part, text) for sign, part in value),
}


def _matches(clause: list[Any], text: str) -> bool:
    sign, value = clause
    return _TESTS[sign](value, text)


_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _dashed_date(model: str) -> str:
    """The name with `-20251211` written as `-2025-12-11`, as some gateways do not."""
    return _COMPACT_DATE.sub(_dash, model)


def _dash(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        return f"-{datetime(int(year), int(month), int(day), tzinfo=UTC):%Y-%m-%d}"
    except ValueError:
        return found[0]


def _card(raw: Mapping[str, Any]) -> Card:
    return Card(
        raw["id"],
        tuple((_window(window), _rates(rates)) for window, rates in raw["p"]),
        tuple(Variant(when, _window(window), _rates(rates)) for when, window, rates in raw.get("v", ())),
    )


def _window(raw: list[str] | None) -> Window:
    if raw is None:
        return ALWAYS
    kind, *values = raw
    if kind == "from":
        start = datetime.fromisoformat(values[0]).replace(tzinfo=UTC)
        return Window(from_ns=int(start.timestamp()) * 1_000_000_000)
    start_ns, end_ns = map(_of_day, values)
    return Window(daily_ns=(start_ns % DAY_NS, end_ns % DAY_NS))


def _of_day(text: str) -> int:
    value = time.fromisoformat(text)
    seconds = value.hour * 3600 + value.minute * 60 + value.second
    return (seconds * 1_000_000 + value.microsecond) * 1000


def _rates(raw: Mapping[str, Any]) -> Rates:
    return {key: _rate(value) for key, value in raw.items()}


def _rate(raw: Any) -> Rate:
    if isinstance(raw, str):
        return Rate(Decimal(raw))
    base, steps = raw
    return Rate(Decimal(base), tuple((start, Decimal(price)) for start, price in steps))
