"""Runs the program of the demo and gives back what arrived at the other end of the pipeline."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import otel_agentops as ao
from otel_agentops.demo.clients import recorded_client
from otel_agentops.demo.environment import tidy
from otel_agentops.demo.replay import Replay
from otel_agentops.viewer import Node, Receiver, build

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["NoKey", "Outcome", "run_demo"]

FLUSH_S = 5.0


class NoKey(Exception):  # noqa: N818 - it says what is the matter
    """The real API was asked for and there is no key for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo found.

    Attributes:
        trees: The received spans.
        sent: Whether everything was sent, also to the collector of `--otlp`.
    """

    trees: tuple[Node, ...]
    sent: bool


def run_demo(otlp: str | None = None, live: bool = False) -> Outcome:
    """Run the program once, through a real OTLP exporter and back.

    Args:
        otlp: A collector's URL that gets the spans too.
        live: Use the real OpenAI API instead of recorded answers.

    Raises:
        NoKey: With `live`, there is no key.
        openai.OpenAIError: With `live`, the API does not answer.
    """
    tidy()
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        client = stack.enter_context(_client(stack, live))
        ao.init(
            service_name="otel-agentops-demo",
            exporters=[receiver.url, *([otlp] if otlp else [])],
            stream_usage_hosts=["127.0.0.1"],  # api.openai.com is known without
        )
        try:
            _program(client)
        finally:
            sent = ao.shutdown(FLUSH_S)
        return Outcome(build(receiver.spans), sent)


def _client(stack: ExitStack, live: bool) -> OpenAI:
    if live:
        from openai import OpenAI, OpenAIError  # noqa: PLC0415 - an optional package

        try:
            return OpenAI()
        except OpenAIError as error:
            raise NoKey from error
    return recorded_client(stack.enter_context(Replay()))


def _program(client: OpenAI) -> None:
    from otel_agentops.demo.program import run  # noqa: PLC0415 - as above

    run(client)
