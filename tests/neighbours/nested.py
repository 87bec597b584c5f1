"""A program with a session, an agent and three calls, which says what became of their parents and totals.

`python -m neighbours.nested ANSWER URL`, with `DD_*` and `OTEL_*` variables of all kinds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_traces: list[Any] = []


def _datadog() -> None:
    import ddtrace.auto  # noqa: F401 - as `ddtrace-run` does
    from ddtrace.trace import TraceFilter, tracer

    class Kept(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            _traces.append(list(trace))

    tracer.configure(trace_processors=[Kept()])


def _own_pipeline() -> Any:
    """The program's provider, where it may set one."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def _run(url: str) -> Any:
    import openai

    import otel_agentops as ao

    ask: dict[str, Any] = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "hi"}]}
    ao.init(auto_session=False)
    with openai.OpenAI(api_key="k", base_url=f"{url}/v1") as client, ao.session("run") as session:
        with ao.agent("Worker") as agent:
            for _ in range(3):
                client.chat.completions.create(**ask)
        client.chat.completions.create(**ask)
    return {
        "session": [str(session.total.cost_usd), session.total.model_calls],
        "agent": [str(agent.total.cost_usd), agent.total.model_calls],
    }


def _datadog_spans() -> list[tuple[str, str | None]]:
    spans = [span for trace in _traces for span in trace]
    names = {span.span_id: span.resource for span in spans}
    return sorted((span.resource, names.get(span.parent_id)) for span in spans)


def main() -> None:
    """Run, and write down what was seen."""
    answer, url = sys.argv[1:]
    _datadog()
    exporter = _own_pipeline()
    totals = _run(url)
    from opentelemetry import trace

    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    seen = {
        "totals": totals,
        "provider": type(trace.get_tracer_provider()).__module__.partition(".")[0],
        "spans": [(span.name, names.get(span.parent.span_id) if span.parent else None) for span in spans],
        "datadog": _datadog_spans(),
    }
    Path(answer).write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
