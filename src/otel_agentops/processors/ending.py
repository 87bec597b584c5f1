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
from typing import TYPE_CHECKING, Any, TypeVar

from otel_agentops.accounting import PRICE_INPUTS
from otel_agentops.failsafe import swallowed
from otel_agentops.processors.content import clean_event
from otel_agentops.processors.room import is_full

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

__all__ = ["attributes_of", "before_end", "copy_of", "has_hook"]

_HOOK = "_otel_agentops_hook"
_SEEN = "_otel_agentops_seen"
_OURS = "_otel_agentops_class"

T = TypeVar("T")
Hook = Callable[[T, "Span", "int | None"], None]
_NO_HOOK = None, None

_classes: dict[type, type] = {}
"""Span class -> its subclass; a program has one or two."""


def before_end(span: Span, hook: Hook[T], known: T) -> None:
    """Call `hook(known, span, end_time)` when the span ends, while it can still be written to.

    Args:
        span: A span that is just starting.
        hook: Run once, on the thread that ends the span; what it raises is swallowed.
        known: What the hook is to know of the span.
    """
    members = vars(span)
    if "end" in members:
        _wrap_instance(span, hook, known)
        return
    kind = type(span)
    ours = _classes.get(kind)
    if ours is None:
        ours = kind if hasattr(kind, _OURS) else _subclass(kind)
    if ours is not kind:
        span.__class__ = ours
    members[_HOOK] = hook, known


def has_hook(span: Span) -> bool:
    """Whether a processor of ours has seen the span already: two on one provider are one."""
    return hasattr(span, _HOOK)


def attributes_of(span: Span) -> dict[str, Any]:
    """What the emitter wrote on a span, also what the SDK had to throw out of what decides the price."""
    attributes = copy_of(span)
    members = vars(span)
    return {**members[_SEEN], **attributes} if _SEEN in members else attributes


def copy_of(span: Span) -> dict[str, Any]:
    """What is on a span now."""
    found: Any = span.attributes
    try:  # in one go: reading through the SDK's mapping costs a call for each attribute
        return found.copy()  # type: ignore[no-any-return]  # a dict
    except AttributeError:
        return dict(found or {})


def _keep(span: Any, more: Any) -> None:
    """The span is full: keep what decides the price of what it has and of what comes."""
    try:
        seen = vars(span).get(_SEEN)
        if seen is None:
            seen = vars(span)[_SEEN] = {}
            found = span.attributes
            seen.update((key, found[key]) for key in found if key in PRICE_INPUTS)
        seen.update((key, more[key]) for key in more if key in PRICE_INPUTS)
    except Exception as error:  # noqa: BLE001 - whatever it was, the SDK decides what to do with it
        swallowed("looking at attributes", error)


def _subclass(kind: Any) -> type:
    def end(self: Any, end_time: int | None = None) -> None:
        hook, known = vars(self).pop(_HOOK, _NO_HOOK)
        if hook is not None and self.is_recording():
            try:
                hook(known, self, end_time)
            except Exception as error:  # noqa: BLE001 - the span must end whatever happens to us
                swallowed("accounting for a span", error)
        kind.end(self, end_time)

    def set_attribute(self: Any, key: Any, value: Any) -> None:
        if _HOOK in vars(self) and is_full(self, 1):
            _keep(self, {key: value} if isinstance(key, str) else {})
        kind.set_attribute(self, key, value)

    def set_attributes(self: Any, attributes: Any) -> None:
        if _HOOK in vars(self) and is_full(self, len(attributes) if isinstance(attributes, Mapping) else 0):
            _keep(self, attributes)
        kind.set_attributes(self, attributes)

    def add_event(self: Any, name: Any, attributes: Any = None, timestamp: Any = None) -> None:
        if attributes and _HOOK in vars(self):
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
    _classes[kind] = type(kind.__name__, (kind,), members)
    return _classes[kind]


def _clean(span: Any, name: Any, attributes: Any) -> Any:
    try:
        return clean_event(span, name, attributes)
    except Exception as error:  # noqa: BLE001 - what the event holds is the emitter's business
        swallowed("looking at an event", error)
        return attributes


def _wrap_instance(span: Any, hook: Hook[T], known: T) -> None:
    """Somebody has put an `end` on this very span: put ours around it."""
    inner = span.end

    def end(end_time: int | None = None) -> None:
        if span.is_recording():
            try:
                hook(known, span, end_time)
            except Exception as error:  # noqa: BLE001 - as above
                swallowed("accounting for a span", error)
        inner(end_time)

    span.end = end
