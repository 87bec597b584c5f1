"""Requests, batches and prompts that are larger than anybody takes."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from benchmarks.reliability.programs import running, said, variables
from benchmarks.reliability.receiver import Receiver
from benchmarks.reliability.table import Check, context, exactly

if TYPE_CHECKING:
    from benchmarks.reliability.table import Scale

MANY, LARGE, HUGE = 1_000, 100_000, 10_000_000

# All of it ends at once, while the collector is there.
PROGRAM = f"""
import json
import otel_agentops as ao
from opentelemetry import trace

ao.init(auto_session=False, instrument=[])
tracer = trace.get_tracer("otel_agentops")
for number in range({MANY}):
    tracer.start_span("large", attributes={{"gen_ai.input.messages": "x" * {LARGE}}}).end()
huge = json.dumps([{{"role": "user", "parts": [{{"type": "text", "content": "y" * {HUGE}}}]}}])
tracer.start_span("huge", attributes={{"gen_ai.input.messages": huge}}).end()
print(json.dumps(ao.shutdown(60)), flush=True)
"""


def too_large(_scale: Scale) -> list[Check]:
    """100 MB at once and a prompt of 10 MB, over both protocols."""
    checks = []
    for protocol in ("grpc", "http/protobuf"):
        with Receiver(protocol) as receiver, tempfile.TemporaryDirectory() as folder:
            with running(PROGRAM, variables(receiver.url, folder)) as process:
                sent = said(process)
            counts = receiver.ask("counts")
        what = f"{MANY * LARGE // 1_000_000} MB and a prompt of {HUGE // 1_000_000} MB, {protocol}"
        checks.append(exactly(what, MANY + 1 - counts["spans"] + (not sent), promise="0 lost, sent in parts"))
        if protocol == "grpc":
            more = max(0, counts["too_large"] - 1)
            checks.append(exactly("requests above 4 MiB, besides that of the prompt", more, promise="0"))
        checks.append(
            context("requests, the largest", f"{counts['requests']}, {counts['largest'] / 1e6:.1f} MB")
        )
    return checks
