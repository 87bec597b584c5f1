"""Runs of agents drawn from wide ranges of parameters: a second generator, made without a look at the first.

A run is drawn by its parameters (period, rounds, noise, what varies), not by a story, so that a detector that
knows the stories of `agent_runs` is tried on others. What is a loop is decided by the pattern that was
planted: it was gone through at least three times, each time with three quarters of its steps in their order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from support.agent_runs import Run, Step

__all__ = ["HONEST_FAMILIES", "LOOP_FAMILIES", "Draw", "Family", "draw", "wide_runs"]

_NAMES = ("search", "open", "edit", "shell", "browse", "sql", "ls", "mail", "grep", "calc", "wait", "plan")


@dataclass
class Draw:
    """One run's source of chance, and of texts that nobody has used before."""

    chance: random.Random
    made: int = 0

    def fresh(self, what: str) -> str:
        """A text of its own."""
        self.made += 1
        return f"{what}-{self.made}-{self.chance.randrange(16**6):06x}"

    def stamp(self) -> str:
        """What changes from call to call without meaning anything."""
        self.made += 1
        clock = f"{self.made // 60 % 60:02}:{self.made % 60:02}"
        return f"2026-11-21T12:{clock}Z id={self.chance.randrange(16**12):012x}"

    def call(self, **given: object) -> Step:
        """A tool call with new arguments and a new result, but for what is given."""
        known = {
            "what": self.fresh("args"),
            "name": self.chance.choice(_NAMES),
            "result": self.fresh("result"),
        }
        return Step("tool", **{**known, **given})  # type: ignore[arg-type]

    def ask(self, text: str | None = None) -> Step:
        """A prompt; a new one if no text is given."""
        return Step("prompt", text if text is not None else self.fresh("ask"), "gpt-4o-mini")

    def thought(self) -> Step:
        """What an agent sends before a tool call: all that was said, and often the time."""
        return self.ask(f"{self.fresh('history')} {self.stamp()}")

    def mixed_work(self, steps: int) -> list[Step]:
        """Something that gets on."""
        return [self.thought() if n % 2 == 0 else self.call() for n in range(steps)]


# --- loops ---


@dataclass
class Noise:
    """How likely each thing is to happen to a step of a round after the first."""

    inserted: float
    replaced: float
    dropped: float

    def round(self, draw: Draw, pattern: list[Step]) -> tuple[list[Step], int]:
        """One round, and how many of its steps are the pattern's own."""
        steps: list[Step] = []
        own = 0
        for step in pattern:
            luck = draw.chance.random()
            if luck < self.dropped:
                continue
            if luck < self.dropped + self.replaced:
                steps.append(draw.call() if step.kind == "tool" else draw.ask())
            else:
                steps.append(replace(step))
                own += 1
            if draw.chance.random() < self.inserted:
                steps.append(draw.call())
        return steps, own


def _noise(draw: Draw) -> Noise:
    """Up to fifteen in a hundred steps are touched, by one thing or by all."""
    whole = draw.chance.choice((0.0, 0.03, 0.06, 0.1, 0.15))
    kind = draw.chance.randrange(4)
    if kind == 3:
        return Noise(whole / 3, whole / 3, whole / 3)
    return Noise(*(whole if number == kind else 0.0 for number in range(3)))


