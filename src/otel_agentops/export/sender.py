"""The thread that decides what becomes of encoded spans: sent, kept in files, or counted as dropped.

Spans come in through `put`, from any thread, which neither waits nor raises. Only this thread and the
shutdown touch what is under way; the courier alone waits for the collector. While that is away, everything
goes to the store as soon as an attempt has failed or takes too long, and is sent from there, oldest first.
"""

from __future__ import annotations

import functools
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.export.agenda import KEEP_AGAIN_S, SLOW_S, Agenda, Limits
from otel_agentops.export.answers import Answer, Verdict
from otel_agentops.export.batches import Batch, Queue, new_id
from otel_agentops.export.courier import Courier
from otel_agentops.export.inbox import Inbox, Waiters, encoded
from otel_agentops.export.late import put_late, rescue
from otel_agentops.export.wire import request
from otel_agentops.failsafe import swallowed, warn_once
from otel_agentops.interrupts import signals_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_agentops.export.answers import Transport
    from otel_agentops.export.counts import Counts
    from otel_agentops.export.store import Store, Taken
    from otel_agentops.export.wire import EncodedSpan

__all__ = ["LAST_S", "Sender"]

_SMALLEST_PACK = 4_096


class _Errand(NamedTuple):
    """What is with the courier: from memory, or from the store."""

    batch: Batch
    taken: Taken | None
    since: float


