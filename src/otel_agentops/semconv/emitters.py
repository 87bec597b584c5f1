"""What is known about single emitters, by instrumentation scope: what their counts and costs mean.

Rows are matched in order, by the start of the scope's name and by provider; the first one holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

__all__ = ["CACHE_HITS", "REMARKS", "REPORTED", "STREAM_STARTS", "Counting", "counting", "reports"]


class Counting(NamedTuple):
    """How an emitter counts.

    Attributes:
        scope: Start of the instrumentation scope's name.
        providers: Providers for which it holds, as `gen_ai.provider.name`; empty for all.
        rule: `cache_apart`: input leaves out cached tokens; `reasoning_apart`: output leaves out
            reasoning; `by_total`: the total tells which parts were added to it.
    """

    scope: str
    providers: frozenset[str]
    rule: Literal["cache_apart", "reasoning_apart", "by_total"]


_GOOGLE = frozenset({"gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai"})

COUNTING: tuple[Counting, ...] = (
    Counting("openlit", frozenset({"anthropic", "aws.bedrock"}), "cache_apart"),
    Counting("openlit", _GOOGLE, "reasoning_apart"),
    Counting("opentelemetry.instrumentation.bedrock", frozenset(), "cache_apart"),
    Counting("com.anthropic.claude_code", frozenset(), "cache_apart"),
    Counting("strands.", frozenset(), "by_total"),
)
"""Emitters that do not count as the conventions do, where input has cached tokens and output reasoning."""


@lru_cache(maxsize=512)
def counting(scope: str, provider: str | None) -> str | None:
    """The rule for an emitter's counts; None where they follow the conventions."""
    for row in COUNTING:
        if scope.startswith(row.scope) and (not row.providers or provider in row.providers):
            return row.rule
    return None


REPORTED: tuple[tuple[str, str], ...] = (
    # start of the scope's name, attribute
    ("openrouter", "*"),
    ("", "http.response.header.x-litellm-response-cost"),
    ("", "llm.response.header.x-litellm-response-cost"),
)
"""Costs that the provider or gateway itself reported; every other one is the emitter's own estimate."""


def reports(scope: str, name: str) -> bool:
    """Whether a cost attribute is what the provider or gateway reported."""
    return any(scope.startswith(start) and known in {"*", name} for start, known in REPORTED)


CACHE_HITS: frozenset[str] = frozenset(
    {
        "cache_hit",
        "litellm.cache_hit",
        "metadata.cache_hit",
        "http.response.header.x-litellm-cache-hit",
    }
)
"""Attributes that say that a gateway answered from its own cache: nothing was billed."""

STREAM_STARTS: tuple[str, ...] = ("logfire.",)
"""Scopes that end a streamed call's span at once, without usage, and write another when it is over."""

REMARKS: dict[str, str] = {
    "emitter_estimate": "no price of ours is known; the amount is what the instrumentation itself estimated",
    "provider_from_model": "the framework does not say who answered; taken to be the maker of the model",
    "nested_rest": "calls inside this one were counted; this is what they do not explain",
    "cache_hit": "a gateway answered from its cache",
    "usage_normalized": "counts that this provider reports apart were added in first",
}
"""Flags on the cost of other instrumentations' calls, with their meaning."""
