"""Receiving spans over OTLP and showing them as a tree with costs."""

from otel_agentops.viewer.lines import Row, as_json, rows
from otel_agentops.viewer.otlp import ReceivedSpan, decode
from otel_agentops.viewer.receiver import Receiver
from otel_agentops.viewer.sums import Totals, totals
from otel_agentops.viewer.tree import Node, build

__all__ = [
    "Node",
    "ReceivedSpan",
    "Receiver",
    "Row",
    "Totals",
    "as_json",
    "build",
    "decode",
    "rows",
    "totals",
]
