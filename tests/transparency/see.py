"""What scenes of every library work with: a tape, the servers, and ways to try things out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from transparency.look import exception_of, plain

__all__ = ["MOST_S", "See", "araised", "elsewhere", "note", "play", "raised", "ticking"]

MOST_S = 0.005
"""Seconds that a loop may stand still longer with us than without."""


class See:
    """What a scene works with.

    Args:
        name: Its name, which goes to the server with every request.
        servers: URLs of the servers by the way they behave.
    """

    def __init__(self, name: str, servers: dict[str, str]) -> None:
        self.name = name
        self.servers = servers
        self.tape: list[str] = []
        self.stall_s = 0.0


def play(scene: Callable[[Any], Any], see: See) -> Any:
    """Play a scene; what it returned, or its exception."""
    try:
        return {"returned": scene(see)}
    except BaseException as error:
        return {"raised": exception_of(error)}


async def ticking(see: See, work: Awaitable[Any]) -> Any:
    """Await something and note how long the loop stood still meanwhile."""
    loop = asyncio.get_running_loop()
    before = loop.time()

    def looked() -> None:
        nonlocal before
        now = loop.time()
        see.stall_s, before = max(see.stall_s, now - before - 0.001), now

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)
            looked()

    ticker = asyncio.create_task(tick())
    try:
        return await work
    finally:
        looked()  # the last step, too
        ticker.cancel()


def raised(act: Callable[[], Any]) -> Any:
    """What an act returned as text, or its exception."""
    try:
        return "returned", plain(act())
    except BaseException as error:
        return exception_of(error)


async def araised(act: Callable[[], Awaitable[Any]]) -> Any:
    """The same of an async act."""
    try:
        return "returned", plain(await act())
    except BaseException as error:
        return exception_of(error)


def elsewhere(act: Callable[[], Any]) -> list[Any]:
    """What an act on another thread returned, as the only item; nothing if it raised."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(act()))
    thread.start()
    thread.join()
    return found


def note(see: See, piece: Any) -> Any:
    """Write a piece on the tape."""
    see.tape.append(f"got {str(piece)[:60]}")
    return piece
