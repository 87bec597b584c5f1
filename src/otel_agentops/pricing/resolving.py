"""From what is known about a call to a plan that prices it, at any moment.

This is the slow way; its result is remembered for all calls that look the same.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.pricing.facts import Facts, billing_context
from otel_agentops.pricing.names import Names, host_of
from otel_agentops.pricing.newer import newer_cards
from otel_agentops.pricing.outcome import SOURCES
from otel_agentops.pricing.plans import ARITHMETIC, Plan, compile_plan, unpriced
from otel_agentops.pricing.shapes import always_wrong, wrong_if_impossible
from otel_agentops.pricing.windows import segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_agentops.pricing.cards import Card, Cards, Rates
    from otel_agentops.pricing.rules import Adjust, Price
    from otel_agentops.pricing.rulesets import Placed, RuleSet, Scope
    from otel_agentops.pricing.shapes import Fix
    from otel_agentops.pricing.windows import Window

__all__ = ["Resolution", "Resolver"]

_LIST_OF = {"azure": "openai"}
"""Whose list a provider sells by where it has none of its own; our corrections of it hold there, too."""


class Resolution:
    """Everything about a kind of call that does not depend on its counts.

    Attributes:
        current: Start and end of an interval in nanoseconds, and the plan that holds in it.
        fix: What to do to the counts of each call first; None for nothing.
        rescue: What to try when the counts contradict each other; None for nothing.
        final: Whether it may be remembered; not while cards that may have the model are loading.
    """

    __slots__ = ("_plans", "_tariff", "_windows", "current", "final", "fix", "rescue")

    def __init__(self, tariff: _Tariff, fix: Fix | None, rescue: Fix | None, *, final: bool) -> None:
        self.final = final
        self.current: tuple[int, int, Plan] = (0, 0, unpriced("unknown_model"))
        self.fix = fix
        self.rescue = rescue
        self._tariff = tariff
        self._windows = tariff.windows()
        self._plans: dict[tuple[bool, ...], Plan] = {}

    def plan(self, at_ns: int) -> Plan:
        """The plan of a moment."""
        low, high, plan = self.current
        if low <= at_ns < high:
            return plan
        active = tuple(window.active(at_ns) for window in self._windows)
        if active not in self._plans:
            self._plans[active] = self._tariff.plan(at_ns)
        plan = self._plans[active]
        self.current = (*segment(self._windows, at_ns), plan)
        return plan


class Resolver:
    """Finds the cards and rules that are about a call."""

    def __init__(self, cards: Cards, names: Names, rules: RuleSet) -> None:
        self._cards = cards
        self._names = names
        self._rules = rules
        self._newer = newer_cards

    def resolve(self, facts: Facts) -> Resolution:
        """Everything about calls with these facts."""
        declared = (facts.provider or "").strip().lower()
        provider = self._names.effective_provider(declared, facts.server_address)
        models = self._names.models(provider or "", facts.request_model, facts.response_model)
        for model in models:
            if behind := self._names.behind_gateway(declared, model):
                provider, bare = behind
                models = (bare, *models)
                break
        fix = always_wrong(host_of(facts.server_address or ""), facts.operation, facts.api_type)
        rescue = None if fix else wrong_if_impossible(provider or "")
        tariff = self._tariff(facts, provider, declared, models)
        return Resolution(tariff, fix, rescue, final=tariff.found is not None or not self._newer.loading)

    def _tariff(self, facts: Facts, provider: str | None, declared: str, models: tuple[str, ...]) -> _Tariff:
        scope = self._scope(provider, declared)
        names = self._spellings(provider, models)
        if alias := self._rules.alias(scope, names):
            names = (*self._spellings(provider, (alias.lower(),)), *names)
        context = billing_context(provider or declared, facts)
        asked = {
            "inference_geo": facts.inference_geo,
            "operation": facts.operation,
            "api_type": facts.api_type,
        }
        conditions = {key: value.lower() for key, value in asked.items() if value} | context
        return _Tariff(
            found=self._find(provider, names, context),
            context=context,
            prices=self._rules.prices(scope, names, conditions),
            adjusts=self._rules.adjusts(scope, names, conditions),
            reason=_reason(declared, provider, models),
        )

    def _scope(self, provider: str | None, declared: str) -> Scope:
        """Whose rules count: not those of the vendor whose client was pointed elsewhere."""
        elsewhere = self._names.provider(declared) not in (None, provider)
        own = frozenset(filter(None, (provider, None if elsewhere else declared)))
        return {"override": own, "correction": own | {_LIST_OF.get(provider or "", "")}}

    def _spellings(self, provider: str | None, models: Iterable[str]) -> tuple[str, ...]:
        spelled = (name for model in models for name in self._names.spellings(provider, model))
        return tuple(dict.fromkeys(spelled))

    def _find(
        self, provider: str | None, names: tuple[str, ...], context: Mapping[str, str]
    ) -> _Found | None:
        if provider is None:
            return None
        found = _find(self._cards, provider, names, context)
        if found is None and names and (newer := self._newer.get()):
            found = _find(newer, provider, names, context)
        return found


def _find(cards: Cards, provider: str, names: Iterable[str], context: Mapping[str, str]) -> _Found | None:
    lists = _LIST_OF.get(provider) if context else None
    for name in names:
        if lists and (hit := cards.find(lists, name)):
            return _Found(hit[1], ("azure_list_estimate",), own=True)
        if hit := cards.find(provider, name):
            own = hit[0] == provider
            return _Found(hit[1], () if own else ("provider_fallback",), own)
    return None


def _reason(declared: str, provider: str | None, models: tuple[str, ...]) -> str:
    if not provider:
        return "unknown_provider" if declared else "no_provider"
    return "unknown_model" if models else "no_model"


class _Found(NamedTuple):
    """A card. Conditions such as batch count only on a provider's own cards, as in genai-prices."""

    card: Card
    flags: tuple[str, ...]
    own: bool


