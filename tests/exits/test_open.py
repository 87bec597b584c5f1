"""What is open when the process ends is ended, says so, and arrives."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

import otel_agentops as ao
from exits.programs import PRELUDE, both, end_of
from otel_agentops.spans import recorder
from otel_agentops.testing import capture

TERM, INT = signal.SIGTERM, signal.SIGINT

# Everything that can be open, entered and never left; in the bare program it is nothing.
OPEN = """
from contextlib import ExitStack
if "BARE" in os.environ:
    def opened(_):
        return []
else:
    def opened(prefix):
        stack = ExitStack()
        stack.enter_context(ao.session(prefix + "session"))
        stack.enter_context(ao.agent(prefix + "agent"))
        stack.enter_context(ao.operation(prefix + "operation"))
        stack.enter_context(ao.tool(prefix + "tool"))
        stack.enter_context(ao.model_call(provider="openai", model=prefix + "model"))
        return stack
"""
NAMES = (
    "invoke_workflow {}session",
    "invoke_agent {}agent",
    "{}operation",
    "execute_tool {}tool",
    "chat {}model",
)

ENDS = {
    "SIGTERM": ("init()\nkept = opened('')\nready()", (TERM,)),
    "SIGTERM with threads": (
        """
import threading
init()
def work_on():
    kept = opened("")
    ready()
threading.Thread(target=work_on, daemon=True).start()
asleep()
""",
        (TERM,),
    ),
    "SIGTERM in asyncio": (
        """
import asyncio
init()
async def main():
    kept = opened("")
    print("ready", flush=True)
    await asyncio.sleep(30)
asyncio.run(main())
""",
        (TERM,),
    ),
    "a handler that exits": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\ninit()\nkept = opened('')\nready()",
        (TERM,),
    ),
    "return": ("init()\nkept = opened('')", ()),
    "return beside a daemon thread": (
        """
import threading
init()
begun = threading.Event()
def work_on():
    kept = opened("")
    begun.set()
    asleep()
threading.Thread(target=work_on, daemon=True).start()
begun.wait()
""",
        (),
    ),
    "exception": ("init()\nkept = opened('')\nraise ValueError('no')", ()),
    "sys.exit": ("init()\nkept = opened('')\nsys.exit(3)", ()),
    "keyboard interrupt": ("init()\nkept = opened('')\nraise KeyboardInterrupt", ()),
    "a fork that exits": (
        "init()\nif os.fork():\n    os.wait()\nelse:\n    kept = opened('')\n    sys.exit()\n",
        (),
    ),
    "a fork that is terminated": (
        """
init()
r, w = os.pipe()
child = os.fork()
if not child:
    kept = opened("")
    os.write(w, b"!")
    asleep()
os.read(r, 1)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        (),
    ),
    **{
        f"process by {method}{', terminated' if then else ''}": (
            f"""
import multiprocessing
def task(event):
    init()
    kept = opened("")
    event.set()
    {"asleep()" if then else ""}
if __name__ == "__main__":
    init()
    context = multiprocessing.get_context("{method}")
    event = context.Event()
    process = context.Process(target=task, args=(event,), daemon=True)
    process.start()
    event.wait()
    {then}
    process.join()
    print(process.exitcode)
""",
            (),
        )
        for method in ("fork", "forkserver", "spawn")
        for then in ("", "process.terminate()")
    },
}


@pytest.mark.parametrize("end", ENDS)
def test_what_is_open_ends_with_the_process(end: str, tmp_path: Path) -> None:
    """Session, agent, operation, tool and model call arrive, each with the note that it was cut off."""
    program, signals = ENDS[end]
    bare, ours = both(tmp_path, OPEN + program, signals)
    names = tuple(sorted(name.format("") for name in NAMES))
    assert ours == dataclasses.replace(bare, spans=names)
    assert ours.endings == dict.fromkeys(names, "abandoned")


def test_a_child_does_not_end_what_is_its_parents(tmp_path: Path) -> None:
    """What the parent has open when it forks goes on there, and ends once, as it should."""
    program = """
init()
with opened("parent "):
    for end in (sys.exit, os.kill):
        child = os.fork()
        if child == 0:
            kept = opened(f"{end.__name__} ")
            end(*((os.getpid(), signal.SIGTERM) if end is os.kill else ()))
        os.wait()
"""
    file = tmp_path / "program.py"
    file.write_text(PRELUDE + OPEN + program)
    ours = end_of([sys.executable, str(file)])
    names = [name.format(f"{who} ") for name in NAMES for who in ("parent", "exit", "kill")]
    assert ours.status == 0
    assert sorted(ours.spans) == sorted(names)
    assert ours.endings == {name: "abandoned" for name in names if "parent" not in name}


def _ended(open_: list[Callable[[], Any]]) -> list[str]:
    """Spans in the order of their ends, where these are open when recording stops."""
    with capture() as captured, ExitStack() as stack:
        for make in open_:
            stack.enter_context(make())
        ao.shutdown()
        return [span.name for span in captured.spans]


def test_what_is_open_is_ended_inside_out() -> None:
    """The end of a call counts for everything around it: what is around it ends later."""
    names = copy_context().run(_ended, [
        lambda: ao.session("s"),
        lambda: ao.agent("a"),
        lambda: ao.operation("o"),
        lambda: ao.tool("t"),
        lambda: ao.model_call(provider="openai", model="m"),
    ])  # fmt: skip
    assert names == ["chat m", "execute_tool t", "o", "invoke_agent a", "invoke_workflow s"]


def test_what_never_ends_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that opens and never ends grows by a limited number of records, and by no session."""
    monkeypatch.setattr(recorder, "_MAX_OPEN", 20)
    operations = [lambda name=f"o{number}": ao.operation(name) for number in range(100)]
    names = copy_context().run(_ended, [lambda: ao.session("s"), *operations])
    assert names == [*[f"o{number}" for number in range(99, 79, -1)], "invoke_workflow s"]
