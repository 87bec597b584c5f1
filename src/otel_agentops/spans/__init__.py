"""The only rooms that open and close spans, on nothing but the OpenTelemetry API."""

from otel_agentops.spans.annotated import start_annotated
from otel_agentops.spans.carry import Carried
from otel_agentops.spans.current import current, heard, price_book, use
from otel_agentops.spans.dropped import drain, leave, watch
from otel_agentops.spans.follow import (
    Following,
    Reader,
    ResponseProxy,
    at_end,
    end_streams,
    follow,
    follow_stream,
    is_stream,
)
from otel_agentops.spans.gated import gate_around, start_gated
from otel_agentops.spans.joined import join
from otel_agentops.spans.layers import Layer, sent_text, waiting
from otel_agentops.spans.loose import attach_loosely
from otel_agentops.spans.opened import Open, OpenCall, OpenScope
from otel_agentops.spans.proxy import Proxy
from otel_agentops.spans.recorder import SCOPE_NAME, Recorder, new_session_id
from otel_agentops.spans.redact import FAILED, Redactor
from otel_agentops.spans.scripts import wants_session
from otel_agentops.spans.steps import Steps, run_coroutine, run_generator

__all__ = [
    "FAILED",
    "SCOPE_NAME",
    "Carried",
    "Following",
    "Layer",
    "Open",
    "OpenCall",
    "OpenScope",
    "Proxy",
    "Reader",
    "Recorder",
    "Redactor",
    "ResponseProxy",
    "Steps",
    "at_end",
    "attach_loosely",
    "current",
    "drain",
    "end_streams",
    "follow",
    "follow_stream",
    "gate_around",
    "heard",
    "is_stream",
    "join",
    "leave",
    "new_session_id",
    "price_book",
    "run_coroutine",
    "run_generator",
    "sent_text",
    "start_annotated",
    "start_gated",
    "use",
    "waiting",
    "wants_session",
    "watch",
]
