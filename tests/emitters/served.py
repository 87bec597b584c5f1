"""Recorded answers of OpenAI and Anthropic, served to any client over the loopback interface."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

EXCHANGES = Path(__file__).parent.parent / "data" / "exchanges"


@dataclass
class Answers:
    """What is served, and what was.

    Attributes:
        exchanges: Recorded exchanges; each is served once, then they start again.
        served: Path, model and body of each answer, in order.
        url: Where the server listens.
    """

    exchanges: list[dict[str, Any]]
    served: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    _used: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, stream: bool) -> dict[str, Any]:
        """The next recorded answer for such a request."""
        with self._lock:
            fitting = [
                number
                for number, exchange in enumerate(self.exchanges)
                if _path(exchange) == path and bool(exchange["request"]["body"].get("stream")) == stream
            ]
            if not fitting:
                return {
                    "status": 404,
                    "content_type": "application/json",
                    "body": '{"error": "not recorded"}',
                }
            number = min(fitting, key=lambda each: (self._used.count(each), each))
            self._used.append(number)
            exchange = self.exchanges[number]
            self.served.append({"path": path, "body": exchange["response"]["body"]})
            return dict(exchange["response"])

    def requests(self, path: str, stream: bool = False) -> list[dict[str, Any]]:
        """Bodies of the recorded requests to a path."""
        return [
            exchange["request"]["body"]
            for exchange in self.exchanges
            if _path(exchange) == path and bool(exchange["request"]["body"].get("stream")) == stream
        ]


def _path(exchange: dict[str, Any]) -> str:
    path = urlsplit(exchange["request"]["uri"]).path
    return path if path.startswith("/v1/") else f"/v1{path}"


def recorded(*names: str) -> list[dict[str, Any]]:
    """All exchanges of the named recordings (`provider/file` without `.json`)."""
    found: list[dict[str, Any]] = []
    for name in names:
        found.extend(json.loads((EXCHANGES / f"{name}.json").read_text("utf-8"))["exchanges"])
    return found


@contextmanager
def serving(exchanges: list[dict[str, Any]]) -> Iterator[Answers]:
    """Serve exchanges until the block ends."""
    answers = Answers(exchanges)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

        def do_POST(self) -> None:
            """Answer one request."""
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            found = answers.answer(urlsplit(self.path).path, bool(body.get("stream")))
            data = found["body"].encode()
            self.send_response(found["status"])
            self.send_header("content-type", found["content_type"] or "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    answers.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
