"""Running our accounting before a span ends, on spans that others make.

The SDK freezes a span's attributes before any processor hears of its end, so a processor cannot add a
cost (github.com/open-telemetry/opentelemetry-python/issues/5614). Until that is solved, a starting span
is given a subclass of its own class whose `end()` calls us first and then the real one. Only public
methods are used; when the SDK offers a hook, this file goes.

A span keeps a limited number of attributes and throws out the oldest, which are often the model and the
counts. So the subclass also looks at attributes as they are set and keeps those that decide the price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from otel_agentops.accounting import PRICE_INPUTS
from otel_agentops.failsafe import swallowed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

__all__ = ["attributes_of", "before_end"]

_HOOKS = "_otel_agentops_hooks"
_SEEN = "_otel_agentops_seen"

Hook = Callable[["Span", "int | None"], None]

_classes: WeakKeyDictionary[type, type] = WeakKeyDictionary()


def before_end(span: Span, hook: Hook) -> None:
    """Call `hook(span, end_time)` when the span ends, while it can still be written to.

    Args:
        span: A span that is just starting.
        hook: Runs once, on the thread that ends the span; what it raises is swallowed.
    """
    kind, members = type(span), vars(span)
    if "end" in members:
        _wrap_instance(span, hook)
        return
    if not hasattr(kind, "_otel_agentops_hook"):
        span.__class__ = _classes.get(kind) or _subclass(kind)
    hooks = members.get(_HOOKS)
    if hooks is None:
        members[_HOOKS] = (hook,)
        _keep_first(span)
    elif hook not in hooks:  # two processors of ours on one provider are one
        members[_HOOKS] = (*hooks, hook)


def attributes_of(span: Span) -> dict[str, Any]:
    """What the emitter wrote on a span, also what the SDK had to throw out of what decides the price."""
    found: Any = span.attributes
    # a copy in one go: reading through the SDK's mapping costs a call for each attribute
    attributes: dict[str, Any] = found.copy() if hasattr(found, "copy") else dict(found or {})
    if span.dropped_attributes:
        seen = vars(span).get(_SEEN)
        if seen:
            return {**seen, **attributes}
    return attributes


def _keep_first(span: Span) -> None:
    """Keep what a span has been started with."""
    found = span.attributes
    if found:
        attributes: Mapping[str, Any] = found.copy() if hasattr(found, "copy") else found
        if not PRICE_INPUTS.isdisjoint(attributes):
            vars(span)[_SEEN] = {key: value for key, value in attributes.items() if key in PRICE_INPUTS}


def _keep(span: Any, attributes: Any) -> None:
    try:
        if not PRICE_INPUTS.isdisjoint(attributes):
            seen = vars(span).setdefault(_SEEN, {})
            seen.update((key, attributes[key]) for key in attributes if key in PRICE_INPUTS)
    except Exception as error:  # noqa: BLE001 - whatever it was, the SDK decides what to do with it
        swallowed("looking at attributes", error)


def _subclass(kind: Any) -> type:
    def end(self: Any, end_time: int | None = None) -> None:
        members = vars(self)
        hooks = members.pop(_HOOKS, ())
        if hooks and self.is_recording():
            for hook in hooks:
                _run(hook, self, end_time)
        members.pop(_SEEN, None)
        kind.end(self, end_time)

    def set_attribute(self: Any, key: Any, value: Any) -> None:
        if isinstance(key, str) and key in PRICE_INPUTS and _HOOKS in vars(self):
            vars(self).setdefault(_SEEN, {})[key] = value
        kind.set_attribute(self, key, value)

    def set_attributes(self: Any, attributes: Any) -> None:
        if _HOOKS in vars(self):
            _keep(self, attributes)
        kind.set_attributes(self, attributes)

    members = {
        "end": end,
        "set_attribute": set_attribute,
        "set_attributes": set_attributes,
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "_otel_agentops_hook": True,
    }
    _classes[kind] = type(kind.__name__, (kind,), members)
    return _classes[kind]


def _wrap_instance(span: Any, hook: Hook) -> None:
    """Somebody has put an `end` on this very span: put ours around it."""
    inner = span.end

    def end(end_time: int | None = None) -> None:
        if span.is_recording():
            _run(hook, span, end_time)
        inner(end_time)

    span.end = end


def _run(hook: Hook, span: Any, end_time: int | None) -> None:
    try:
        hook(span, end_time)
    except Exception as error:  # noqa: BLE001 - the span must end whatever happens to us
        swallowed("accounting for a span", error)
