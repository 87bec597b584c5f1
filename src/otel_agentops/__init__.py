"""OpenTelemetry for AI agents: sessions, agents, tools and model calls as spans, with exact costs."""

__version__ = "0.1.0"

from otel_agentops.config import ConfigError
from otel_agentops.decorators import agent, model_call, operation, session, start_session, tool
from otel_agentops.pricing import Adjust, Alias, Price, PriceFileError
from otel_agentops.processors import AgentOpsSpanProcessor
from otel_agentops.records import Usage
from otel_agentops.runtime import (
    Runtime,
    end_session,
    flush,
    init,
    instrument,
    shutdown,
    tracer,
    uninstrument,
)

__all__ = [
    "Adjust",
    "AgentOpsSpanProcessor",
    "Alias",
    "ConfigError",
    "Price",
    "PriceFileError",
    "Runtime",
    "Usage",
    "agent",
    "end_session",
    "flush",
    "init",
    "instrument",
    "model_call",
    "operation",
    "session",
    "shutdown",
    "start_session",
    "tool",
    "tracer",
    "uninstrument",
]
