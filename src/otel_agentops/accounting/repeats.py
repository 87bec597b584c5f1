"""Whether an agent goes round in circles: looked at when a step starts and when it ends.

A step is a model call with the same prompt, or a tool call with the same arguments. What makes a loop is
not that something comes back, but that nothing new happens in between: no tool is called with other
arguments, and none gives another result. A prompt with the whole history in it is new each time by
construction and says nothing either way. Steps that run at the same time do not follow from each other, so
they are no repetition.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, NamedTuple

from otel_agentops.accounting.steps import FAILED, History

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Noticed", "enough", "in_flight", "is_tool", "look", "look_back"]

_LONGEST = 8
"""Steps of the longest cycle."""
_REPEATED = 2 / 3
"""Above this share of old steps nothing new happens; below it, the agent gets on."""
_REPEATED_BETWEEN_TURNS = 0.9
"""The same over several turns of an agent, which may well start alike."""
_KEEPS = 0.85
"""How often a step of a loop is followed by one that followed it before; the rest are stray steps."""
_FOLLOWERS = 3
"""So many steps that followed one lately are remembered."""
_LIKELY = 0.9
"""Logarithm of how much better a loop has to explain the steps than chance does: by one step."""
_TWO = 3
"""Choices of an agent that takes one or two steps: there is little order to look for."""
_CERTAIN = 9.0
"""The same for the last steps alone, where it does not explain those before them."""
_CONTEXT = 32
"""Steps before the region that tell whether the agent keeps to an order."""
_ROOM = 1.25
"""So much longer than the longest cycle a round may be, for stray steps in it."""
_COMPLETE = 0.75
"""The share of a cycle's steps that were there in every round, where some were left out."""
_ROUNDS = 6
"""Rounds that are looked at beyond the limit: the more there are, the less a stray step weighs."""
_WHATEVER_COMES = 20
"""So many times the limit is a loop even if each result is new (it may hold a time or an id)."""


class Noticed(NamedTuple):
    """A repetition.

    Attributes:
        kind: Name of the finding.
        times: How often the step, or the round, was there by now, the running one included.
        first: Number of the first of these steps.
        tokens: The steps of one round.
    """

    kind: str
    times: int
    first: int
    tokens: frozenset[int]


def is_tool(token: int) -> bool:
    """Whether a token stands for a tool call."""
    return bool(token & 1)


def enough(limits: Mapping[str, int]) -> tuple[int, int]:
    """How many of the last such prompts, or tool calls, decide: a loop of hours costs no more than that."""
    most = max(limits.values(), default=0)
    return most + _ROUNDS + 1, max(most * _WHATEVER_COMES, most + _ROUNDS) + 1


def in_flight(history: History, places: Sequence[int]) -> bool:
    """Whether the last such step has not ended yet."""
    return bool(places) and history.seen(places[-1]).ended == 0


def look(history: History, places: Sequence[int], limits: Mapping[str, int]) -> Noticed | None:
    """What the step that was noted last, and has just started, repeats; None if nothing.

    Args:
        history: Of this agent.
        places: Numbers of all such steps, the started one last.
        limits: Finding -> how often is too often; 0 is never.
    """
    token = history.seen(places[-1]).token
    past = _Past(history, places)
    noticed = _cycle(past, limits["cycle"])
    if noticed is None:
        noticed = _tool(past, limits) if is_tool(token) else _prompt(history, places, limits)
    return noticed


def look_back(history: History, places: Sequence[int], limit: int) -> Noticed | None:
    """Whether the step that has just ended fails again and again; None if it does not.

    Args:
        history: Of this agent.
        places: Numbers of all such steps, the ended one last.
        limit: How many failures of one kind are too many; 0 for any number.
    """
    last = history.seen(places[-1])
    count = 0
    for place in reversed(places):
        if history.seen(place).outcome != last.outcome:
            break
        count += 1
    if not limit or count < limit or not last.outcome & FAILED:
        return None
    past = _Past(history, places)
    if is_tool(last.token) and not any(past.region(each).nothing_new for each in _rounds(limit, count)):
        return None  # it fails, but not for lack of other attempts
    return Noticed("retry_storm", count, places[-count], frozenset((last.token,)))


