"""A span that is made current by a callback and may have to be left there.

A callback that starts something can make it current for what follows; the one that ends it often runs in
another `contextvars` context (a task of its own, as async frameworks do) and cannot undo that. What is
put in place is therefore a stand-in, which is the span for as long as it is open and the span around it
from then on: whoever starts something afterwards gets the right parent, whatever was left behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from otel_agentops.spans.proxy import Proxy

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_agentops.spans.opened import Open

__all__ = ["Loose", "attach_loosely", "firm"]


class Loose(Proxy):
    """The span of an open record, and after its end (or `passed`) the one that was around it."""

    _self_opened: Open
    _self_around: Span
    _self_passed: bool

    def __init__(self, opened: Open, around: Any) -> None:
        # what is over is not kept: a loop in one task would grow a chain otherwise
        if type(around) is Loose and around._self_over:
            around = around.__wrapped__
        vars(self).update(_self_opened=opened, _self_around=around, _self_passed=False)

    @property
    def _self_over(self) -> bool:
        return self._self_passed or self._self_opened.finished

    @property
    def __wrapped__(self) -> Any:
        if not self._self_passed and not self._self_opened.finished:
            return self._self_opened.span
        found: Any = self._self_around
        while type(found) is Loose:
            found = found._self_around if found._self_over else found._self_opened.span
        return found

    def get_span_context(self) -> Any:
        """Of the span that it stands for; written out, since every span that starts asks."""
        return self.__wrapped__.get_span_context()

    def pass_on(self) -> None:
        """Stand for the span around from now on, although this one is still open."""
        self._self_passed = True


def firm(context: Context) -> tuple[Context, Any]:
    """A context with the span itself instead of a stand-in, and that span."""
    span: Any = trace.get_current_span(context)
    if type(span) is not Loose:
        return context, span
    span = span.__wrapped__
    return trace.set_span_in_context(span, context), span


def attach_loosely(opened: Open, context: Context | None = None) -> tuple[Context, Context, Loose]:
    """Make the span of a record current until it ends, wherever that is.

    Args:
        opened: The record.
        context: What to put it on; the current context when None.

    Returns:
        The context of before, the one that is current now, and the stand-in in it.
    """
    before = otel_context.get_current() if context is None else context
    stand_in = Loose(opened, trace.get_current_span(before))
    ours = trace.set_span_in_context(stand_in, before)  # type: ignore[arg-type]  # it says it is a span
    otel_context.attach(ours)
    return before, ours, stand_in
