"""What a call will cost, before it is sent: by the bytes that go out, and by earlier answers of the model."""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from otel_agentops.accounting.budgets import Amount
from otel_agentops.accounting.ledger import EXACT
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

_Rates = tuple[int, int, Decimal]
"""Rates of a token sent and of one received as whole numbers, and what one is worth in US dollars."""
_multiply = EXACT.multiply


class _Outputs:
    """The lengths of a model's last answers.

    Attributes:
        usual: So long or shorter are 95 of 100 answers; 0 before there was one.
    """

    __slots__ = ("_last", "_sorted", "usual")

    def __init__(self) -> None:
        self.usual = 0
        self._last: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, tokens: int) -> None:
        self._last.append(tokens)
        insort(self._sorted, tokens)
        if len(self._last) > _REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]
        self.usual = self._sorted[int(len(self._sorted) * _PERCENTILE)]


class _Model:
    """What is known of the calls of one model at one place, for a while.

    Attributes:
        until_s: So long it is believed.
        rates: US dollars of one token sent and of one received; None where they are unknown.
        outputs: Lengths of its last answers.
    """

    __slots__ = ("outputs", "rates", "until_s")

    def __init__(self, until_s: float, rates: _Rates | None, outputs: _Outputs) -> None:
        self.until_s = until_s
        self.rates = rates
        self.outputs = outputs


class Estimates:
    """Estimates of one runtime; the caller holds the lock of `Budgets`.

    Args:
        book: Where prices come from.
    """

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._outputs: dict[tuple[str | None, str | None], _Outputs] = {}
        self._models: dict[tuple[str | None, ...], _Model] = {}

    def of(self, call: ModelCall, now_s: float) -> tuple[Amount, bool]:
        """What a call may use, and whether its price is known; `now_s` only goes forward."""
        key = call.provider, call.request_model, call.server_address, call.processing, call.operation
        model = self._models.get(key)
        if model is None or now_s >= model.until_s:
            model = self._look_up(key, call, now_s)
        sent = (call.input_bytes or 0) // _BYTES_A_TOKEN
        received = call.max_tokens
        if received is None:
            received = model.outputs.usual
        if call.operation == "embeddings":
            received = 0
        elif call.choice_count is not None:
            received *= call.choice_count
        rates = model.rates
        if rates is None:
            return Amount(_NOTHING, sent + received, 1), False
        sent_rate, received_rate, unit = rates
        usd = _multiply(sent_rate * sent + received_rate * received, unit)
        return Amount(usd, sent + received, 1), True

    def learn(self, call: ModelCall) -> None:
        """A call has ended: how long its answer was."""
        usage = call.usage
        if usage is None or usage.output_tokens is None or call.ending != "complete":
            return
        self._lengths(call).add(usage.output_tokens // (call.choice_count or 1))

    def _lengths(self, call: ModelCall) -> _Outputs:
        key = call.provider, call.request_model
        outputs = self._outputs.get(key)
        if outputs is None:
            if len(self._outputs) >= _MODELS:
                self._outputs.pop(next(iter(self._outputs)))
            outputs = self._outputs[key] = _Outputs()
        return outputs

    def _look_up(self, key: tuple[str | None, ...], call: ModelCall, now_s: float) -> _Model:
        rates = self._probe(call, time.time_ns())
        if len(self._models) >= _MODELS:
            self._models.clear()
        self._models[key] = model = _Model(now_s + _FRESH_S, rates, self._lengths(call))
        return model

    def _probe(self, call: ModelCall, now_ns: int) -> _Rates | None:
        """What one token sent and one received cost; None where that is unknown."""
        found: list[Decimal] = []
        for usage in (Usage(_PROBE, 0), Usage(0, _PROBE)):
            probe = ModelCall(call.provider, call.request_model, call.operation, usage=usage)
            probe.server_address, probe.processing = call.server_address, call.processing
            probe.inference_geo, probe.api_type = call.inference_geo, call.api_type
            usd = self._book.estimate(probe, now_ns)
            if usd is None:
                return None
            found.append(EXACT.divide(usd, _PROBE))
        return _in_units(*found)


def _in_units(sent: Decimal, received: Decimal) -> _Rates:
    smallest = min(int(each.as_tuple().exponent) for each in (sent, received))
    one, two = (int(EXACT.scaleb(each, -smallest)) for each in (sent, received))
    return one, two, EXACT.scaleb(Decimal(1), smallest)
