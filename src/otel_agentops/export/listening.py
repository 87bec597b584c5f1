"""Explaining failures of exporters that are not ours, such as a distro's.

We neither wrap nor replace them. All that is taken is the hint that something fails: they log it.
"""

from __future__ import annotations

import logging
from threading import Thread
from typing import TYPE_CHECKING

from otel_agentops.export.doubt import Doubt
from otel_agentops.failsafe import failsafe
from otel_agentops.interrupts import signals_elsewhere

if TYPE_CHECKING:
    from otel_agentops.config import Config

__all__ = ["listen"]

_LOGGERS = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.exporter",
}


def listen(config: Config) -> None:
    """Explain the first failure of the exporter that `OTEL_TRACES_EXPORTER=otlp` means."""
    if "otlp" not in config.traces or config.config_file is not None:
        return
    # a filter, since a handler would keep Python from printing the exporter's own messages
    logging.getLogger(_LOGGERS[config.traces_protocol]).addFilter(
        _Hint(Doubt(config.otlp, config.traces_protocol))
    )


class _Hint(logging.Filter):
    """Lets every record through."""

    def __init__(self, doubt: Doubt) -> None:
        super().__init__()
        self._doubt: Doubt | None = doubt

    def filter(self, record: logging.LogRecord) -> bool:
        """Called on the thread of the exporter, which has better things to do than to find out why."""
        doubt = self._doubt
        if doubt is not None and record.levelno >= logging.WARNING:
            self._doubt = None
            with failsafe("explaining a failure of the exporter"), signals_elsewhere():
                Thread(target=doubt.hint, name="otel-agentops-why", daemon=True).start()
        return True
