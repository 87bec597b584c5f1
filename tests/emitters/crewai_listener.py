"""The smallest listener that makes spans of CrewAI's model calls, as its event bus tells of them.

CrewAI writes no spans for others. Its handlers run on threads of its own, so the context in which the
listener was made stands for the crew's.
"""

from __future__ import annotations

from typing import Any

from crewai.events import BaseEventListener
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallFailedEvent, LLMCallStartedEvent
from opentelemetry import context
from opentelemetry.trace import SpanKind, Status, StatusCode

import otel_agentops as ao

__all__ = ["Spans"]

_USAGE = (
    ("prompt_tokens", "gen_ai.usage.input_tokens"),
    ("completion_tokens", "gen_ai.usage.output_tokens"),
    ("cached_prompt_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_creation_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
)


class Spans(BaseEventListener):
    """One span for each model call of a crew, from its start to its end.

    Attributes:
        around: The context that the spans belong to.
    """

    def __init__(self) -> None:
        self._tracer = ao.tracer("crewai.listener")
        self.around = context.get_current()
        self._started: dict[str, LLMCallStartedEvent] = {}
        super().__init__()

    def setup_listeners(self, crewai_event_bus: Any) -> None:
        """What is listened to; called by the base class."""

        @crewai_event_bus.on(LLMCallStartedEvent)
        def started(_source: Any, event: LLMCallStartedEvent) -> None:
            self._started[event.call_id] = event

        @crewai_event_bus.on(LLMCallCompletedEvent)
        def completed(source: Any, event: LLMCallCompletedEvent) -> None:
            answer = {"gen_ai.response.id": event.response_id} if event.response_id else {}
            usage = {ours: event.usage[theirs] for theirs, ours in _USAGE if (event.usage or {}).get(theirs)}
            self._end(source, event, {**answer, **usage})

        @crewai_event_bus.on(LLMCallFailedEvent)
        def failed(source: Any, event: LLMCallFailedEvent) -> None:
            self._end(source, event, {"error.type": "_OTHER"}, Status(StatusCode.ERROR, event.error))

    def _end(self, source: Any, event: Any, found: dict[str, Any], status: Status | None = None) -> None:
        begun = self._started.pop(event.call_id, event)
        span = self._tracer.start_span(
            f"chat {event.model}",
            self.around,
            SpanKind.CLIENT,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": getattr(source, "provider", None) or "openai",
                "gen_ai.request.model": str(event.model),
                "gen_ai.agent.name": event.agent_role or "",
                **found,
            },
            start_time=_ns(begun),
        )
        if status is not None:
            span.set_status(status)
        span.end(_ns(event))


def _ns(event: Any) -> int:
    return int(event.timestamp.timestamp() * 1e9)
