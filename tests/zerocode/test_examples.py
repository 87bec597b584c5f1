"""The examples that are programs of their own: a plain script under the launcher, and a service."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from zerocode.launching import ANSWER, World, cost_of, world

APPS = Path(__file__).resolve().parents[2] / "examples" / "apps"


def test_a_plain_script() -> None:
    """It prints what it prints alone, and its call arrives with its price."""
    program = (APPS / "zero_code.py").read_text()
    with world() as here:
        bare = here.run(program, bare=True).stdout
        assert here.spans == []
        assert here.run(program).stdout == bare == ANSWER
        (chat,) = here.chats()
    assert Decimal(str(chat.attributes["gen_ai.usage.cost"])) == cost_of()


@contextmanager
def serving(here: World) -> Iterator[str]:
    """The service on a free port; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "fastapi_service:app", "--app-dir", str(APPS), "--port", "0"],
        env=here.environ(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log: list[str] = []
    reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
    try:
        for line in process.stderr:
            log.append(line)
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                break
        else:
            raise AssertionError("".join(log))
        reader.start()
        yield found.group(1)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        assert "Traceback" not in "".join(log)
    finally:
        process.kill()
        process.wait()
        reader.join(timeout=10)
        process.stderr.close()


def ask(url: str, user: str) -> dict[str, str]:
    """One request of a user."""
    request = urllib.request.Request(f"{url}/ask?user={user}&question=hi", method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, str] = json.load(answer)
        return found


def test_a_session_for_each_request() -> None:
    """Each request is a session with its user's id and its cost; the service knows each user's total."""
    pytest.importorskip("fastapi", reason="fastapi is in constraints-servers.txt")
    pytest.importorskip("uvicorn", reason="uvicorn is in constraints-servers.txt")
    with world() as here:
        with serving(here) as url:
            answers = [ask(url, user) for user in ("ann", "bob", "ann")]
        sessions = [span for span in here.spans if span.name == "invoke_workflow ask"]
        chats = here.chats()
    cost = cost_of()
    assert [Decimal(answer["cost_usd"]) for answer in answers] == [cost] * 3
    assert [Decimal(answer["user_cost_usd"]) for answer in answers] == [cost, cost, 2 * cost]
    assert Counter(span.attributes["user.id"] for span in sessions) == {"ann": 2, "bob": 1}
    assert len({span.attributes["session.id"] for span in sessions}) == 3
    assert [span.attributes["otel_agentops.total.cost_usd"] for span in sessions] == [float(cost)] * 3
    assert {chat.attributes["session.id"] for chat in chats} == {
        span.attributes["session.id"] for span in sessions
    }
