"""The embedded OTLP receiver."""

from __future__ import annotations

import gzip
import http.client
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from otel_agentops.viewer import ReceivedSpan, Receiver, receiver


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    """A receiver that listens."""
    with Receiver() as opened:
        yield opened


def request() -> bytes:
    """One span with every kind of value."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add()
    spans.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="shop")))
    scope = spans.scope_spans.add()
    scope.scope.name = "test"
    span = scope.spans.add(
        trace_id=b"\1" * 16, span_id=b"\2" * 8, parent_span_id=b"\3" * 8, name="chat m",
        start_time_unix_nano=5, end_time_unix_nano=9,
    )  # fmt: skip
    span.status.code = 2
    span.status.message = "gone"
    strings = ArrayValue(values=[AnyValue(string_value="a"), AnyValue(string_value="b")])
    pairs = KeyValueList(values=[KeyValue(key="k", value=AnyValue(int_value=1))])
    for key, value in {
        "text": AnyValue(string_value="x"),
        "int": AnyValue(int_value=-7),
        "double": AnyValue(double_value=0.1),
        "flag": AnyValue(bool_value=True),
        "bytes": AnyValue(bytes_value=b"\0"),
        "list": AnyValue(array_value=strings),
        "map": AnyValue(kvlist_value=pairs),
        "nothing": AnyValue(),
    }.items():
        span.attributes.append(KeyValue(key=key, value=value))
    return message.SerializeToString()


EXPECTED = ReceivedSpan(
    trace_id="01" * 16,
    span_id="02" * 8,
    parent_id="03" * 8,
    name="chat m",
    start_ns=5,
    end_ns=9,
    error=True,
    message="gone",
    attributes={
        "text": "x", "int": -7, "double": 0.1, "flag": True, "bytes": b"\0", "list": ["a", "b"],
        "map": {"k": 1}, "nothing": None,
    },
    resource={"service.name": "shop"},
    scope="test",
)  # fmt: skip


def post(url: str, body: bytes, path: str = "/v1/traces", **headers: str) -> int:
    """The status of a request to a receiver."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        sent = {"Content-Type": "application/x-protobuf"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        connection.request("POST", path, body, sent)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_span_is_decoded(inbox: Receiver) -> None:
    """Every kind of value, status, parent, resource and scope arrive."""
    assert post(inbox.url, request()) == 200
    assert inbox.spans == [EXPECTED]


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_compressed_bodies(inbox: Receiver, encoding: str, pack: object) -> None:
    """Every compression that exporters offer is understood."""
    assert post(inbox.url, pack(request()), Content_Encoding=encoding) == 200  # type: ignore[operator]
    assert inbox.spans == [EXPECTED]


@pytest.mark.parametrize(
    ("status", "body", "path", "headers"),
    [
        (404, b"", "/v1/metrics", {}),
        (415, b"{}", "/v1/traces", {"Content_Type": "application/json"}),
        (415, b"", "/v1/traces", {"Content_Encoding": "br"}),
        (400, b"no gzip", "/v1/traces", {"Content_Encoding": "gzip"}),
        (400, b"\xff\xff no protobuf", "/v1/traces", {}),
        (411, b"", "/v1/traces", {"Content_Length": "many"}),
    ],
)
def test_what_cannot_be_taken(
    inbox: Receiver, status: int, body: bytes, path: str, headers: dict[str, str]
) -> None:
    """A wrong request is refused with the right status, and the next one is served."""
    assert post(inbox.url, body, path, **headers) == status
    assert post(inbox.url, request()) == 200


def test_a_bomb_is_refused(inbox: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a large body nor one that unpacks to a large one is taken."""
    monkeypatch.setattr(receiver, "MAX_BODY", 1000)
    assert post(inbox.url, gzip.compress(b"\0" * 100_000), Content_Encoding="gzip") == 413
    assert post(inbox.url, b"", Content_Length="2000") == 413
    assert inbox.spans == []


def test_old_spans_are_let_go() -> None:
    """Memory does not grow with traffic."""
    with Receiver(limit=2) as small:
        for _ in range(3):
            post(small.url, request())
        assert len(small.spans) == 2
