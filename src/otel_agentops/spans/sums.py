"""Counters of the books: dollars, calls without a price, duplicates, and what failed in this library.

They are added up here and handed over when somebody collects metrics: that takes a tenth of the time of an
instrument, for every call, and there can be a limit to how many series there are.
"""

from __future__ import annotations

import os
from collections import deque
from decimal import Decimal
from operator import add
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from opentelemetry import context as otel_context
from opentelemetry import metrics
from opentelemetry.metrics import Observation

from otel_agentops.accounting import EXACT, free_failure
from otel_agentops.failsafe import failures, swallowed
from otel_agentops.semconv import OURS, OVERFLOW, own
from otel_agentops.semconv.metrics import COST, DUPLICATES, INTERNAL_ERRORS, UNPRICED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

    from otel_agentops.accounting import Scope
    from otel_agentops.records import ModelCall
    from otel_agentops.semconv import Metric

__all__ = ["MOST_SERIES", "Sums", "sums_of"]

MOST_SERIES = 1000
"""Sets of attributes that a metric has; what comes beyond them is counted together, as `OVERFLOW`."""
_MOST_WAITING = 64
"""Measurements that wait, of a hundred calls or more."""
_LONGEST = 256
"""Characters of an attribute; a name that is longer is none."""

_NAMES = dict(OURS)

Key = tuple[Any, ...]


class _Series:
    """One metric: sums by the values of some attributes; the caller holds the lock of `Sums`.

    Attributes:
        metric: What it is.
        sums: Sum by the values of its attributes; no values at all are what there was no room for.
    """

    __slots__ = ("_names", "_plus", "metric", "sums")

    def __init__(self, metric: Metric, plus: Callable[[Any, Any], Any] = add) -> None:
        self.metric = metric
        self._plus = plus
        self._names = _NAMES[metric]
        self.sums: dict[Key, Any] = {}

    def add(self, key: Key, amount: Decimal | int) -> None:
        """Add to the sum of these values."""
        sums = self.sums
        if key in sums:
            sums[key] = self._plus(sums[key], amount)
            return
        most = MOST_SERIES + (() in sums)
        full = len(sums) >= most or any(isinstance(v, str) and len(v) > _LONGEST for v in key)
        room = () if full else key
        sums[room] = self._plus(sums[room], amount) if room in sums else amount

    def attributes(self, key: Key) -> dict[str, Any]:
        """The attributes of one sum."""
        if not key:
            return {OVERFLOW: True}
        return {name: value for name, value in zip(self._names, key, strict=True) if value is not None}


