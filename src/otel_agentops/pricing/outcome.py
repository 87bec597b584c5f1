"""Why a call has no price, and what may be inexact about one that has."""

from __future__ import annotations

__all__ = ["ADVICE", "FLAGS", "REASONS", "SOURCES"]

REASONS: dict[str, str] = {
    "no_usage": "the provider reported no token counts",
    "no_provider": "the call does not say which provider answered",
    "unknown_provider": "neither a rate card nor a rule is known for this provider",
    "no_model": "neither the request nor the response names a model",
    "unknown_model": "the provider is known, this model is not",
    "no_token_rate": "tokens were counted, but the model is billed by something else (hours, pages, ...)",
    "invalid_usage": "the counts contradict each other (more cached than sent, a negative count, ...)",
    "internal_error": "pricing itself failed; the log says how",
}
"""Every value of `Cost.reason`, with its meaning."""

FLAGS: dict[str, str] = {
    "tier_not_applied": "a service tier or batch was reported, and no price for it is known",
    "missing_rate": "something was counted that has no rate of its own; the base rate was used, if any",
    "provider_fallback": "the price is the model maker's, not this provider's own",
    "azure_list_estimate": "a tier or batch on Azure, priced with OpenAI's list",
    "partial_usage": "only the input or only the output tokens were reported",
    "usage_normalized": "counts that this provider reports apart were added in first",
}
"""Every value in `Cost.flags`, with its meaning."""

SOURCES: tuple[str, ...] = ("reported", "hook", "override", "correction", "genai-prices")
"""Every value of `Cost.source`, in order of precedence."""

_RULE = "name its price with a [[price]] rule, or the model it really is with an [[alias]] rule"

ADVICE: dict[str, str] = {
    "unknown_provider": _RULE,
    "unknown_model": _RULE,
    "no_token_rate": _RULE,
    "no_provider": "set the provider name where the call is recorded",
    "no_model": "set the model name where the call is recorded",
    "no_usage": "ask the provider for usage (OpenAI streams: stream_options={'include_usage': True})",
    "invalid_usage": "the instrumentation that recorded the call does not follow the conventions' counts",
    "internal_error": "please report it",
}
"""What the user can do about each reason."""
