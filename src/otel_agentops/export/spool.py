"""Spans that outlive an outage: the processor of our own pipeline, and an exporter for everybody else's."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakSet

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_agentops.config import Config
from otel_agentops.config import variable as read_variable
from otel_agentops.export.agenda import Limits
from otel_agentops.export.counts import Counts
from otel_agentops.export.destination import resolve
from otel_agentops.export.otlp import PACK_BYTES, connect
from otel_agentops.export.sender import Sender
from otel_agentops.failsafe import failsafe, swallowed, warn_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_agentops.export.destination import Destination
    from otel_agentops.export.store import Store

__all__ = ["SpoolExporter", "SpoolProcessor", "make_sender", "spool_base", "spool_directory"]

_senders: WeakSet[Sender] = WeakSet()


def _after_fork() -> None:
    for sender in list(_senders):
        with failsafe("starting over in a forked child"):
            sender.reborn()


os.register_at_fork(after_in_child=_after_fork)


def spool_base(config: Config) -> Path:
    """Where the spools of all destinations are."""
    if config.spool_directory:
        return Path(config.spool_directory)
    state = read_variable("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "otel-agentops" / "spool"


def spool_directory(config: Config, destination: Destination) -> Path:
    """Where spans for this destination are: nobody's spans must be sent with somebody else's key."""
    parts = (destination.protocol, destination.endpoint, *sorted(map(repr, destination.headers.items())))
    return spool_base(config) / blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def make_sender(config: Config, destination: Destination) -> Sender:
    """A sender with the settings' limits, with a store if the settings want one and the system has locks."""
    counts = Counts()
    sender = Sender(
        connect=lambda: connect(destination),
        store=_store(config, destination, counts) if config.spool else None,
        limits=Limits(
            pack_bytes=_request_bytes(config, destination),
            delay_s=config.export_delay_s,
            timeout_s=destination.timeout_s,
        ),
        counts=counts,
        at_once=config.durability == "crash",
    )
    _senders.add(sender)
    return sender


def _request_bytes(config: Config, destination: Destination) -> int:
    """A gRPC server takes no more than it takes, whatever is wished for."""
    usual = PACK_BYTES[destination.protocol]
    wanted = config.spool_request_bytes or usual
    return min(wanted, usual) if destination.protocol == "grpc" else wanted


def _store(config: Config, destination: Destination, counts: Counts) -> Store | None:
    # late: most programs start without a store
    from otel_agentops.export.private import private_directory, write_privately  # noqa: PLC0415
    from otel_agentops.export.segments import supported  # noqa: PLC0415
    from otel_agentops.export.store import Store  # noqa: PLC0415

    if not supported():
        warn_once("no locks", "this system has no file locks: spans that cannot be sent wait in memory only")
        return None
    directory = spool_directory(config, destination)
    try:
        private_directory(directory)
        host = urlsplit(destination.endpoint).hostname or destination.endpoint.rpartition("@")[2]
        write_privately(directory / "destination.txt", f"{destination.protocol} {host}\n")
    except OSError as error:
        warn_once(f"spool {directory}", "spans cannot be kept in %s: %s", directory, error)
    return Store(directory, config.spool_max_bytes, config.spool_max_age_s, counts)


class SpoolProcessor(SpanProcessor):
    """Has each span encoded, once, and sees to it that it arrives or is counted.

    What a collector does not take at once is kept: in memory, and in files where the settings allow it. A
    later process on the same machine sends what an earlier one left. A span may arrive more than once.
    """

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        sender.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span over; neither waits nor raises."""
        try:
            context = span.context
            if context is None or context.trace_flags.sampled:
                self.sender.ended(span)
        except Exception as error:  # noqa: BLE001 - one span must not cost the program anything
            swallowed("handing over a span", error)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Whether the collector took everything in time."""
        return self.sender.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Send what there is, keep the rest; two seconds at most."""
        self.sender.stop(2.0)


class SpoolExporter(SpanExporter):
    """The same for pipelines that are configured elsewhere: `OTEL_TRACES_EXPORTER=otlp_spool`.

    A batch processor in front of it may drop spans before they get here, and loses what it holds when the
    process is killed: `durability="crash"` promises nothing here.
    """

    def __init__(self, config: Config | None = None) -> None:
        config = config or Config.load(spool=True)
        self._timeout_s = config.exit_timeout_s
        self._processor = SpoolProcessor(make_sender(config, resolve(config.otlp, config.traces_protocol)))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take spans over: SUCCESS means that they will arrive or be counted."""
        for span in spans:
            self._processor.on_end(span)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Whether the collector took everything in time."""
        return self._processor.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Send what there is, keep the rest."""
        self._processor.sender.stop(self._timeout_s)
