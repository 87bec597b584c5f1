"""Span and log processors: the accounting for what others record.

That of logs lies in `logs`, which loads the SDK's logs, and most programs have no use for them.
"""

from otel_agentops.processors.processor import AgentOpsSpanProcessor

__all__ = ["AgentOpsSpanProcessor"]