class Sender:
    """Everything between `put` and the collector, for one destination.

    Args:
        connect: Makes a transport.
        store: Where spans are kept that cannot be sent; None keeps them in memory.
        at_once: Write each span to the store before `put` returns.
        counts: What became of them.

    Attributes:
        why: Asked for what to add to the message about a batch that was not taken.
        dispel: Told that spans have arrived.
    """

    def __init__(
        self,
        connect: Callable[[], Transport],
        store: Store | None,
        limits: Limits,
        counts: Counts,
        at_once: bool = False,
    ) -> None:
        self.counts = counts
        self.store = store
        self.why: Callable[[], str] = str
        self.dispel: Callable[[], object] = bool
        self._connect = connect
        self._limits = limits
        self._at_once = at_once and store is not None
        self._reset()

    def _reset(self) -> None:
        self._queue = Queue(self._limits.queue_bytes)
        self._courier = Courier(self._connect)
        self._inbox = Inbox(self._limits.soon_bytes)
        self._waiters = Waiters()
        self._agenda = Agenda(self._limits)
        self._starting = Lock()
        self._thread: Thread | None = None
        self._answer: Answer | None = None
        self._errand: _Errand | None = None
        self._pack_bytes = self._limits.pack_bytes
        self._over = Event()

    def start(self) -> None:
        """Have the threads; they are made before they are needed, since an exiting Python makes none."""
        with self._starting, signals_elsewhere():
            if self._thread is None:
                self._courier.start()
                thread = Thread(target=self._run, name="otel-agentops-sender", daemon=True)
                thread.start()
                self._thread = thread

    def reborn(self) -> None:
        """In a forked child: what the parent had is the parent's; start with nothing."""
        self._inherited = (self._courier, self._queue)  # closing its connections here would disturb it
        if self.store is not None:
            self.store.reborn()
        self.counts.reset()
        over = self._over.is_set()
        self._reset()
        if over:
            self._over.set()

    # --- for the threads of the program ---

    def ended(self, span: ReadableSpan) -> None:
        """Take over a span that has just ended; the thread encodes it, unless it must be written at once."""
        if self._at_once or self._inbox.full or self._over.is_set():
            if (now := encoded(span, self.counts)) is not None:
                self.put(now)
            return
        if self._thread is None:
            self._start_if_possible()
        self._inbox.put_raw(span)
        if self._over.is_set():
            rescue(self._inbox, self.counts, self.store)

    def put(self, span: EncodedSpan) -> None:
        """Take a span over that is encoded."""
        if self._over.is_set() or self._inbox.held > self._limits.queue_bytes:
            put_late(span, self.counts, self.store, self._over.is_set())
            return
        if self._thread is None:
            self._start_if_possible()
        kept = self._at_once and self.store is not None and self.store.keep(Batch(new_id(), [span]))
        self._inbox.put(span, kept)
        if self._over.is_set():
            rescue(self._inbox, self.counts, self.store)

    def _start_if_possible(self) -> None:
        with suppress(RuntimeError):  # at the very end of the process; `stop` does it all then
            self.start()

    def _is_running(self) -> bool:
        if self._thread is None:
            self._start_if_possible()
        return self._thread is not None

    def adopt(self) -> None:
        """Take over what processes have left that are gone; otherwise the thread does it, now and then."""
        if self.store is not None and self.store.look_around():
            self._agenda.backlog = True

    def flush(self, timeout_s: float) -> bool:
        """Send what there is now; whether all of it was taken by the collector in time.

        What was not is in the store afterwards, if there is one.
        """
        if self._over.is_set() or not self._is_running():
            self._take_in()
            self._keep_all()
            return self.counts.waiting == 0
        self._agenda.retry_at = 0.0
        rest_s = min(LAST_S, timeout_s / 10) if self.store is not None else 0.0
        return self._waiters.wait(self._inbox, timeout_s - rest_s, rest_s)

    def stop(self, timeout_s: float) -> bool:
        """Send what there is, keep what cannot be sent in time, and end; returns as `flush` does."""
        lost = self._unhappy
        if self._over.is_set():
            pass
        elif not self._is_running():
            self._take_in()
            self._keep_all()
            self._finish()
        else:
            self._agenda.stop(time.monotonic(), timeout_s)
            self._inbox.ring()
            self._over.wait(timeout_s + LAST_S)
        return self.counts.waiting == 0 and self._unhappy == lost

    @property
    def _unhappy(self) -> int:
        return self.counts.set_aside + self.counts.lost

    # --- the thread ---

    def _run(self) -> None:
        while not self._over.is_set():
            if self._answer is None:
                self._inbox.sleep(self._pause(), unless_put=not self._agenda.timed)
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - and not again and again at once
                self._agenda.away(time.monotonic())
                swallowed("sending spans", error)

    def _pause(self) -> float:
        since = self._errand.since if self._errand is not None else None
        return self._agenda.pause(time.monotonic(), since, self.store is not None, self._crowded)

    @property
    def _crowded(self) -> bool:
        return self._queue.size > self._limits.spill_bytes

    def _step(self) -> None:
        now, stop_at = time.monotonic(), self._agenda.stop_at  # before the look at what has come in
        self._agenda.flushing = self._waiters.see()
        self._take_in()
        if self._answer is not None:
            self._take_answer()
        if self._agenda.look_now(now) and self.store is not None:
            self._agenda.backlog |= self.store.look_around()
        if self._errand is None and self._agenda.due(now):
            self._send_next(now)
        if self.store is not None:
            self._keep_if_needed(now)
        self._agenda.flushing = self._waiters.tell(self.counts, self._unhappy)
        if stop_at is not None:
            self._stop_if_done(now, stop_at)

    def _take_in(self) -> None:
        """What has come in; those that are in the store are numbers."""
        for span in self._inbox.take(self.counts):
            if isinstance(span, int):
                self._agenda.came(span, time.monotonic())
            else:
                self._make_room(span.size)
                self.counts.drop("memory full", self._queue.put(span))
                self._agenda.came(span.size, time.monotonic())

    def _make_room(self, size: int) -> None:
        """What memory cannot hold goes to the store, as long as that takes it, before anything is lost."""
        full = self._queue.size + size > self._limits.queue_bytes
        if full and self.store is not None and time.monotonic() >= self._agenda.keep_at:
            self._keep_errand()
            self._keep_queue()

    def _send_next(self, now: float) -> None:
        """The oldest first: what is in files, then what is in memory."""
        taken = self.store.take(self._pack_bytes) if self.store is not None else None
        batch = taken.batch if taken is not None else Batch(new_id(), self._queue.take(self._pack_bytes))
        if not batch.spans:
            self._agenda.none_left(now)
            return
        self._agenda.went(sum(span.size for span in batch.spans), now)
        self._deliver(batch, taken)

    def _deliver(self, batch: Batch, taken: Taken | None) -> None:
        self._errand = _Errand(batch, taken, time.monotonic())
        self._courier.deliver(request(batch.spans), batch.id, self._limits.timeout_s, self._answered)

    def _answered(self, answer: Answer) -> None:
        self._answer = answer
        self._inbox.ring()

    # --- answers ---

    def _take_answer(self) -> None:
        answer, errand = self._answer, self._errand
        self._answer = self._errand = None
        if answer is None or errand is None:  # it was kept meanwhile
            return
        _REACTIONS[answer.verdict](self, errand, answer)

    def _sent(self, errand: _Errand, answer: Answer) -> None:
        self._agenda.taken()
        self.dispel()
        if errand.taken is not None and self.store is not None and not self.store.done(errand.taken):
            return  # made room for others meanwhile, and counted as dropped
        self.counts.add("delivered", len(errand.batch.spans) - answer.rejected)
        self.counts.drop("rejected by the collector", answer.rejected)

    def _later(self, errand: _Errand, answer: Answer) -> None:
        if not self._agenda.failures:
            self._courier.also(
                functools.partial(self._complain, "the collector cannot take spans now", answer)
            )
        self._agenda.away(time.monotonic(), answer.retry_after_s)
        if errand.taken is None:
            self._give_back(errand.batch)

    def _smaller(self, errand: _Errand, answer: Answer) -> None:
        batch, size = errand.batch, sum(span.size for span in errand.batch.spans)
        if len(batch.spans) > 1:
            self._pack_bytes = max(size // 2, _SMALLEST_PACK)
            self._agenda.backlog = True
            if errand.taken is None:
                self._make_room(size)
                self.counts.drop("memory full", self._queue.put_back(batch.spans))
            return
        from otel_agentops.export.oversize import cut_to_fit  # noqa: PLC0415 - needs protobuf, and seldom

        cut = cut_to_fit(batch.spans[0], min(size // 2, self._pack_bytes))
        if cut is None:
            self._refused(errand, answer)
        else:
            self._deliver(batch._replace(spans=[cut]), errand.taken)

    def _refused(self, errand: _Errand, answer: Answer) -> None:
        number = len(errand.batch.spans)
        self._courier.also(functools.partial(self._complain, f"the collector refused {number} spans", answer))
        aside = self.store is not None and self.store.set_aside(errand.batch, errand.taken)
        if aside:
            self.counts.add("set_aside", number)
        elif aside is not None:
            self.counts.drop("refused", number)

    def _complain(self, what: str, answer: Answer) -> None:
        """On the courier's thread, since finding out why may take a while."""
        warn_once(f"{answer.verdict} {answer.reason}", "%s: %s%s", what, answer.reason, self.why())

    # --- keeping ---

    def _give_back(self, batch: Batch) -> None:
        if self.store is None or not self.store.keep(batch):
            self.counts.drop("memory full", self._queue.put_back(batch.spans))

    def _keep_if_needed(self, now: float) -> None:
        slow = self._errand is not None and now - self._errand.since > SLOW_S
        away = slow or now < self._agenda.retry_at
        hurry = self._waiters.hurry or now >= self._agenda.save_at
        if hurry or (now >= self._agenda.keep_at and (away or self._crowded)):
            self._keep_errand()  # before others are there, which go first
            self._keep_queue()

    def _keep_errand(self) -> None:
        """What the courier still has goes to the store first, and is settled there if it arrives."""
        errand = self._errand
        if errand is not None and errand.taken is None and self.store is not None:
            self._errand = errand._replace(taken=self.store.keep_alone(errand.batch))

    def _keep_queue(self) -> None:
        """Move memory to the store, as long as that takes it."""
        while self.store is not None and len(self._queue):
            batch = Batch(new_id(), self._queue.take(self._limits.soon_bytes))
            if not self.store.keep(batch):
                self.counts.drop("memory full", self._queue.put_back(batch.spans))
                self._agenda.keep_at = time.monotonic() + KEEP_AGAIN_S
                return
            self._agenda.backlog = True
        self._agenda.kept()

    def _keep_all(self) -> None:
        """Also what the courier still has: better twice than never."""
        self._keep_errand()
        errand, self._errand = self._errand, None
        if errand is not None and errand.taken is None:
            self._give_back(errand.batch)
        self._keep_queue()

    # --- the end ---

    def _stop_if_done(self, now: float, stop_at: float) -> None:
        empty = self._errand is None and not self.counts.waiting
        kept = self._errand is None and not len(self._queue)
        hopeless = kept and self._agenda.failures and now < self._agenda.retry_at
        if empty or hopeless or now >= stop_at:
            self._take_in()
            self._keep_all()
            self._finish()

    def _finish(self) -> None:
        left = len(self._queue)
        self.counts.drop("not sent before the end", left)
        self._queue.take(1 << 62)
        waiting = self.counts.waiting
        if self.store is not None:
            self.store.close()
        if waiting and self.store is not None:
            warn_once(
                "spooled",
                "%d spans could not be sent; they are kept in %s for the next start",
                waiting,
                self.store.directory,
            )
        self._courier.stop()
        self._thread = None
        self._over.set()
        rescue(self._inbox, self.counts, self.store)
        self._waiters.see()
        self._waiters.tell(self.counts, self._unhappy)


LAST_S = 0.4
"""Seconds after the deadline for writing what is left to files."""

_REACTIONS = {
    Verdict.SENT: Sender._sent,
    Verdict.LATER: Sender._later,
    Verdict.SMALLER: Sender._smaller,
    Verdict.REFUSED: Sender._refused,
}