def _rounds(limit: int, count: int) -> range:
    return range(limit, min(count, limit + _ROUNDS) + 1)


def _prompt(history: History, places: Sequence[int], limits: Mapping[str, int]) -> Noticed | None:
    """The same prompt again counts whatever was in between: everything that is new would be in it."""
    limit = limits["repeated_prompt"]
    if not limit or len(places) < limit:
        return None
    count, first = 1, places[-1]
    for place in reversed(places[:-1]):
        if count >= limit:
            break
        if not history.seen(place).outcome & FAILED:
            count, first = count + 1, place
    if count < limit:
        return None
    token = history.seen(places[-1]).token
    return Noticed("repeated_prompt", count, first, frozenset((token,)))


def _tool(past: _Past, limits: Mapping[str, int]) -> Noticed | None:
    history, places, limit = past.history, past.places, limits["repeated_tool_call"]
    if not limit or len(places) < limit:
        return None
    if len(places) > 1 and history.seen(places[-2]).outcome & FAILED:
        return None  # failing alike is a finding of its own
    count = _same_results(history, places)
    for rounds in _rounds(limit, count):
        region = past.region(rounds)
        if region.nothing_new and region.orderly:
            return Noticed("repeated_tool_call", count, places[-count], region.round_tokens)
    many = limit * _WHATEVER_COMES
    if len(places) >= many:
        region = past.region(many, results=False)
        if region.nothing_new:
            return Noticed("repeated_tool_call", len(places), places[0], region.round_tokens)
    return None


def _same_results(history: History, places: Sequence[int]) -> int:
    """How often the step was there since its result was another, itself included."""
    count, result = 1, 0
    for place in reversed(places[:-1]):
        outcome = history.seen(place).outcome
        if outcome and result and outcome != result:
            break
        count, result = count + 1, outcome or result
    return count


def _cycle(past: _Past, limit: int) -> Noticed | None:
    """Whether two to eight steps were there several times by now, in the same order."""
    places = past.places
    if not limit or len(places) < limit:
        return None
    recent = places[-limit - _ROUNDS :]
    if recent[-1] - recent[0] == len(recent) - 1:
        return None  # nothing but this one step
    for rounds in _rounds(limit, len(places)):
        region = past.region(rounds)
        members = {step for step in region.after if step in region.old}
        if 2 <= len(members) <= _LONGEST and region.nothing_new and region.orderly:
            often = sum(1 for step in members if region.times[step] >= limit)
            if often >= max(2, _COMPLETE * len(members)):
                return Noticed("cycle", rounds, places[-rounds], region.round_tokens)
    return None


class _Past:
    """What several looks at the same steps have in common.

    Args:
        history: Of this agent.
        places: Numbers of all steps like the last one, that one last.
    """

    __slots__ = ("_known", "_regions", "history", "places")

    def __init__(self, history: History, places: Sequence[int]) -> None:
        self.history = history
        self.places = places
        self._regions: dict[tuple[int, bool], _Region] = {}
        self._known: dict[bool, tuple[int, list[tuple[int, int]]]] = {}

    def region(self, rounds: int, results: bool = True) -> _Region:
        """From so many of these steps back, the last one included, to the end."""
        found = self._regions.get((rounds, results))
        if found is None:
            first = self.places[-rounds]
            begin = max(self.history.first, first - _CONTEXT)
            # more rounds are mostly asked for next
            most = min(rounds + _ROUNDS, len(self.places))
            widest = max(self.history.first, self.places[-most] - _CONTEXT)
            steps = self._since(begin, widest, results)
            found = _Region(steps, first - begin, first < self.history.turn)
            self._regions[rounds, results] = found
        return found

    def _since(self, begin: int, widest: int, results: bool) -> list[tuple[int, int]]:
        known = self._known.get(results)
        if known is None or known[0] > begin:
            known = self._known[results] = widest, _identities(self.history, widest, results)
        return known[1][begin - known[0] :]


