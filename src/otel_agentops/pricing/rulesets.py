"""Which rules are about a call, best first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Generic, TypeVar

from otel_agentops.pricing.matching import ANY
from otel_agentops.pricing.rules import Adjust, Alias, Price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_agentops.pricing.rules import Rule

__all__ = ["Placed", "RuleSet"]

RuleT = TypeVar("RuleT", Price, Alias, Adjust)


@dataclass(frozen=True, slots=True)
class Placed(Generic[RuleT]):
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
        placed = [
            _place(rule, source, (layer, -index), known_as)
            for layer, (source, rules) in enumerate(layers)
            for index, rule in enumerate(rules)
        ]
        placed.sort(key=lambda each: each.order)
        self._aliases = [each for each in placed if isinstance(each.rule, Alias)]
        self._prices = [each for each in placed if isinstance(each.rule, Price)]
        self._adjusts = [each for each in placed if isinstance(each.rule, Adjust)]

    def alias(self, providers: Iterable[str], models: Iterable[str]) -> str | None:
        """The model that one of these names stands for; an earlier name wins over a later one."""
        rules = list(_of(self._aliases, frozenset(providers)))
        hits = ((found, each.rule) for name in models for each in rules if (found := each.rule.matcher(name)))
        return next(
            (rule.model if found is True else _expand(found, rule.model) for found, rule in hits), None
        )

    def prices(
        self, providers: Iterable[str], models: Sequence[str], context: Mapping[str, str]
    ) -> tuple[Placed[Price], ...]:
        """The price rules about a call, at whatever time, best first."""
        return tuple(_about(self._prices, frozenset(providers), models, context))

    def adjusts(
        self, providers: Iterable[str], models: Sequence[str], context: Mapping[str, str]
    ) -> tuple[Placed[Adjust], ...]:
        """The adjust rules about a call, at whatever time, best first."""
        return tuple(_about(self._adjusts, frozenset(providers), models, context))


def _place(
    rule: RuleT, source: str, position: tuple[int, int], known_as: Callable[[str], str]
) -> Placed[RuleT]:
    layer, later = position
    names = [rule.provider] if isinstance(rule.provider, str) else rule.provider
    when = {} if isinstance(rule, Alias) else rule.when
    order = (layer, -rule.matcher.rank, int(ANY in names), -len(when), later)
    known = frozenset(chain(map(known_as, names), map(str.lower, names)))
    return Placed(rule, source, known, order)


def _of(placed: Iterable[Placed[RuleT]], providers: frozenset[str]) -> Iterable[Placed[RuleT]]:
    return (each for each in placed if ANY in each.providers or not each.providers.isdisjoint(providers))


def _about(
    placed: Iterable[Placed[Price]] | Iterable[Placed[Adjust]],
    providers: frozenset[str],
    models: Sequence[str],
    context: Mapping[str, str],
) -> Iterable[Placed[Price]] | Iterable[Placed[Adjust]]:
    return (
        each
        for each in _of(placed, providers)
        if each.rule.when.items() <= context.items() and any(map(each.rule.matcher, models))
    )


def _expand(found: object, model: str) -> str:
    expand = getattr(found, "expand", None)
    return str(expand(model)) if expand and "\\" in model else model
