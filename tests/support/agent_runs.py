"""A seeded generator of agent runs, some of them caught in a loop and most of them not.

A run is a list of steps: what a detector could know of an agent at work. What it did is told by `shape`,
whether that is a loop by `loop`. The shapes were written down from how agents behave, before there was a
detector, and none of its thresholds is known here:

* a *loop* does the same again without anything new in between that could lead it out: the same prompt,
  the same tools with the same arguments and the same results, in the same order, now and then with a step
  that has nothing to do with it;
* an *honest* run repeats itself too (it polls, pages, retries, runs the tests after each change, starts
  each task alike, asks several agents at once), but something is new each time: the arguments, the
  results, the work in between, or it is no repetition of one agent at all.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["Run", "Step", "runs"]


@dataclass
class Step:
    """One thing that an agent did.

    Attributes:
        kind: `prompt` (a model is asked), `tool` or `embedding`.
        what: The whole prompt, or the arguments of the tool.
        name: Of the model or tool.
        result: What a tool gave back.
        error: Type of the error it ended in.
        repeatable: Whether the program says that this tool may be called alike any number of times.
        samples: Answers asked for at once (`n`).
        attempts: Requests that the SDK made for this one call.
        session: Which session of the run.
        agent: Name of the agent whose turn it is; None outside any.
        turn: Tells turns of that agent apart.
        together: Steps of one number other than 0 start before any of them ends.
    """

    kind: str
    what: str
    name: str
    result: str | None = None
    error: str | None = None
    repeatable: bool = False
    samples: int = 1
    attempts: int = 1
    session: int = 0
    agent: str | None = None
    turn: int = 0
    together: int = 0


@dataclass
class Run:
    """What one program did from its start to its end."""

    shape: str
    loop: bool
    steps: list[Step] = field(default_factory=list)


TOOLS = (
    "search",
    "read_file",
    "edit_file",
    "run_tests",
    "fetch",
    "query",
    "list_dir",
    "send",
    "grep",
    "plan",
)
ERRORS = ("RateLimitError", "TimeoutError", "ValueError", "ConnectionError")


class Maker:
    """Makes steps with contents that no other step of the run has, unless it is told to repeat."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._number = 0
        self._history: list[str] = []

    def new(self, what: str = "item") -> str:
        """A text that was never there before."""
        self._number += 1
        return f"{what} {self._number} {self.random.getrandbits(32):x}"

    def prompt(self, text: str | None = None, name: str = "gpt-4o-mini", **more: object) -> Step:
        """A prompt on its own; a new one unless the text is given."""
        return Step("prompt", text if text is not None else self.new("prompt"), name, **more)  # type: ignore[arg-type]

    def turn(self) -> Step:
        """The next turn of an agent that sends its whole history: never the same twice."""
        self._history.append(self.new("message"))
        return self.prompt("\n".join(self._history[-20:]) + f"#{len(self._history)}")

    def tool(
        self, name: str | None = None, what: str | None = None, result: str | None = None, **more: object
    ) -> Step:
        """A tool call; new in arguments and result unless they are given."""
        arguments = what if what is not None else self.new("arguments")
        given = result if result is not None else self.new("result")
        return Step("tool", arguments, name or self.random.choice(TOOLS), given, **more)  # type: ignore[arg-type]

    def work(self, steps: int) -> list[Step]:
        """An honest stretch: turns with new tool calls, sometimes several, sometimes a second look."""
        done: list[Step] = []
        while len(done) < steps:
            done.append(self.turn())
            done.extend(self.tool() for _ in range(self.random.choice((0, 1, 1, 1, 2))))
            seen = [step for step in done if step.kind == "tool"]
            if seen and self.random.random() < 0.05:
                done.append(dataclasses.replace(self.random.choice(seen)))
        return done[:steps]

    def noisy(self, pattern: list[Step], times: int, noise: float, lost: float = 0.0) -> list[Step]:
        """A pattern again and again; some steps are followed by an unrelated one, some are left out."""
        done: list[Step] = []
        for round_ in range(times):
            for step in pattern:
                if round_ and self.random.random() < lost:
                    continue
                done.append(dataclasses.replace(step))
                if self.random.random() < noise:
                    done.append(self.tool() if self.random.random() < 0.5 else self.prompt())
        return done


