"""Recorded provider traffic, served to real SDK clients by a server on the loopback interface."""

from __future__ import annotations

import contextlib
import importlib
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

__all__ = [
    "EXCHANGES",
    "Exchange",
    "ReplayServer",
    "Request",
    "client_kwargs",
    "expected",
    "load_exchanges",
    "proxied_client_kwargs",
]

EXCHANGES = Path(__file__).resolve().parent.parent / "data" / "exchanges"
"""The folder of recordings: one folder a provider, one file a recorded test."""

Json = dict[str, Any]
_ROUTES = ("chat/completions", "completions", "embeddings", "responses")
_DONE = "[DONE]"


@dataclass(frozen=True)
class Exchange:
    """
    One recorded request and its answer.

    Attributes:
        name: Stem of the file it comes from.
        index: Its place in that file, counted from 0.
        path: Path and query of the recorded URI.
        request: Recorded body: a JSON object, or the text where it was none.
        content_type: As recorded; None where the recording lacks it.
        response: Text of the answer's body.
        host: Host of the recorded URI.
    """

    provider: str
    source: str
    name: str
    index: int
    method: str
    path: str
    request: Json | str
    status: int
    content_type: str | None
    response: str
    host: str = ""

    @property
    def key(self) -> str:
        """`provider/name#index`: for test ids, and the `x-replay` header of the answer."""
        return f"{self.provider}/{self.name}#{self.index}"

    @property
    def route(self) -> str:
        """Which API it is: `chat/completions`, `completions`, `embeddings`, `responses`, else the path."""
        return _route(self.path)

    @property
    def is_sse(self) -> bool:
        """Whether the answer is a stream of server-sent events."""
        return self.response.lstrip().startswith(("data:", "event:"))

    def events(self) -> list[str]:
        """Answer as server-sent events, each without the blank line that ends it."""
        return [event for event in self.response.replace("\r\n", "\n").split("\n\n") if event.strip()]

    def documents(self) -> list[Json]:
        """Answer's JSON objects in order: each event's data of a stream, else the one body."""
        if self.is_sse:
            texts = [text for text in map(_data, self.events()) if text not in ("", _DONE)]
        else:
            texts = [self.response] if self.response.strip() else []
        return [json.loads(text) for text in texts]


def load_exchanges(pattern: str = "*/*.json", *, route: str | None = None) -> list[Exchange]:
    """
    Read the recordings whose `provider/file.json` matches a glob pattern, sorted by name.

    Answers of which the recorder lost the body (status 200 and nothing) are left out.

    Args:
        pattern: Glob below the folder of recordings; one that matches no file is an error.
        route: Only exchanges of this API, such as `chat/completions`.
    """
    files = sorted(EXCHANGES.glob(pattern))
    if not files:
        raise FileNotFoundError(f"no recording matches {pattern!r}")
    exchanges = [exchange for file in files for exchange in _read(file)]
    return [exchange for exchange in exchanges if route in (None, exchange.route)]


def _read(file: Path) -> Iterator[Exchange]:
    recorded = json.loads(file.read_text(encoding="utf-8"))
    for index, entry in enumerate(recorded["exchanges"]):
        request, response = entry["request"], entry["response"]
        if response["status"] == 200 and not response["body"]:
            continue
        uri = urlsplit(request["uri"])
        yield Exchange(
            provider=recorded["provider"],
            source=recorded["source"],
            name=file.stem,
            index=index,
            method=request["method"],
            path=uri.path + (f"?{uri.query}" if uri.query else ""),
            request=request["body"],
            status=response["status"],
            content_type=response["content_type"],
            response=response["body"],
            host=uri.hostname or "",
        )


