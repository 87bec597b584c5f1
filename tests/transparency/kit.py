"""Running programs in processes of their own, and finding what differs between two of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.replay import Exchange, ReplayServer, load_exchanges
from transparency.look import plain
from transparency.see import MOST_S

__all__ = [
    "ANTHROPIC",
    "LANGCHAIN",
    "OPENAI",
    "THREADS",
    "Program",
    "Seen",
    "differences",
    "environ_of",
    "run_programs",
    "stalls",
]

_TESTS = Path(__file__).resolve().parent.parent
_ENDLESS = 100_000
OPENAI, ANTHROPIC, LANGCHAIN, THREADS = (
    f"transparency.{module}" for module in ("scenes", "letters", "chains", "threaded")
)
_RECORDINGS: dict[str, tuple[str, ...]] = {}
_RECORDINGS[OPENAI] = (
    "openai/openai__test_chat.json",
    "openai/openai__test_chat_parsed_completion_metrics.json",
    "openai/openai-v2__test_chat_completion_streaming.json",
    "openai/openai__test_responses_parse_async.json",
    "openai/openai__test_responses_streaming.json",
    "openai/openai-v2__test_responses_create_token_usage_content_mode0_.json",
    "openai/openai__test_completion_streaming_with_events_with_no_content.json",
    "openai/openai__test_completion_with_messages_attributes.json",
    "openai/openai__test_embeddings.json",
    "azure/openai__test_chat.json",
    "azure/openai__test_chat_async_streaming.json",
)
_RECORDINGS[LANGCHAIN] = (
    "openai/langchain__test_langgraph_invoke.json",
    "openai/openai-v2__test_chat_completion_streaming.json",
    "openai/agno__test_agent_with_tools.json",
    "openai/agno__test_agent_with_tools.json#1",
    "openai/openai__test_completion_langchain_style_with_events_with_no_content.json",
    "openai/openai__test_completion_streaming_with_events_with_no_content.json",
)
_RECORDINGS[ANTHROPIC] = tuple(
    f"anthropic/openinference-instrumentation-anthropic__test_anthropic_instrumentation_{name}.json"
    for name in ("messages", "stream_message", "async_messages_parse", "multiple_tool_calling_streaming")
)
"""What the servers answer with, by the book of scenes: one exchange of each recording, as servers answer
equal requests with equal recordings in turn."""
Seen = dict[str, Any]


def _shortened(exchange: Exchange) -> Exchange:
    """A stream of at most twelve events, if they stand alone: the rest says no more about transparency."""
    events = exchange.events()
    if not exchange.is_sse or len(events) <= 12 or exchange.provider == "anthropic":
        return exchange
    return _with_answer(exchange, "\n\n".join([*events[:6], *events[-6:]]) + "\n\n")


def _with_answer(exchange: Exchange, text: str) -> Exchange:
    return Exchange(**{**vars(exchange), "response": text})


def _exchanges(book: str) -> list[Exchange]:
    wanted = (name.partition("#") for name in _RECORDINGS.get(book, ()))
    return [_shortened(load_exchanges(file)[int(index or 0)]) for file, _, index in wanted]


_UNASKED = "openai/openai-v2__test_chat_completion_streaming.json"
_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def _without_usage() -> Exchange:
    """The recorded stream as it comes when nobody asks for usage."""
    recorded = load_exchanges(_UNASKED)[0]
    documents = [document for document in recorded.documents() if document["choices"]]
    for document in documents:
        document.pop("usage", None)
    text = "".join(f"data: {json.dumps(document)}\n\n" for document in documents) + "data: [DONE]\n\n"
    return _with_answer(recorded, text)


@contextlib.contextmanager
def _servers(book: str) -> Iterator[tuple[dict[str, str], dict[str, ReplayServer]]]:
    """Servers by the way they behave; their URLs, and those that note what they were sent."""
    exchanges = _exchanges(book)
    made = {
        "plain": ReplayServer(exchanges),
        "cut": ReplayServer(exchanges, cut_after=3),
        "stall": ReplayServer(exchanges, stall_after=2),
        "error": ReplayServer(exchanges),
        "flaky": ReplayServer(exchanges),
        "flaky too": ReplayServer(exchanges),
        "garbage": ReplayServer([_with_answer(each, '{"id": "x", oops') for each in exchanges]),
        "openai": ReplayServer([_without_usage()], synthesize_usage=_USAGE),
    }
    made["error"].fail_next(429, _ENDLESS, {"x-should-retry": "false"})
    for name in ("flaky", "flaky too"):
        made[name].fail_next(500, 1, {"retry-after-ms": "1"})
    with contextlib.ExitStack() as stack:
        for server in made.values():
            stack.enter_context(server)
        silent = stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=4096)))
        nobody = stack.enter_context(contextlib.closing(socket.socket()))
        nobody.bind(("127.0.0.1", 0))  # taken, so that no other server gets it, and nobody listens
        urls = {name: server.url for name, server in made.items()}
        urls |= {
            "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "nobody": f"http://127.0.0.1:{nobody.getsockname()[1]}",
        }
        yield urls, made


class Program:
    """One program: what it does before it plays, and how it is run.

    Args:
        steps: Names of steps.
        module: What is run.
        book: The module whose scenes it plays.
        scenes: How the names of what it plays begin.
        environ: Additional environment variables.
        launcher: What stands before the interpreter's arguments, such as `ddtrace-run`'s path.
        again: Whether it plays scenes in which the loop stood still again, to see if it always does.
    """

    def __init__(
        self,
        steps: Sequence[str],
        module: str = "transparency.program",
        scenes: Sequence[str] = ("",),
        environ: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
        book: str = OPENAI,
        again: bool = True,
    ) -> None:
        self.steps = tuple(steps)
        self.module = module
        self.book = book
        self.again = again
        self.scenes = tuple(scenes)
        self.environ = dict(environ or {})
        self.launcher = tuple(launcher)

    def only(self, scenes: Sequence[str]) -> Program:
        """The same for these scenes alone."""
        return Program(self.steps, self.module, scenes, self.environ, self.launcher, self.book, self.again)

    def run(self) -> Seen:
        """What it saw; also what the servers did, and what it wrote to its outputs."""
        with TemporaryDirectory() as folder, _servers(self.book) as (urls, servers):
            task, answer = Path(folder, "task.json"), Path(folder, "answer.json")
            task.write_text(json.dumps({**vars(self), "servers": urls}))
            python = [sys.executable, "-X", "utf8", "-m", self.module, str(task), str(answer)]
            done = subprocess.run(
                [*self.launcher, *python],
                env=environ_of(self.environ),
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if not answer.exists():
                raise AssertionError(f"{self.steps} ended with {done.returncode}:\n{done.stderr[-4000:]}")
            # the server numbers its answers, and programs need not play equally many scenes
            seen: Seen = json.loads(re.sub(r"\breq_\d+", "req_N", answer.read_text()))
            seen["exit"] = done.returncode
            seen["stdout"], seen["stderr"] = plain(done.stdout), plain(done.stderr)
            for name, requests in _wire(servers).items():
                if name in seen["scenes"]:
                    seen["scenes"][name]["wire"] = requests
        return seen


def environ_of(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: what every process needs, and `more`."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    paths = os.pathsep.join((str(_TESTS), str(_TESTS.parent / "src")))
    return {**known, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", **more}


def _wire(servers: Mapping[str, ReplayServer]) -> dict[str, list[Any]]:
    """What was sent in each scene, to the byte."""
    found: dict[str, list[Any]] = defaultdict(list)
    for name, server in servers.items():
        for request in server.requests:
            head = [(key, plain(value)) for key, value in request.head]
            scene = request.headers.get("x-scene", "?")
            if scene.startswith("many "):  # whose turn it was is not the same twice
                head = [(key, value) for key, value in head if key != "traceparent"]
            sent = [name, request.method, request.path, request.query, head, request.raw.decode("latin-1")]
            found[scene].append(sent)
    return {name: sorted(requests, key=json.dumps) for name, requests in found.items()}


def run_programs(programs: Mapping[str, Program]) -> dict[str, Seen]:
    """Run programs, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(programs, pool.map(lambda program: program.run(), programs.values()), strict=True))


