"""The thread that talks to the collector, so that the one which decides never waits for a server."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_agentops.export.answers import Answer, Verdict
from otel_agentops.failsafe import failsafe

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agentops.export.answers import Transport

__all__ = ["Courier"]


class _Errand(NamedTuple):
    body: bytes
    batch_id: bytes
    timeout_s: float
    done: Callable[[Answer], object]


class Courier:
    """Delivers one batch after the other.

    Args:
        connect: Makes the transport, at the first batch.
    """

    def __init__(self, connect: Callable[[], Transport]) -> None:
        self._connect = connect
        self._transport: Transport | None = None
        self._errands: SimpleQueue[_Errand | Callable[[], object] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Have the thread.

        Raises:
            RuntimeError: The interpreter starts no threads any more.
        """
        if self._thread is None:
            thread = Thread(target=self._work, name="otel-agentops-courier", daemon=True)
            thread.start()
            self._thread = thread

    def deliver(
        self, body: bytes, batch_id: bytes, timeout_s: float, done: Callable[[Answer], object]
    ) -> None:
        """Send; `done` is called with the answer on the courier's thread."""
        self._errands.put(_Errand(body, batch_id, timeout_s, done))

    def also(self, work: Callable[[], object]) -> None:
        """Do this after what is under way."""
        self._errands.put(work)

    def stop(self) -> None:
        """End after what is under way."""
        self._errands.put(None)

    def _work(self) -> None:
        with suppress_instrumentation():
            while (errand := self._errands.get()) is not None:
                if isinstance(errand, _Errand):
                    errand.done(self._send(errand))
                else:
                    with failsafe("saying why spans do not arrive"):
                        errand()
        if self._transport is not None:
            self._transport.close()

    def _send(self, errand: _Errand) -> Answer:
        try:
            if self._transport is None:
                self._transport = self._connect()
            return self._transport.send(errand.body, errand.batch_id, errand.timeout_s)
        except Exception as error:  # noqa: BLE001 - a certificate that is not there may be there later
            return Answer(Verdict.LATER, type(error).__name__)
