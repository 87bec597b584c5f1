"""A web service that calls a model for each request, run by the tests in a process of its own.

    python -m tests.e2e.service PORT PROVIDER_URL

OpenTelemetry's own WSGI instrumentation reads the caller's trace context; the model's HTTP client hands it
on.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from openai import DefaultHttpxClient, OpenAI
from opentelemetry import propagate
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

import otel_agentops as ao


class Quiet(WSGIRequestHandler):
    """A handler that prints nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""


def main(port: str, provider: str) -> None:
    """Serve until told to end."""
    ao.init(service_name="web")
    carry = DefaultHttpxClient(event_hooks={"request": [lambda request: propagate.inject(request.headers)]})
    client = OpenAI(api_key="test-key", base_url=f"{provider}/v1", http_client=carry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/ask":
            with ao.session("question"), ao.agent("Helper"):
                client.chat.completions.create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}]
                )
        start_response("200 OK", [("content-type", "text/plain")])
        return [b"ok"]

    server = make_server("127.0.0.1", int(port), OpenTelemetryMiddleware(answer), handler_class=Quiet)
    # Not SystemExit from the handler: wsgiref swallows it while it answers a request.
    signal.signal(signal.SIGTERM, lambda *_: Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
