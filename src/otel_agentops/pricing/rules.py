"""The three kinds of rules that stand above the rate cards: `Price`, `Alias` and `Adjust`.

A rule checks itself when it is made, so that nothing can be wrong with it when a call is priced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from otel_agentops.pricing.cards import Rate, Rates
from otel_agentops.pricing.matching import Matcher
from otel_agentops.pricing.plans import ARITHMETIC
from otel_agentops.pricing.windows import ALWAYS, Window

__all__ = [
    "CONDITIONS",
    "RATE_KEYS",
    "Adjust",
    "Alias",
    "Amount",
    "BaseRule",
    "ConditionalRule",
    "Price",
    "Rule",
]

Amount: TypeAlias = Decimal | int | str | float
"""A number of US dollars; a float is read as the decimal number that it prints as."""

CONDITIONS = ("api_type", "inference_geo", "operation", "processing", "service_tier", "speed")
"""What `when` may ask about a call."""

RATE_KEYS: dict[str, str] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "output_audio": "output_audio_mtok",
}
"""A rule's rates in US dollars a million tokens, and the cards' names for them."""

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TOOL_KEYS = {"web_search": "web_searches_kcount"}


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)  # made by those below
class BaseRule:
    """What all rules have: which calls they are about.

    Attributes:
        provider: One provider name or several, as calls or as genai-prices name them; `*` for any.
        match: The model: an exact name, a glob, or `re:` and a regular expression for the whole name.
        note: Free text, for the reader.
        url: Where the rule's numbers can be checked.
    """

    provider: str | Sequence[str]
    match: str
    note: str = ""
    url: str = ""
    matcher: Matcher = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "provider", _names(self.provider))
        for key in ("match", "note", "url"):
            _check_text(key, getattr(self, key), empty=key != "match")
        try:
            object.__setattr__(self, "matcher", Matcher(self.match))
        except ValueError as error:
            raise ValueError(f"match: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Alias(BaseRule):
    r"""A model that goes by another name: a deployment, an inference profile, a `-latest`.

    Attributes:
        model: The name to look the price up by. Under a regular expression, `\1` is its group.
    """

    model: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text("model", self.model, empty=False)


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)  # made by those below
class ConditionalRule(BaseRule):
    """A rule that holds only at some time or for some calls.

    Attributes:
        from_: First day or moment (UTC) that the rule is about; None for always.
        until: First day or moment (UTC) that it is no longer about; None for ever.
        days: Days of the week (UTC) that it is about, such as `("sat", "sun")`; empty for every day.
        when: What else must be true of the call, such as `{"processing": "batch"}`.
    """

    from_: date | str | None = None
    until: date | str | None = None
    days: Sequence[str] = ()
    when: Mapping[str, str] = field(default_factory=dict)
    window: Window = field(init=False, repr=False, compare=False, default=ALWAYS)

    def __post_init__(self) -> None:
        super().__post_init__()
        window = Window(
            from_ns=_nanoseconds("from", self.from_),
            until_ns=_nanoseconds("until", self.until),
            weekdays=_weekdays(self.days),
        )
        object.__setattr__(self, "window", window)
        _check_when(self.when)


@dataclass(frozen=True, kw_only=True)
class Adjust(ConditionalRule):
    """A factor on what the tokens cost: a negotiated discount, a regional surcharge.

    Attributes:
        multiply: The factor; fees for requests and tools stay as they are.
    """

    multiply: Amount
    factor: Decimal = field(init=False, repr=False, compare=False, default=Decimal(1))

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "factor", _amount("multiply", self.multiply))


@dataclass(frozen=True, kw_only=True)
class Price(ConditionalRule):
    """What a model costs. Rates are US dollars a million tokens; 0 is allowed and means free.

    Attributes:
        request: US dollars for each request.
        tool: US dollars for each use of a tool: `{"web_search": ...}`.
        above: Higher rates for long prompts: `{"tokens": 200_000, "input": ..., "output": ...}`; they
            count for the whole call when it has more input tokens than that.
        patch: Replace only the rates given here and keep the others of the price below.
    """

    input: Amount | None = None
    output: Amount | None = None
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    input_audio: Amount | None = None
    output_audio: Amount | None = None
    request: Amount | None = None
    tool: Mapping[str, Amount] = field(default_factory=dict)
    above: Mapping[str, Amount] | None = None
    patch: bool = False
    rates: Rates = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch not in (True, False):
            raise ValueError(f"patch: expected true or false, got {self.patch!r}")
        rates = {**self._token_rates(), **self._fees()}
        if not rates:
            raise ValueError(f"no price given; allowed: {', '.join((*RATE_KEYS, 'request', 'tool'))}")
        object.__setattr__(self, "rates", rates)

    def _token_rates(self) -> dict[str, Rate]:
        given = {key: _amount(key, value) for key in RATE_KEYS if (value := getattr(self, key)) is not None}
        tokens, higher = _above(self.above)
        for key in higher:
            if key not in given:
                raise ValueError(f"above.{key}: needs {key} beside it, for shorter prompts")
        return {
            RATE_KEYS[key]: Rate(base, ((tokens, higher[key]),) if key in higher else ())
            for key, base in given.items()
        }

    def _fees(self) -> dict[str, Rate]:
        unknown = _unknown(self.tool, _TOOL_KEYS)
        if unknown:
            raise ValueError(f"tool.{unknown}: unknown; allowed: {', '.join(_TOOL_KEYS)}")
        fees = {_TOOL_KEYS[key]: _amount(f"tool.{key}", value) for key, value in self.tool.items()}
        if self.request is not None:
            fees["requests_kcount"] = _amount("request", self.request)
        return {key: Rate(ARITHMETIC.multiply(value, 1000)) for key, value in fees.items()}


Rule: TypeAlias = Price | Alias | Adjust


def _names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names:
        raise ValueError(f"provider: expected a name or several, got {value!r}")
    for name in names:
        _check_text("provider", name, empty=False)
    return tuple(names)


def _check_text(key: str, value: Any, *, empty: bool) -> None:
    if not isinstance(value, str) or not (value or empty):
        raise ValueError(f"{key}: expected a text, got {value!r}")


def _amount(key: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str, float)):
        raise ValueError(f"{key}: expected a number, got {value!r}")
    try:
        amount = Decimal(str(value))
    except ArithmeticError as error:
        raise ValueError(f"{key}: expected a number, got {value!r}") from error
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{key}: must be 0 or more, got {value}")
    return amount


def _above(above: Any) -> tuple[int, dict[str, Decimal]]:
    if above is None:
        return 0, {}
    allowed = ("tokens", *RATE_KEYS)
    unknown = _unknown(above, allowed)
    if unknown:
        raise ValueError(f"above.{unknown}: unknown; allowed: {', '.join(allowed)}")
    tokens = above.get("tokens")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        raise ValueError(f"above.tokens: expected a whole number of tokens, got {tokens!r}")
    return tokens, {key: _amount(f"above.{key}", value) for key, value in above.items() if key != "tokens"}


def _unknown(given: Any, allowed: Any) -> str | None:
    if not isinstance(given, Mapping):
        raise ValueError(f"expected a table with {', '.join(allowed)}, got {given!r}")
    return next((str(key) for key in given if key not in allowed), None)


def _check_when(when: Any) -> None:
    unknown = _unknown(when, CONDITIONS)
    if unknown:
        raise ValueError(f"when.{unknown}: unknown; allowed: {', '.join(CONDITIONS)}")
    for key, value in when.items():
        if not isinstance(value, str):
            raise ValueError(f"when.{key}: expected a text, got {value!r}")


def _weekdays(days: Any) -> frozenset[int] | None:
    unknown = [day for day in days if day not in _WEEKDAYS] if isinstance(days, (list, tuple)) else [days]
    if unknown:
        raise ValueError(f"days: expected some of {', '.join(_WEEKDAYS)}, got {unknown[0]!r}")
    return frozenset(map(_WEEKDAYS.index, days)) or None


def _nanoseconds(key: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{key}: expected a date, got {value!r}") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
