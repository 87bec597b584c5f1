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
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_agentops.export import wire
from otel_agentops.export import wire_values as values


def span(**fields: Any) -> ReadableSpan:
    """A span with everything that one must have."""
    needed = {"name": "s", "context": SpanContext(1, 2, False), "resource": Resource({})}
    return ReadableSpan(**{**needed, **fields})


def only(request: ExportTraceServiceRequest) -> Any:
    """The one span of a request."""
    return request.resource_spans[0].scope_spans[0].spans[0]


def if_stock_writes(value: Any, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Older versions leave attributes without a value out."""
    written = only(encode_spans([span(attributes={"k": value})])).attributes
    return strategy if len(written) else st.nothing()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=90)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
PLAIN = st.booleans() | NUMBERS | st.floats() | TEXTS | st.binary(max_size=20)
NESTED = st.recursive(
    st.none() | PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
VALUES = if_stock_writes(None, NESTED) | PLAIN | st.lists(TEXTS) | st.lists(NUMBERS)
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


def some(kind: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A few, plain or as the SDK keeps them, of which the first may have been dropped."""
    lists = st.lists(kind, max_size=2)
    return lists | lists.map(lambda items: BoundedList.from_seq(1, items))


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
        events=some(EVENTS),
        links=some(LINKS),
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
    assert flat(ours(spans)) == flat(stock)


def flat(request: ExportTraceServiceRequest) -> list[tuple[bytes, ...]]:
    """Each span with its resource and scope, as canonical bytes, in which NaN equals NaN."""
    return sorted(
        (
            resource.resource.SerializeToString(deterministic=True),
            resource.schema_url.encode(),
            scope.scope.SerializeToString(deterministic=True),
            scope.schema_url.encode(),
            span.SerializeToString(deterministic=True),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )


def test_spans_are_grouped() -> None:
    """Each resource and each scope is sent once."""
    first, second = Resource({"a": 1}), Resource({"a": 2})
    one, two = InstrumentationScope("one"), InstrumentationScope("two")
    pairs = [(first, one), (second, one), (first, two), (first, one)]
    spans = [span(resource=resource, instrumentation_scope=scope) for resource, scope in pairs]
    found = ours(spans)
    groups = [[len(scope.spans) for scope in resource.scope_spans] for resource in found.resource_spans]
    assert groups == [[2, 1], [1]]
    assert found == encode_spans(spans)


ODD = [
    ("a lone surrogate \ud800", "string_value", "a lone surrogate ?"),
    ("long " * 30 + "\udfff", "string_value", "long " * 30 + "?"),
    (2**63, "string_value", str(2**63)),
    (-(2**70), "string_value", str(-(2**70))),
    (-1, "int_value", -1),
    *((edge, "int_value", edge) for edge in (0, 127, 128, 2047, 2048, 16_383, 16_384, 2**63 - 1)),
    (True, "bool_value", True),
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
                attributes={
                    f"key{number}": "v",
                    f"n{number}": number,
                    f"f{number}": 0.5,
                    "id": f"id{number}",
                    "prompt": "long" * number,
                },
                resource=Resource({"n": number}),
                instrumentation_scope=InstrumentationScope(f"scope{number}"),
            )
        )
    assert len(values._keys) <= values._KEYS_LIMIT
    assert len(values._numbers) <= values._KEYS_LIMIT
    assert len(values._texts) <= values._KEYS_LIMIT
    assert all(len(texts) <= values._TEXTS_LIMIT for texts in values._texts.values())
    assert len(wire._resources) <= wire._KEPT
    assert len(wire._scopes) <= wire._KEPT
    assert only(ours([span(attributes={"id": "id2999"})])).attributes[0].value.string_value == "id2999"


def test_size_is_never_too_small() -> None:
    """Packing by bytes relies on it."""
    for text in ("", "x" * 200, "x" * 20_000, "x" * 3_000_000):
        one = wire.encode(span(attributes={"k": text}))
        assert len(wire.request([one])) <= one.size
