"""The book of OpenAI's SDK: scenes that every program plays.

A scene gets a `See`, makes calls, and returns what it saw as plain data. Scenes of single methods are made
from one line of a table, see `calls`, `raws`, `streams` and `others`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

import transparency.calls
from transparency.calls import Method, Scene, calls_of
from transparency.look import plain, value_of
from transparency.others import others_of
from transparency.raws import raws_of
from transparency.see import raised, ticking
from transparency.streams import USES, aitems, streams_of

__all__ = ["METHODS", "SCENES", "STREAMS", "See"]


class See(transparency.calls.See):
    """What a scene works with; it can make clients."""

    sdk, kind = "openai", "OpenAI"

    def where(self, server: str, kind: str) -> dict[str, Any]:
        """Arguments of a client that lead to a server."""
        url = self.servers[server]
        if "Azure" in kind:
            return {"azure_endpoint": url, "api_version": "2024-02-01"}
        return {"base_url": "http://api.openai.com/v1" if server == "openai" else f"{url}/v1"}


class Poem(BaseModel):
    """What one recorded answer is parsed into."""

    poem: str = ""


class Person(BaseModel):
    """What another is."""

    name: str = ""
    age: int = 0


_SAY = [{"role": "user", "content": "Say this is a test"}]
_JOKE = "Tell me a joke about opentelemetry"
_POEM = [
    {
        "role": "system",
        "content": "You are a poetic assistant, skilled in explaining complex programming concepts"
        " with creative flair.",
    },
    {
        "role": "user",
        "content": "Compose a poem that explains the concept of recursion in programming.",
    },
]
_STREAMED = {"stream": True}
_CHAT = Method(
    "chat.completions.create",
    {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": _JOKE}]},
    {"model": "gpt-4", "messages": _SAY, "stream": True, "stream_options": {"include_usage": True}},
)
_RESPONSES = Method(
    "responses.create",
    {"model": "gpt-4o-mini", "input": "Count to 5.", "instructions": "You are a helpful assistant."},
    {
        "model": "gpt-4.1-nano",
        "input": "Tell me a three sentence bedtime story about a unicorn.",
        "instructions": openai.NOT_GIVEN,
        "stream": True,
    },
)
_AZURE = Method(
    "chat.completions.create",
    {"model": "openllmetry-testing", "messages": [{"role": "user", "content": _JOKE}]},
    _STREAMED,
    "AzureOpenAI",
    "azure.chat.create",
)
_RETRIEVED = "resp_08bcd983e14520af0069e2f3ee9f748191af5a1d2b897cdbfe"
_EVERY = (
    _CHAT,
    _AZURE,
    Method("chat.completions.parse", {"model": "gpt-4o", "messages": _POEM, "response_format": Poem}),
    Method("beta.chat.completions.parse", {"model": "gpt-4o", "messages": _POEM, "response_format": Poem}),
    _RESPONSES,
    Method(
        "responses.parse",
        {"model": "gpt-4.1-nano", "input": "Extract: Bob is 42 years old.", "text_format": Person},
    ),
    Method("responses.retrieve", {"response_id": _RETRIEVED}),
    Method("completions.create", {"model": "davinci-002", "prompt": _JOKE}, _STREAMED),
    Method("embeddings.create", {"model": "text-embedding-ada-002", "input": _JOKE}),
)
METHODS = tuple(method for method in _EVERY if method.exists())
STREAMS = tuple(method for method in METHODS if method.stream is not None)


SCENES: dict[str, Scene] = {
    **calls_of(METHODS),
    **raws_of(METHODS),
    **streams_of(METHODS),
    **others_of(_CHAT, "/chat/completions", ChatCompletion),
}
"""All scenes by name."""


def scene(name: str) -> Callable[[Scene], Scene]:
    """Add a scene."""

    def add(function: Scene) -> Scene:
        SCENES[name] = function
        return function

    return add


# --- helpers of the SDK that read streams ---


def _helper(client: Any, name: str) -> Any:
    if name == "responses":
        return client.responses.stream(**{**_RESPONSES.arguments, **_without_stream(_RESPONSES)})
    completions = (
        client.chat.completions
        if hasattr(client.chat.completions, "stream")
        else client.beta.chat.completions
    )
    return completions.stream(**_without_stream(_CHAT))


def _without_stream(method: Method) -> dict[str, Any]:
    return {name: value for name, value in (method.stream or {}).items() if name != "stream"}


def _event(see: See, event: Any) -> Any:
    see.tape.append(f"got {getattr(event, 'type', '?')}")
    return getattr(event, "type", None), plain(event)


def _final(stream: Any) -> Any:
    return (
        stream.get_final_completion()
        if hasattr(stream, "get_final_completion")
        else stream.get_final_response()
    )


_HELPED: dict[str, Callable[[Any, See], Any]] = {
    "full": lambda stream, see: [_event(see, event) for event in stream],
    "final": lambda stream, see: value_of(_final(stream)),
    "left": lambda stream, see: _event(see, next(iter(stream))),
    "done": lambda stream, see: (type(stream.until_done()).__name__, str(_final(stream))),
    "closed": lambda stream, see: (_event(see, next(stream)), stream.close(), raised(lambda: next(stream))),
}


def _help(name: str, see: See, use: Callable[[Any, See], Any]) -> Any:
    with see.client() as client:
        manager = _helper(client, name)
        see.tape.append(f"made {type(manager).__name__}")
        with manager as stream:
            return use(stream, see)


def _help_async(name: str, see: See) -> Any:
    async def main() -> Any:
        async with see.async_client() as client, _helper(client, name) as stream:
            return [_event(see, event) async for event in stream]

    return asyncio.run(ticking(see, main()))


for _name, (_what, _use) in itertools.product(("chat", "responses"), _HELPED.items()):
    if _name == "chat" or any(method.path.startswith("responses") for method in METHODS):
        SCENES[f"{_name} stream helper: {_what}"] = lambda see, n=_name, u=_use: _help(n, see, u)  # type: ignore[misc]
        SCENES[f"async {_name} stream helper"] = lambda see, n=_name: _help_async(n, see)  # type: ignore[misc]

# --- at a host that is asked for the usage of streams ---


def _unasked(see: See, use: Callable[[Any, See], Any], **more: Any) -> Any:
    with see.client("openai") as client:
        return use(client.chat.completions.create(model="gpt-4", messages=_SAY, stream=True, **more), see)


for _what in ("full", "step by step", "left and resumed", "closed", "two loops", "in a block"):
    SCENES[f"usage unasked: {_what}"] = lambda see, u=USES[_what][1]: _unasked(see, u)  # type: ignore[misc]


@scene("async usage unasked: full")
def _unasked_async(see: See) -> Any:
    async def main() -> Any:
        async with see.async_client("openai") as client:
            stream = await client.chat.completions.create(model="gpt-4", messages=_SAY, stream=True)
            return await aitems(stream, see)

    return asyncio.run(ticking(see, main()))
