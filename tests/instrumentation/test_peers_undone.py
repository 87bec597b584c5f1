"""Wrappers of others that are taken off while ours is above them, without looking whose is on top."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import wrapt
from openai.resources.chat.completions import Completions

import otel_agentops as ao
from otel_agentops.testing import Captured
from support.replay import ReplayServer, client_kwargs, load_exchanges

PLAIN = load_exchanges("openai/openai__test_chat.json")[0]
ASK: dict[str, Any] = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def original() -> Iterator[Any]:
    """The SDK's own method, which is put back whatever happens."""
    kept = inspect.getattr_static(Completions, "create")
    yield kept
    Completions.create = kept  # type: ignore[method-assign]


def put_on(seen: list[str], name: str) -> None:
    """A wrapper as other instrumentations put it on."""

    def peer(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(name)
        return wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper("openai.resources.chat.completions", "Completions.create", peer)


def take_off() -> None:
    """What they do when they are switched off."""
    Completions.create = Completions.create.__wrapped__  # type: ignore[attr-defined,method-assign]


def call() -> None:
    """One call of the real SDK."""
    with ReplayServer([PLAIN]) as server, openai.OpenAI(**client_kwargs(server)) as client:
        client.chat.completions.create(**ASK)


def test_theirs_goes_and_ours_stays(original: Any, captured: Captured) -> None:
    """Each that is taken off below ours is gone, ours goes on, and undoing ours leaves the SDK's own."""
    ao.uninstrument("openai")
    seen: list[str] = []
    put_on(seen, "first")
    put_on(seen, "second")
    ao.instrument("openai")
    for left in (["first", "second"], ["first"], []):
        call()
        assert sorted(seen) == left
        assert len(captured.named("chat")) == 1
        seen.clear()
        captured.clear()
        if left:
            take_off()
    ao.uninstrument("openai")
    assert inspect.getattr_static(Completions, "create") is original


@pytest.mark.parametrize("below", [[], ["below"]])
def test_theirs_above_goes(original: Any, captured: Captured, below: list[str]) -> None:
    """With another above ours, and one below it or none: the upper goes first, and calls go on."""
    ao.uninstrument("openai")
    seen: list[str] = []
    for name in below:
        put_on(seen, name)
    ao.instrument("openai")
    put_on(seen, "above")
    for left in (["above", *below], below, [])[: 2 + len(below)]:
        call()
        assert seen == left
        with ReplayServer([PLAIN]) as server, openai.OpenAI(**client_kwargs(server)) as client:
            Completions.create(client.chat.completions, **ASK)
        assert seen == left * 2
        assert len(captured.named("chat")) == 2
        seen.clear()
        captured.clear()
        if left:
            take_off()
    ao.uninstrument("openai")
    assert inspect.getattr_static(Completions, "create") is original


def test_ours_is_taken_off_when_nobody_is_below(original: Any, captured: Captured) -> None:
    """With the SDK's own method below, the outermost wrapper is ours and goes, as they ask."""
    take_off()
    call()
    assert captured.named("chat") == []


def test_looks_as_it_did(original: Any, captured: Captured) -> None:
    """Above a peer's wrapper, too, the method of the class looks and can be handled as bare."""
    ao.uninstrument("openai")
    put_on([], "peer")
    ao.instrument("openai")
    method = Completions.create
    assert inspect.signature(method) == inspect.signature(original)
    assert method.__qualname__ == "Completions.create"
    assert repr(method) == repr(original)
    assert inspect.unwrap(method) is inspect.unwrap(original)
    assert copy.deepcopy([method])[0] is method
    assert pickle.loads(pickle.dumps(method)) == method
    with ReplayServer([PLAIN]) as server, openai.OpenAI(**client_kwargs(server)) as client:
        method(client.chat.completions, **ASK)
    assert len(captured.named("chat")) == 1
