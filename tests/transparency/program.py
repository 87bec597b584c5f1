"""A program that plays scenes and writes down what it saw: `python -m transparency.program`.

Input is one JSON object in the file named first: `steps`, `servers`, `book` (the module with the scenes),
`scenes` (how their names begin). The answer goes to the file named second.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import itertools
import json
import logging
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["STEPS", "main"]

Step = Callable[[], Any]


_SILENT = ("otel_agentops", "httpcore")
"""Loggers that do not count: ours, and the one that notes each packet, which come as they like."""


class _Notes(logging.Handler):
    """Everybody's log lines but ours; of ours only what a person should read."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[Any] = []
        self.warned: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        from transparency.look import plain

        if record.name.startswith("otel_agentops") and record.levelno >= logging.WARNING:
            self.warned.append(plain(record.getMessage()))
        if not record.name.startswith(_SILENT):
            self.lines.append((record.name, record.levelname, plain(record.getMessage())))


class _Spans:
    """The program's own tracer provider, which keeps the spans in memory."""

    def __init__(self) -> None:
        self.exporter: Any = None

    def set_up(self) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Counted(RandomIdGenerator):
            """The SDK's own draws from the random numbers of the program, whoever starts a span."""

            generate_span_id = generate_trace_id = itertools.count(1).__next__

        provider = TracerProvider(shutdown_on_exit=False, id_generator=Counted())
        self.exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(provider)
        trace.get_tracer("the program").start_span("its own").end()
        self.exporter.clear()

    def take(self) -> list[Any]:
        if self.exporter is None:
            return []
        if "otel_agentops" in sys.modules:
            sys.modules["otel_agentops"].flush(1)  # streams that were dropped
        spans = self.exporter.get_finished_spans()
        self.exporter.clear()
        names = {span.context.span_id: span.name for span in spans}
        return [
            {
                "scope": span.instrumentation_scope.name,
                "name": span.name,
                "kind": span.kind.name,
                "status": span.status.status_code.name,
                "attributes": {name: _jsonable(value) for name, value in (span.attributes or {}).items()},
                "parent": names.get(span.parent.span_id, "elsewhere") if span.parent else None,
                "ended": span.end_time is not None and span.end_time >= span.start_time,
            }
            for span in spans
        ]


def _jsonable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


_SPANS = _Spans()


def _instrument(**settings: Any) -> None:
    import otel_agentops as ao

    ao.init(auto_session=False, **settings)


def _follow_threads() -> None:
    import otel_agentops as ao

    _instrument(propagate_threads=True)
    _kept.append(ao.start_session("all scenes"))


_kept: list[Any] = []


def _allow(calls: int) -> None:
    import otel_agentops as ao

    _kept.append(ao.start_session("all scenes", budget=ao.Budget(calls=calls)))


def _undo() -> None:
    import otel_agentops as ao

    ao.uninstrument()


def _layer(book: str) -> None:
    from transparency.layer import install

    install(book)


def _meddle(name: str) -> None:
    from transparency.meddling import meddle

    meddle(name)


STEPS: dict[str, Step] = {
    "import": lambda: __import__("openai"),
    "import anthropic": lambda: __import__("anthropic"),
    "import langchain": lambda: __import__("langchain_core.runnables"),
    "provider": _SPANS.set_up,
    "ours": _instrument,
    "ours, with content": lambda: _instrument(capture_content=True),
    "ours, with content, not asking": lambda: _instrument(capture_content=True, stream_usage=False),
    "ours, not asking": lambda: _instrument(stream_usage=False),
    "ours, as a gate": lambda: _instrument(gate=["openai"], instrument=[]),
    "ours, as a gate for Anthropic": lambda: _instrument(gate=["anthropic"], instrument=[]),
    "a budget of no calls": lambda: _allow(0),
    "a budget of one call": lambda: _allow(1),
    "undo ours": _undo,
    "ours, following threads": _follow_threads,
    "own layer": lambda: _layer("transparency.scenes"),
    "own layer around Anthropic": lambda: _layer("transparency.letters"),
}
"""What a program may do before it plays, by name; `meddle: …` as well, see `meddling`."""