def _looped(draw: Draw, pattern: list[Step]) -> list[Step]:
    """A pattern gone through three to ten times; drawn again until three of the rounds can be recognised."""
    noise, rounds = _noise(draw), draw.chance.randint(3, 10)
    least = max(1, -(-3 * len(pattern) // 4))
    while True:
        gone = [(list(pattern), len(pattern)), *(noise.round(draw, pattern) for _ in range(rounds - 1))]
        if sum(own >= least for _, own in gone) >= 3:
            return [step for steps, _ in gone for step in steps]


def _amid(draw: Draw, steps: list[Step]) -> list[Step]:
    """Honest work before, and sometimes after."""
    before, after = draw.chance.choice((0, 0, 2, 8, 30, 80)), draw.chance.choice((0, 0, 0, 6))
    return draw.mixed_work(before) + steps + draw.mixed_work(after)


def _period(draw: Draw, least: int = 1) -> int:
    return draw.chance.randint(least, 8)


def loop_of_tools(draw: Draw) -> list[Step]:
    """Nothing but tool calls is seen."""
    return _amid(draw, _looped(draw, [draw.call() for _ in range(_period(draw))]))


def loop_of_turns(draw: Draw) -> list[Step]:
    """Each call follows a prompt with the whole history and the time in it, which is new every time."""
    steps = _looped(draw, [draw.call() for _ in range(_period(draw))])
    return _amid(draw, [each for step in steps for each in (draw.thought(), step)])


def loop_of_prompts(draw: Draw) -> list[Step]:
    """Prompts without a history, in turn."""
    return _amid(draw, _looped(draw, [draw.ask() for _ in range(_period(draw))]))


def loop_of_both(draw: Draw) -> list[Step]:
    """Prompts without a history and tool calls, in turn."""
    size = _period(draw, 2)
    return _amid(draw, _looped(draw, [draw.chance.choice((draw.ask, draw.call))() for _ in range(size)]))


def loop_with_a_step_twice(draw: Draw) -> list[Step]:
    """The pattern itself has one of its steps in two places, as looking between changes does."""
    pattern = [draw.call() for _ in range(draw.chance.randint(2, 7))]
    pattern.insert(draw.chance.randint(2, len(pattern)), replace(pattern[0]))
    return _amid(draw, _looped(draw, pattern))


def loop_of_failures(draw: Draw) -> list[Step]:
    """The same call fails alike, three to ten times, with thoughts in between or without."""
    call = draw.call(error=draw.chance.choice(("TimeoutError", "KeyError")), result=None)
    times = draw.chance.randint(3, 10)
    thoughts = draw.chance.random() < 0.5
    steps = [
        each for _ in range(times) for each in ((draw.thought(),) if thoughts else ()) + (replace(call),)
    ]
    return _amid(draw, steps)


# --- honest runs ---


def long_run(draw: Draw) -> list[Step]:
    """Hundreds of steps, all of them new."""
    return draw.mixed_work(draw.chance.randint(50, 400))


def few_tools_new_results(draw: Draw) -> list[Step]:
    """Any of three to twenty calls, at random, each of which finds the world changed."""
    calls = [draw.call() for _ in range(draw.chance.randint(3, 20))]
    count = draw.chance.randint(20, 120)
    steps = [replace(draw.chance.choice(calls), result=draw.fresh("result")) for _ in range(count)]
    return [each for step in steps for each in (draw.thought(), step)]


def few_tools_at_random(draw: Draw) -> list[Step]:
    """Any of eight to twenty calls in no order at all, with the results of before."""
    calls = [draw.call() for _ in range(draw.chance.randint(8, 20))]
    count = draw.chance.randint(20, 60)
    steps: list[Step] = []
    for _ in range(count):
        steps += [draw.thought(), _any_of(draw, calls, steps)]
    return steps


def _any_of(draw: Draw, calls: list[Step], done: list[Step]) -> Step:
    """One of these calls, but none for the third time in a row: that is a loop, whatever its reason."""
    last = [step.what for step in done if step.kind == "tool"][-2:]
    free = [call for call in calls if last.count(call.what) < 2]
    return replace(draw.chance.choice(free))


def few_tools_between_work(draw: Draw) -> list[Step]:
    """One of three to twenty known calls now and then, between new ones."""
    calls = [draw.call() for _ in range(draw.chance.randint(3, 20))]
    share = draw.chance.uniform(0.4, 0.8)
    steps: list[Step] = []
    for _ in range(draw.chance.randint(20, 100)):
        new = draw.chance.random() < share
        steps += [draw.thought(), draw.call() if new else _any_of(draw, calls, steps)]
    return steps


def pages(draw: Draw) -> list[Step]:
    """The same tool, page after page, with a cursor and the time in its arguments."""
    name = draw.chance.choice(_NAMES)
    return [
        each
        for page in range(draw.chance.randint(4, 60))
        for each in (draw.thought(), draw.call(name=name, what=f"page={page} at={draw.stamp()}"))
    ]


def polls_that_may(draw: Draw) -> list[Step]:
    """A tool of which the program says that it may be repeated, alone or before another look."""
    poll = draw.call(name="wait", result="pending", repeatable=True)
    steps: list[Step] = []
    for _ in range(draw.chance.randint(3, 40)):
        steps += [draw.thought(), replace(poll)] if draw.chance.random() < 0.6 else [replace(poll)]
    return draw.mixed_work(4) + steps + draw.mixed_work(draw.chance.randint(0, 10))


def polls_with_progress(draw: Draw) -> list[Step]:
    """The same question until the job is done; the answer has the time or the progress in it."""
    poll = draw.call(name="wait")
    times = draw.chance.randint(3, 50)
    return [each for _ in range(times) for each in (draw.thought(), replace(poll, result=draw.stamp()))]


def asked_again_otherwise(draw: Draw) -> list[Step]:
    """An answer does not fit: the prompt is sent again with what was wrong, up to eight times."""
    steps: list[Step] = []
    for _ in range(draw.chance.randint(1, 4)):
        prompt = draw.fresh("task")
        for attempt in range(draw.chance.randint(2, 8)):
            steps.append(draw.ask(prompt))
            prompt += f"\nattempt {attempt} did not parse: {draw.fresh('error')}"
            if draw.chance.random() < 0.3:
                steps.append(draw.call())
    return steps


def failures_that_pass(draw: Draw) -> list[Step]:
    """Up to two failures alike, then the call works or another one is tried."""
    steps: list[Step] = []
    for _ in range(draw.chance.randint(1, 10)):
        call = draw.chance.choice((draw.call, draw.ask))()
        error = draw.chance.choice(("TimeoutError", "RateLimitError"))
        failed = replace(call, error=error, result=None)
        steps += [replace(failed) for _ in range(draw.chance.randint(1, 2))]
        steps += [replace(call)] if draw.chance.random() < 0.7 else []
        steps += draw.mixed_work(draw.chance.randint(2, 6))
    return steps


def items_alike(draw: Draw) -> list[Step]:
    """The same tools in the same order for each of many items: only the arguments differ."""
    names = draw.chance.sample(_NAMES, draw.chance.randint(1, 5))
    steps: list[Step] = []
    for item in range(draw.chance.randint(3, 40)):
        for name in names:
            steps.append(draw.ask(f"item {item}, step {name}, {draw.stamp()}"))
            steps.append(draw.call(name=name, what=f"item={item}", result=draw.chance.choice(("ok", "done"))))
    return steps


def work_and_check(draw: Draw) -> list[Step]:
    """Each change is followed by the same checks, whose results are often those of before."""
    checks = [draw.call() for _ in range(draw.chance.randint(1, 2))]
    steps: list[Step] = []
    for _ in range(draw.chance.randint(3, 20)):
        for _ in range(draw.chance.randint(1, 3)):
            steps += [draw.thought(), draw.call()]
        for check in checks:
            result = check.result if draw.chance.random() < 0.5 else draw.fresh("result")
            steps += [draw.thought(), replace(check, result=result)]
    return steps


def twice_is_no_loop(draw: Draw) -> list[Step]:
    """A pattern of up to eight steps is gone through twice, and then something else happens."""
    steps: list[Step] = []
    for _ in range(draw.chance.randint(1, 5)):
        pattern = [draw.call() for _ in range(_period(draw))]
        steps += [replace(step) for step in pattern * 2]
        steps += draw.mixed_work(draw.chance.randint(4, 12))
    return steps


Family = Callable[[Draw], list[Step]]

LOOP_FAMILIES: tuple[Family, ...] = (
    loop_of_tools, loop_of_turns, loop_of_prompts, loop_of_both, loop_with_a_step_twice, loop_of_failures,
)  # fmt: skip
HONEST_FAMILIES: tuple[Family, ...] = (
    long_run, few_tools_new_results, few_tools_at_random, few_tools_between_work, pages, polls_that_may,
    polls_with_progress, asked_again_otherwise, failures_that_pass, items_alike, work_and_check,
    twice_is_no_loop,
)  # fmt: skip


def draw(family: Family, seed: int) -> Run:
    """One run of a family; the same for the same seed."""
    steps = family(Draw(random.Random(f"{family.__name__} {seed}")))
    return Run(family.__name__, family in LOOP_FAMILIES, steps)


def wide_runs(count: int, seed: int) -> Iterator[Run]:
    """Runs in a fixed order, half of them loops, the families of each half equally often."""
    for number in range(count):
        families = LOOP_FAMILIES if number % 2 else HONEST_FAMILIES
        yield draw(families[number // 2 % len(families)], seed * 1_000_003 + number)
