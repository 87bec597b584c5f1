"""A compiled price: whole numbers to multiply a call's leaves with.

All rates of a plan are brought to one power of ten, so that a price is a sum of integer products and
becomes a `Decimal` once, at the end. That is exact, and the fastest exact arithmetic Python has.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.pricing.leaves import LEAVES, TOKEN_LEAVES, InvalidUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_agentops.pricing.cards import Rate, Rates

__all__ = ["ARITHMETIC", "Plan", "compile_plan", "unpriced"]

ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=[])
"""Our own decimal context: the application's may have any precision and any trap."""

_WIDE = Context(prec=200, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=[])


class Plan(NamedTuple):
    """How to price a call that is already split into leaves.

    Attributes:
        bands: Rates by input size, as pairs of input tokens and one integer a leaf, in descending
            order: the first band that the call exceeds counts. The last one has -1 and catches all.
        unit: What one of the integers is worth in US dollars.
        unrated: Leaves without any rate.
        missing: Leaves without a rate of their own.
        source: For `Cost.source`.
        flags: Flags that every price of this plan has.
        reason: Why there is no price; None when there is one.
    """

    bands: tuple[tuple[int, tuple[int, ...]], ...]
    unit: Decimal
    unrated: tuple[int, ...]
    missing: tuple[int, ...]
    source: str
    flags: tuple[str, ...]
    reason: str | None = None

    def usd(self, counts: Sequence[int], input_tokens: int) -> Decimal:
        """The price in US dollars of leaves and one request.

        Raises:
            InvalidUsage: The input tokens are negative.
        """
        for above, rates in self.bands:
            if input_tokens > above:
                return ARITHMETIC.multiply(sum(map(mul, counts, rates), rates[-1]), self.unit)
        raise InvalidUsage

    def rates_nothing(self, counts: Sequence[int]) -> bool:
        """Whether tokens were counted, but none of a kind that has any rate: then 0 would be a lie."""
        counted = [leaf for leaf in range(TOKEN_LEAVES) if counts[leaf]]
        return bool(counted) and all(leaf in self.unrated for leaf in counted)


def unpriced(reason: str) -> Plan:
    """The plan of calls that have no price."""
    return Plan((), Decimal(0), (), (), "", (), reason)


def compile_plan(rates: Rates, source: str, flags: tuple[str, ...], multiply: Decimal) -> Plan:
    """Make a plan of a card's rates.

    Args:
        rates: Rates by price key.
        source: For `Cost.source`.
        flags: Flags that every price of this plan has.
        multiply: Factor on the token rates; fees stay as they are.
    """
    chosen = [_choose(rates, own + base) for _, _, own, base in LEAVES]
    tables = [(above, _dollars(chosen, above, multiply)) for above in _steps(chosen)]
    exponent = min(_exponent(value) for _, table in tables for value in table)
    return Plan(
        bands=tuple((above, _whole(table, exponent)) for above, table in tables),
        unit=Decimal((0, (1,), exponent)),
        unrated=tuple(leaf for leaf in range(TOKEN_LEAVES) if chosen[leaf] is None),
        missing=_missing(rates),
        source=source,
        flags=flags,
    )


def _steps(chosen: list[Rate | None]) -> list[int]:
    steps = {start for rate in chosen if rate for start, _ in rate.steps}
    return [*sorted(steps, reverse=True), -1]


def _whole(values: list[Decimal], exponent: int) -> tuple[int, ...]:
    return tuple(int(value.scaleb(-exponent, _WIDE)) for value in values)


def _missing(rates: Rates) -> tuple[int, ...]:
    own_keys = (own for _, _, own, _ in LEAVES[:-1])
    return tuple(leaf for leaf, own in enumerate(own_keys) if _choose(rates, own) is None)


def _choose(rates: Rates, keys: tuple[str, ...]) -> Rate | None:
    return next((rates[key] for key in keys if key in rates), None)


def _dollars(chosen: list[Rate | None], above: int, multiply: Decimal) -> list[Decimal]:
    table: list[Decimal] = []
    for index, ((_, exponent, _, _), rate) in enumerate(zip(LEAVES, chosen, strict=True)):
        value = _of_band(rate, above) if rate else Decimal(0)
        factor = multiply if index < TOKEN_LEAVES else Decimal(1)
        table.append(_WIDE.multiply(value, factor).scaleb(exponent, _WIDE))
    return table


def _of_band(rate: Rate, above: int) -> Decimal:
    reached = [price for start, price in rate.steps if start <= above]
    return reached[-1] if reached else rate.base


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
