"""What about a call decides its price, apart from the counts and the time."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Facts", "billing_context"]


class Facts(NamedTuple):
    """The fields of a model call that a resolved price depends on."""

    provider: str | None
    request_model: str | None
    response_model: str | None
    server_address: str | None
    service_tier: str | None
    processing: str | None
    inference_geo: str | None
    operation: str
    api_type: str | None


_STANDARD_TIERS = frozenset(
    {"", "auto", "default", "none", "on_demand", "standard", "standard_only", "unspecified"}
)
"""Tiers that mean the list price, in lower case."""

_TIERS_OF: dict[tuple[str, str], dict[str, str]] = {
    ("*", "batch"): {"processing": "batch"},
    ("anthropic", "fast"): {"speed": "fast"},
}
"""What is called a tier, by one provider or by any (`*`), although the cards know it by another condition."""


def billing_context(provider: str, facts: Facts) -> dict[str, str]:
    """The cards' conditions that the call fulfils, such as `{"service_tier": "flex"}`."""
    tier = (facts.service_tier or "").strip().lower()
    context = {} if tier in _STANDARD_TIERS else {"service_tier": tier}
    context = _TIERS_OF.get((provider, tier)) or _TIERS_OF.get(("*", tier)) or context
    processing = (facts.processing or "").strip().lower()
    return context if processing in _STANDARD_TIERS else {**context, "processing": processing}
