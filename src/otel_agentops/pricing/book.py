"""The price book: one model call in, one exact cost out."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from otel_agentops.failsafe import failsafe, swallowed, warn_once
from otel_agentops.pricing.cards import shipped_cards
from otel_agentops.pricing.facts import Facts
from otel_agentops.pricing.leaves import TOKEN_LEAVES, InvalidUsage, split
from otel_agentops.pricing.names import Names
from otel_agentops.pricing.outcome import ADVICE
from otel_agentops.pricing.resolving import Resolution, Resolver
from otel_agentops.pricing.rulefiles import read_rules
from otel_agentops.pricing.rulesets import RuleSet
from otel_agentops.records import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_agentops.pricing.plans import Plan
    from otel_agentops.pricing.rules import Rule
    from otel_agentops.records import ModelCall, Usage

__all__ = ["PriceBook"]

_REMEMBERED = 4096

_CORRECTIONS = Path(__file__).with_name("corrections.toml")


class PriceBook:
    """Prices model calls in US dollars.

    What the provider itself reports wins, then the hook, the rules given here, the rules in files,
    our corrections, and last the rate cards. A call that none of them prices stays unpriced.

    Args:
        overrides: Rules made in code: `Price`, `Alias`, `Adjust`.
        files: TOML or JSON files with such rules; they are read now, and a wrong one raises now.
        price_hook: Asked first about each call; returns US dollars, or None to pass.
        corrections: Whether our own corrections to genai-prices count.

    Raises:
        PriceFileError: A file cannot be used; the message says where.
    """

    def __init__(
        self,
        overrides: Sequence[Rule] = (),
        files: Sequence[str | Path] = (),
        price_hook: Callable[[ModelCall], Decimal | None] | None = None,
        *,
        corrections: bool = True,
    ) -> None:
        self._overrides = tuple(overrides)
        self._file_rules = tuple(rule for file in files for rule in read_rules(file))
        self._hook = price_hook
        self._corrections = corrections
        self._resolver: Resolver | None = None
        self._resolutions: dict[Facts | tuple[str | None, ...], Resolution] = {}
        self._lock = Lock()
        self.unpriced: Counter[tuple[str, str, str]] = Counter()
        """How many calls had no price, by provider, model and reason; at most a few thousand kinds."""

    @property
    def version(self) -> str:
        """Which data the rate cards were made from, and when they were taken."""
        cards = shipped_cards()
        return f"{cards.library} ({cards.data_time})"

    def price(self, call: ModelCall, at_ns: int) -> Cost:
        """Price one call; never raises.

        Args:
            call: The call, with its counts in the conventions' form.
            at_ns: When the call started, in nanoseconds since 1970 (UTC); prices change over time.
        """
        try:
            return self._price(call, at_ns)
        except Exception as error:  # noqa: BLE001 - a price must never cost the caller a call
            swallowed("pricing a call", error)
            return self._unpriced(call, "internal_error")

    def _price(self, call: ModelCall, at_ns: int) -> Cost:
        if call.reported_cost_usd is not None or self._hook is not None:
            cost = self._reported(call) or self._hooked(call)
            if cost is not None:
                return cost
        usage = call.usage
        if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
            return self._unpriced(call, "no_usage")
        key = (
            call.provider,
            call.request_model,
            call.response_model,
            call.server_address,
            call.service_tier,
            call.processing,
            call.inference_geo,
            call.operation,
            call.api_type,
        )
        resolution = self._resolutions.get(key) or self._resolve(Facts(*key))
        plan = resolution.plan(at_ns)
        if plan.reason is not None:
            return self._unpriced(call, plan.reason)
        flags = plan.flags
        if resolution.fix is not None:
            usage = resolution.fix(usage)
            flags = (*flags, "usage_normalized")
        try:
            counts = split(usage)
        except (InvalidUsage, TypeError):
            return self._rescued(call, plan, resolution, usage)
        return self._cost(call, plan, counts, usage, flags)

    def _cost(
        self, call: ModelCall, plan: Plan, counts: tuple[int, ...], usage: Usage, flags: tuple[str, ...]
    ) -> Cost:
        if plan.unrated and _only_unrated(plan, counts):
            return self._unpriced(call, "no_token_rate")
        for leaf in plan.missing:
            if counts[leaf]:
                flags = (*flags, "missing_rate")
                break
        if usage.input_tokens is None or (usage.output_tokens is None and call.operation != "embeddings"):
            flags = (*flags, "partial_usage")
        try:
            usd = plan.usd(counts, usage.input_tokens or 0)
        except TypeError:  # a count that is not a whole number
            return self._unpriced(call, "invalid_usage")
        return Cost(usd, plan.source, None, flags)

    def _rescued(self, call: ModelCall, plan: Plan, resolution: Resolution, usage: Usage) -> Cost:
        """The price of counts that contradict each other, if it is certain how they came about."""
        if resolution.rescue is None:
            return self._unpriced(call, "invalid_usage")
        try:
            usage = resolution.rescue(usage)
            counts = split(usage)
        except (InvalidUsage, TypeError):
            return self._unpriced(call, "invalid_usage")
        return self._cost(call, plan, counts, usage, (*plan.flags, "usage_normalized"))

    def _resolve(self, facts: Facts) -> Resolution:
        if self._resolver is None:
            self._resolver = self._make_resolver()
        if len(self._resolutions) >= _REMEMBERED:
            self._resolutions.clear()
        resolution = self._resolver.resolve(facts)
        self._resolutions[tuple(facts)] = resolution
        return resolution

    def _make_resolver(self) -> Resolver:
        cards = shipped_cards()
        names = Names(cards)
        ours = read_rules(_CORRECTIONS) if self._corrections else ()
        layers = [("override", self._overrides), ("override", self._file_rules), ("correction", ours)]
        return Resolver(cards, names, RuleSet(layers, names.known_as))

    def _reported(self, call: ModelCall) -> Cost | None:
        usd = _dollars(call.reported_cost_usd)
        return None if usd is None else Cost(usd, "reported")

    def _hooked(self, call: ModelCall) -> Cost | None:
        if self._hook is None:
            return None
        with failsafe("asking the price hook"):
            usd = _dollars(self._hook(call))
            return None if usd is None else Cost(usd, "hook")
        return None

    def _unpriced(self, call: ModelCall, reason: str) -> Cost:
        provider = call.provider or "?"
        model = call.response_model or call.request_model or "?"
        key = (provider, model, reason)
        # A lock that a fork left closed must not stop the child: the count is worth less than the call.
        if self._lock.acquire(timeout=0.05):
            try:
                if key in self.unpriced or len(self.unpriced) < _REMEMBERED:
                    self.unpriced[key] += 1
            finally:
                self._lock.release()
        warn_once(
            f"unpriced:{provider}:{model}:{reason}",
            "no price for model %r of provider %r (%s): %s",
            model,
            provider,
            reason,
            ADVICE[reason],
        )
        return Cost(None, reason=reason)


def _only_unrated(plan: Plan, counts: tuple[int, ...]) -> bool:
    counted = [leaf for leaf in range(TOKEN_LEAVES) if counts[leaf]]
    return bool(counted) and all(leaf in plan.unrated for leaf in counted)


def _dollars(value: object) -> Decimal | None:
    """An amount that someone else names, if it is one."""
    if value is None or isinstance(value, bool) or not isinstance(value, (Decimal, int, float)):
        return None
    usd = value if isinstance(value, Decimal) else Decimal(str(value))
    return usd if usd.is_finite() and usd >= 0 else None
