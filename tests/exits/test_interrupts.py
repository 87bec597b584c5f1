"""SIGTERM in the instant before the main thread of a child begins to wait, as in pools that are left."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from exits.programs import PRELUDE, both, end_of

JUST_BEFORE = """
import _thread, multiprocessing, threading
init()
def strike():
    if "BARE" in os.environ:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)  # noted by Python, but it ends no wait
def task():
    with work("child"):
        pass
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.3, strike).start()
    lock.acquire()
if __name__ == "__main__":
    with work("parent"):
        pass
    process = multiprocessing.get_context("{method}").Process(target=task)
    process.start()
    process.join(20)
    print(process.exitcode)
    process.kill()
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_just_before_a_wait(method: str, tmp_path: Path) -> None:
    """A child that is terminated then ends as without us."""
    bare, ours = both(tmp_path, JUST_BEFORE.replace("{method}", method))
    assert bare.stdout == "-15\n"
    assert ours == dataclasses.replace(bare, spans=("child", "parent"))


DESCRIPTORS = """
import multiprocessing, socket
def present():
    found = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(found)
    return found
def task():
    own = present()
    child = os.fork()
    if not child:
        os._exit(present() != -1)
    print("ours in a child", own != -1, "its child's", os.waitpid(child, 0)[1], "still", present() == own)
def with_their_own():
    theirs, other = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno())
    init()
    print("theirs", present() == theirs.fileno())
    signal.set_wakeup_fd(-1)
def with_trio():
    sys.modules["trio"] = signal
    init()
    print("beside trio", present())
def run(context, task):
    process = multiprocessing.get_context(context).Process(target=task)
    process.start()
    process.join()
if __name__ == "__main__":
    init()
    print("in the program", present())
    run("fork", task)
    run("spawn", with_their_own)
    run("spawn", with_trio)
"""


def test_the_descriptor(tmp_path: Path) -> None:
    """What wakes the main thread is there in children alone, and in nobody's way."""
    file = tmp_path / "program.py"
    file.write_text(PRELUDE + DESCRIPTORS)
    end = end_of([sys.executable, "-u", str(file)])
    assert end.stdout.splitlines() == [
        "in the program -1",
        "ours in a child True its child's 0 still True",
        "theirs True",
        "beside trio -1",
    ]
    assert (end.status, end.stderr) == (0, "")
