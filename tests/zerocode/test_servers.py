"""Servers with several processes under the launcher: real ones, with real requests."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from zerocode.launching import LAUNCHER, World, cost_of, world

pytest.importorskip("gunicorn", reason="gunicorn is not in the `test` extra; constraints-servers.txt has it")
pytest.importorskip("uvicorn", reason="uvicorn is not in the `test` extra; constraints-servers.txt has it")
pytest.importorskip(
    "starlette", reason="starlette is not in the `test` extra; constraints-servers.txt has it"
)

WSGI = """
import os, openai
client = openai.OpenAI()

def app(environ, start_response):
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

ASGI = """
import os, openai
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
client = openai.AsyncOpenAI()

async def answer(request):
    await client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
    )
    return PlainTextResponse(str(os.getpid()))

app = Starlette(routes=[Route("/", answer)])
"""

SERVERS = {
    "gunicorn": ["gunicorn", "-w", "2", "-b", "127.0.0.1:0", "app:app"],
    "gunicorn --preload": ["gunicorn", "--preload", "-w", "2", "-b", "127.0.0.1:0", "app:app"],
    "gunicorn with threads": ["gunicorn", "-w", "2", "--threads", "4", "-b", "127.0.0.1:0", "app:app"],
    "uvicorn": ["uvicorn", "--port", "0", "app:app"],
    "uvicorn with workers": ["uvicorn", "--port", "0", "--workers", "2", "app:app"],
}
PROCESSES = {name: 1 if name == "uvicorn" else 2 for name in SERVERS}
REQUESTS = 12

NONE = {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"}
PIPELINES = {"the distro's": {}, "ours": NONE}
"""Who builds the pipeline, where a distro is installed."""


@contextmanager
def serving(here: World, folder: Path, name: str, pipeline: str, delay_ms: int = 200) -> Iterator[str]:
    """A server under the launcher; its URL. It is stopped as an orchestrator stops it, with SIGTERM."""
    (folder / "app.py").write_text(ASGI if name.startswith("uvicorn") else WSGI)
    command, *arguments = SERVERS[name]
    process = subprocess.Popen(
        [LAUNCHER, str(Path(sys.executable).parent / command), *arguments],
        cwd=folder,
        env=here.environ(OTEL_BSP_SCHEDULE_DELAY=str(delay_ms), **PIPELINES[pipeline]),
        stderr=subprocess.PIPE,
        text=True,
    )
    log: list[str] = []
    try:
        assert process.stderr is not None
        url = ""
        while not url and (line := process.stderr.readline()):
            log.append(line)
            url = "".join(re.findall(r"(?:Listening at|running on)\D*(http://127\.0\.0\.1:\d+)", line))
        assert url, "".join(log)
        reader = threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
        reader.start()
        yield url
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        reader.join(timeout=10)
        assert "otel_agentops" not in "".join(log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


def ask(url: str) -> str:
    """One request; which process answered."""
    for attempt in range(100):
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.05 * (attempt < 99))  # uvicorn's workers start after the port is told
    raise AssertionError("nobody answers")


def ask_all(url: str, processes: int) -> list[str]:
    """Requests side by side, until every process has answered some."""
    answered: list[str] = []
    with ThreadPoolExecutor(4) as threads:
        while len(answered) < REQUESTS or len(set(answered)) < processes:
            answered += threads.map(ask, [url] * 4)
            assert len(answered) < 400, set(answered)
    return answered


def arrived(here: World, number: int) -> bool:
    """Wait until so many model calls have arrived."""
    end = time.monotonic() + 20
    while len(here.chats()) < number and time.monotonic() < end:
        time.sleep(0.05)
    return len(here.chats()) >= number


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", SERVERS)
def test_every_worker_is_priced(tmp_path: Path, name: str, pipeline: str) -> None:
    """Every request of every process arrives, once, with its cost, and without a session of the process."""
    with world() as here:
        with serving(here, tmp_path, name, pipeline) as url:
            answered = ask_all(url, PROCESSES[name])
            assert arrived(here, len(answered))
        chats = here.chats()
    assert len(set(answered)) == PROCESSES[name]
    assert len({span.span_id for span in chats}) == len(chats) == len(answered)
    assert {span.attributes["gen_ai.usage.cost"] for span in chats} == {float(cost_of())}
    assert not any("session.id" in span.attributes for span in here.spans)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", [name for name in SERVERS if name.startswith("gunicorn")])
def test_the_last_requests_before_the_end(tmp_path: Path, name: str, pipeline: str) -> None:
    """What a worker has not sent when it is told to stop is sent by its exit."""
    with world() as here:
        with serving(here, tmp_path, name, pipeline, delay_ms=60_000) as url:
            answered = ask_all(url, PROCESSES[name])
        assert len(here.chats()) == len(answered)
