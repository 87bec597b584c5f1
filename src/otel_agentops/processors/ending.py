"""Running our accounting before a span ends, on spans that others make.

The SDK freezes a span's attributes before any processor hears of its end, so a processor cannot add a
cost (github.com/open-telemetry/opentelemetry-python/issues/5614). Until that is solved, a starting span
is given a subclass of its own class whose `end()` calls us first and then the real one. Only public
methods are used; when the SDK offers a hook, this file goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from otel_agentops.failsafe import swallowed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

__all__ = ["before_end"]

_HOOKS = "_otel_agentops_hooks"

Hook = Callable[["Span"], None]

_classes: WeakKeyDictionary[type, type] = WeakKeyDictionary()


def before_end(span: Span, hook: Hook) -> None:
    """Call `hook(span)` when the span ends, while it can still be written to.

    Args:
        span: A span that is just starting.
        hook: Runs once, on the thread that ends the span; what it raises is swallowed.
    """
    kind = type(span)
    if "end" in vars(span):
        _wrap_instance(span, hook)
        return
    if not hasattr(kind, "_otel_agentops_hook"):
        span.__class__ = _classes.get(kind) or _subclass(kind)
    hooks = vars(span).get(_HOOKS, ())
    if hook not in hooks:  # two processors of ours on one provider are one
        vars(span)[_HOOKS] = (*hooks, hook)


def _subclass(kind: type) -> type:
    def end(self: Any, end_time: int | None = None) -> None:
        hooks = vars(self).pop(_HOOKS, ())
        if hooks and self.is_recording():
            for hook in hooks:
                _run(hook, self)
        kind.end(self, end_time)  # type: ignore[attr-defined]  # a span class

    members = {"end": end, "__module__": kind.__module__, "_otel_agentops_hook": True}
    _classes[kind] = type(kind.__name__, (kind,), members)
    return _classes[kind]


def _wrap_instance(span: Any, hook: Hook) -> None:
    """Somebody has put an `end` on this very span: put ours around it."""
    inner = span.end

    def end(end_time: int | None = None) -> None:
        if span.is_recording():
            _run(hook, span)
        inner(end_time)

    span.end = end


def _run(hook: Hook, span: Any) -> None:
    try:
        hook(span)
    except Exception as error:  # noqa: BLE001 - the span must end whatever happens to us
        swallowed("accounting for a span", error)
