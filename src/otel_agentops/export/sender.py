"""The thread that decides what becomes of encoded spans: sent, kept in files, or counted as dropped.

Spans come in through `put`, from any thread, which neither waits nor raises. Only this thread and the
shutdown touch what is under way; the courier alone waits for the collector. While that is away, everything
goes to the store as soon as an attempt has failed or takes too long, and is sent from there, oldest first.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, RLock, Thread
from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.export.agenda import KEEP_AGAIN_S, SLOW_S, Agenda
from otel_agentops.export.answers import Answer, Verdict
from otel_agentops.export.batches import Batch, Queue, new_id
from otel_agentops.export.courier import Courier
from otel_agentops.export.wire import request
from otel_agentops.failsafe import swallowed, warn_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agentops.export.answers import Transport
    from otel_agentops.export.counts import Counts
    from otel_agentops.export.store import Store, Taken
    from otel_agentops.export.wire import EncodedSpan

__all__ = ["LAST_S", "Limits", "Sender"]

_SMALLEST_PACK = 4_096


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much and how long.

    Attributes:
        pack_bytes: One request.
        soon_bytes: So many in memory are sent at once.
        spill_bytes: More than so many go to the store, even if the collector seems well.
        queue_bytes: Memory at most; then the oldest are dropped.
        delay_s: Seconds that spans wait for others.
        timeout_s: Seconds of one attempt.
    """

    pack_bytes: int
    soon_bytes: int = 500_000
    spill_bytes: int = 16_000_000
    queue_bytes: int = 64_000_000
    delay_s: float = 5.0
    timeout_s: float = 10.0


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
        self._changed = Condition(RLock())
        self._thread: Thread | None = None
        self._answer: Answer | None = None
        self._errand: _Errand | None = None
        self._pack_bytes = self._limits.pack_bytes
        self._agenda = Agenda(self._limits.soon_bytes, self._limits.delay_s)
        self._stopped = False

    def start(self) -> None:
        """Have the threads; they are made before they are needed, since an exiting Python makes none."""
        with self._changed:
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
        self._reset()

    # --- for the threads of the program ---

    def put(self, span: EncodedSpan) -> None:
        """Take a span over."""
        self.counts.add("ended", 1)
        if self._stopped:
            if self.store is None or not self.store.keep(Batch(new_id(), [span])):
                self.counts.drop("ended after the shutdown", 1)
            return
        if self._thread is None:
            self._start_if_possible()
        if not (self._at_once and self.store is not None and self.store.keep(Batch(new_id(), [span]))):
            self.counts.drop("memory full", self._queue.put(span))
        with self._changed:
            if self._agenda.came(span.size, time.monotonic()):
                self._changed.notify_all()

    def _start_if_possible(self) -> None:
        with suppress(RuntimeError):  # at the very end of the process; `stop` does it all then
            self.start()

    def adopt(self) -> None:
        """Take over what processes have left that are gone; otherwise the thread does it, now and then."""
        if self.store is not None and self.store.look_around():
            self._agenda.backlog = True

    def flush(self, timeout_s: float) -> bool:
        """Send what there is now; whether all of it was taken by the collector in time."""
        end = time.monotonic() + timeout_s
        with self._changed:
            lost, target = self._unhappy, self.counts.total
            self._agenda.flush_until = max(self._agenda.flush_until, end)
            self._agenda.retry_at = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.counts.settled >= target or self._stopped, timeout_s)
            return self.counts.settled >= target and self._unhappy == lost

    def stop(self, timeout_s: float) -> bool:
        """Send what there is, keep what cannot be sent in time, and end; returns as `flush` does."""
        with self._changed:
            lost = self._unhappy
            if self._thread is None or not self._thread.is_alive():
                self._keep_all()
                self._finish()
            else:
                self._agenda.stop_at = time.monotonic() + timeout_s
                self._agenda.retry_at = 0.0
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopped, timeout_s + LAST_S)
            return self.counts.waiting == 0 and self._unhappy == lost

    @property
    def _unhappy(self) -> int:
        return self.counts.set_aside + self.counts.lost

    # --- the thread ---

    def _run(self) -> None:
        while not self._stopped:
            with self._changed:
                if self._answer is None:
                    self._changed.wait(self._pause())
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
        now = time.monotonic()
        if self._answer is not None:
            self._take_answer()
        if self._agenda.look_now(now) and self.store is not None:
            self._agenda.backlog |= self.store.look_around()
        if self._errand is None and self._agenda.due(now):
            self._send_next(now)
        if self.store is not None:
            self._keep_if_needed(now)
        if self._agenda.stop_at is not None:
            self._stop_if_done(now, self._agenda.stop_at)

    def _send_next(self, now: float) -> None:
        """The oldest first: what is in files, then what is in memory."""
        taken = self.store.take(self._pack_bytes) if self.store is not None else None
        batch = taken.batch if taken is not None else Batch(new_id(), self._queue.take(self._pack_bytes))
        if not batch.spans:
            with self._changed:
                self._agenda.none_left(now, self._some_left)
            return
        with self._changed:
            self._agenda.went(sum(span.size for span in batch.spans), now)
        self._deliver(batch, taken)

    @property
    def _some_left(self) -> bool:
        """Whether another thread has put something there a moment ago."""
        return len(self._queue) > 0 or (self.store is not None and self.store.waiting > 0)

    def _deliver(self, batch: Batch, taken: Taken | None) -> None:
        self._errand = _Errand(batch, taken, time.monotonic())
        self._courier.deliver(request(batch.spans), batch.id, self._limits.timeout_s, self._answered)

    def _answered(self, answer: Answer) -> None:
        with self._changed:
            self._answer = answer
            self._changed.notify_all()

    # --- answers ---

    def _take_answer(self) -> None:
        answer, errand = self._answer, self._errand
        self._answer = self._errand = None
        if answer is None or errand is None:  # it was kept meanwhile
            return
        _REACTIONS[answer.verdict](self, errand, answer)
        with self._changed:
            self._changed.notify_all()

    def _sent(self, errand: _Errand, answer: Answer) -> None:
        self._agenda.taken()
        self.dispel()
        if errand.taken is not None and self.store is not None and not self.store.done(errand.taken):
            return  # made room for others meanwhile, and counted as dropped
        self.counts.add("delivered", len(errand.batch.spans) - answer.rejected)
        self.counts.drop("rejected by the collector", answer.rejected)

    def _later(self, errand: _Errand, answer: Answer) -> None:
        if not self._agenda.failures:
            warn_once(
                f"away {answer.reason}",
                "the collector cannot take spans now: %s%s",
                answer.reason,
                self.why(),
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
        warn_once(
            f"refused {answer.reason}",
            "the collector refused %d spans: %s%s",
            number,
            answer.reason,
            self.why(),
        )
        aside = self.store is not None and self.store.set_aside(errand.batch)
        if errand.taken is not None and self.store is not None and not self.store.done(errand.taken):
            return
        if aside:
            self.counts.add("set_aside", number)
        else:
            self.counts.drop("refused", number)

    # --- keeping ---

    def _give_back(self, batch: Batch) -> None:
        if self.store is None or not self.store.keep(batch):
            self.counts.drop("memory full", self._queue.put_back(batch.spans))

    def _keep_if_needed(self, now: float) -> None:
        slow = self._errand is not None and now - self._errand.since > SLOW_S
        away = slow or now < self._agenda.retry_at
        if now >= self._agenda.keep_at and (away or self._crowded):
            self._keep_queue()

    def _keep_queue(self) -> None:
        """Move memory to the store, as long as that takes it."""
        while self.store is not None and len(self._queue):
            batch = Batch(new_id(), self._queue.take(self._limits.soon_bytes))
            if not self.store.keep(batch):
                self.counts.drop("memory full", self._queue.put_back(batch.spans))
                self._agenda.keep_at = time.monotonic() + KEEP_AGAIN_S
                return
            self._agenda.backlog = True
        with self._changed:
            self._agenda.kept(now=time.monotonic(), more=len(self._queue) > 0)

    def _keep_all(self) -> None:
        """Also what the courier still has: better twice than never."""
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
            self._keep_all()
            self._finish()

    def _finish(self) -> None:
        left = len(self._queue)
        self.counts.drop("not sent before the end", left)
        self._queue.take(1 << 62)
        waiting = self.counts.waiting
        if waiting and self.store is not None:
            warn_once(
                "spooled",
                "%d spans could not be sent; they are kept in %s for the next start",
                waiting,
                self.store.directory,
            )
            self.store.close()
        with self._changed:
            self._courier.stop()
            self._stopped = True
            self._thread = None
            self._changed.notify_all()


LAST_S = 0.4
"""Seconds after the deadline for writing what is left to files."""

_REACTIONS = {
    Verdict.SENT: Sender._sent,
    Verdict.LATER: Sender._later,
    Verdict.SMALLER: Sender._smaller,
    Verdict.REFUSED: Sender._refused,
}
