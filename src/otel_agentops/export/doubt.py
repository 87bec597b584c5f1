"""When to find out why spans do not arrive, and saying it once."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from otel_agentops.export.destination import what
from otel_agentops.failsafe import failsafe, logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_agentops.config import Config

__all__ = ["Doubt"]

_TRIES = 3
"""How often to look: a busy machine may answer too late to be understood."""


class Doubt:
    """What is found out about one OTLP destination whose spans do not arrive.

    Args:
        variables: `OTEL_EXPORTER_OTLP_*`.
        protocol: `http/protobuf` or `grpc`.
        url: The destination, where it is not that of the variables.
    """

    def __init__(self, variables: Mapping[str, str], protocol: str, url: str | None = None) -> None:
        self._variables = variables
        self._protocol = protocol
        self._url = url
        self._settled = False
        self._tries = _TRIES
        self._lock = Lock()

    @classmethod
    def about(cls, wanted: object, config: Config) -> Doubt | None:
        """For what `exporters` or `OTEL_TRACES_EXPORTER` name; None for all but OTLP."""
        meant = what(wanted, config.traces_protocol)
        return cls(config.otlp, *meant) if meant is not None else None

    def dispel(self) -> None:
        """Spans have arrived: whatever fails later, the settings are right."""
        self._settled = True

    def why(self) -> str:
        """The explanation, to go after what is said; empty if there is none, or it has been given."""
        with self._lock:  # whoever sends and whoever flushes may both want to know
            if self._settled or not self._tries:
                return ""
            self._tries -= 1
            found = None
            with failsafe("finding out why spans do not arrive"):
                from otel_agentops.export.diagnosis import Aim, explain  # noqa: PLC0415 - seldom needed

                found = explain(Aim.of(self._variables, self._protocol, self._url))
            self._settled = found is not None
        return f"; {found}" if found else ""

    def hint(self) -> None:
        """Give it on its own, while the exporter still tries."""
        why = self.why()
        if why:
            logger.warning("spans cannot be delivered%s", why)