Shape = Callable[[Maker], list[Step]]


# --- loops ---


def _times(make: Maker) -> int:
    return make.random.choice((3, 4, 4, 5, 6, 8, 12, 20))


def _noise(make: Maker) -> float:
    return make.random.choice((0.0, 0.0, 0.05, 0.1, 0.15, 0.2))


def _within(make: Maker, loop: list[Step]) -> list[Step]:
    """A loop seldom begins at the beginning."""
    before = make.work(make.random.choice((0, 0, 3, 10, 40)))
    return before + loop + make.work(make.random.choice((0, 0, 0, 5)))


def same_prompt(make: Maker) -> list[Step]:
    """Asks the same without any history, as a wrong condition of a `while` does."""
    return _within(make, make.noisy([make.prompt()], _times(make), _noise(make)))


def same_tool(make: Maker) -> list[Step]:
    """A history that grows, and always the same call with the same result."""
    call = make.tool()
    return _within(make, _with_turns(make, make.noisy([call], _times(make), _noise(make))))


def tool_cycle(make: Maker) -> list[Step]:
    """Two to eight tool calls over and over, between turns with a growing history."""
    pattern = [make.tool() for _ in range(make.random.randint(2, 8))]
    lost = make.random.choice((0.0, 0.0, 0.05))
    return _within(make, _with_turns(make, make.noisy(pattern, _times(make), _noise(make), lost)))


def bare_tool_cycle(make: Maker) -> list[Step]:
    """The same where only the tools are seen."""
    pattern = [make.tool() for _ in range(make.random.randint(1, 8))]
    return _within(make, make.noisy(pattern, _times(make), _noise(make)))


def mixed_cycle(make: Maker) -> list[Step]:
    """Prompts without history and tools, up to eight steps, over and over."""
    size = make.random.randint(2, 8)
    pattern = [make.prompt() if make.random.random() < 0.5 else make.tool() for _ in range(size)]
    return _within(make, make.noisy(pattern, _times(make), _noise(make)))


def prompt_cycle(make: Maker) -> list[Step]:
    """Two to eight prompts over and over: a pipeline that is started again on its own output."""
    pattern = [make.prompt() for _ in range(make.random.randint(2, 8))]
    return _within(make, make.noisy(pattern, _times(make), _noise(make)))


def ping_pong(make: Maker) -> list[Step]:
    """Two agents hand the work to each other; each does the one thing it can do."""
    writer, critic = make.tool("draft"), make.tool("review")
    done: list[Step] = []
    for number in range(_times(make)):
        for agent, step in (("writer", writer), ("critic", critic)):
            done.append(dataclasses.replace(make.turn(), agent=agent, turn=number))
            done.append(dataclasses.replace(step, agent=agent, turn=number))
    return done


def storm(make: Maker) -> list[Step]:
    """The same call fails in the same way, and is made again."""
    error = make.random.choice(ERRORS)
    call = make.prompt(error=error) if make.random.random() < 0.5 else make.tool(error=error, result=None)
    call.result = None
    return _within(make, make.noisy([call], make.random.choice((4, 5, 8, 15)), make.random.choice((0, 0.1))))


def failing_tool(make: Maker) -> list[Step]:
    """The model insists on a tool call that cannot work."""
    call = make.tool(error="ValueError")
    call.result = None
    return _within(make, _with_turns(make, make.noisy([call], _times(make) + 1, 0.05)))


