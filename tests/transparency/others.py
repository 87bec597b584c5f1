"""Scenes that one method of such an SDK plays for all: odd arguments and clients, many calls at once."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from unittest import mock

from transparency.calls import Method, Scene, See, call, call_async, owner_of
from transparency.look import value_of
from transparency.see import araised, raised, ticking
from transparency.streams import aitems, items

__all__ = ["others_of"]


def _shape(result: Any) -> Any:
    """An answer without what the server counts."""
    return {name: value for name, value in value_of(result).items() if name != "request"}


def _generator(method: Method, see: See) -> Any:
    def messages() -> Iterator[Any]:
        for message in method.arguments["messages"]:
            see.tape.append("message taken")
            yield message

    with see.client() as client:
        return value_of(method.of(client)(**{**method.arguments, "messages": messages()}))


def _unsendable(method: Method, see: See) -> Any:
    messages = [{"role": "user", "content": object()}]
    with see.client() as client:
        return method.of(client)(**{**method.arguments, "messages": messages})


def _closed_client(method: Method, see: See) -> Any:
    client = see.client()
    client.close()
    return method.of(client)(**method.arguments)


def _never_awaited(method: Method, see: See) -> Any:
    async def main() -> None:
        async with see.async_client() as client:
            method.of(client)(**method.arguments)
            gc.collect()
            await asyncio.sleep(0)

    return asyncio.run(main())


def _never_awaited_in_a_cycle(method: Method, see: See) -> Any:
    async def main() -> None:
        async with see.async_client() as client:
            cycle: list[Any] = [method.of(client)(**method.arguments)]
            cycle.append(cycle)
            del cycle
            gc.collect()
            await asyncio.sleep(0)

    return asyncio.run(main())


def _cancelled(method: Method, see: See) -> Any:
    async def main() -> Any:
        async with see.async_client("silent") as client:
            task = asyncio.create_task(method.of(client)(**method.arguments))
            while "sent POST" not in see.tape:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)  # until it is connected, too
            task.cancel()
            return await araised(lambda: task)

    return asyncio.run(ticking(see, main()))


def _warm(method: Method, path: str, answer: type, see: See) -> Any:
    """Everything of the SDK was used before: what stands still now is the call, or whoever came with it."""

    async def main() -> Any:
        async with see.async_client() as client:
            for kind in (dict, dict, dict, answer):
                await araised(lambda kind=kind: client.post(path, cast_to=kind, body=method.arguments))

            async def run() -> Any:
                return _shape(await method.of(client)(**method.arguments))

            see.stall_s = 0.0
            return await ticking(see, run())

    return asyncio.run(main())


def _threads(method: Method, see: See) -> Any:
    with see.client() as client, ThreadPoolExecutor(6) as pool:

        def work(number: int) -> Any:
            if number % 3 == 0:
                return _shape(method.of(client)(**method.arguments))
            if number % 3 == 1:
                return items(method.of(client)(**method.streamed), see)
            return raised(lambda: method.of(client)(no_such=1))

        found = list(pool.map(work, range(24)))
    see.tape.clear()  # whose turn it was is not the same twice
    return found


def _tasks(method: Method, see: See) -> Any:
    async def main() -> Any:
        async with see.async_client() as client:

            async def work(number: int) -> Any:
                if number % 2:
                    return _shape(await method.of(client)(**method.arguments))
                return await aitems(await method.of(client)(**method.streamed), see)

            return await asyncio.gather(*map(work, range(24)))

    found = asyncio.run(ticking(see, main()))
    see.tape.clear()
    return found


def _subclass(method: Method, see: See) -> Any:
    owner, name = owner_of(method)

    def mine(self: Any, *args: Any, **kwargs: Any) -> Any:
        see.tape.append("mine")
        return getattr(super(kind, self), name)(*args, **kwargs)

    kind = type("Mine", (owner,), {name: mine})
    with see.client() as client:
        return value_of(getattr(kind(client), name)(**method.arguments))


def _replaced(method: Method, see: See) -> Any:
    owner, name = owner_of(method)
    with see.client() as client:
        with mock.patch.object(owner, name, return_value="mocked"):
            mocked = method.of(client)(**method.arguments)
        with mock.patch.object(method.of(client).__self__, name, return_value="mocked"):
            mocked += method.of(client)(**method.arguments)
        return mocked, value_of(method.of(client)(**method.arguments))


def _copied(method: Method, see: See) -> Any:
    with see.client() as client:
        other = client.with_options(max_retries=1, default_headers={"x-other": "1"})
        create = copy.copy(method.of(other))
        return value_of(create(**method.arguments)), json.dumps(list(create.__self__.__dict__))


def others_of(method: Method, path: str, answer: type) -> dict[str, Scene]:
    """The scenes of one method, which takes messages, by name.

    Args:
        method: One that can stream.
        path: Where its requests go.
        answer: The class of its answers.
    """
    name = method.name
    return {
        f"{name}: retried": partial(call, method, server="flaky", max_retries=2),
        f"async {name}: retried": partial(call_async, method, server="flaky too", max_retries=2),
        f"{name}: messages from a generator": partial(_generator, method),
        f"{name}: arguments that cannot be sent": partial(_unsendable, method),
        f"{name}: a client that is closed": partial(_closed_client, method),
        f"async {name}: never awaited": partial(_never_awaited, method),
        f"async {name}: never awaited, in a cycle": partial(_never_awaited_in_a_cycle, method),
        f"async {name}: cancelled while waiting for the answer": partial(_cancelled, method),
        "async first call on a warm loop": partial(_warm, method, path, answer),
        "many threads": partial(_threads, method),
        "many tasks": partial(_tasks, method),
        "a class of the program's own": partial(_subclass, method),
        "a method replaced and put back": partial(_replaced, method),
        "a copy of a client": partial(_copied, method),
    }
