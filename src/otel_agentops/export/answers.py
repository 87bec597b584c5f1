"""What a collector says to a batch, whatever the protocol."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, Protocol

__all__ = ["BATCH_HEADER", "Answer", "Transport", "Verdict", "rejected"]


BATCH_HEADER = "x-otel-agentops-batch"
"""Carries the id of a batch in hex: the same one when it is sent again, so that a receiver can tell."""


class Verdict(Enum):
    """What to do with the batch now."""

    SENT = auto()
    LATER = auto()
    """Keep it and try again: the collector is away or busy."""
    SMALLER = auto()
    """It is too large for the collector, so send it in parts."""
    REFUSED = auto()
    """The same bytes will be refused again."""


class Answer(NamedTuple):
    """An answer to one batch.

    Attributes:
        verdict: What it means for us.
        reason: For the log; never holds headers or URLs.
        retry_after_s: Seconds that the collector wants to be left alone; None if it did not say.
        rejected: Spans of a batch that was taken which the collector did not want.
    """

    verdict: Verdict
    reason: str = ""
    retry_after_s: float | None = None
    rejected: int = 0


class Transport(Protocol):
    """A connection to one collector, used by one thread at a time."""

    def send(self, body: bytes, batch_id: bytes, timeout_s: float) -> Answer:
        """One attempt to deliver an `ExportTraceServiceRequest`; never raises."""

    def close(self) -> None:
        """Let the connection go."""


def rejected(body: bytes) -> int:
    """Spans that a collector took the batch without, by its `ExportTraceServiceResponse`."""
    if not body:
        return 0
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - slow, and seldom
        ExportTraceServiceResponse,
    )

    return int(ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans)
