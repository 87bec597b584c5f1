"""Sessions in FastAPI's dependencies that `yield`, served by a real uvicorn."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured

fastapi = pytest.importorskip(
    "fastapi", reason="fastapi is not in the `test` extra; constraints-servers.txt has it"
)
uvicorn = pytest.importorskip(
    "uvicorn", reason="uvicorn is not in the `test` extra; constraints-servers.txt has it"
)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The app behind a real server; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def ask(url: str) -> str:
    """One request."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


async def in_async(user: str) -> AsyncIterator[None]:
    """A session for the request, opened where the endpoint runs."""
    with ao.session("request", session_id=user):
        yield


def in_thread(user: str) -> Iterator[None]:
    """A session for the request, opened on a thread of a pool and closed on another."""
    with ao.session("request", session_id=user):
        with ao.operation("opening"):
            pass
        yield
        with ao.operation("closing"):
            pass


def app_with(dependency: Any, *, sync: bool) -> Any:
    """An app whose endpoint is an operation inside the dependency."""
    app = fastapi.FastAPI()

    def work(user: str) -> str:
        with ao.operation("endpoint"):
            return user

    async def work_async(user: str) -> str:
        return work(user)

    app.get("/", dependencies=[fastapi.Depends(dependency)])(work if sync else work_async)
    return app


@pytest.mark.parametrize("sync", [True, False], ids=["def", "async def"])
def test_async_dependency(captured: Captured, sync: bool) -> None:
    """Requests side by side: each endpoint is inside the session of its own request."""
    with serving(app_with(in_async, sync=sync)) as url, ThreadPoolExecutor(4) as pool:
        users = [f"u{number}" for number in range(12)]
        assert list(pool.map(ask, [f"{url}/?user={user}" for user in users])) == [f'"{u}"' for u in users]
    sessions = {span.context.span_id: span.attributes["session.id"] for span in captured.named("invoke_")}
    found = captured.named("endpoint")
    assert sorted(sessions.values()) == sorted(users)
    assert sorted(str(span.attributes["session.id"]) for span in found) == sorted(users)
    assert all(
        span.parent and sessions[span.parent.span_id] == span.attributes["session.id"] for span in found
    )


def test_dependency_in_a_thread_pool(captured: Captured) -> None:
    """Its session begins and ends with the request, whatever threads that takes, and stays nowhere behind."""
    with serving(app_with(in_thread, sync=True)) as url, ThreadPoolExecutor(4) as pool:
        users = [f"u{number}" for number in range(12)]
        assert list(pool.map(ask, [f"{url}/?user={user}" for user in users])) == [f'"{u}"' for u in users]
    sessions = captured.named("invoke_")
    assert sorted(str(span.attributes["session.id"]) for span in sessions) == sorted(users)
    assert not any("otel_agentops.ending" in (span.attributes or {}) for span in sessions)
    by_id = {span.context.span_id: span.attributes["session.id"] for span in sessions}
    for span in captured.named("opening"):
        assert span.parent is not None
        assert by_id[span.parent.span_id] == span.attributes["session.id"]
    # the endpoint's thread has nothing of it, and must have nothing of another's
    assert {span.attributes.get("session.id") for span in captured.named("endpoint")} == {None}