@dataclass(frozen=True)
class Request:
    """
    One request the server received.

    Attributes:
        path: Without the query; of a proxied request without scheme and host.
        query: Each parameter's values.
        headers: Names in lower case.
        body: Parsed JSON; None if the body is empty or no JSON.
        host: Host the client wanted to reach.
        exchange: What it was answered with; None if nothing matched or an error was asked for.
        head: The headers as they were sent: in order, in their case, each as often as it came.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    raw: bytes
    host: str
    exchange: Exchange | None
    head: tuple[tuple[str, str], ...] = ()


class ReplayServer:
    """
    Answers each request with the recorded exchange that is nearest to it.

    A context manager; all settings may be changed between requests. Equally near exchanges are
    served in turn. What matches nothing gets a 404 with code `no_recording`.

    Attributes:
        requests: What was received, in order.
        event_delay_s: Pause before each event of a stream.
        cut_after: Drop the connection after so many events of a stream.
        stall_after: After so many events wait for `release()` or the end of the server.
        usage_factor: Every count of an answer's usage is multiplied by this.
        synthesize_usage: Usage for the extra last chunk of streams recorded without one, when the
            request asks for it by `stream_options`.
    """

    def __init__(
        self,
        exchanges: Iterable[Exchange] | None = None,
        *,
        event_delay_s: float = 0.0,
        cut_after: int | None = None,
        stall_after: int | None = None,
        usage_factor: int = 1,
        synthesize_usage: Mapping[str, Any] | None = None,
    ) -> None:
        self.exchanges = list(load_exchanges() if exchanges is None else exchanges)
        self.requests: list[Request] = []
        self.event_delay_s = event_delay_s
        self.cut_after = cut_after
        self.stall_after = stall_after
        self.usage_factor = usage_factor
        self.synthesize_usage = synthesize_usage
        self._served = [0] * len(self.exchanges)
        self._leaves = [_leaves(exchange.request) for exchange in self.exchanges]
        self._failures: list[tuple[int, dict[str, str]]] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._http = _Server(self)

    @property
    def url(self) -> str:
        """Address without a trailing slash, such as `http://127.0.0.1:40123`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> ReplayServer:
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, name="replay", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.close_all()
        self._thread.join()

    def fail_next(self, status: int, times: int = 1, headers: Mapping[str, str] | None = None) -> None:
        """Answer the next requests with an error status, whatever they ask for."""
        self._failures += [(status, dict(headers or {}))] * times

    def release(self) -> None:
        """Let stalled streams, also later ones, go on."""
        self._released.set()

    def take_failure(self) -> tuple[int, dict[str, str]] | None:
        """Error the next request shall get, if any."""
        with self._lock:
            return self._failures.pop(0) if self._failures else None

    def match(self, method: str, target: str, body: Any) -> Exchange | None:
        """Choose the exchange for a request, and count it as served."""
        with self._lock:
            found = self._fetched(target) if method == "GET" else None
            found = self._nearest(method, target, body) if found is None else found
            if found is None:
                return None
            self._served[found] += 1
            return self.exchanges[found]

    def _fetched(self, target: str) -> int | None:
        """`GET /responses/{id}`: the answer whose id it is, streamed only if it was recorded so."""
        parent, _, name = urlsplit(target).path.rpartition("/")
        if not parent.endswith("/responses"):
            return None
        for index, exchange in enumerate(self.exchanges):
            if exchange.route == "responses" and expected(exchange)["id"] == name:
                return index
        return None

    def _nearest(self, method: str, target: str, body: Any) -> int | None:
        leaves = _leaves(body)
        best: tuple[float, ...] | None = None
        found = None
        for index, exchange in enumerate(self.exchanges):
            place = _place(exchange.path, target)
            if not place or exchange.method != method or _streams(exchange.request) != _streams(body):
                continue
            likeness = _likeness(exchange.request, body, self._leaves[index], leaves)
            rank = (*likeness, place, -self._served[index], -index)
            if best is None or rank > best:
                best, found = rank, index
        return found

    def answer_events(self, exchange: Exchange, body: Any) -> list[str]:
        """Events of a streamed answer, changed as the settings say."""
        events = exchange.events()
        wanted = isinstance(body, dict) and (body.get("stream_options") or {}).get("include_usage")
        if wanted and self.synthesize_usage is not None and "completions" in exchange.route:
            events = _with_usage(events, self.synthesize_usage)
        return [_scale_event(event, self.usage_factor) for event in events]

    def answer_text(self, exchange: Exchange) -> str:
        """Body of an answer that is no stream, changed as the settings say."""
        text = exchange.response
        if self.usage_factor == 1 or not text.strip():
            return text
        return json.dumps(_scaled(json.loads(text), self.usage_factor))

    def pace(self, sent: int) -> bool:
        """Wait as the settings say before the next event; False to drop the connection instead."""
        if sent == self.stall_after:
            self._released.wait()
        if self.event_delay_s:
            time.sleep(self.event_delay_s)
        return sent != self.cut_after