class Sums:
    """The sums of one meter provider; they go on when the library is switched off and on again."""

    def __init__(self) -> None:
        self._lock = RLock()  # a signal handler may collect meanwhile
        self._cost = _Series(COST, EXACT.add)
        self._unpriced = _Series(UNPRICED)
        self._duplicates = _Series(DUPLICATES)
        self._known_later: dict[Key, int] = {}
        self._waiting: deque[tuple[Any, float, dict[str, Any], Any]] = deque()
        _all.add(self)

    # --- measurements of histograms ---

    def measure(self, record: Callable[..., None], value: float, attributes: dict[str, Any]) -> None:
        """Have something recorded by an instrument of the same meter before anybody collects it.

        One measurement at a time, between other work, costs half as much again as many at once.

        Args:
            record: The instrument's method.
            value: In its unit.
            attributes: Not to be changed any more.
        """
        waiting = self._waiting
        waiting.append((record, value, attributes, otel_context.get_current()))
        if len(waiting) >= _MOST_WAITING:
            self.hand_over()

    def hand_over(self) -> None:
        """Record what waits. Collecting does it first of all: SDKs ask for observations before they look."""
        waiting = self._waiting
        while waiting:
            try:
                record, value, attributes, context = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                record(value, attributes, context)
            except Exception as error:  # noqa: BLE001 - an instrument of somebody's
                swallowed("recording a measurement", error)

    # --- the books ---

    def call(self, call: ModelCall, scope: Scope | None, _start_ns: int) -> None:
        """The last stage of the accounting: a call has ended, sampled or not, ours or of others."""
        if call.operation == "fetch_response":
            return
        if call.spent:
            return
        if call.duplicate:
            with self._lock:
                self._duplicates.add((call.provider or "_OTHER",), 1)
            return
        cost = call.cost
        usd = cost.usd if cost is not None else None
        provider, asked, answered = call.provider or "_OTHER", call.request_model, call.response_model
        with self._lock:
            if call.takes_back and len(self._known_later) < MOST_SERIES:
                models = provider, asked, answered
                self._known_later[models] = self._known_later.get(models, 0) + call.takes_back
            if usd is not None and cost is not None:
                agent = scope.stamps.get(own.AGENT_NAME) if scope is not None else None
                self._cost.add((provider, asked, answered, agent, cost.source), usd)
            elif not free_failure(call):
                self._miss((provider, asked, answered, cost.reason if cost is not None else None))

    def _miss(self, key: Key) -> None:
        """Count a call without a price, unless one that was counted got its price since."""
        later = self._known_later.get(key[:3], 0)
        if later > 1:
            self._known_later[key[:3]] = later - 1
        elif later:
            del self._known_later[key[:3]]
        else:
            self._unpriced.add(key, 1)

    def observe(self, meter: Meter) -> None:
        """Have the sums collected as the instruments of a meter."""
        for series in (self._cost, self._unpriced, self._duplicates):
            _instrument(meter, series.metric, lambda _, series=series: self._observations(series))
        _instrument(meter, INTERNAL_ERRORS, _failures)

    def _observations(self, series: _Series) -> list[Observation]:
        self.hand_over()
        with self._lock:
            sums = list(series.sums.items())
        return [Observation(_number(amount), series.attributes(key)) for key, amount in sums]

    def forget_parent(self) -> None:
        """In the child of a fork: what the parent counted, the parent tells."""
        self._lock = RLock()
        self._waiting.clear()
        self._known_later.clear()
        for series in (self._cost, self._unpriced, self._duplicates):
            series.sums.clear()


def _instrument(meter: Meter, metric: Metric, callback: Any) -> None:
    meter.create_observable_counter(metric.name, [callback], metric.unit, metric.description)


def _number(amount: Decimal | int) -> float | int:
    return float(amount) if isinstance(amount, Decimal) else amount


def _failures(_options: CallbackOptions) -> Iterable[Observation]:
    """What failed in this library since the process started."""
    for doing, times in list(failures.items())[:MOST_SERIES]:
        yield Observation(times, {own.DOING: doing})


_by_provider: dict[int, tuple[ref[Any], Sums]] = {}
"""`id()` of a provider -> itself and its sums; some cannot be hashed."""
_of_global: list[Sums] = []
_all: WeakSet[Sums] = WeakSet()


def sums_of(meter_provider: MeterProvider | None, meter: Meter) -> Sums:
    """The sums that a meter provider collects; made, and its instruments with them, at the first call.

    A second instrument of the same name would not be asked, so there is one set of them.

    Args:
        meter_provider: None for the global one, also if that is set later.
        meter: Of this provider.
    """
    owner = metrics.get_meter_provider()
    everybodys = meter_provider is None or meter_provider is owner
    owner = owner if meter_provider is None else meter_provider
    known = _of(owner) or next(iter(_of_global if everybodys else ()), None)
    if known is None:
        known = Sums()
        known.observe(meter)
        if everybodys:
            _of_global[:] = [known]
    key = id(owner)
    _by_provider[key] = ref(owner, lambda _: _by_provider.pop(key, None)), known
    return known


def _of(owner: Any) -> Sums | None:
    found = _by_provider.get(id(owner))
    return found[1] if found is not None and found[0]() is owner else None


def _after_fork() -> None:
    for sums in _all:
        sums.forget_parent()


os.register_at_fork(after_in_child=_after_fork)
