"""Which rules are about a call, best first."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

from otel_agentops.pricing.matching import ANY
from otel_agentops.pricing.rules import Adjust, Alias, BaseRule, ConditionalRule, Price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from otel_agentops.pricing.rules import Rule

__all__ = ["Placed", "RuleSet", "Scope"]

Scope: TypeAlias = "Mapping[str, frozenset[str]]"
"""Whose rules are about a call: names of its provider, by the source of the rules."""

RuleT = TypeVar("RuleT", bound=BaseRule)
ConditionalT = TypeVar("ConditionalT", bound=ConditionalRule)


class Placed(NamedTuple, Generic[RuleT]):
    """A rule with its place among the others.

    Attributes:
        source: `override` for the user's rules, `correction` for ours.
        providers: The rule's providers as the cards know them.
        order: Smaller is better: nearer source, more specific, later in its source.
    """

    rule: RuleT
    source: str
    providers: frozenset[str]
    order: tuple[int, ...]


class RuleSet:
    """All rules of a price book.

    Args:
        layers: Pairs of source name and rules; an earlier layer wins over a later one.
        known_as: Turns a provider name into the one the cards use.
    """

    def __init__(self, layers: Sequence[tuple[str, Sequence[Rule]]], known_as: Callable[[str], str]) -> None:
        self._aliases = _sorted(Alias, layers, known_as)
        self._prices = _sorted(Price, layers, known_as)
        self._adjusts = _sorted(Adjust, layers, known_as)

    def alias(self, scope: Scope, models: Iterable[str]) -> str | None:
        """The model that one of these names stands for; an earlier name wins over a later one."""
        rules = [each.rule for each in _of(self._aliases, scope)]
        hits = ((found, rule) for name in models for rule in rules if (found := rule.matcher(name)))
        return next((_expand(found, rule.model) for found, rule in hits), None)

    def prices(
        self, scope: Scope, models: Sequence[str], context: Mapping[str, str]
    ) -> tuple[Placed[Price], ...]:
        """The price rules about a call, at whatever time, best first."""
        return _about(self._prices, scope, models, context)

    def adjusts(
        self, scope: Scope, models: Sequence[str], context: Mapping[str, str]
    ) -> tuple[Placed[Adjust], ...]:
        """The adjust rules about a call, at whatever time, best first."""
        return _about(self._adjusts, scope, models, context)


def _sorted(
    kind: type[RuleT], layers: Sequence[tuple[str, Sequence[Rule]]], known_as: Callable[[str], str]
) -> list[Placed[RuleT]]:
    placed: list[Placed[RuleT]] = []
    for layer, (source, rules) in enumerate(layers):
        for index, rule in enumerate(rules):
            if isinstance(rule, kind):
                order = (layer, *_specific(rule), -index)
                placed.append(Placed(rule, source, _providers(rule, known_as), order))
    placed.sort(key=lambda each: each.order)
    return placed


def _providers(rule: BaseRule, known_as: Callable[[str], str]) -> frozenset[str]:
    return frozenset(chain(map(known_as, rule.provider), map(str.lower, rule.provider)))


def _specific(rule: BaseRule) -> tuple[int, int, int]:
    conditions = len(rule.when) if isinstance(rule, ConditionalRule) else 0
    return -rule.matcher.rank, int(ANY in rule.provider), -conditions


def _of(placed: Iterable[Placed[RuleT]], scope: Scope) -> Iterator[Placed[RuleT]]:
    return (
        each for each in placed if ANY in each.providers or not each.providers.isdisjoint(scope[each.source])
    )


def _about(
    placed: Iterable[Placed[ConditionalT]],
    scope: Scope,
    models: Sequence[str],
    context: Mapping[str, str],
) -> tuple[Placed[ConditionalT], ...]:
    return tuple(
        each
        for each in _of(placed, scope)
        if each.rule.when.items() <= context.items() and any(map(each.rule.matcher, models))
    )


def _expand(found: object, model: str) -> str:
    expand = getattr(found, "expand", None)
    return str(expand(model)) if expand and "\\" in model else model
