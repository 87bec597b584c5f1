"""What users may import."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import otel_agentops as ao

PUBLIC = [
    "Adjust", "AgentOpsLogProcessor", "AgentOpsSpanProcessor",
    "Alias", "Budget", "BudgetExceeded", "ConfigError", "Finding",
    "LoopDetected", "Price", "PriceFileError", "Runtime",
    "Usage", "agent", "end_session", "flush", "init", "instrument", "model_call", "operation", "session",
    "shutdown", "start_session", "tool", "tracer", "uninstrument",
]  # fmt: skip


def test_public_names() -> None:
    """The names are these, sorted; a new one is a decision."""
    assert ao.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    """Each public name says what it is."""
    thing = getattr(ao, name)
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        undocumented = [
            attribute
            for attribute, value in vars(thing).items()
            if not attribute.startswith("_")
            and (inspect.isfunction(value) or isinstance(value, property))
            and not inspect.getdoc(value)
        ]
        assert undocumented == []


def test_importing_changes_nothing() -> None:
    """An import starts no thread, opens no connection, sets no provider and imports no provider SDK."""
    code = """
import socket, sys, threading
def refuse(*_, **__): raise AssertionError("network at import")
socket.socket.connect = refuse
import otel_agentops
for name in otel_agentops.__all__:
    getattr(otel_agentops, name)
from opentelemetry import trace
assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
assert threading.active_count() == 1
assert not {"openai", "anthropic", "grpc", "genai_prices", "pydantic"} & set(sys.modules), sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_modules_are_loaded_when_they_are_used() -> None:
    """The package alone loads nothing else of itself, so a launcher can look at it at no cost."""
    code = """
import sys, otel_agentops
assert [name for name in sys.modules if name.startswith(("otel_agentops.", "opentelemetry"))] == []
assert "agent" in dir(otel_agentops) and not hasattr(otel_agentops, "nothing")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
