"""Exact prices of model calls in US dollars."""

from otel_agentops.pricing.book import PriceBook

__all__ = ["PriceBook"]
