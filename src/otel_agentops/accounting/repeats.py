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
    single = _tool if is_tool(token) else _prompt
    return _cycle(history, places, limits["cycle"]) or single(history, places, limits)


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
    if is_tool(last.token) and not any(
        _Region(history, places[-rounds]).nothing_new for rounds in _rounds(limit, count)
    ):
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


def _tool(history: History, places: Sequence[int], limits: Mapping[str, int]) -> Noticed | None:
    limit = limits["repeated_tool_call"]
    if not limit or len(places) < limit:
        return None
    if len(places) > 1 and history.seen(places[-2]).outcome & FAILED:
        return None  # failing alike is a finding of its own
    count = _same_results(history, places)
    for rounds in _rounds(limit, count):
        region = _Region(history, places[-rounds])
        if region.nothing_new and region.orderly:
            return Noticed("repeated_tool_call", count, places[-count], region.round_tokens)
    many = limit * _WHATEVER_COMES
    if len(places) >= many:
        region = _Region(history, places[-many], results=False)
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


def _cycle(history: History, places: Sequence[int], limit: int) -> Noticed | None:
    """Whether two to eight steps were there several times by now, in the same order."""
    if not limit or len(places) < limit:
        return None
    recent = places[-limit - _ROUNDS :]
    if recent[-1] - recent[0] == len(recent) - 1:
        return None  # nothing but this one step
    for rounds in _rounds(limit, len(places)):
        region = _Region(history, places[-rounds])
        members = {step for step in region.after if step in region.old}
        if 2 <= len(members) <= _LONGEST and region.nothing_new and region.orderly:
            often = sum(1 for step in members if region.times[step] >= limit)
            if often >= max(2, _COMPLETE * len(members)):
                return Noticed("cycle", rounds, places[-rounds], region.round_tokens)
    return None


class _Region:
    """The steps from one number on that say something: what was done and, for tools, what came of it.

    Attributes:
        after: These steps, but for the first; a prompt that was never there before is left out.
        old: Those that were there more than once, here or shortly before, the first included.
        times: How often each was there, here or shortly before.
        tokens: What each step stands for.
    """

    __slots__ = ("_between_turns", "_steps", "_visits", "after", "old", "times", "tokens")

    def __init__(self, history: History, first: int, results: bool = True) -> None:
        begin = max(history.first, first - _CONTEXT)
        steps = _identities(history, begin, results)
        self.tokens = dict(steps)
        self.times = Counter(step for step, _ in steps)
        self.old = frozenset(step for step, _ in steps[first - begin :] if self.times[step] > 1)
        self.after = [
            step for step, token in steps[first - begin + 1 :] if is_tool(token) or step in self.old
        ]
        self._steps = [step for step, token in steps if is_tool(token) or self.times[step] > 1]
        self._visits = self.after.count(self.after[-1]) if self.after else 0
        self._between_turns = first < history.turn

    @property
    def round_tokens(self) -> frozenset[int]:
        """What one round is made of."""
        return frozenset(self.tokens[step] for step in self.old)

    @property
    def nothing_new(self) -> bool:
        """Whether the steps are, but for strays, old ones."""
        old = sum(1 for step in self.after if step in self.old)
        if self._between_turns:
            return old >= len(self.after) * _REPEATED_BETWEEN_TURNS
        return old > len(self.after) * _REPEATED

    @property
    def orderly(self) -> bool:
        """Whether each round is short enough and the steps follow each other as they did before."""
        rounds = max(1, self._visits)
        if sum(1 for step in self.after if step in self.old) > _LONGEST * _ROOM * rounds:
            return False
        return _in_order([step for step in self._steps if self.times[step] > 1])


def _in_order(steps: list[int]) -> bool:
    """Whether steps that come back do so in an order, with some noise, and not in any order at all.

    Two explanations are weighed against each other, for each step of which it is known what followed the
    one before it: that the agent goes round, and most often does what it did then; or that it takes any of
    the steps, or a new one. The first has to explain all of it better, or the last part of it much better,
    since a loop may begin among steps that were taken in any order.
    """
    choices = len(set(steps)) + 1
    followers: dict[int, list[int]] = {}
    whole = lately = 0.0
    for before, step in pairwise(steps):
        known = followers.setdefault(before, [])
        if known:
            chance = len(known) / choices
            weight = log(_KEEPS / chance) if step in known else log((1 - _KEEPS) / (1 - chance))
            whole += weight
            lately = max(0.0, lately + weight)
        if step in known:
            known.remove(step)
        known.append(step)
        del known[:-_FOLLOWERS]
    return whole >= (_LIKELY if choices > _TWO else 0) or lately >= _CERTAIN


def _identities(history: History, begin: int, results: bool) -> list[tuple[int, int]]:
    """Steps as (identity, token); a running tool has the result of the last time, until it is known."""
    last: dict[int, int] = {}
    steps: list[tuple[int, int]] = []
    for seen in history.since(begin):
        outcome = 0
        if results and is_tool(seen.token):
            outcome = last[seen.token] = seen.outcome or last.get(seen.token, 0)
        steps.append((seen.token ^ (outcome << 20), seen.token))
    return steps
