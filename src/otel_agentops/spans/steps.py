"""Coroutines and generators of the program, run step by step inside an open scope.

Each step is run with the scope's context and gives the consumer's back, so that what the consumer does
between two steps is not taken for the generator's doing, and two generators can be interleaved. The
generator's own context is kept from one step to the next.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from otel_agentops.spans import dropped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Generator

    from otel_agentops.spans.opened import OpenScope

__all__ = ["Steps", "run_coroutine", "run_generator"]


class Steps:
    """The context inside a generator, put in place for one step at a time.

    Args:
        opened: The scope it runs in; None when nothing is recorded.

    Attributes:
        last_ns: `time.perf_counter_ns()` at the end of the last step.
    """

    __slots__ = ("_inside", "_opened", "_outside", "last_ns")

    def __init__(self, opened: OpenScope | None) -> None:
        self._opened = opened
        self._inside: Any = None
        self._outside: Any = None
        self.last_ns = 0

    def __enter__(self) -> None:
        if self._opened is not None:
            self._outside = self._opened.swap(self._inside)

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._inside = self._opened.swap(self._outside)
            self.last_ns = time.perf_counter_ns()

    async def run(self, step: Awaitable[Any]) -> Any:
        """One step of an async generator; its end or failure ends the scope."""
        try:
            with self:
                return await step
        except StopAsyncIteration:
            if self._opened is not None:
                self._opened.finish()
            raise
        except BaseException as error:
            if self._opened is not None:
                self._opened.fail(error)
            raise

    async def close(self, generator: AsyncGenerator[Any, Any]) -> None:
        """The consumer has left: close the generator and end the scope."""
        opened = self._opened
        try:
            with self:
                await generator.aclose()
        except BaseException as error:
            if opened is not None:
                opened.fail(error)
            raise
        if opened is not None:
            _end_elsewhere(opened, self.last_ns)


async def run_coroutine(coroutine: Awaitable[Any], opened: OpenScope) -> Any:
    """Await inside the scope; ends it."""
    entered = opened.enter()
    try:
        result = await coroutine
    except GeneratorExit:
        opened.leave(entered)
        _end_elsewhere(opened, time.perf_counter_ns())
        raise
    except BaseException as error:
        opened.leave(entered)
        opened.fail(error)
        raise
    opened.leave(entered)
    opened.finish_with(result)
    return result


def run_generator(generator: Generator[Any, Any, Any], opened: OpenScope) -> Generator[Any, Any, Any]:
    """Pass items, sent values, thrown exceptions and the return value through; ends the scope."""
    dropped.watch()
    steps = Steps(opened)
    advance = functools.partial(next, generator)
    try:
        while True:
            with steps:
                item = advance()
            try:
                sent = yield item
            except GeneratorExit:
                with steps:
                    generator.close()
                _end_elsewhere(opened, steps.last_ns)
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in, for the generator to handle
                advance = functools.partial(generator.throw, error)
            else:
                advance = functools.partial(generator.send, sent)
    except StopIteration as stop:
        opened.finish()
        return stop.value
    except GeneratorExit:
        raise
    except BaseException as error:
        opened.fail(error)
        raise


def _end_elsewhere(opened: OpenScope, clock_ns: int) -> None:
    """End a scope whose code was closed, perhaps by the garbage collector inside somebody's lock."""
    dropped.watch()
    dropped.leave(lambda: opened.finish("closed", clock_ns=clock_ns))
