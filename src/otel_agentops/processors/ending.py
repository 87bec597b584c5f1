"""Running our accounting before a span ends, on spans that others make.

The SDK freezes a span's attributes before any processor hears of its end, so a processor cannot add a
cost (github.com/open-telemetry/opentelemetry-python/issues/5614). Until that is solved, a starting span
is given a subclass of its own class whose `end()` calls us first and then the real one. Only public
methods are used; when the SDK offers a hook, this file goes.

A span keeps a limited number of attributes and throws out the oldest, which are often the model and the
counts. So the subclass also looks at what is set on a full span and keeps what decides the price. An event
cannot be changed once it is on a span: what it tells is redacted on its way there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from otel_agentops.accounting import PRICE_INPUTS
from otel_agentops.failsafe import swallowed
from otel_agentops.processors.content import clean_event
from otel_agentops.processors.room import is_full

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

__all__ = ["Endings", "attributes_of", "has_hook"]

_KNOWN = "_otel_agentops_known"
_SEEN = "_otel_agentops_seen"
_OURS = "_otel_agentops_class"

T = TypeVar("T")
Hook = Callable[[T, "Span", "int | None"], None]


class Endings(Generic[T]):
    """What is done before spans end, while they can still be written to.

    Args:
        hook: `(known, span, end_time)`: run once for each watched span, on the thread that ends it; what
            it raises is swallowed.
    """

    def __init__(self, hook: Hook[T]) -> None:
        self._hook = hook
        self._classes: dict[type, type] = {}  # span class -> its subclass; a program has one or two

    def watch(self, span: Span, known: T) -> None:
        """Run the hook when the span ends.

        Args:
            span: A span that is just starting.
            known: What the hook is to know of the span.
        """
        members = span.__dict__  # half the price of vars(), at every span
        members[_KNOWN] = known
        if "end" in members:
            _wrap_instance(span, self._hook)
            return
        kind = type(span)
        ours = self._classes.get(kind)
        if ours is None:
            ours = self._classes[kind] = kind if hasattr(kind, _OURS) else _subclass(kind, self._hook)
        if ours is not kind:
            span.__class__ = ours


def has_hook(span: Span) -> bool:
    """Whether a processor of ours has seen the span already: two on one provider are one."""
    return _KNOWN in span.__dict__


def attributes_of(span: Span) -> dict[str, Any]:
    """What the emitter wrote on a span, also what the SDK had to throw out of what decides the price."""
    found: Any = span.attributes
    try:  # in one go: reading through the SDK's mapping costs a call for each attribute
        attributes: dict[str, Any] = found.copy()
    except AttributeError:
        attributes = dict(found or {})
    members = span.__dict__
    return {**members[_SEEN], **attributes} if _SEEN in members else attributes


def _keep(span: Any, more: Any) -> None:
    """The span is full: keep what decides the price of what it has and of what comes."""
    try:
        seen = span.__dict__.get(_SEEN)
        if seen is None:
            seen = span.__dict__[_SEEN] = {}
            found = span.attributes
            seen.update((key, found[key]) for key in found if key in PRICE_INPUTS)
        seen.update((key, more[key]) for key in more if key in PRICE_INPUTS)
    except Exception as error:  # noqa: BLE001 - whatever it was, the SDK decides what to do with it
        swallowed("looking at attributes", error)


def _subclass(kind: Any, hook: Hook[Any]) -> type:
    def end(self: Any, end_time: int | None = None) -> None:
        known = self.__dict__.pop(_KNOWN, None)
        if known is not None:
            try:
                hook(known, self, end_time)
            except Exception as error:  # noqa: BLE001 - the span must end whatever happens to us
                swallowed("accounting for a span", error)
        kind.end(self, end_time)

    def set_attribute(self: Any, key: Any, value: Any) -> None:
        if _KNOWN in self.__dict__ and is_full(self, 1):
            _keep(self, {key: value} if isinstance(key, str) else {})
        kind.set_attribute(self, key, value)

    def set_attributes(self: Any, attributes: Any) -> None:
        more = len(attributes) if isinstance(attributes, Mapping) else 0
        if _KNOWN in self.__dict__ and is_full(self, more):
            _keep(self, attributes)
        kind.set_attributes(self, attributes)

    def add_event(self: Any, name: Any, attributes: Any = None, timestamp: Any = None) -> None:
        if attributes and _KNOWN in self.__dict__:
            attributes = _clean(self, name, attributes)
        kind.add_event(self, name, attributes, timestamp)

    members = {
        "end": end,
        "add_event": add_event,
        "set_attribute": set_attribute,
        "set_attributes": set_attributes,
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        _OURS: True,
    }
    return type(kind.__name__, (kind,), members)


def _clean(span: Any, name: Any, attributes: Any) -> Any:
    try:
        return clean_event(span, name, attributes)
    except Exception as error:  # noqa: BLE001 - what the event holds is the emitter's business
        swallowed("looking at an event", error)
        return attributes


def _wrap_instance(span: Any, hook: Hook[Any]) -> None:
    """Somebody has put an `end` on this very span: put ours around it."""
    inner = span.end

    def end(end_time: int | None = None) -> None:
        known = span.__dict__.pop(_KNOWN, None)
        if known is not None:
            try:
                hook(known, span, end_time)
            except Exception as error:  # noqa: BLE001 - as above
                swallowed("accounting for a span", error)
        inner(end_time)

    span.end = end
