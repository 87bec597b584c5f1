"""Exact prices of model calls in US dollars.

Prices come from rate cards compiled from genai-prices, which this package ships and reads lazily;
rules of your own stand above them. All amounts are `Decimal`, and a call without a price has none:
unknown is never 0.
"""

from otel_agentops.pricing.book import PriceBook
from otel_agentops.pricing.outcome import FLAGS, REASONS, SOURCES
from otel_agentops.pricing.rulefiles import PriceFileError
from otel_agentops.pricing.rules import Adjust, Alias, Price

__all__ = ["FLAGS", "REASONS", "SOURCES", "Adjust", "Alias", "Price", "PriceBook", "PriceFileError"]
