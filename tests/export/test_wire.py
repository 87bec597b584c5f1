"""Our encoder against the stock one: the same messages, field by field, and no harm from odd values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_agentops.export import wire

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=90)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
PLAIN = st.none() | st.booleans() | NUMBERS | st.floats() | TEXTS | st.binary(max_size=20)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.none() | st.dictionaries(KEYS, VALUES, max_size=8)
NANOSECONDS = st.integers(0, 2**64 - 1)
STATES = st.sampled_from([None, TraceState(), TraceState([("a", "1"), ("b", "two")])])


@st.composite
def contexts(draw: st.DrawFn) -> SpanContext:
    """Ids from 0 to the largest, local and remote, with and without state."""
    return SpanContext(
        draw(st.integers(0, 2**128 - 1)),
        draw(st.integers(0, 2**64 - 1)),
        draw(st.booleans()),
        TraceFlags(draw(st.integers(0, 255))),
        draw(STATES),
    )


def bounded(attributes: dict[str, Any] | None) -> Any:
    """As the SDK keeps them: some of many are dropped."""
    return None if attributes is None else BoundedAttributes(5, attributes)


MAPPINGS = ATTRIBUTES | ATTRIBUTES.map(bounded)
EVENTS = st.builds(Event, TEXTS, MAPPINGS, NANOSECONDS)
LINKS = st.builds(Link, contexts(), MAPPINGS)
STATUSES = st.builds(Status, st.just(StatusCode.ERROR), st.none() | TEXTS) | st.sampled_from(
    [Status(), Status(StatusCode.OK)]
)
RESOURCES = st.builds(Resource, st.dictionaries(KEYS, PLAIN, max_size=3), st.none() | TEXTS)
SCOPES = st.none() | st.builds(
    InstrumentationScope,
    TEXTS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.dictionaries(KEYS, PLAIN, max_size=2),
)


@st.composite
def batches(draw: st.DrawFn) -> list[ReadableSpan]:
    """Spans of few resources and scopes, so that they have something to be grouped by."""
    resources = draw(st.lists(RESOURCES, min_size=1, max_size=2))
    scopes = draw(st.lists(SCOPES, min_size=1, max_size=3))
    spans = st.builds(
        ReadableSpan,
        name=TEXTS,
        context=contexts(),
        parent=st.none() | contexts(),
        resource=st.sampled_from(resources),
        attributes=MAPPINGS,
        events=st.lists(EVENTS, max_size=2),
        links=st.lists(LINKS, max_size=2),
        kind=st.sampled_from(SpanKind),
        status=STATUSES,
        start_time=NANOSECONDS,
        end_time=st.none() | NANOSECONDS,
        instrumentation_scope=st.sampled_from(scopes),
    )
    return draw(st.lists(spans, max_size=5))


def ours(spans: list[ReadableSpan]) -> ExportTraceServiceRequest:
    """What a receiver reads from our bytes."""
    return ExportTraceServiceRequest.FromString(wire.request([wire.encode(span) for span in spans]))


@settings(max_examples=200, deadline=None)
@given(batches())
def test_the_same_as_the_stock_encoder(spans: list[ReadableSpan]) -> None:
    """Every field of every message is what the stock encoder writes."""
    stock = ExportTraceServiceRequest.FromString(encode_spans(spans).SerializeToString())
    mine = ours(spans)
    assert str(mine) == str(stock)  # NaN is not equal to itself, but it reads the same
    assert mine.SerializeToString(deterministic=True) == stock.SerializeToString(deterministic=True)


def span(**fields: Any) -> ReadableSpan:
    """A span with everything that one must have."""
    return ReadableSpan(
        **{"name": "s", "context": SpanContext(1, 2, False), "resource": Resource({}), **fields}
    )


def only(request: ExportTraceServiceRequest) -> Any:
    """The one span of a request."""
    return request.resource_spans[0].scope_spans[0].spans[0]


ODD = [
    ("a lone surrogate \ud800", "string_value", "a lone surrogate ?"),
    ("long " * 30 + "\udfff", "string_value", "long " * 30 + "?"),
    (2**63, "string_value", str(2**63)),
    (-(2**70), "string_value", str(-(2**70))),
    (-1, "int_value", -1),
    (-(2**63), "int_value", -(2**63)),
    (math.inf, "double_value", math.inf),
    ("", "string_value", ""),
]


@pytest.mark.parametrize(("value", "kind", "written"), ODD)
def test_odd_values(value: Any, kind: str, written: Any) -> None:
    """What other encoders stumble over arrives in the nearest form there is."""
    for _ in range(2):  # the second time from what was kept
        (pair,) = only(ours([span(attributes={"k": value})])).attributes
        assert pair.value.WhichOneof("value") == kind
        assert getattr(pair.value, kind) == written


class Unreadable:
    """No form in OTLP."""


def loop() -> list[Any]:
    """A list that contains itself."""
    found: list[Any] = []
    found.append(found)
    return found


WITHOUT = {"object": Unreadable(), "inside": [1, Unreadable()], "loop": loop(), "huge": 10**5000}


@pytest.mark.parametrize("value", WITHOUT.values(), ids=WITHOUT)
def test_values_without_a_form(value: Any) -> None:
    """An attribute that cannot be written is counted as dropped; the others arrive."""
    event, link = Event("e", {"bad": value}, 1), Link(SpanContext(1, 2, False), {"bad": value})
    written = only(ours([span(attributes={"a": 1, "bad": value, "z": 2}, events=[event], links=[link])]))
    assert [pair.key for pair in written.attributes] == ["a", "z"]
    counts = (message.dropped_attributes_count for message in (written, written.events[0], written.links[0]))
    assert list(counts) == [1, 1, 1]


def test_nothing_grows_with_traffic() -> None:
    """Many keys, values, resources and scopes leave the caches within their bounds."""
    for number in range(3000):
        wire.encode(
            span(
                attributes={f"key{number}": "v", "id": f"id{number}", "prompt": "long" * number},
                resource=Resource({"n": number}),
                instrumentation_scope=InstrumentationScope(f"scope{number}"),
            )
        )
    assert len(wire._keys) <= wire._KEYS_LIMIT
    assert len(wire._texts) <= wire._KEYS_LIMIT
    assert all(len(texts) <= wire._TEXTS_LIMIT for texts in wire._texts.values())
    assert len(wire._resources) <= wire._KEPT
    assert len(wire._scopes) <= wire._KEPT
    assert only(ours([span(attributes={"id": "id2999"})])).attributes[0].value.string_value == "id2999"


def test_size_is_never_too_small() -> None:
    """Packing by bytes relies on it."""
    for text in ("", "x" * 200, "x" * 20_000, "x" * 3_000_000):
        one = wire.encode(span(attributes={"k": text}))
        assert len(wire.request([one])) <= one.size
