"""The OTLP exporter of our own pipeline: our encoder in front of a plain transport.

It keeps the promises of the stock exporters (settings, time-outs, retries) and two more: a batch is sent in
parts where it is too large for the collector, and a span that cannot be written costs no other.
"""

from __future__ import annotations

import os
import time
from threading import Event
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_agentops.export.answers import Answer, Verdict
from otel_agentops.export.batches import new_id, packs
from otel_agentops.export.ids import jitter
from otel_agentops.export.importing import importing
from otel_agentops.export.wire import EncodedSpan, encode, request
from otel_agentops.failsafe import failsafe, warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_agentops.export.answers import Transport
    from otel_agentops.export.destination import Destination

__all__ = ["PACK_BYTES", "OtlpExporter", "connect", "load"]

_ATTEMPTS = 6
PACK_BYTES = {"grpc": 3_000_000, "http/protobuf": 8_000_000}
"""Below what collectors take by default: 4 MiB over gRPC, 20 MiB over HTTP."""


def connect(destination: Destination) -> Transport:
    """A transport to a destination; imports only what that one needs, and only now."""
    from otel_agentops import __version__  # noqa: PLC0415 - it is still being imported when this module is

    with importing():
        return _transport_class(destination)(destination, f"otel-agentops/{__version__}")


def load(destination: Destination) -> None:
    """Import what `connect` needs, where that may take its time."""
    with importing():
        _transport_class(destination)


def _transport_class(destination: Destination) -> Callable[[Destination, str], Transport]:
    if destination.protocol == "grpc":
        from otel_agentops.export.over_grpc import GrpcTransport  # noqa: PLC0415 - gRPC alone takes 60 ms

        return GrpcTransport
    from otel_agentops.export.over_http import HttpTransport  # noqa: PLC0415 - as above

    return HttpTransport


class OtlpExporter(SpanExporter):
    """Sends batches to one destination.

    Attributes:
        why: Asked for what to add to the message about a batch that was not taken.
    """

    def __init__(self, destination: Destination) -> None:
        self.why: Callable[[], str] = str
        self._destination = destination
        self._limit = PACK_BYTES[destination.protocol]
        self._transport: Transport | None = None  # importing one takes as long as all the rest of us
        self._process = os.getpid()
        self._stopped = Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send; SUCCESS means that the collector has every one of them."""
        if self._stopped.is_set():
            warn_once("exporter stopped", "spans ended after the shutdown; they are not exported")
            return SpanExportResult.FAILURE
        if not self.prepare():
            return SpanExportResult.FAILURE
        end = time.monotonic() + self._destination.timeout_s
        encoded: list[EncodedSpan] = []
        for span in spans:
            with failsafe("encoding a span"):
                encoded.append(encode(span))
        sent = [self._deliver(portion, end) for portion in packs(encoded, self._limit)]
        complete = all(sent) and len(encoded) == len(spans)
        return SpanExportResult.SUCCESS if complete else SpanExportResult.FAILURE

    def prepare(self) -> bool:
        """Import and open the transport, if it is not; False if that cannot be done."""
        if self._transport is not None and self._process == os.getpid():
            return True
        self._process = os.getpid()  # after a fork the parent goes on with its connection
        try:
            self._transport = connect(self._destination)
        except OSError as error:  # a certificate that cannot be read
            self._transport = None
            warn_once(f"no transport {self._destination!r}", "spans cannot be sent: %s%s", error, self.why())
        return self._transport is not None

    def _deliver(self, portion: list[EncodedSpan], end: float) -> bool:
        answer = self._attempts(request(portion), new_id(), end)
        if answer.verdict is Verdict.SMALLER and len(portion) > 1:
            middle = len(portion) // 2
            halves = (portion[:middle], portion[middle:])
            return all([self._deliver(half, end) for half in halves])  # noqa: C419 - try both
        lost = answer.rejected if answer.verdict is Verdict.SENT else len(portion)
        if lost:
            warn_once(
                f"not taken {self._destination!r} {answer.reason}",
                "%d of %d spans were not taken by %r: %s%s",
                lost,
                len(portion),
                self._destination,
                answer.reason or "it refused them",
                self.why(),
            )
        return not lost

    def _attempts(self, body: bytes, batch_id: bytes, end: float) -> Answer:
        """Try, and again while it makes sense and there is time."""
        transport = self._transport
        assert transport is not None  # noqa: S101 - `export` saw to it
        for attempt in range(_ATTEMPTS):
            answer = transport.send(body, batch_id, max(end - time.monotonic(), 0.001))
            if answer.verdict is not Verdict.LATER:
                break
            wait = answer.retry_after_s
            if wait is None:
                wait = 2**attempt * jitter()
            if attempt + 1 == _ATTEMPTS or time.monotonic() + wait > end or self._stopped.wait(wait):
                break
        return answer

    def shutdown(self) -> None:
        """Stop; a wait between two attempts ends at once."""
        self._stopped.set()
        if self._transport is not None:
            self._transport.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is kept here."""
        return True
