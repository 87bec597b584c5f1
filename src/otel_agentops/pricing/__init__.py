"""Exact prices of model calls in US dollars.

Prices come from rate cards compiled from genai-prices, which this package ships and reads lazily;
rules of your own stand above them. All amounts are `Decimal`, and a call without a price has none:
unknown is never 0. What only rules need is loaded when somebody has rules.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from otel_agentops.pricing.book import PriceBook
from otel_agentops.pricing.outcome import FLAGS, REASONS, SOURCES

if TYPE_CHECKING:
    from otel_agentops.pricing.rulefiles import PriceFileError
    from otel_agentops.pricing.rules import Adjust, Alias, Price

__all__ = ["FLAGS", "REASONS", "SOURCES", "Adjust", "Alias", "Price", "PriceBook", "PriceFileError"]

_HOMES = {"Adjust": "rules", "Alias": "rules", "Price": "rules", "PriceFileError": "rulefiles"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
