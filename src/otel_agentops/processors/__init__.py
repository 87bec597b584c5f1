"""Span processors: the accounting for spans that others make."""

from otel_agentops.processors.processor import AgentOpsSpanProcessor

__all__ = ["AgentOpsSpanProcessor"]
