"""A program that uses the library as people do, run by the tests in a process of its own.

    python -m tests.e2e.program PROVIDER_URL COPY [TEXT]

Spans go where the OTEL_* variables say, and are written down a second time in the file COPY by an exporter
that shares nothing with the first: what arrived must be what stands there. TEXT is in a prompt and in the
message of an error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from openai import APIConnectionError, OpenAI
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import otel_agentops as ao

NOBODY = "http://127.0.0.1:1/v1"
CONTENT = "Say hello in the language of Ångström and 北京, please."


class Copy(SpanExporter):
    """Writes spans down, a JSON document a line."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write at once, so that a program that is killed has written what it has ended."""
        for span in spans:
            self._file.write(json.dumps(written(span)) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()


def written(span: ReadableSpan) -> dict[str, Any]:
    """Everything that a span says, each value with its type."""
    context, scope = span.get_span_context(), span.instrumentation_scope
    assert context is not None and scope is not None
    return {
        "trace_id": format(context.trace_id, "032x"),
        "span_id": format(context.span_id, "016x"),
        "parent_id": format(span.parent.span_id, "016x") if span.parent else "",
        "name": span.name,
        "kind": span.kind.name,
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "attributes": typed(span.attributes or {}),
        "events": [[event.name, event.timestamp, typed(event.attributes or {})] for event in span.events],
        "status": [span.status.status_code.name, span.status.description or ""],
        "scope": [scope.name, scope.version or ""],
        "resource": typed(span.resource.attributes),
    }


def typed(values: Any) -> dict[str, Any]:
    """Name -> type and value."""
    return {name: _typed(value) for name, value in values.items()}


def _typed(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return ["array", [_typed(item) for item in value]]
    return [type(value).__name__, value]


@ao.agent(name="Writer")
class Writer:
    """Calls a model in every way there is, and a tool."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def write(self, text: str) -> None:
        """The turn of the agent."""
        self.draft(text)
        self.look_up("ångström")
        self.stream()
        self._client.embeddings.create(model="text-embedding-3-small", input="hello")
        with suppress(APIConnectionError):
            self._client.with_options(base_url=NOBODY).chat.completions.create(model="gpt-4o", messages=[])

    @ao.operation(name="draft")
    def draft(self, text: str) -> None:
        """One whole answer."""
        message = [{"role": "user", "content": f"{CONTENT} {text}"}]
        self._client.chat.completions.create(model="gpt-4o-mini", messages=message)  # type: ignore[call-overload]

    @ao.operation(name="stream")
    def stream(self) -> None:
        """One in pieces."""
        message = [{"role": "user", "content": CONTENT}]
        for _ in self._client.chat.completions.create(  # type: ignore[call-overload]
            model="gpt-4o-mini", messages=message, stream=True, stream_options={"include_usage": True}
        ):
            pass

    @ao.tool(name="look_up", cost_usd="0.002")
    def look_up(self, word: str) -> dict[str, Any]:
        """A tool that costs something."""
        return {"word": word, "found": True}


def main(provider: str, copy: str, text: str = "") -> None:
    """Two sessions, one of which fails; the totals are printed."""
    ao.init(service_name="e2e", capture_content=True, exporters=["otlp", Copy(Path(copy))])
    client = OpenAI(api_key="test-key", base_url=f"{provider}/v1", max_retries=0)
    with ao.session("letters", user_id="u-17", tags=["a", "b"], metadata={"plan": "pro", "seats": 3}) as good:
        Writer(client).write(text)
        good.outcome("success")
    with suppress(ValueError), ao.session("failing", user_id="u-18") as bad:
        Writer(client).draft(text)
        raise ValueError(f"the provider refused the key {text}")
    sent = ao.shutdown(timeout_s=30)
    totals = [{"cost_usd": str(s.total.cost_usd), "model_calls": s.total.model_calls} for s in (good, bad)]
    print(json.dumps({"sent": sent, "totals": totals}))


if __name__ == "__main__":
    main(*sys.argv[1:])
