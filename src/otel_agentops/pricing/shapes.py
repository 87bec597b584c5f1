"""Providers whose own counts do not follow the conventions, and how to tell.

A recorded call is taken to follow the conventions: input includes what was cached, output includes
reasoning. Clients of one vendor that are pointed at another one often copy the other one's counts
as they are. Where that is certain it is put right here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agentops.records import Usage

__all__ = ["Fix", "always_wrong", "wrong_if_impossible"]


def _add_reasoning(usage: Usage) -> Usage:
    reasoning = usage.reasoning_output_tokens or 0
    return replace(usage, output_tokens=(usage.output_tokens or 0) + reasoning)


def _add_cache(usage: Usage) -> Usage:
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_write_input_tokens or 0)
    return replace(usage, input_tokens=(usage.input_tokens or 0) + cached)


if TYPE_CHECKING:
    Fix = Callable[[Usage], Usage]


class _Shape(NamedTuple):
    """An endpoint that never reports in the conventions' form to a client that copies its counts."""

    host: str
    operations: frozenset[str]
    api_types: frozenset[str | None]
    fix: Fix


_CHAT = frozenset({"chat", "text_completion"})
_NOT_RESPONSES = frozenset({None, "chat_completions"})

_SHAPES = (
    # xAI's chat completions leave reasoning out of the completion tokens; its Responses API does not.
    _Shape("api.x.ai", _CHAT, _NOT_RESPONSES, _add_reasoning),
    _Shape("api.perplexity.ai", _CHAT, _NOT_RESPONSES, _add_reasoning),
)

_IMPOSSIBLE: dict[str, Fix] = {
    "anthropic": _add_cache,
    "aws": _add_cache,
    "google": _add_reasoning,
    "perplexity": _add_reasoning,
    "x-ai": _add_reasoning,
}
"""By provider: what explains counts that cannot be, because a part is larger than the whole."""


def always_wrong(host: str, operation: str, api_type: str | None) -> Fix | None:
    """The fix for every call to this endpoint; None for an endpoint that follows the conventions."""
    return next(
        (
            shape.fix
            for shape in _SHAPES
            if (host == shape.host or host.endswith(f".{shape.host}"))
            and operation in shape.operations
            and api_type in shape.api_types
        ),
        None,
    )


def wrong_if_impossible(provider: str) -> Fix | None:
    """The fix to try when counts contradict each other; None where nothing explains that."""
    return _IMPOSSIBLE.get(provider)
