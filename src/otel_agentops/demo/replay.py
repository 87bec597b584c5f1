"""Recorded OpenAI answers, served on this machine to the real SDK.

See `data/README.md` for where they come from.
"""

from __future__ import annotations

import json
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Replay", "recording", "recordings"]

Exchange = dict[str, Any]


@cache
def recordings() -> dict[str, Exchange]:
    """Every recorded exchange, by the name of its file."""
    found = (file for file in files(__package__).joinpath("data").iterdir() if file.name.endswith(".json"))
    return {
        file.name.removesuffix(".json"): json.loads(file.read_text("utf-8"))["exchanges"][0]
        for file in sorted(found, key=lambda file: file.name)
    }


def recording(name: str) -> Any:
    """The body of a recorded request, to send the same again."""
    return recordings()[name]["request"]["body"]


class Replay:
    """A server that answers as OpenAI did: `with Replay() as replay: OpenAI(base_url=replay.url)`.

    A request gets the recorded answer to a request of the same path, model and kind; a model nobody
    recorded is answered with the 404 that OpenAI gives for it.
    """

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What `OpenAI(base_url=)` takes."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Replay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client may hold its connection open


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        answer = answer_to(urlsplit(self.path).path, json.loads(sent))["response"]
        body = answer["body"]
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(answer["status"])
        self.send_header("Content-Type", answer["content_type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing on standard error."""


def answer_to(path: str, body: dict[str, Any]) -> Exchange:
    """The recorded exchange whose request is most like this one."""
    wanted = _likeness(path, body)
    for exchange in recordings().values():
        request = exchange["request"]
        if _likeness(urlsplit(request["uri"]).path, request["body"]) == wanted:
            return exchange
    return recordings()["model_not_found"]


def _likeness(path: str, body: dict[str, Any]) -> tuple[Any, ...]:
    """What must be equal: the API, the model, streamed or not, and whether tools have just answered."""
    messages = body.get("messages") or [{}]
    return path, body.get("model"), bool(body.get("stream")), messages[-1].get("role") == "tool"
