"""However a process ends: every ended span arrives, and the program ends as it does without us."""

from __future__ import annotations

import dataclasses
import signal
import socket
import sys
from pathlib import Path

import pytest

from exits.programs import PRELUDE, both, end_of

TERM, INT = signal.SIGTERM, signal.SIGINT

WORK = """
init()
with work("a"), work("b"):
    print("working", flush=True)
"""

ENDS = {
    "return": WORK,
    "exception": WORK + "raise ValueError('no')",
    "sys.exit": WORK + "sys.exit(3)",
    "sys.exit with a text": WORK + "sys.exit('so long')",
    "keyboard interrupt": WORK + "raise KeyboardInterrupt",
    "exception inside": "init()\nwith work('a'), work('b'):\n    print('working', flush=True)\n    1 / 0",
    "exit of a thread": WORK + "import threading\nthreading.Thread(target=sys.exit).start()",
    "last span in a thread": """
init()
def late():
    time.sleep(0.2)
    with work("a"), work("b"):
        pass
import threading
threading.Thread(target=late).start()
""",
    "last span at exit": """
import atexit
init()
def late():
    with work("a"), work("b"):
        pass
atexit.register(late)
""",
    "in a pool of threads": """
from concurrent.futures import ThreadPoolExecutor
init()
def task(name):
    with work(name):
        return name
pool = ThreadPoolExecutor(2)
pool.submit(task, "a"), pool.submit(task, "b")
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_ends_by_itself(end: str, tmp_path: Path) -> None:
    """A program that comes to its end."""
    bare, ours = both(tmp_path, ENDS[end])
    assert ours == dataclasses.replace(bare, spans=("a", "b"))


KILLED = {
    "sleeping": "init()\nwith work('a'), work('b'):\n    pass\nready()",
    "in a lock": "init()\nwith work('a'), work('b'):\n    pass\n"
    "import threading\nprint('ready', flush=True)\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "in a loop": "init()\nwith work('a'), work('b'):\n    pass\nprint('ready', flush=True)\nwhile True: pass",
    "waiting for a thread at exit": """
import threading
init()
with work("a"), work("b"):
    pass
threading.Thread(target=ready).start()
""",
    "in asyncio": """
import asyncio
init()
async def main():
    with work("a"), work("b"):
        pass
    print("ready", flush=True)
    await asyncio.sleep(30)
asyncio.run(main())
""",
    "with a handler of asyncio": """
import asyncio
init()
async def main():
    with work("a"):
        pass
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await stop.wait()
    with work("b"):
        print("stopping")
asyncio.run(main())
""",
    "with a handler set before": """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
init()
with work("a"), work("b"):
    ready()
""",
    "with a handler set after": """
init()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
with work("a"), work("b"):
    ready()
""",
    "with a handler that hands on": """
init()
def stop(*args):
    if callable(before):
        before(*args)
    sys.exit(5)
before = signal.signal(signal.SIGTERM, stop)
with work("a"), work("b"):
    ready()
""",
    "with a handler that gives back and raises again": """
init()
def stop(*args):
    with work("b"):
        print("stopping", flush=True)
    signal.signal(signal.SIGTERM, before)
    signal.raise_signal(signal.SIGTERM)
before = signal.signal(signal.SIGTERM, stop)
with work("a"):
    pass
ready()
""",
    "ignored": """
init()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with work("a"), work("b"):
    print("ready", flush=True)
    time.sleep(0.5)
""",
    "inside of try and finally": """
init()
with work("a"), work("b"):
    pass
try:
    ready()
finally:
    print("not printed")
""",
}


@pytest.mark.parametrize("end", KILLED)
def test_sigterm(end: str, tmp_path: Path) -> None:
    """SIGTERM takes effect as it does without us, and no span with it."""
    bare, ours = both(tmp_path, KILLED[end], (TERM,))
    assert ours == dataclasses.replace(bare, spans=("a", "b"))


def test_sigterm_twice(tmp_path: Path) -> None:
    """An impatient supervisor loses nothing."""
    bare, ours = both(tmp_path, KILLED["sleeping"], (TERM, TERM))
    assert ours == dataclasses.replace(bare, spans=("a", "b"))


def test_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C unwinds the program, whose open spans end."""
    bare, ours = both(tmp_path, "init()\nwith work('a'), work('b'):\n    ready()", (INT,))
    assert (ours.status, ours.stdout, ours.spans) == (bare.status, bare.stdout, ("a", "b"))


def test_open_sessions_end_with_sigterm(tmp_path: Path) -> None:
    """A session that SIGTERM cuts off arrives, with what was spent so far."""
    program = """
import otel_agentops as ao
ao.init(instrument=[])
with ao.session("cut off"):
    with work("a"):
        pass
    ready()
"""
    file = tmp_path / "program.py"

    file.write_text(PRELUDE + program)
    ours = end_of([sys.executable, str(file)], (TERM,))
    assert (ours.status, ours.spans) == (-TERM, ("a", "invoke_workflow cut off"))


CHILDREN = {
    "os.fork and sys.exit": """
init()
with work("parent"):
    pass
if os.fork() == 0:
    with work("child"):
        pass
    sys.exit(4)
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
    "os.fork and SIGTERM": """
init()
with work("parent"):
    pass
ours, theirs = os.pipe()
child = os.fork()
if child == 0:
    with work("child"):
        pass
    os.write(theirs, b"!")
    asleep()
os.read(ours, 1)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
    "process by {method}": """
import multiprocessing
def task():
    init()
    with work("child"):
        pass
    sys.exit(4)
if __name__ == "__main__":
    init()
    with work("parent"):
        pass
    process = multiprocessing.get_context("{method}").Process(target=task)
    process.start()
    process.join()
    print(process.exitcode)
""",
    "process by {method}, init at the top": """
import multiprocessing
init()
def task(queue):
    with work("child"):
        queue.put("done")
if __name__ == "__main__":
    with work("parent"):
        pass
    context = multiprocessing.get_context("{method}")
    queue = context.Queue()
    process = context.Process(target=task, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
    print(process.exitcode)
""",
    "terminated process by {method}": """
import multiprocessing
init()
def task(event):
    with work("child"):
        pass
    event.set()
    asleep()
if __name__ == "__main__":
    with work("parent"):
        pass
    context = multiprocessing.get_context("{method}")
    event = context.Event()
    process = context.Process(target=task, args=(event,), daemon=True)
    process.start()
    event.wait()
    process.terminate()
    process.join()
    print(process.exitcode)
""",
    "ProcessPoolExecutor by {method}": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
init()
def task(number):
    with work("child"):
        return number
if __name__ == "__main__":
    with work("parent"):
        pass
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("{method}")) as pool:
        print(list(pool.map(task, [1])))
""",
    "Pool by {method}": """
import multiprocessing
init()
def task(number):
    with work("child"):
        return number
if __name__ == "__main__":
    with work("parent"):
        pass
    with multiprocessing.get_context("{method}").Pool(1) as pool:  # leaving it terminates its processes
        print(pool.map(task, [1]))
""",
}

METHODS = ("fork", "forkserver", "spawn")
CASES = [
    (kind.format(method=method), program.replace("{method}", method))
    for kind, program in CHILDREN.items()
    for method in (METHODS if "{method}" in kind else ("",))
]


@pytest.mark.parametrize("program", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_children(program: str, tmp_path: Path) -> None:
    """Children send what they made, once, and the parent sees them end as without us."""
    bare, ours = both(tmp_path, program)
    assert ours == dataclasses.replace(bare, spans=("child", "parent"))


SHARED = """
init()
with work("parent"):
    pass
if "BARE" not in os.environ:
    ao.flush()  # over a connection that must stay the parent's
children = []
for name in ("child 1", "child 2"):
    child = os.fork()
    if child == 0:
        with work(name):
            pass
        sys.exit()
    children.append(child)
with work("later"):
    pass
print([os.waitpid(child, 0)[1] for child in children])
"""


def test_children_have_connections_of_their_own(tmp_path: Path) -> None:
    """A fork after the first export mixes up nothing."""
    bare, ours = both(tmp_path, SHARED)
    assert ours == dataclasses.replace(bare, spans=("child 1", "child 2", "later", "parent"))


HANGING = {
    "return": ("", ()),
    "SIGTERM": ("ready()", (TERM,)),
    "SIGTERM and Ctrl-C": ("ready()", (TERM, INT)),
    "os.fork": ("if os.fork():\n    os.wait()\nelse:\n    with work('child'):\n        sys.exit()\n", ()),
    "fork": (
        """
import multiprocessing
def task():
    with work("child"):
        pass
process = multiprocessing.get_context("fork").Process(target=task)
process.start()
process.join()
""",
        (),
    ),
}


@pytest.mark.parametrize("end", HANGING)
def test_a_hanging_collector_holds_nobody_up(end: str, tmp_path: Path) -> None:
    """With a collector that never answers every process ends, long before the exporter gives up."""
    program, signals = HANGING[end]
    file = tmp_path / "program.py"
    file.write_text(PRELUDE + "init()\nwith work('a'):\n    pass\n" + program)
    variables = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600", "OTEL_AGENTOPS_EXIT_TIMEOUT": "0.5"}
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # connects, but nobody reads or answers
        variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = (
            f"http://127.0.0.1:{deaf.getsockname()[1]}/v1/traces"
        )
        # the SDK alone would wait for 30 seconds
        ours = end_of([sys.executable, str(file)], signals, hangs_after_s=20, **variables)
    assert ours.status in ((-TERM, -INT) if signals else (0,))