_SDKS = {"anthropic", "langchain_core", "openai"}


def main(steps: Mapping[str, Step] = STEPS, after_scene: Callable[[], Mapping[str, Any]] = dict) -> None:
    """Take the steps, play the scenes, write down what was seen.

    Args:
        steps: What steps there are.
        after_scene: More to write down after each scene.
    """
    task = json.loads(Path(sys.argv[1]).read_text())
    for step in task["steps"]:
        kind, _, name = step.partition(": ")
        _meddle(name) if kind == "meddle" else steps[step]()
    seen: dict[str, Any] = {"imported by the steps": sorted(_SDKS & set(sys.modules))}
    from transparency.look import callbacks_at_exit, process_of

    book = importlib.import_module(task["book"])
    gc.collect()
    gc.freeze()  # what is there already need not be looked through after every scene
    wanted = [name for name in book.SCENES if name.startswith(tuple(task["scenes"]))]
    play = partial(_play, book, servers=task["servers"], after_scene=after_scene)
    seen["scenes"] = {name: play(name) for name in wanted}
    seen["process"] = {**process_of(), "at exit": callbacks_at_exit()}
    for name in wanted if task["again"] else ():
        seen["scenes"][name]["stall_s"] = _shortest(
            book, name, task["servers"], seen["scenes"][name]["stall_s"]
        )
    Path(sys.argv[2]).write_text(json.dumps(seen, default=_as_text))


_TRIES = 4


def _shortest(book: Any, name: str, servers: dict[str, str], stall_s: float) -> float:
    """How long the loop stands still at least: what happens once may be anything on this machine.

    The server takes what is played again for another scene.
    """
    from transparency.see import MOST_S, play

    for _ in range(_TRIES):
        if stall_s <= MOST_S:
            break
        see = book.See(f"{name} (again)", servers)
        with _unheard():
            play(book.SCENES[name], see)
            _SPANS.take()
            gc.collect()
        stall_s = min(stall_s, see.stall_s)
    return stall_s


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What is said meanwhile was said before."""
    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(nowhere)


def _as_text(value: Any) -> str:
    from transparency.look import plain

    return plain(repr(value))


def _play(
    book: Any, name: str, servers: dict[str, str], after_scene: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """One scene, and everything that was to be seen besides what it returned."""
    from transparency.look import files_of, plain, threads_of
    from transparency.see import play

    see, notes = book.See(name, servers), _Notes()
    context, lot = _context(), random.getstate()
    root = logging.getLogger()
    root.addHandler(notes)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            outcome = play(book.SCENES[name], see)
            gc.collect()
            gc.freeze()
    finally:
        root.removeHandler(notes)
        root.setLevel(logging.WARNING)
    return {
        "random numbers left": random.getstate() == lot,
        "outcome": outcome,
        "tape": see.tape,
        "logs": sorted(notes.lines) if name.startswith("many ") else notes.lines,
        "warnings": [(one.category.__name__, plain(one.message), Path(one.filename).name) for one in warned],
        "threads": _settled(threads_of),
        "files": _settled(files_of),
        "spans": _SPANS.take(),
        "context": _context() == context,
        "warned by us": notes.warned,
        "stall_s": see.stall_s,
        **after_scene(),
    }


def _context() -> Any:
    """What OpenTelemetry's context says: the current span, and everything else in it."""
    from opentelemetry import context, trace

    current = context.get_current()
    span = trace.get_current_span(current).get_span_context()
    return span, trace.set_span_in_context(trace.INVALID_SPAN, current)


def _settled(look: Callable[[], list[str]]) -> list[str]:
    """What is there when nothing is about to go any more."""
    found = look()
    for _ in range(5):
        time.sleep(0.001)
        again = look()
        if again == found:
            break
        found = again
    return found


if __name__ == "__main__":
    main()