def stalls(bare: Program, other: Program, seen: tuple[Seen, Seen], tries: int = 10) -> list[str]:
    """Scenes in which the loop stands still too long because of us, as lines for a person.

    What we do happens every time: scenes that look bad are played again in new processes, and count if
    they look bad each time.

    Args:
        bare: A program.
        other: The same with us.
        seen: What the two saw.
        tries: How often that is.
    """
    longest, most_s = _held_up(*seen), MOST_S
    for _ in range(tries):
        most_s = MOST_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # others work here, too
        suspects = [name for name, more_s in longest.items() if more_s > most_s]
        if not suspects:
            break
        again = _held_up(*(each.only(suspects).run() for each in (bare, other)))
        longest = {name: min(longest[name], again[name]) for name in suspects}
    held_up = {name: 1000 * more_s for name, more_s in longest.items() if more_s > most_s}
    return [f"{name}: the loop stood still {more_ms:.1f} ms longer" for name, more_ms in held_up.items()]


def _held_up(bare: Seen, other: Seen) -> dict[str, float]:
    return {
        name: account["stall_s"] - bare["scenes"][name]["stall_s"]
        for name, account in other["scenes"].items()
    }


Excuse = Callable[[str, Any, Any], bool]
"""`(where, bare, other)` -> whether a difference is a known one."""


def differences(bare: Any, other: Any, excuse: Excuse = lambda *_: False, where: str = "") -> list[str]:
    """Where two accounts differ, as lines for a person."""
    if bare == other or excuse(where, bare, other):
        return []
    if isinstance(bare, dict) and isinstance(other, dict):
        found = []
        for key in sorted({*bare, *other}):
            one, two = bare.get(key, "(missing)"), other.get(key, "(missing)")
            found += differences(one, two, excuse, f"{where}.{key}")
        return found
    if isinstance(bare, list) and isinstance(other, list) and len(bare) == len(other):
        found = []
        for index, (one, two) in enumerate(zip(bare, other, strict=True)):
            found += differences(one, two, excuse, f"{where}[{index}]")
        return found
    return [f"{where}: {_short(other, bare)} instead of {_short(bare, other)}"]


def _short(value: Any, beside: Any) -> str:
    """Enough of a value to see how it differs from the other."""
    text, other = repr(value), repr(beside)
    at = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    return text if len(text) <= 300 else f"…{text[max(0, at - 60) : at + 240]}…"
