"""Keep count of the calls that have no price, and say so once for each kind."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

from otel_agentops.failsafe import warn_once
from otel_agentops.pricing.outcome import ADVICE
from otel_agentops.records import Cost

if TYPE_CHECKING:
    from otel_agentops.records import ModelCall

__all__ = ["Unpriced"]

_KINDS = 4096


class Unpriced:
    """Counts calls without a price.

    Attributes:
        counts: Calls by provider, model and reason; at most 4096 different ones.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._lock = Lock()

    def cost(self, call: ModelCall, reason: str) -> Cost:
        """Count a call and return its cost, which is unknown.

        A call that failed without usage was not billed: there is nothing to count or to warn of.
        """
        if reason == "no_usage" and call.ending == "error" and call.first_chunk_s is None:
            return Cost(None, reason=reason)
        kind = (call.provider or "?", call.response_model or call.request_model or "?", reason)
        self._count(kind)
        if call.ending == "abandoned" and call.first_chunk_s is None:  # cut off: nobody could have asked
            return Cost(None, reason=reason)
        warn_once(
            f"unpriced:{':'.join(kind)}",
            "no price for a call to provider %r, model %r (%s): %s",
            *kind,
            ADVICE[reason],
        )
        return Cost(None, reason=reason)

    def _count(self, kind: tuple[str, str, str]) -> None:
        # A lock that a fork left closed must not stop the child: the count is worth less than the call.
        if not self._lock.acquire(timeout=0.05):
            return
        try:
            if kind in self.counts or len(self.counts) < _KINDS:
                self.counts[kind] += 1
        finally:
            self._lock.release()
