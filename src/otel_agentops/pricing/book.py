"""The price book: one model call in, one exact cost out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from otel_agentops.failsafe import failsafe, swallowed
from otel_agentops.pricing.facts import Facts
from otel_agentops.pricing.leaves import InvalidUsage, split
from otel_agentops.pricing.unpriced import Unpriced
from otel_agentops.records import Cost, ModelCall

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from otel_agentops.pricing.plans import Plan
    from otel_agentops.pricing.resolving import Resolution, Resolver
    from otel_agentops.pricing.rules import Rule
    from otel_agentops.pricing.shapes import Fix
    from otel_agentops.records import Usage

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
        self._file_rules = tuple(rule for file in files for rule in _read(file))
        self._hook = price_hook
        self._corrections = corrections
        self._resolver: Resolver | None = None
        self._resolutions: dict[Facts | tuple[str | None, ...], Resolution] = {}
        self._unpriced = Unpriced()

    @property
    def unpriced(self) -> Counter[tuple[str, str, str]]:
        """How many calls had no price, by provider, model and reason."""
        return self._unpriced.counts

    @property
    def version(self) -> str:
        """Which data the rate cards were made from, and when they were taken."""
        from otel_agentops.pricing.cards import shipped_cards  # noqa: PLC0415 - as in `_make_resolver`

        cards = shipped_cards()
        return f"{cards.library} ({cards.data_time})"

    def price(self, call: ModelCall, at_ns: int) -> Cost:
        """Price one call; never raises.

        Args:
            call: The call, with its counts in the conventions' form.
            at_ns: When the call started, in nanoseconds since 1970 (UTC); prices change over time.
        """
        try:
            cost = self._price(call, at_ns)
        except Exception as error:  # noqa: BLE001 - a price must never cost the caller a call
            swallowed("pricing a call", error)
            return self._unpriced.cost(call, "internal_error")
        if cost.usd is None and call.emitter_cost_usd and cost.reason != "invalid_usage":
            return Cost(call.emitter_cost_usd, "emitter", None, (*call.flags, "emitter_estimate"))
        if call.flags:
            cost.flags = (*call.flags, *(flag for flag in cost.flags if flag not in call.flags))
        return cost

    def estimate(self, call: ModelCall, at_ns: int) -> Decimal | None:
        """What a call with such counts would cost in US dollars, without the hook and without a note."""
        try:
            plan = self._resolution(call).plan(at_ns)
            if plan.reason is not None or call.usage is None:
                return None
            return plan.usd(split(call.usage), call.usage.input_tokens or 0)
        except Exception:  # noqa: BLE001 - counts of a made-up call may well not fit; then nobody knows
            return None

    def warm(self, provider: str, at_ns: int) -> None:
        """Read the cards of a provider now, so that the first call does not: it may hold an event loop.

        Args:
            provider: `gen_ai.provider.name`.
            at_ns: As for `price`.
        """
        with failsafe("reading rate cards"):
            # any model does, also one that the provider does not have
            self._resolution(ModelCall(provider, "warm")).plan(at_ns)

    def _price(self, call: ModelCall, at_ns: int) -> Cost:
        if call.reported_cost_usd is not None or self._hook is not None:
            told = self._told(call)
            if told is not None:
                return told
        usage = call.usage if call.counted is None else call.counted
        if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
            return self._unpriced.cost(call, "invalid_usage" if call.invalid_usage else "no_usage")
        resolution = self._resolution(call)
        plan = resolution.plan(at_ns)
        if plan.reason is not None:
            return self._unpriced.cost(call, plan.reason)
        if resolution.fix is not None:
            return self._fixed(call, plan, resolution.fix, usage)
        try:
            return self._cost(call, plan, usage, plan.flags)
        except (InvalidUsage, TypeError):
            return self._fixed(call, plan, resolution.rescue, usage)

    def _resolution(self, call: ModelCall) -> Resolution:
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
        return self._resolutions.get(key) or self._resolve(Facts(*key))

    def _cost(self, call: ModelCall, plan: Plan, usage: Usage, flags: tuple[str, ...]) -> Cost:
        counts = split(usage)
        if plan.unrated and plan.rates_nothing(counts):
            return self._unpriced.cost(call, "no_token_rate")
        for leaf in plan.missing:
            if counts[leaf]:
                flags = (*flags, "missing_rate")
                break
        if usage.input_tokens is None or (usage.output_tokens is None and call.operation != "embeddings"):
            flags = (*flags, "partial_usage")
        return Cost(plan.usd(counts, usage.input_tokens or 0), plan.source, None, flags)

    def _fixed(self, call: ModelCall, plan: Plan, fix: Fix | None, usage: Usage) -> Cost:
        """The price of counts that do not follow the conventions, if it is certain how they do not."""
        if fix is None:
            return self._unpriced.cost(call, "invalid_usage")
        try:
            return self._cost(call, plan, fix(usage), (*plan.flags, "usage_normalized"))
        except (InvalidUsage, TypeError):
            return self._unpriced.cost(call, "invalid_usage")

    def _resolve(self, facts: Facts) -> Resolution:
        if self._resolver is None:
            self._resolver = self._make_resolver()
        if len(self._resolutions) >= _REMEMBERED:
            self._resolutions.clear()
        resolution = self._resolver.resolve(facts)
        if resolution.final:
            self._resolutions[tuple(facts)] = resolution
        return resolution

    def _make_resolver(self) -> Resolver:
        # loaded with the first price: programs that make no model call need none of it
        from otel_agentops.pricing.cards import shipped_cards  # noqa: PLC0415
        from otel_agentops.pricing.names import Names  # noqa: PLC0415
        from otel_agentops.pricing.resolving import Resolver  # noqa: PLC0415
        from otel_agentops.pricing.rulesets import RuleSet  # noqa: PLC0415

        cards = shipped_cards()
        names = Names(cards)
        ours = _read(_CORRECTIONS) if self._corrections else ()
        layers = [("override", self._overrides), ("override", self._file_rules), ("correction", ours)]
        return Resolver(cards, names, RuleSet(layers, names.known_as))

    def _told(self, call: ModelCall) -> Cost | None:
        """What the provider or the hook says, if it is an amount."""
        usd = _dollars(call.reported_cost_usd)
        if usd is not None:
            return Cost(usd, "reported")
        if self._hook is not None:
            with failsafe("asking the price hook"):
                usd = _dollars(self._hook(call))
        return None if usd is None else Cost(usd, "hook")


def _read(file: str | Path) -> tuple[Rule, ...]:
    from otel_agentops.pricing.rulefiles import read_rules  # noqa: PLC0415 - as in `_make_resolver`

    return read_rules(file)


def _dollars(value: object) -> Decimal | None:
    """An amount that someone else names, if it is one."""
    if value is None or isinstance(value, bool) or not isinstance(value, (Decimal, int, float)):
        return None
    usd = value if isinstance(value, Decimal) else Decimal(str(value))
    return usd if usd.is_finite() and usd >= 0 else None