class _Tariff(NamedTuple):
    """The card and the rules about a kind of call, at all times."""

    found: _Found | None
    context: Mapping[str, str]
    prices: tuple[Placed[Price], ...]
    adjusts: tuple[Placed[Adjust], ...]
    reason: str

    def windows(self) -> tuple[Window, ...]:
        """Everything in time that plans depend on."""
        card = self.found.card.windows() if self.found else ()
        prices = (each.rule.window for each in self.prices)
        return (*card, *prices, *(each.rule.window for each in self.adjusts))

    def plan(self, at_ns: int) -> Plan:
        """The plan of a moment."""
        stack = self._stack(at_ns)
        rates, applied, flags = self._base(stack, at_ns)
        if not stack and not self.found:
            return unpriced(self.reason)
        for price in reversed(stack):
            rates = {**rates, **price.rule.rates}
            applied = applied | price.rule.when.keys()
        overridden = bool(stack) and not stack[-1].rule.patch and stack[-1].source == "override"
        factors = self._factors(at_ns, applied, overridden)
        multiply = Decimal(1)
        for adjust in factors:
            multiply = ARITHMETIC.multiply(multiply, adjust.rule.factor)
            applied = applied | adjust.rule.when.keys()
        if not self.context.keys() <= applied:
            flags = (*flags, "tier_not_applied")
        sources = ("genai-prices", *(each.source for each in stack), *(each.source for each in factors))
        return compile_plan(rates, min(sources, key=SOURCES.index), flags, multiply)

    def _stack(self, at_ns: int) -> list[Placed[Price]]:
        """The price rule that holds, below the patches on it."""
        stack: list[Placed[Price]] = []
        for placed in self.prices:
            if placed.rule.window.active(at_ns):
                stack.append(placed)
                if not placed.rule.patch:
                    break
        return stack

    def _base(self, stack: list[Placed[Price]], at_ns: int) -> tuple[Rates, frozenset[str], tuple[str, ...]]:
        if self.found is None or (stack and not stack[-1].rule.patch):
            return {}, frozenset(), ()
        rates, applied = self.found.card.rates(at_ns, self.context if self.found.own else {})
        return rates, frozenset(applied), self.found.flags

    def _factors(self, at_ns: int, applied: frozenset[str], overridden: bool) -> list[Placed[Adjust]]:
        """The best adjust rule for each set of conditions; ours only where no price minds them yet."""
        chosen: dict[frozenset[str], Placed[Adjust]] = {}
        for placed in self.adjusts:
            conditions = frozenset(placed.rule.when)
            minded = placed.source == "correction" and (overridden or conditions <= applied)
            if placed.rule.window.active(at_ns) and not minded:
                chosen.setdefault(conditions, placed)
        return list(chosen.values())
