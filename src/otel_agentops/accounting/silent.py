"""Answers that are no answers: what the provider said quietly, with status 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agentops.records import ModelCall

__all__ = ["silent_failures"]

_REASONS = {
    "length": "truncated",
    "max_tokens": "truncated",
    "max_output_tokens": "truncated",
    "model_length": "truncated",
    "model_context_window_exceeded": "truncated",
    "content_filter": "content_filtered",
    "content_filtered": "content_filtered",
    "safety": "content_filtered",
    "image_safety": "content_filtered",
    "refusal": "content_filtered",
    "recitation": "content_filtered",
    "blocklist": "content_filtered",
    "prohibited_content": "content_filtered",
    "spii": "content_filtered",
    "guardrail_intervened": "content_filtered",
}
"""What providers give as the reason for the end of an answer, in lower case."""
_USUAL = frozenset({"stop", "end_turn", "tool_calls", "tool_use", "STOP"})
_INFERENCE = frozenset({"chat", "text_completion", "generate_content"})


def silent_failures(call: ModelCall) -> tuple[str, ...]:
    """Findings of one ended call; nothing for calls that failed loudly."""
    if call.operation not in _INFERENCE or call.ending != "complete":
        return ()
    for reason in call.finish_reasons or ():
        if reason not in _USUAL and (kind := _REASONS.get(reason.lower())) is not None:
            return (kind,)
    usage = call.usage
    if usage is None or usage.output_tokens is None:
        return ()
    # nothing came back that the program could use; reasoning alone is nothing
    return ("empty_output",) if usage.output_tokens <= (usage.reasoning_output_tokens or 0) else ()
