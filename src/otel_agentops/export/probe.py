"""Asking the collectors of the settings whether they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.export.batches import new_id
from otel_agentops.export.destination import Destination, resolve, what
from otel_agentops.export.otlp import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_agentops.config import Config
    from otel_agentops.export.answers import Answer

__all__ = ["Probe", "ask"]


class Probe(NamedTuple):
    """One destination and what it said.

    Attributes:
        setting: The name or URL in `OTEL_TRACES_EXPORTER`.
        destination: What that means; None for exporters that do not speak OTLP and are not asked.
        answer: To an empty batch; None where nobody was asked.
    """

    setting: str
    destination: Destination | None
    answer: Answer | None


def ask(config: Config, timeout_s: float) -> Iterator[Probe]:
    """Send an empty batch, which OTLP allows, to each destination of the settings."""
    for name in config.traces:
        meant = what(name, config.traces_protocol)
        if meant is None:
            yield Probe(name, None, None)
            continue
        destination = resolve(config.otlp, *meant)
        transport = connect(destination)
        try:
            yield Probe(name, destination, transport.send(b"", new_id(), timeout_s))
        finally:
            transport.close()
