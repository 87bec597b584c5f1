"""The price book: one model call in, one exact cost out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentops.failsafe import swallowed
from otel_agentops.pricing.cards import shipped_cards
from otel_agentops.pricing.leaves import InvalidUsage, split
from otel_agentops.pricing.names import Names
from otel_agentops.pricing.plans import compile_plan
from otel_agentops.records import Cost
from decimal import Decimal

class PriceBook:
    """Prices model calls."""

    def price(self, call, at_ns):
        try:
            return self._price(call, at_ns)
        except Exception as error:
            swallowed("pricing a call", error)
            return Cost(None, reason="internal_error")

    def _price(self, call, at_ns):
        if call.reported_cost_usd is not None:
            return Cost(call.reported_cost_usd, "reported")
        if call.usage is None:
            return Cost(None, reason="no_usage")
        cards = shipped_cards()
        names = Names(cards)
        provider = names.effective_provider(call.provider or "", call.server_address)
        if provider is None:
            return Cost(None, reason="unknown_provider")
        context = {}
        if call.processing: context["processing"] = call.processing
        tier = call.service_tier
        if tier == "batch": context["processing"] = "batch"
        elif tier and tier not in ("default", "auto", "standard"): context["service_tier"] = tier
        for model in names.models(provider, call.request_model, call.response_model):
            for name in names.spellings(provider, model):
                found = cards.find(provider, name)
                if found:
                    try:
                        counts = split(call.usage)
                    except InvalidUsage:
                        return Cost(None, reason="invalid_usage")
                    rates, applied = found[1].rates(at_ns, context)
                    plan = compile_plan(rates, "genai-prices", (), Decimal(1))
                    return Cost(plan.usd(counts, call.usage.input_tokens or 0), plan.source, None, plan.flags)
        return Cost(None, reason="unknown_model")
