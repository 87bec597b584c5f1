"""Span and log processors: the accounting for what others record."""

from otel_agentops.processors.logs import AgentOpsLogProcessor
from otel_agentops.processors.processor import AgentOpsSpanProcessor

__all__ = ["AgentOpsLogProcessor", "AgentOpsSpanProcessor"]
