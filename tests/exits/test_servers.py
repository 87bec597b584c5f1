"""Servers that are stopped while spans wait: everything arrives, and they end as they do without us."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exits.programs import PRELUDE, environment
from export.collector import http_collector

pytest.importorskip("gunicorn", reason="gunicorn is not in the `test` extra; constraints-servers.txt has it")
pytest.importorskip("uvicorn", reason="uvicorn is not in the `test` extra; constraints-servers.txt has it")

ASGI = """
if "AT_IMPORT" in os.environ:
    init()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if "AT_IMPORT" not in os.environ:
            init()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        with work("stopping"):
            await send({"type": "lifespan.shutdown.complete"})
        return
    with work("request"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""

WSGI = """
init()

def app(environ, start_response):
    with work("request"):
        start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""

UVICORN = ["uvicorn", "--port", "0", "program:app"]
GUNICORN = ["gunicorn", "-b", "127.0.0.1:0", "program:app"]
SERVERS = {
    "uvicorn": (ASGI, UVICORN, 1, "import"),
    "uvicorn, init in the lifespan": (ASGI, UVICORN, 1, "lifespan"),
    "uvicorn with workers": (ASGI, [*UVICORN, "--workers", "2"], 2, "import"),
    "uvicorn with workers, init in the lifespan": (ASGI, [*UVICORN, "--workers", "2"], 2, "lifespan"),
    "gunicorn": (WSGI, [*GUNICORN, "-w", "2"], 2, "import"),
    "gunicorn with threads": (WSGI, [*GUNICORN, "-w", "2", "--threads", "2"], 2, "import"),
    "gunicorn --preload": (WSGI, [*GUNICORN, "-w", "2", "--preload"], 2, "import"),
}
STOPS = [
    (name, number)
    for name in SERVERS
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    if number != signal.SIGQUIT or name.startswith("gunicorn")
]


def stopped(folder: Path, name: str, number: int, *, bare: bool = False) -> tuple[int, list[str], int]:
    """Serve requests until each process has had some, then stop; exit status, spans, and requests."""
    program, (command, *arguments), processes, place = SERVERS[name]
    (folder / "program.py").write_text(PRELUDE + program)
    variables = {"BARE": "1"} if bare else {}
    if place == "import":
        variables["AT_IMPORT"] = "1"
    with (
        http_collector() as collector,
        subprocess.Popen(
            [str(Path(sys.executable).parent / command), *arguments],
            cwd=folder,
            env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **variables),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            assert process.stderr is not None
            log = []
            for line in process.stderr:
                log.append(line)
                if found := re.search(r"(?:Listening at|running on)\D*(http://127\.0\.0\.1:\d+)", line):
                    break
            assert found, "".join(log)
            reader = threading.Thread(target=process.stderr.read, daemon=True)
            reader.start()
            requests = served(found[1], processes)
            process.send_signal(number)
            process.wait(timeout=30)
            reader.join(timeout=10)
        finally:
            process.kill()
    return process.returncode, sorted(collector.spans), requests


def served(url: str, processes: int) -> int:
    """Ask until so many processes have answered; how many requests that took."""
    answers: list[str] = []
    with ThreadPoolExecutor(4) as threads:
        while len(set(answers)) < processes:
            answers += threads.map(ask, [url] * 4)
            assert len(answers) < 2000, "not every process answers"
    return len(answers)


def ask(url: str) -> str:
    """One request; who answered."""
    for attempt in range(200):
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.05 * (attempt < 199))  # uvicorn's workers start after the port is told
    raise AssertionError("nobody answers")


@pytest.mark.parametrize(("name", "number"), STOPS, ids=[f"{name}, {number.name}" for name, number in STOPS])
def test_stopping_a_server(name: str, number: int, tmp_path: Path) -> None:
    """Every span arrives, also those of the stopping itself, and the exit status is the server's."""
    status, spans, requests = stopped(tmp_path, name, number)
    stopping = ["stopping"] * (SERVERS[name][2] if SERVERS[name][0] is ASGI else 0)
    assert spans == ["request"] * requests + stopping
    assert status == stopped(tmp_path, name, number, bare=True)[0]
