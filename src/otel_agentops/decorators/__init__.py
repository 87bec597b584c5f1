"""The program's own sessions, agents, operations, tools and model calls."""

from otel_agentops.decorators.blocks import Block, Handle, agent, operation, tool
from otel_agentops.decorators.calls import ModelCallBlock, model_call
from otel_agentops.decorators.sessions import session, start_session

__all__ = [
    "Block",
    "Handle",
    "ModelCallBlock",
    "agent",
    "model_call",
    "operation",
    "session",
    "start_session",
    "tool",
]
