"""OTLP trace requests as plain dataclasses.

Source: `opentelemetry/proto/collector/trace/v1/trace_service.proto` and `common/v1/common.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["ReceivedSpan", "decode"]


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it came over the wire.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_id: Span id of its parent; None for a root.
        start_ns: Nanoseconds since the epoch.
        end_ns: The same.
        error: Whether its status is ERROR.
        message: Description of the status.
        attributes: Plain values; arrays are lists.
        resource: Attributes of the program that sent it.
        scope: Name of the instrumentation scope.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    error: bool = False
    message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""


def decode(body: bytes) -> list[ReceivedSpan]:
    """Spans of one `ExportTraceServiceRequest` in protobuf.

    Raises:
        google.protobuf.message.DecodeError: The body is something else.
    """
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return list(_spans(request))


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _span(span, resource, scope_spans.scope.name)


def _span(span: Span, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    return ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        error=span.status.code == Status.STATUS_CODE_ERROR,
        message=span.status.message,
        attributes=_attributes(span.attributes),
        resource=resource,
        scope=scope,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
