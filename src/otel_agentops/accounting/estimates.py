"""What a call will cost, before it is sent: by the bytes that go out, and by earlier answers of the model."""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from otel_agentops.accounting.budgets import Amount
from otel_agentops.records import ModelCall, Usage

if TYPE_CHECKING:
    from otel_agentops.pricing import PriceBook

__all__ = ["Estimates"]

_BYTES_A_TOKEN = 4
_REMEMBERED = 64
"""Answers of a model that its usual length is taken from."""
_MODELS = 1024
_PROBE = 1000
_PERCENTILE = 0.95
_FRESH_S = 300.0
"""Prices may change; so long a rate is believed."""
_NOTHING = Decimal(0)


class _Outputs:
    """The lengths of a model's last answers."""

    __slots__ = ("_last", "_sorted")

    def __init__(self) -> None:
        self._last: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, tokens: int) -> None:
        self._last.append(tokens)
        insort(self._sorted, tokens)
        if len(self._last) > _REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]

    @property
    def usual(self) -> int:
        """So long or shorter are 95 of 100 answers; 0 before there was one."""
        return self._sorted[int(len(self._sorted) * _PERCENTILE)] if self._sorted else 0


class Estimates:
    """Estimates of one runtime; the caller holds the lock of `Budgets`.

    Args:
        book: Where prices come from.
    """

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._outputs: dict[tuple[str | None, str | None], _Outputs] = {}
        self._rates: dict[tuple[str | None, ...], tuple[float, tuple[Decimal, Decimal] | None]] = {}

    def of(self, call: ModelCall, now_s: float) -> tuple[Amount, bool]:
        """What a call may use, and whether its price is known; `now_s` only goes forward."""
        sent = (call.input_bytes or 0) // _BYTES_A_TOKEN
        received = call.max_tokens
        if received is None:
            outputs = self._outputs.get((call.provider, call.request_model))
            received = outputs.usual if outputs is not None else 0
        if call.operation == "embeddings":
            received = 0
        if call.choice_count is not None:
            received *= call.choice_count
        rates = self._rate(call, now_s)
        usd = rates[0] * sent + rates[1] * received if rates is not None else _NOTHING
        return Amount(usd, sent + received, 1), rates is not None

    def learn(self, call: ModelCall) -> None:
        """A call has ended: how long its answer was."""
        usage = call.usage
        if usage is None or usage.output_tokens is None or call.ending != "complete":
            return
        key = call.provider, call.request_model
        outputs = self._outputs.get(key)
        if outputs is None:
            if len(self._outputs) >= _MODELS:
                self._outputs.pop(next(iter(self._outputs)))
            outputs = self._outputs[key] = _Outputs()
        outputs.add(usage.output_tokens // (call.choice_count or 1))

    def _rate(self, call: ModelCall, now_s: float) -> tuple[Decimal, Decimal] | None:
        key = call.provider, call.request_model, call.server_address, call.processing, call.operation
        known = self._rates.get(key)
        if known is not None and now_s - known[0] < _FRESH_S:
            return known[1]
        rates = self._probe(call, time.time_ns())
        if len(self._rates) >= _MODELS:
            self._rates.clear()
        self._rates[key] = now_s, rates
        return rates

    def _probe(self, call: ModelCall, now_ns: int) -> tuple[Decimal, Decimal] | None:
        """US dollars of one token sent and of one received; None where they are unknown."""
        found: list[Decimal] = []
        for usage in (Usage(_PROBE, 0), Usage(0, _PROBE)):
            probe = ModelCall(call.provider, call.request_model, call.operation, usage=usage)
            probe.server_address, probe.processing = call.server_address, call.processing
            probe.inference_geo, probe.api_type = call.inference_geo, call.api_type
            usd = self._book.estimate(probe, now_ns)
            if usd is None:
                return None
            found.append(usd / _PROBE)
        return found[0], found[1]
