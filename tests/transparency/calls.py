"""Scenes that every method of an SDK of Stainless' kind (openai, anthropic) plays: plain and raw calls.

A book of scenes has a table of its methods; from each line all scenes of that method are made.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import transparency.see
from transparency.layer import arrived
from transparency.line import async_http, http_of, sync_http
from transparency.look import descriptors, fingerprint, plain, value_of
from transparency.see import ticking

__all__ = ["Method", "Scene", "See", "call", "call_async", "calls_of", "owner_of"]


class See(transparency.see.See):
    """What a scene works with; it can make clients.

    Attributes:
        sdk: The package of the SDK.
        kind: The class of its clients; that of async ones has `Async` before it.
    """

    sdk = ""
    kind = ""

    def client(self, server: str = "plain", kind: str = "", **options: Any) -> Any:
        """A client of one of the servers; close it."""
        kind = kind or self.kind
        http = sync_http(self.http, self.tape.append, self._proxy(server))
        return self._make(kind, {**self._options(server, kind), "http_client": http, **options})

    def async_client(
        self, server: str = "plain", kind: str = "", gate: asyncio.Event | None = None, **options: Any
    ) -> Any:
        """The same, async."""
        kind = kind or f"Async{self.kind}"
        http = async_http(self.http, self.tape.append, self._proxy(server), gate)
        return self._make(kind, {**self._options(server, kind), "http_client": http, **options})

    @property
    def http(self) -> Any:
        """What the SDK speaks HTTP with."""
        return http_of(self.sdk)

    def where(self, server: str, kind: str) -> dict[str, Any]:
        """Arguments of a client that lead to a server."""
        raise NotImplementedError

    def _proxy(self, server: str) -> str | None:
        return self.servers[server] if server == "openai" else None

    def _make(self, kind: str, options: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(self.sdk), kind)(**options)

    def _options(self, server: str, kind: str) -> dict[str, Any]:
        return {
            "api_key": "test-key",
            "max_retries": 0,
            "default_headers": {"x-scene": self.name},
            **self.where(server, kind),
        }


Scene = Callable[[Any], Any]


@dataclass(frozen=True)
class Method:
    """One method of an SDK.

    Attributes:
        path: From the client.
        arguments: Of a call that a recording answers.
        stream: What is added for a stream; None if it has none.
        kind: Class of the client.
        label: For the names of scenes, where that is not the path.
        sdk: The package of the SDK.
    """

    path: str
    arguments: dict[str, Any]
    stream: dict[str, Any] | None = None
    kind: str = "OpenAI"
    label: str = ""
    sdk: str = "openai"

    @property
    def name(self) -> str:
        """For the names of scenes."""
        return self.label or self.path

    @property
    def streamed(self) -> dict[str, Any]:
        """Arguments of a stream, where it has one."""
        return {**self.arguments, **(self.stream or {})}

    def exists(self, view: str = "") -> bool:
        """Whether this version of the SDK has it, perhaps in one of the raw views."""
        try:
            return callable(self.of(self.unused(), view))
        except AttributeError:
            return False

    def unused(self, prefix: str = "") -> Any:
        """A client that is only looked at."""
        more = {"azure_endpoint": "http://x", "api_version": "1"} if "Azure" in self.kind else {}
        return getattr(importlib.import_module(self.sdk), f"{prefix}{self.kind}")(api_key="k", **more)

    def of(self, client: Any, view: str = "") -> Callable[..., Any]:
        """The bound method, or the same in one of the raw views."""
        resource, _, name = self.path.rpartition(".")
        found = operator.attrgetter(f"{resource}.{view}" if view else resource)(client)
        return getattr(found, name)


def owner_of(method: Method, prefix: str = "") -> tuple[Any, str]:
    """The class that has a method, and its name there.

    Args:
        method: The method.
        prefix: `Async` for that of async clients.
    """
    resource, _, name = method.path.rpartition(".")
    return type(operator.attrgetter(resource)(method.unused(prefix))), name


# --- plain calls ---


def call(method: Method, see: See, server: str = "plain", view: str = "", **options: Any) -> Any:
    """A call of a method and everything about its answer; `options` are those of the client."""
    with see.client(server, method.kind, **options) as client:
        answer = method.of(client, view)(**method.arguments)
        return value_of(answer) if not view else _raw(answer)


def call_async(method: Method, see: See, server: str = "plain", view: str = "", **options: Any) -> Any:
    """The same, async."""

    async def main() -> Any:
        async with see.async_client(server, f"Async{method.kind}", **options) as client:
            pending = method.of(client, view)(**method.arguments)
            awaited = {
                "awaitable": type(pending).__name__,
                "coroutine": asyncio.iscoroutine(pending),
                "before": list(see.tape),
            }
            answer = await pending
            return awaited, value_of(answer) if not view else await _raw_async(answer)

    return asyncio.run(ticking(see, main()))


def _facts(raw: Any) -> dict[str, Any]:
    """A raw answer as it comes."""
    return {
        "raw": value_of(raw),
        "status": raw.status_code,
        "headers": plain(sorted(raw.headers.items())),
        "request": plain((raw.method, raw.url, raw.http_request.method)),
        "consumed": raw.http_response.is_stream_consumed,
        "closed": raw.is_closed,
        "id": raw.request_id,
        "version": raw.http_version,
        "elapsed": type(raw.elapsed).__name__,
        "retries": raw.retries_taken,
    }


def _raw(raw: Any) -> dict[str, Any]:
    """A raw answer, and what it parses into; newer ones have methods where older ones have properties."""
    told = {
        **_facts(raw),
        "text": raw.text() if callable(raw.text) else raw.text,
        "content": len(raw.read() if hasattr(raw, "read") else raw.content),
    }
    parsed = raw.parse()
    as_json = raw.parse(to=dict[str, object])
    return {**told, "parsed": value_of(parsed), "again": raw.parse() is parsed, "dict": str(as_json)}


async def _raw_async(raw: Any) -> dict[str, Any]:
    if not inspect.iscoroutinefunction(raw.parse):
        return _raw(raw)
    told = {**_facts(raw), "text": await raw.text(), "content": len(await raw.read())}
    parsed = await raw.parse()
    as_json = await raw.parse(to=dict[str, object])
    return {**told, "parsed": value_of(parsed), "again": await raw.parse() is parsed, "dict": str(as_json)}


def _wrong(method: Method, see: See, arguments: dict[str, Any], *places: Any) -> Any:
    with see.client(kind=method.kind) as client:
        return method.of(client)(*places, **arguments)


def _wrong_async(method: Method, see: See, arguments: dict[str, Any], *places: Any) -> Any:
    async def main() -> Any:
        async with see.async_client(kind=f"Async{method.kind}") as client:
            pending = method.of(client)(*places, **arguments)
            see.tape.append("called")
            return await pending

    return asyncio.run(main())


def _faults(http: Any) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """What can happen to a call, at which server, with which options of the client."""
    return (
        ("ok", "plain", {}),
        ("refused with 429", "error", {}),
        ("no JSON", "garbage", {}),
        ("no connection", "nobody", {}),
        ("time-out", "silent", {"timeout": http.Timeout(30, read=0.1)}),
    )


# --- arguments ---


class _Messages(list[Any]):
    """A list of the program's own."""


