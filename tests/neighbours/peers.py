"""Other tools that patch the OpenAI SDK, as steps of a program, and what they send to their own back ends."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from neighbours.accounts import steady
from transparency.look import plain
from transparency.program import STEPS, main

__all__ = ["PACKAGES", "PEERS", "UNDONE"]

PACKAGES = {
    "sentry": "sentry_sdk",
    "ddtrace": "ddtrace",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "genai": "opentelemetry.instrumentation.genai.openai",
    "openinference": "openinference.instrumentation.openai",
}
"""The peers, and the module that must be there for each."""

_envelopes: list[Any] = []
_traces: list[Any] = []


def _sentry() -> None:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            _envelopes.extend((item.type, item.payload.json) for item in envelope.items)

    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=Kept,
        traces_sample_rate=1.0,
        send_default_pii=True,
        server_name="here",
    )


def _ddtrace() -> None:
    from ddtrace.trace import TraceFilter, tracer

    class Kept(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            _traces.append(list(trace))  # and nothing goes to an agent

    import ddtrace

    tracer.configure(trace_processors=[Kept()])
    ddtrace.patch(openai=True)


def _undo_ddtrace() -> None:
    importlib.import_module("ddtrace.contrib.internal.openai.patch").unpatch()


def _instrumentor(module: str) -> Any:
    return importlib.import_module(module).OpenAIInstrumentor()


PEERS: dict[str, Callable[[], Any]] = {
    "sentry": _sentry,
    "ddtrace": _ddtrace,
    **{
        name: lambda module=PACKAGES[name]: _instrumentor(module).instrument()
        for name in ("openllmetry", "genai", "openinference")
    },
}
"""How each is switched on."""

UNDONE: dict[str, Callable[[], Any]] = {
    "undo ddtrace": _undo_ddtrace,
    **{
        f"undo {name}": lambda module=PACKAGES[name]: _instrumentor(module).uninstrument()
        for name in ("openllmetry", "genai", "openinference")
    },
}
"""How each that can be is switched off again."""


# --- what their back ends got ---


def _taken_from_sentry() -> list[Any]:
    taken = []
    for kind, payload in _envelopes:
        if kind not in ("transaction", "event"):
            continue
        spans = [
            steady({k: s.get(k) for k in ("op", "description", "data", "status", "tags")})
            for s in payload.get("spans", ())
        ]
        errors = [
            (e.get("type"), plain(e.get("value")), steady(e.get("mechanism")))
            for e in payload.get("exception", {}).get("values", ())
        ]
        taken.append([kind, payload.get("transaction"), spans, errors])
    _envelopes.clear()
    return taken


def _taken_from_ddtrace() -> list[Any]:
    taken = []
    for trace in _traces:
        names = {span.span_id: span.name for span in trace}
        for span in sorted(trace, key=lambda span: (span.name, span.resource)):
            tags = steady({**span.get_tags(), **span.get_metrics()})
            tags = {name: value for name, value in tags.items() if not name.startswith("_")}
            taken.append([span.name, span.resource, names.get(span.parent_id), span.error, tags])
    _traces.clear()
    return taken


def received() -> dict[str, Any]:
    """What the back ends of these tools got since the last look."""
    import sys

    if "sentry_sdk" in sys.modules:
        sys.modules["sentry_sdk"].flush(1)
    return {"sentry": _taken_from_sentry(), "ddtrace": _taken_from_ddtrace()}


if __name__ == "__main__":
    main({**STEPS, **PEERS, **UNDONE}, received)
