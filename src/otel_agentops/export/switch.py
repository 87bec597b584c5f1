"""Between a provider, which keeps what was added to it for good, and what is connected now."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor

from otel_agentops.failsafe import failsafe, swallowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Switch"]


class Switch(SpanProcessor):
    """Passes ended spans on to what is connected now: a provider can add processors but never drop one.

    Args:
        wake: Called in a forked child when the first span of its own ends.
    """

    targets: tuple[SpanProcessor, ...] = ()

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._forked = False
        os.register_at_fork(after_in_child=self._note_fork)

    def _note_fork(self) -> None:
        self._forked = True

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on; a failing destination must not keep the span from the next one."""
        if self._forked:  # the first in this child: its exit will need threads that it must have before
            self._forked = False
            # where the interpreter is ending none can be had, and whoever needs one does the work itself
            with failsafe("starting threads in a child process"), suppress(RuntimeError):
                self._wake()
        for target in self.targets:
            try:
                target.on_end(span)
            except Exception as error:  # noqa: BLE001 - as said
                swallowed("handing on a span", error)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Pass on, for those who flush the provider themselves."""
        answers = [target.force_flush(timeout_millis) for target in self.targets]
        return all(answers)