class _Region:
    """The steps from one number on that say something: what was done and, for tools, what came of it.

    Attributes:
        after: These steps, but for the first; a prompt that was never there before is left out.
        old: Those that were there more than once, here or shortly before, the first included.
        times: How often each was there, here or shortly before.
        tokens: What each step stands for.
    """

    __slots__ = ("_between_turns", "_orderly", "_steps", "after", "old", "times", "tokens")

    def __init__(self, steps: list[tuple[int, int]], first: int, between_turns: bool) -> None:
        self.tokens = dict(steps)
        self.times = times = Counter([step for step, _ in steps])
        self.old = old = frozenset([step for step, _ in steps[first:] if times[step] > 1])
        self.after = [step for step, token in steps[first + 1 :] if token & 1 or step in old]
        self._steps = [step for step, _ in steps if times[step] > 1]
        self._between_turns = between_turns
        self._orderly: bool | None = None

    @property
    def round_tokens(self) -> frozenset[int]:
        """What one round is made of."""
        return frozenset(self.tokens[step] for step in self.old)

    @property
    def nothing_new(self) -> bool:
        """Whether the steps are, but for strays, old ones."""
        old = sum([step in self.old for step in self.after])
        if self._between_turns:
            return old >= len(self.after) * _REPEATED_BETWEEN_TURNS
        return old > len(self.after) * _REPEATED

    @property
    def orderly(self) -> bool:
        """Whether each round is short enough and the steps follow each other as they did before."""
        if self._orderly is None:
            visits = self.after.count(self.after[-1]) if self.after else 1
            few = sum([step in self.old for step in self.after]) <= _LONGEST * _ROOM * visits
            self._orderly = few and _in_order(self._steps)
        return self._orderly


def _in_order(steps: list[int]) -> bool:
    """Whether steps that come back do so in an order, with some noise, and not in any order at all.

    Two explanations are weighed against each other, for each step of which it is known what followed the
    one before it: that the agent goes round, and most often does what it did then; or that it takes any of
    the steps, or a new one. The first has to explain all of it better, or the last part of it much better,
    since a loop may begin among steps that were taken in any order.
    """
    choices = len(set(steps)) + 1
    chances = [known / choices for known in range(1, min(_FOLLOWERS, choices - 1) + 1)]
    kept = [log(_KEEPS / chance) for chance in chances]
    strayed = [log((1 - _KEEPS) / (1 - chance)) for chance in chances]
    followers: dict[int, list[int]] = {}
    whole = lately = 0.0
    for before, step in pairwise(steps):
        known = followers.get(before)
        if known is None:
            followers[before] = [step]
            continue
        found = step in known
        weight = (kept if found else strayed)[len(known) - 1]
        whole += weight
        lately = max(0.0, lately + weight)
        if found:
            known.remove(step)
        elif len(known) == _FOLLOWERS:
            del known[0]
        known.append(step)
    return whole >= (_LIKELY if choices > _TWO else 0) or lately >= _CERTAIN


def _identities(history: History, begin: int, results: bool) -> list[tuple[int, int]]:
    """Steps as (identity, token); a running tool has the result of the last time, until it is known."""
    if not results:
        return [(token, token) for token, _, _, _ in history.since(begin)]
    last: dict[int, int] = {}
    steps: list[tuple[int, int]] = []
    for token, _, outcome, _ in history.since(begin):
        if token & 1:
            last[token] = known = outcome or last.get(token, 0)
            steps.append((token ^ (known << 20), token))
        else:
            steps.append((token, token))
    return steps