def _with_turns(make: Maker, steps: list[Step]) -> list[Step]:
    """Each tool call is asked for by a turn with a longer history."""
    done: list[Step] = []
    for step in steps:
        if step.kind == "tool":
            done.append(make.turn())
        done.append(step)
    return done


# --- honest runs ---


def long_run(make: Maker) -> list[Step]:
    """Many turns, always something new, seldom a second look."""
    return make.work(make.random.choice((20, 60, 150, 300)))


def paging(make: Maker) -> list[Step]:
    """The same tool through all pages."""
    pages = range(make.random.randint(5, 60))
    return [step for page in pages for step in (make.turn(), make.tool("search", f"q page={page}"))]


def next_page(make: Maker) -> list[Step]:
    """The same call each time, with a cursor on the other side: each answer is new."""
    count = make.random.randint(4, 25)
    return [step for _ in range(count) for step in (make.turn(), make.tool("next_page", "{}"))]


def polling(make: Maker) -> list[Step]:
    """Waits for a job whose progress is told."""
    job, count = make.new("job"), make.random.randint(3, 20)
    polls = [make.tool("status", job, f"running {number * 5} %") for number in range(count)]
    return make.work(6) + _with_turns(make, polls) + [make.tool("status", job, "done")] + make.work(4)


def declared_polling(make: Maker) -> list[Step]:
    """Waits for a job that says nothing new until it is done; the program says that this may be."""
    job, count = make.new("job"), make.random.randint(3, 30)
    polls = [make.tool("wait_for", job, "pending", repeatable=True) for _ in range(count)]
    return make.work(6) + _with_turns(make, polls) + make.work(4)


def edit_and_test(make: Maker) -> list[Step]:
    """Changes something, runs the same tests, reads what they say; some results come twice."""
    done: list[Step] = []
    file, failures = make.new("file"), make.random.randint(3, 9)
    for _ in range(make.random.randint(3, 15)):
        done += [make.turn(), make.tool("edit_file"), make.turn()]
        failures = max(0, failures - make.random.choice((0, 0, 1, 2)))
        done.append(make.tool("run_tests", "{}", f"{failures} failed"))
        if make.random.random() < 0.4:
            done += [make.turn(), make.tool("read_file", file)]
    return done


def tidy_worker(make: Maker) -> list[Step]:
    """Looks at the state of things after each change, in the same words."""
    done: list[Step] = []
    for _ in range(make.random.randint(3, 10)):
        done += [make.turn(), make.tool("write_file")]
        done += [make.turn(), make.tool("git_status", "{}"), make.turn(), make.tool("list_dir", ".")]
    return done


def retries_with_changes(make: Maker) -> list[Step]:
    """The answer does not fit, and the next prompt says why."""
    done = make.work(4)
    for _ in range(make.random.randint(3, 8)):
        done.append(make.prompt())
    return done


def retries(make: Maker) -> list[Step]:
    """A call fails once or twice, and then works."""
    done: list[Step] = []
    for _ in range(make.random.randint(1, 8)):
        error = make.random.choice(ERRORS)
        call = make.prompt()
        failures = make.random.choice((1, 1, 2))
        done += [dataclasses.replace(call, error=error) for _ in range(failures)]
        done.append(call)
        done += make.work(3)
    return done


def sdk_retries(make: Maker) -> list[Step]:
    """The SDK asks again by itself: still one call."""
    return [dataclasses.replace(make.turn(), attempts=make.random.choice((1, 3, 6))) for _ in range(12)]


def samples(make: Maker) -> list[Step]:
    """Several answers to one prompt, by `n` or by asking at once."""
    done = make.work(4)
    for number in range(1, make.random.randint(2, 5)):
        prompt = make.prompt()
        if make.random.random() < 0.5:
            done.append(dataclasses.replace(prompt, samples=make.random.randint(2, 10)))
        else:
            count = make.random.randint(3, 10)
            done += [dataclasses.replace(prompt, together=number) for _ in range(count)]
        done += make.work(3)
    return done


