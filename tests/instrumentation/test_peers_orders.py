"""Ours and two others' wrappers of one method, put on and taken off in every order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from itertools import permutations, product
from types import ModuleType
from typing import Any

import pytest
import wrapt
from opentelemetry.instrumentation.utils import unwrap

from otel_agentops.instrumentation.base import Instrumentor, Target
from otel_agentops.records import ModelCall
from otel_agentops.testing import Captured

ORDERS = [
    order
    for order in permutations(("+A", "-A", "+B", "-B", "+ours", "-ours"))
    if all(order.index(f"+{who}") < order.index(f"-{who}") for who in ("A", "B", "ours"))
]
TAKEN_OFF = [*product(("unwrapped", "put back"), repeat=2)]


@pytest.fixture
def library() -> Iterator[ModuleType]:
    """A library of one class."""
    module = ModuleType("acme_orders")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


class Play:
    """A class whose method is wrapped and unwrapped; says who has seen each call.

    Args:
        library: Gets the class.
        sync: Whether the method is a plain one.
        styles: How A and B are taken off.
    """

    def __init__(self, library: ModuleType, sync: bool, styles: tuple[str, str]) -> None:
        class Chat:
            def plain(self) -> Any:
                return self

            async def waited(self) -> Any:
                return self

            create = plain if sync else waited

        Chat.__module__ = library.__name__
        library.Chat = Chat  # type: ignore[attr-defined]
        self.chat: Any = Chat
        self.library = library
        self.original = vars(Chat)["create"]
        self.seen: list[str] = []
        self.styles = dict(zip("AB", styles, strict=True))
        self.saved: dict[str, Any] = {}
        targets = (Target(library.__name__, "Chat.create", lambda *_: ModelCall("acme", "m")),)
        self.ours = Instrumentor("acme", targets)

    def step(self, what: str) -> None:
        """One wrapper more or less."""
        sign, who = what[0], what[1:]
        if who == "ours":
            self.ours.instrument() if sign == "+" else self.ours.uninstrument()
        elif sign == "+":

            def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
                assert type(instance) is self.chat
                self.seen.append(who)
                return wrapped(*args, **kwargs)

            self.saved[who] = self.chat.create
            wrapt.wrap_function_wrapper(self.library, "Chat.create", wrapper)
        elif self.styles[who] == "unwrapped":
            unwrap(self.chat, "create")
        else:
            self.chat.create = self.saved[who]

    def calls(self) -> list[str]:
        """Who sees a call of the object's method, and one of the class's."""
        self.seen.clear()
        one = self.chat()
        for found in (one.create(), self.chat.create(one)):
            assert (asyncio.run(found) if asyncio.iscoroutine(found) else found) is one
        return list(self.seen)


@pytest.mark.parametrize("styles", TAKEN_OFF)
@pytest.mark.parametrize("sync", [True, False])
def test_every_order(library: ModuleType, captured: Captured, sync: bool, styles: tuple[str, str]) -> None:
    """Others see what they see without ours; ours records each call once while on, also once more on."""
    for order in ORDERS:
        bare, full = Play(library, sync, styles), Play(library, sync, styles)
        for step in (*order, "+ours", "-ours"):
            for play in (bare, full)[step.endswith("ours") :]:
                library.Chat = play.chat  # type: ignore[attr-defined]
                play.step(step)
            expected = bare.calls()
            captured.clear()
            assert full.calls() == expected, (order, step)
            recorded = len(captured.named("chat"))
            if not full.ours.active:
                assert recorded == 0, (order, step)
            elif step == "+ours" or "put back" not in styles:  # which may take ours along
                assert recorded == 2, (order, step)
        if vars(bare.chat)["create"] is bare.original:
            assert vars(full.chat)["create"] is full.original, order