class _Server(ThreadingHTTPServer):
    """Remembers its connections, so that closing it ends their threads."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, replay: ReplayServer) -> None:
        self.replay = replay
        self.open: dict[threading.Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.open[threading.current_thread()] = request
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.open.pop(threading.current_thread(), None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is what some tests are about."""

    def close_all(self) -> None:
        for thread, connection in list(self.open.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def replay(self) -> ReplayServer:
        return cast("_Server", self.server).replay

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Keep quiet."""

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = _parsed(raw)
        uri = urlsplit(self.path)
        target = uri.path + (f"?{uri.query}" if uri.query else "")
        failure = self.replay.take_failure()
        exchange = None if failure else self.replay.match(self.command, target, body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = uri.hostname or headers.get("host", "")
        self.replay.requests.append(
            Request(
                self.command,
                uri.path,
                parse_qs(uri.query),
                headers,
                body,
                raw,
                host,
                exchange,
                tuple(self.headers.items()),
            )
        )
        if failure:
            self._send_error(failure[0], "asked_for", failure[1])
        elif exchange is None:
            self._send_error(404, "no_recording", {})
        elif self.command == "GET" and exchange.method != "GET":
            self._send_fetched(exchange, "stream" in parse_qs(uri.query))
        elif exchange.is_sse:
            self._send_events(exchange, self.replay.answer_events(exchange, body))
        else:
            self._send_text(exchange.status, self.replay.answer_text(exchange), _headers(exchange))

    def _send_fetched(self, exchange: Exchange, stream: bool) -> None:
        if stream and exchange.is_sse:
            self._send_events(exchange, self.replay.answer_events(exchange, None))
            return
        document = exchange.documents()[-1]
        document = _scaled(document.get("response", document), self.replay.usage_factor)
        self._send_text(200, json.dumps(document), {"content-type": "application/json"})

    def _send_error(self, status: int, code: str, headers: dict[str, str]) -> None:
        error = {"message": f"replay: {code}", "type": "replay_error", "param": None, "code": code}
        text = json.dumps({"error": error})
        self._send_text(status, text, {"content-type": "application/json", **headers})

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("x-request-id", f"req_{len(self.replay.requests)}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_text(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        payload = b"" if status == 204 else text.encode()
        length = {} if status == 204 else {"content-length": str(len(payload))}
        self._send_head(status, {**headers, **length})
        self.wfile.write(payload)

    def _send_events(self, exchange: Exchange, events: list[str]) -> None:
        self._send_head(exchange.status, {**_headers(exchange), "transfer-encoding": "chunked"})
        for sent, event in enumerate(events):
            if not self.replay.pace(sent):
                self.close_connection = True
                return
            payload = f"{event}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload))
        self.wfile.write(b"0\r\n\r\n")


def client_kwargs(server: ReplayServer) -> dict[str, Any]:
    """Arguments of `OpenAI(...)` that send it to the server directly."""
    return {"api_key": "test-key", "base_url": f"{server.url}/v1"}


def proxied_client_kwargs(
    server: ReplayServer, async_: bool = False, base_url: str | None = "http://api.openai.com/v1"
) -> dict[str, Any]:
    """
    Arguments of `OpenAI(...)` that let it ask for a real host, with the server as its HTTP proxy.

    Close the SDK client (`with OpenAI(...) as client`): it closes the HTTP client made here.

    Args:
        server: Where every request shall end.
        async_: Make the HTTP client of `AsyncOpenAI`.
        base_url: None for none, as Azure clients need with their `azure_endpoint`.
    """
    openai = importlib.import_module("openai")
    major = int(openai.__version__.split(".")[0])
    httpx = importlib.import_module("httpx2" if major >= 3 else "httpx")
    make = httpx.AsyncClient if async_ else httpx.Client
    address = {"base_url": base_url} if base_url else {}
    return {"api_key": "test-key", "http_client": make(proxy=server.url, trust_env=False), **address}


# --- what a recorded answer says, read without the library under test


def expected(exchange: Exchange, usage_factor: int = 1) -> dict[str, Any]:
    """
    Facts of a recorded answer; None where it does not say.

    The keys are `id`, `model`, `input_tokens`, `output_tokens`, `cached_tokens`, `reasoning_tokens`,
    `audio_input_tokens`, `audio_output_tokens`, `finish_reasons` (in choice order; of a response the
    one reason it is incomplete, else its status), `status`, `incomplete_reason`, `tool_calls` (each
    with `id`, `name`, `arguments`), `texts` (one a choice), `service_tier`, `system_fingerprint`,
    `error` (the provider's error object) and `usage` (as recorded).
    """
    documents = exchange.documents()
    facts = _from_response(documents) if exchange.route == "responses" else _from_choices(documents)
    facts["error"] = next((d["error"] for d in documents if d.get("error")), None)
    usage = facts["usage"]
    return {**facts, **_tokens(_scaled({"usage": usage}, usage_factor)["usage"] or {})}


def _tokens(usage: Json) -> dict[str, int | None]:
    source = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    target = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    return {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "cached_tokens": source.get("cached_tokens"),
        "audio_input_tokens": source.get("audio_tokens"),
        "reasoning_tokens": target.get("reasoning_tokens"),
        "audio_output_tokens": target.get("audio_tokens"),
    }


@dataclass
class _Choice:
    """One choice, put together from its chunks."""

    reason: str | None = None
    text: str = ""
    calls: dict[int, Json] = field(default_factory=dict)

    def add(self, choice: Json) -> None:
        self.reason = choice.get("finish_reason") or self.reason
        part = choice.get("delta") or choice.get("message") or {}
        self.text += part.get("content") or choice.get("text") or ""
        old = part.get("function_call")
        calls = part.get("tool_calls") or ([{"function": old}] if old else [])
        for place, call in enumerate(calls):
            self._add_call(call.get("index", place), call)

    def _add_call(self, place: int, call: Json) -> None:
        known = self.calls.setdefault(place, {"id": None, "name": "", "arguments": ""})
        known["id"] = call.get("id") or known["id"]
        function = call.get("function") or {}
        known["name"] += function.get("name") or ""
        known["arguments"] += function.get("arguments") or ""


def _from_choices(documents: list[Json]) -> dict[str, Any]:
    choices: dict[int, _Choice] = {}
    for document in documents:
        for choice in document.get("choices") or ():
            choices.setdefault(choice.get("index", 0), _Choice()).add(choice)
    ordered = [choices[index] for index in sorted(choices)]
    return {
        "id": _last(documents, "id"),
        "model": _last(documents, "model"),
        "service_tier": _last(documents, "service_tier"),
        "system_fingerprint": _last(documents, "system_fingerprint"),
        "usage": _last(documents, "usage"),
        "finish_reasons": [choice.reason for choice in ordered],
        "texts": [choice.text for choice in ordered],
        "tool_calls": [choice.calls[place] for choice in ordered for place in sorted(choice.calls)],
        "status": None,
        "incomplete_reason": None,
    }


def _from_response(documents: list[Json]) -> dict[str, Any]:
    """Read a response, or the newest state of one that a stream's events carry."""
    responses = [document.get("response", document) for document in documents]
    final: Json = next((r for r in reversed(responses) if r.get("object") == "response"), {})
    items = final.get("output") or []
    reason = (final.get("incomplete_details") or {}).get("reason")
    calls = [item for item in items if item.get("type") in ("function_call", "custom_tool_call")]
    parts = [part for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    known = {name: final.get(name) for name in ("id", "model", "service_tier", "usage", "status")}
    return {
        **known,
        "system_fingerprint": None,
        "incomplete_reason": reason,
        "finish_reasons": [reason or final["status"]] if final.get("status") else [],
        "texts": ["".join(part.get("text", "") for part in parts)] if parts else [],
        "tool_calls": [
            {"id": c["call_id"], "name": c["name"], "arguments": c.get("arguments", c.get("input"))}
            for c in calls
        ],
    }


def _last(documents: list[Json], name: str) -> Any:
    return next((d[name] for d in reversed(documents) if d.get(name)), None)


# --- small readers and writers of bodies


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _data(event: str) -> str:
    lines = [line[5:].strip() for line in event.split("\n") if line.startswith("data:")]
    return "\n".join(lines)


def _route(target: str) -> str:
    path = urlsplit(target).path
    return next((route for route in _ROUTES if path.endswith("/" + route)), path)


def _place(recorded: str, target: str) -> int:
    """How well two targets agree: 3 with the query, 2 in the path, 1 in the API alone, 0 not at all."""
    if recorded == target:
        return 3
    if urlsplit(recorded).path == urlsplit(target).path:
        return 2
    return int(_route(recorded) == _route(target))


def _streams(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("stream"))


def _likeness(recorded: Any, body: Any, theirs: set[str], ours: set[str]) -> tuple[int, float]:
    """Rank of a recorded body: the same, the same but for `stream_options`, or share of equal leaves."""
    if recorded == body:
        return (2, 1.0)
    if isinstance(recorded, dict) and isinstance(body, dict) and _plain(recorded) == _plain(body):
        return (1, 1.0)
    return (0, len(theirs & ours) / (len(theirs | ours) or 1))


def _plain(body: Json) -> Json:
    return {name: value for name, value in body.items() if name != "stream_options"}


def _leaves(value: Any, at: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_leaves(v, f"{at}.{k}") for k, v in value.items() if k != "stream_options"))
    if isinstance(value, list):
        return set().union(*(_leaves(v, f"{at}.{n}") for n, v in enumerate(value)))
    return {f"{at}={value!r}"}


def _headers(exchange: Exchange) -> dict[str, str]:
    usual = "text/event-stream; charset=utf-8" if exchange.is_sse else "application/json"
    return {"content-type": exchange.content_type or usual, "x-replay": exchange.key}


def _scaled(value: Any, factor: int, inside: bool = False) -> Any:
    """Copy of a JSON value in which every number below a `usage` is multiplied."""
    if isinstance(value, dict):
        return {k: _scaled(v, factor, inside or k == "usage") for k, v in value.items()}
    if isinstance(value, list):
        return [_scaled(v, factor, inside) for v in value]
    return value * factor if inside and type(value) in (int, float) else value


def _scale_event(event: str, factor: int) -> str:
    return event if factor == 1 else _edited(event, lambda document: _scaled(document, factor))


def _with_usage(events: list[str], usage: Mapping[str, Any]) -> list[str]:
    """Events as the provider sends them when asked for usage, if they were recorded without."""
    chunks = [json.loads(text) for text in map(_data, events) if text != _DONE]
    if any(chunk.get("usage") for chunk in chunks):
        return events
    last = {name: value for name, value in chunks[-1].items() if name != "obfuscation"}
    extra = json.dumps({**last, "choices": [], "usage": dict(usage)}, separators=(",", ":"))
    nulled = [_edited(event, lambda chunk: {**chunk, "usage": None}) for event in events]
    at = len(nulled) - (_data(events[-1]) == _DONE)
    return [*nulled[:at], f"data: {extra}", *nulled[at:]]


def _edited(event: str, edit: Any) -> str:
    text = _data(event)
    if text in ("", _DONE):
        return event
    changed = json.dumps(edit(json.loads(text)), separators=(",", ":"))
    kept = [line for line in event.split("\n") if not line.startswith("data:")]
    return "\n".join([*kept, f"data: {changed}"])
