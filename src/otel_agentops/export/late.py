"""Spans that come when the sending thread has stopped, or cannot look: to files, or counted as dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentops.export.batches import Batch, new_id

if TYPE_CHECKING:
    from otel_agentops.export.counts import Counts
    from otel_agentops.export.inbox import Inbox
    from otel_agentops.export.store import Store
    from otel_agentops.export.wire import EncodedSpan

__all__ = ["put_late", "rescue"]


def put_late(span: EncodedSpan, counts: Counts, store: Store | None, over: bool) -> None:
    """After the end (`over`), or while a disk keeps the thread from looking."""
    counts.add("ended", 1)
    _keep(span, counts, store, over)


def rescue(inbox: Inbox, counts: Counts, store: Store | None) -> None:
    """What was handed over while the thread looked for the last time; whoever takes it out has it."""
    for span in inbox.take(counts):
        if not isinstance(span, int):
            _keep(span, counts, store, True)


def _keep(span: EncodedSpan, counts: Counts, store: Store | None, over: bool) -> None:
    if store is None or not store.keep(Batch(new_id(), [span])):
        counts.drop("ended after the shutdown" if over else "memory full", 1)