def embeddings(make: Maker) -> list[Step]:
    """The same text is looked up again and again."""
    texts = [make.new("text") for _ in range(3)]
    done: list[Step] = []
    for _ in range(make.random.randint(5, 40)):
        done.append(Step("embedding", make.random.choice(texts), "text-embedding-3-small"))
        if make.random.random() < 0.3:
            done.append(make.turn())
    return done


def many_sessions(make: Maker) -> list[Step]:
    """Every user asks the same, and the same tools answer them."""
    prompt, call = make.prompt(), make.tool()
    done: list[Step] = []
    for session in range(make.random.randint(3, 12)):
        done += [dataclasses.replace(step, session=session) for step in (prompt, call, make.prompt())]
    return done


def batch(make: Maker) -> list[Step]:
    """Task after task in one session; each turn of the agent starts with the same look around."""
    start = [make.tool() for _ in range(make.random.randint(1, 3))]
    done: list[Step] = []
    for number in range(make.random.randint(3, 12)):
        steps = [make.turn(), *(dataclasses.replace(step) for step in start)]
        steps += make.work(make.random.randint(3, 8))
        steps.append(make.tool())
        done += [dataclasses.replace(step, agent="worker", turn=number) for step in steps]
    return done


def parallel_agents(make: Maker) -> list[Step]:
    """Agents of one kind that work at the same time and read the same files."""
    shared = [make.tool("read_file") for _ in range(make.random.randint(1, 3))]
    first = make.prompt()
    workers = make.random.randint(3, 8)
    done = make.work(2)
    for step in (first, *shared):
        done += [dataclasses.replace(step, agent="w", turn=n, together=1) for n in range(workers)]
    for _ in range(3):
        done += [dataclasses.replace(make.turn(), agent="w", turn=n, together=1) for n in range(workers)]
        done += [dataclasses.replace(make.tool(), agent="w", turn=n, together=1) for n in range(workers)]
    return done


def other_models(make: Maker) -> list[Step]:
    """One prompt for several models: a comparison, or a way out when one of them fails."""
    done = make.work(2)
    for _ in range(3):
        text = make.new("prompt")
        done += [make.prompt(text, name) for name in ("gpt-4o", "gpt-4o-mini", "claude", "gemini", "mistral")]
    return done


def pairs(make: Maker) -> list[Step]:
    """A careful agent makes some calls twice, to be sure."""
    done: list[Step] = []
    for _ in range(make.random.randint(4, 15)):
        call = make.tool()
        done += [make.turn(), call, make.turn(), *([dataclasses.replace(call)] * make.random.choice((0, 1)))]
    return done


def clock(make: Maker) -> list[Step]:
    """Asks for the time or the weather whenever it needs it."""
    done: list[Step] = []
    for _ in range(make.random.randint(4, 20)):
        done += [make.turn(), make.tool("now", "{}"), *make.work(make.random.choice((0, 2)))]
    return done


LOOPS: tuple[Shape, ...] = (
    same_prompt, same_tool, tool_cycle, tool_cycle, bare_tool_cycle, mixed_cycle, prompt_cycle, ping_pong,
    storm, failing_tool,
)  # fmt: skip
HONEST: tuple[Shape, ...] = (
    long_run, paging, next_page, polling, declared_polling, edit_and_test, tidy_worker, retries_with_changes,
    retries, sdk_retries, samples, embeddings, many_sessions, batch, parallel_agents, other_models, pairs,
    clock,
)  # fmt: skip


def runs(count: int, seed: int) -> Iterator[Run]:
    """Runs in a fixed order, half of them loops, all shapes equally often."""
    for number in range(count):
        shapes = LOOPS if number % 2 else HONEST
        shape = shapes[(number // 2) % len(shapes)]
        make = Maker(seed * 1_000_003 + number)
        yield Run(shape.__name__, number % 2 == 1, shape(make))
