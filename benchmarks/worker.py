"""One program in one process: sets up, then runs a block of calls for each line it is sent."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from benchmarks import stub
from benchmarks.arms import ARMS

if TYPE_CHECKING:
    from benchmarks.arms import Arm


def _block(arm: Arm, calls: int) -> dict[str, float]:
    """CPU microseconds a call: of the calling thread, and of the process with the export."""
    call, cpu, own = arm.call, time.process_time, time.thread_time
    before, begun = cpu(), own()
    for _ in range(calls):
        call()
    ended = own()
    arm.flush()
    total = cpu() - before
    return {"call": (ended - begun) / calls * 1e6, "total": total / calls * 1e6}


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Set one arm up and obey."""
    parser = argparse.ArgumentParser()
    parser.add_argument("arm", choices=sorted(ARMS))
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--chunks", type=int, default=200)
    options = parser.parse_args()
    if not options.arm.startswith(("decorators.", "langchain.")):
        stub.install(options.chunks)
    arm = ARMS[options.arm](options.endpoint)
    _say("ready")
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        if word == "warm":
            for _ in range(int(number)):
                arm.call()
            arm.flush()
            gc.collect()
            _say("warm")
        elif word == "signals":
            arm.call()
            _say(arm.signals())
        else:
            _say(_block(arm, int(number)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
