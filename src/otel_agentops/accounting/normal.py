"""Counts in the conventions' form: input with everything cached in it, output with reasoning in it."""

from __future__ import annotations

from otel_agentops.records import Usage

__all__ = ["normalise", "rest_of"]

_CACHE_APART = frozenset({"anthropic", "aws.bedrock"})
_REASONING_APART = frozenset({"gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai", "x_ai", "perplexity"})


def normalise(usage: Usage, total: int | None, provider: str | None, rule: str | None) -> bool:
    """Put counts right in place, where it is certain that they are not in the conventions' form.

    Args:
        usage: As read.
        total: What the emitter says is the sum; None if it says nothing.
        provider: Who answered.
        rule: How the emitter counts; None where nothing is known about it.

    Returns:
        Whether that was found out from the counts alone: a part was larger than its whole.
    """
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_write_input_tokens or 0)
    reasoning = usage.reasoning_output_tokens or 0
    if not cached and not reasoning:
        return False
    sent, received = usage.input_tokens, usage.output_tokens
    if rule == "by_total" and total is not None:
        rest = total - (sent or 0) - (received or 0)
        if rest and rest in (cached, cached + reasoning):
            _add(usage, cached, 0)
        if rest and rest in (reasoning, cached + reasoning):
            _add(usage, 0, reasoning)
        return False
    if rule is not None and rule != "by_total":
        _add(usage, cached if rule == "cache_apart" else 0, reasoning if rule == "reasoning_apart" else 0)
        return False
    return _impossible(usage, cached, reasoning, provider)


def _impossible(usage: Usage, cached: int, reasoning: int, provider: str | None) -> bool:
    """More cached than sent, or more reasoning than received: with some providers these are apart."""
    cache_apart = provider in _CACHE_APART and usage.input_tokens is not None and cached > usage.input_tokens
    reasoning_apart = (
        provider in _REASONING_APART and usage.output_tokens is not None and reasoning > usage.output_tokens
    )
    _add(usage, cached if cache_apart else 0, reasoning if reasoning_apart else 0)
    return cache_apart or reasoning_apart


def _add(usage: Usage, sent: int, received: int) -> None:
    if sent and usage.input_tokens is not None:
        usage.input_tokens += sent
    if received and usage.output_tokens is not None:
        usage.output_tokens += received


_PARTS = ("cache_read_input_tokens", "cache_write_input_tokens")


def rest_of(usage: Usage, known: list[Usage]) -> Usage | None:
    """What other counts do not explain of some; None if they explain all of it."""
    sent = (usage.input_tokens or 0) - sum(each.input_tokens or 0 for each in known)
    received = (usage.output_tokens or 0) - sum(each.output_tokens or 0 for each in known)
    if sent <= 0 and received <= 0:
        return None
    rest = Usage(max(sent, 0), max(received, 0))
    for field in _PARTS:
        part = (getattr(usage, field) or 0) - sum(getattr(each, field) or 0 for each in known)
        part = min(max(part, 0), sent)
        if part > 0:
            setattr(rest, field, part)
            sent -= part
    return rest
