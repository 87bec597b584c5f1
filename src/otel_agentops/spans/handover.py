"""Session and user from one service to the next: W3C baggage, for those who ask for it.

`traceparent` alone joins the spans of two services to one trace, but says nothing of the session. Baggage
goes out with every request that an instrumentation injects the OpenTelemetry context into, also to third
parties, and comes in from whoever calls: ids are bounded, and used as marks only, never to find totals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import baggage

from otel_agentops.records import Session
from otel_agentops.semconv import own

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context

    from otel_agentops.records import Record

__all__ = ["came_in", "goes_on", "put_in"]

_NAMES = (own.SESSION_ID, own.USER_ID)
_LONGEST = 128
"""Characters of an id; a longer one is left out, since a part of an id is another id."""


def _usable(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def came_in(context: Context) -> dict[str, Any]:
    """Session and user that the caller's baggage names."""
    found = {name: baggage.get_baggage(name, context) for name in _NAMES}
    return {name: value for name, value in found.items() if _usable(value)}


def goes_on(record: Record, context: Context) -> dict[str, Any]:
    """What something outermost in this service takes over from the caller; a session takes it as its own."""
    found = came_in(context)
    if not isinstance(record, Session):
        return found
    if not record.given:
        record.session_id = found.get(own.SESSION_ID, record.session_id)
    if record.user_id is None:
        record.user_id = found.get(own.USER_ID)
    return {}


def put_in(stamps: Mapping[str, Any], context: Context) -> Context:
    """The context with the session and user of a scope in its baggage, beside what is there."""
    for name in _NAMES:
        if _usable(stamps.get(name)):
            context = baggage.set_baggage(name, stamps[name], context)
    return context