def _everything(method: Method, see: See, stream: bool) -> dict[str, Any]:
    """Every argument there is, of kinds that the program chose."""
    given = method.streamed if stream else method.arguments
    copied = {
        name: value if isinstance(value, type) else copy.deepcopy(value) for name, value in given.items()
    }
    arguments = {
        **copied,
        "extra_headers": {"x-mine": "1"},
        "extra_query": {"q": "1"},
        "extra_body": {"metadata": {"a": [1, 2]}} if method.path != "responses.retrieve" else None,
        "timeout": see.http.Timeout(30),
    }
    for name in ("messages", "input"):
        if isinstance(arguments.get(name), list):
            arguments[name] = _Messages(arguments[name])
    return arguments


def _told(arguments: dict[str, Any], before: Any, kept: dict[str, Any]) -> Any:
    """What became of the arguments: here, and at the program's own layer below, where it has one."""
    same = all(arguments[name] is value for name, value in kept.items())
    return {
        "same": same and fingerprint(arguments) == before,
        "content": plain(arguments),
        "arrived": arrived(kept),
    }


def _arguments(method: Method, see: See, stream: bool = False) -> Any:
    arguments = _everything(method, see, stream)
    before, kept = fingerprint(arguments), dict(arguments)
    with see.client(kind=method.kind) as client:
        answer = method.of(client)(**arguments)
        if stream:
            list(answer)
    return _told(arguments, before, kept)


def _arguments_async(method: Method, see: See, stream: bool = False) -> Any:
    async def main() -> Any:
        arguments = _everything(method, see, stream)
        before, kept = fingerprint(arguments), dict(arguments)
        async with see.async_client(kind=f"Async{method.kind}") as client:
            answer = await method.of(client)(**arguments)
            if stream:
                [_ async for _ in answer]
        return _told(arguments, before, kept)

    return asyncio.run(ticking(see, main()))


def _looked_at(method: Method, _see: See, prefix: str = "") -> Any:
    return descriptors(*owner_of(method, prefix))


# --- all of them ---

_WAYS = (("", call, _wrong, _arguments), ("async ", call_async, _wrong_async, _arguments_async))


def calls_of(methods: Sequence[Method]) -> dict[str, Scene]:
    """The scenes of some methods by name.

    Args:
        methods: Those that this version of the SDK has.
    """
    return {name: scene for method in methods for name, scene in _scenes(method)}


def _scenes(method: Method) -> Iterator[tuple[str, Scene]]:
    faults = _faults(http_of(method.sdk))
    for kind, run, wrong, hand in _WAYS:
        label = f"{kind}{method.name}"
        for what, server, options in faults:
            yield f"{label}: {what}", partial(run, method, server=server, **options)
        for server in ("plain", "error") if method.exists("with_raw_response") else ():
            yield f"{label}: raw, {server}", partial(run, method, server=server, view="with_raw_response")
        yield f"{label}: no arguments", partial(wrong, method, arguments={})
        yield (
            f"{label}: unknown argument",
            partial(wrong, method, arguments={**method.arguments, "no_such": 1}),
        )
        yield f"{label}: too many places", lambda see, wrong=wrong: wrong(method, see, {}, 1, 2, 3)
        yield f"{label}: its arguments", partial(hand, method)
        if method.stream:
            yield f"{label}: its arguments, of a stream", partial(hand, method, stream=True)
        yield f"{label}: looked at", partial(_looked_at, method, prefix="Async" if kind else "")
