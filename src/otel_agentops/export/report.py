"""What lies in spools: for `otel-agentops spool`."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_agentops.export.destination import resolve
from otel_agentops.export.refused import REFUSED
from otel_agentops.export.segments import SUFFIX, Segment, records_in
from otel_agentops.export.spool import make_sender, spool_base, spool_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_agentops.config import Config
    from otel_agentops.export.segments import Portion

__all__ = ["SpoolStatus", "as_json_lines", "drain", "spools", "status"]


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """One destination's spool.

    Attributes:
        directory: Where it is.
        destination: Protocol and host; `?` if nobody wrote that down.
        current: Whether the settings here would send to it.
        files: Files that wait.
        bytes: Of these files.
        spans: Spans that wait in them.
        oldest_s: Age of the oldest of these, in seconds; None if there are none.
        refused: Spans that were refused and set aside.
        damaged: Places in files that cannot be read.
    """

    directory: str
    destination: str
    current: bool
    files: int
    bytes: int
    spans: int
    oldest_s: float | None
    refused: int
    damaged: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def spools(config: Config) -> list[Path]:
    """Directories of all destinations."""
    base = spool_base(config)
    return sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []


def status(config: Config) -> list[SpoolStatus]:
    """What waits, by destination; changes nothing."""
    current = spool_directory(config, resolve(config.otlp, config.traces_protocol))
    return [_status(directory, directory == current) for directory in spools(config)]


def _status(directory: Path, current: bool) -> SpoolStatus:
    waiting, refused = _Tally(directory), _Tally(directory / REFUSED)
    named = directory / "destination.txt"
    return SpoolStatus(
        directory=str(directory),
        destination=named.read_text("utf-8").strip() if named.is_file() else "?",
        current=current,
        files=waiting.files,
        bytes=sum(path.stat().st_size for path in directory.glob(f"*{SUFFIX}")),
        spans=waiting.spans,
        oldest_s=round(time.time() - waiting.oldest_ns / 1e9, 3) if waiting.oldest_ns else None,
        refused=refused.spans,
        damaged=waiting.damaged,
    )


class _Tally:
    """What lies in a directory, one file after the other: together they may be larger than memory."""

    def __init__(self, directory: Path) -> None:
        self.files = self.spans = self.damaged = self.oldest_ns = 0
        for _, portion in _portions(directory):
            self.files += 1
            self.damaged += portion.damaged
            for record in portion.records:
                self.spans += record.spans
                self.oldest_ns = min(self.oldest_ns or record.time_ns, record.time_ns)


def _portions(directory: Path) -> Iterator[tuple[Path, Portion]]:
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            yield path, records_in(path.read_bytes())
        except FileNotFoundError:  # sent a moment ago
            continue


# --- OTLP JSON, as the collector's file receiver reads it ---

_IDS = ("traceId", "spanId", "parentSpanId")


def as_json_lines(config: Config, refused: bool = False) -> Iterator[str]:
    """What waits, or what was refused: one `TracesData` a line; changes nothing."""
    for directory in spools(config):
        for _, portion in _portions(directory / REFUSED if refused else directory):
            for record in portion.records:
                message = ExportTraceServiceRequest.FromString(record.body)
                data = MessageToDict(message, use_integers_for_enums=True)
                _with_hex_ids(data)
                yield json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _with_hex_ids(data: dict[str, Any]) -> None:
    """OTLP's JSON writes ids in hex where protobuf's writes base64."""
    for resource in data.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for owner in (span, *span.get("links", ())):
                    for name in _IDS:
                        if name in owner:
                            owner[name] = base64.b64decode(owner[name]).hex()


# --- sending now ---


def drain(config: Config, timeout_s: float, refused: bool = False) -> dict[str, int]:
    """Send what waits for the destination of the settings, as far as no running process has it.

    Args:
        config: Names directory and destination.
        timeout_s: Seconds to try.
        refused: Also try once more what was refused.

    Returns:
        The counts: `adopted`, `delivered`, `waiting` and the others.
    """
    destination = resolve(config.otlp, config.traces_protocol)
    if refused:
        _take_back(spool_directory(config, destination))
    sender = make_sender(config, destination)
    if sender.store is not None:
        sender.adopt()
        sender.start()
        sender.flush(timeout_s)
    sender.stop(0.0)
    return sender.counts.as_dict()


def _take_back(directory: Path) -> None:
    for path in (directory / REFUSED).glob(f"*{SUFFIX}"):
        segment = Segment.adopt(path)
        if segment is not None:
            path.rename(directory / path.name)
            segment.close()
