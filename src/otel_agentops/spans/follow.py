"""Following a provider's result to its end, whatever shape it has.

An awaitable is awaited and looked at again; an iterator, a context manager and a raw response become
proxies that pass everything through; anything else ends the call now. The proxies keep the type, the
laziness and every other attribute of the SDK's object, and nothing is read that the caller does not read.
"""

from __future__ import annotations

import inspect
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from otel_agentops.failsafe import swallowed
from otel_agentops.spans import dropped
from otel_agentops.spans.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from otel_agentops.records import Ending, ModelCall
    from otel_agentops.spans.opened import OpenCall

__all__ = [
    "AsyncStreamProxy",
    "Following",
    "Reader",
    "ResponseProxy",
    "StreamProxy",
    "at_end",
    "end_streams",
    "follow",
    "follow_stream",
    "is_stream",
]


class Reader(Protocol):
    """How one method's answers are read; see `otel_agentops.instrumentation.base.Target`."""

    @property
    def response(self) -> Callable[[ModelCall, Any], object]:
        """Fill the record from a whole answer."""

    @property
    def chunk(self) -> Callable[[ModelCall, Any], object]:
        """Fill the record from one part of a stream."""

    @property
    def chunks(self) -> Callable[[ModelCall], Callable[[Any], object]] | None:
        """A faster `chunk` for one call, where there is one."""

    @property
    def done(self) -> Callable[[ModelCall], object]:
        """Put together what the chunks of a stream left, however it ended."""


def is_stream(result: Any) -> bool:
    """Whether a result is read step by step.

    Recognised by `__next__`: replies that are pydantic models define `__iter__` and are no streams.
    """
    kind: Any = type(result)
    return _shape(kind) in _STREAMS


@lru_cache(maxsize=1024)
def _shape(kind: Any) -> str:
    """Asked once a type: models answer slowly for what they lack."""
    for methods, shape in _SHAPES:
        if all(hasattr(kind, method) for method in methods):
            return shape
    return "answer"


_SHAPES = (
    (("__next__", "__anext__"), "either stream"),  # proxies of other instrumentations claim to be both
    (("__next__",), "stream"),
    (("__anext__",), "async stream"),
    (("__await__",), "awaitable"),
)


def follow(result: Any, call: OpenCall, read: Reader, conceal: Callable[[Any], bool] | None = None) -> Any:
    """What the caller gets instead of `result`: a proxy for a stream, else `result` itself.

    Args:
        result: What the provider's SDK returned.
        call: The open call that it answers.
        read: How it is read.
        conceal: Takes the traces of our own request off a chunk and says whether the caller must not
            see it at all; must not raise. None when nothing was asked for on the caller's behalf.
    """
    kind: Any = type(result)
    shape = _shape(kind)
    if shape == "answer":
        _read_answer(result, call, read)
        return result
    if shape == "awaitable":
        return _awaited(result, call, read, conceal)
    return follow_stream(result, Following(call, read, conceal))


def follow_stream(stream: Any, state: Following) -> Any:
    """A proxy for a stream whose call is followed by `state`, which may have begun before the stream."""
    kind: Any = type(stream)
    dropped.watch()
    return _STREAMS[_shape(kind)](stream, state)


def _read_answer(answer: Any, call: OpenCall, read: Reader) -> None:
    """Read a whole answer and end the call."""
    try:
        read.response(call.record, answer)
    except Exception as error:  # noqa: BLE001 - an odd answer is not the caller's problem
        swallowed("reading an answer", error)
    call.finish()


async def _awaited(
    awaitable: Awaitable[Any], call: OpenCall, read: Reader, conceal: Callable[[Any], bool] | None
) -> Any:
    try:
        result = await awaitable
    except BaseException as error:
        call.fail(error)
        raise
    return follow(result, call, read, conceal)


class Following:
    """What was seen of a stream so far, and its one end."""

    __slots__ = ("call", "chunk", "conceal", "last_ns", "read", "seen")

    def __init__(self, call: OpenCall, read: Reader, conceal: Callable[[Any], bool] | None = None) -> None:
        self.call = call
        self.last_ns = 0
        self.read = read
        _open.add(self)
        record = call.record
        self.chunk = partial(read.chunk, record) if read.chunks is None else read.chunks(record)
        self.conceal = conceal
        self.seen = False

    def take(self, part: Any) -> bool:
        """Read one part; whether the caller may see it. Never raises."""
        self.last_ns = time.perf_counter_ns()
        if not self.seen:
            self.first()
        try:
            self.chunk(part)
        except Exception as error:  # noqa: BLE001 - an odd chunk is not the caller's problem
            swallowed("reading a chunk", error)
        return self.conceal is None or not self.conceal(part)

    def first(self) -> bool:
        """The first part has arrived; False, since no other will be the first."""
        self.seen = True
        self.call.first_chunk()
        return False

    def finish(
        self, ending: Ending = "complete", error: BaseException | None = None, clock_ns: int | None = None
    ) -> None:
        """End the call, once."""
        call = self.call
        _open.discard(self)
        if call.finished:
            return
        try:
            self.read.done(call.record)
        except Exception as failure:  # noqa: BLE001 - as above
            swallowed("reading a stream", failure)
        if error is not None:
            call.fail(error)
        else:
            call.finish(ending, clock_ns=clock_ns)

    def fail(self, error: BaseException) -> None:
        """End the call because the stream broke or was cancelled."""
        self.finish(error=error)

    def leave(self) -> None:
        """The stream is gone without an end; it ended with its last chunk. Safe in `__del__`."""
        if self.call.finished:
            _open.discard(self)
        else:
            last_ns = self.last_ns or time.perf_counter_ns()
            dropped.leave(lambda: self.finish("abandoned", clock_ns=last_ns))


_open: set[Following] = set()
"""Streams that have not ended; a proxy that is thrown away ends its own, so this only holds live ones."""


at_end: list[Callable[[], None]] = []
"""What else ends its open records when the program is about to; each is asked by `end_streams`."""


def end_streams() -> None:
    """End the streams that are still open; the program is about to."""
    for state in list(_open):
        state.finish("abandoned", clock_ns=state.last_ns or None)
    for end in at_end:
        end()


class _Proxy(Proxy):
    """What sync and async streams have in common."""

    __slots__ = ("_self_response", "_self_state")

    _self_state: Following

    def __init__(self, stream: Any, state: Following) -> None:
        super().__init__(stream)
        self._self_state = state
        self._self_response: Any = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        return self._response(found) if name == "response" else found

    def _response(self, inner: Any) -> Any:
        """The HTTP response; closing it is another way to close the stream, and SDK helpers use it."""
        if self._self_response is None or self._self_response.__wrapped__ is not inner:
            self._self_response = ResponseProxy(inner, self._self_state)
        return self._self_response

    def __del__(self) -> None:
        self._self_state.leave()


class ResponseProxy(Proxy):
    """An HTTP response of a stream: closing it ends the call."""

    __slots__ = ("_self_state",)

    _self_state: Following

    def __init__(self, response: Any, state: Following) -> None:
        super().__init__(response)
        self._self_state = state

    def close(self) -> Any:
        """Close the response; a stream that was not read to its end is then closed early."""
        try:
            return self.__wrapped__.close()
        finally:
            self._self_state.finish("closed")

    async def aclose(self) -> Any:
        """The same for async clients."""
        try:
            return await self.__wrapped__.aclose()
        finally:
            self._self_state.finish("closed")


class StreamProxy(_Proxy):
    """A sync stream, read along."""

    __slots__ = ()

    def __next__(self) -> Any:
        state = self._self_state
        while True:
            try:
                part = next(self.__wrapped__)
            except StopIteration:
                state.finish()
                raise
            except BaseException as error:
                state.fail(error)
                raise
            if state.take(part):
                return part

    def __iter__(self) -> Iterator[Any]:
        state = self._self_state
        read, conceal, new = state.chunk, state.conceal, not state.seen
        try:
            for part in self.__wrapped__:
                # `take`, written out: this runs for every token
                if new:
                    new = state.first()
                try:
                    read(part)
                except Exception as error:  # noqa: BLE001 - an odd chunk is not the caller's problem
                    swallowed("reading a chunk", error)
                if conceal is None or not conceal(part):
                    yield part
        except GeneratorExit:  # the loop was left; the stream itself can still be read on
            state.last_ns = time.perf_counter_ns()
            raise
        except BaseException as error:
            state.fail(error)
            raise
        state.finish()

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *raised: Any) -> Any:
        try:
            return self.__wrapped__.__exit__(*raised)
        finally:
            self._self_state.finish("closed")

    def close(self) -> Any:
        """Close the stream; one that was not read to its end is then closed early."""
        try:
            return self.__wrapped__.close()
        finally:
            self._self_state.finish("closed")


class AsyncStreamProxy(_Proxy):
    """An async stream, read along."""

    __slots__ = ()

    async def __anext__(self) -> Any:
        state = self._self_state
        while True:
            try:
                part = await self.__wrapped__.__anext__()
            except StopAsyncIteration:
                state.finish()
                raise
            except BaseException as error:
                state.fail(error)
                raise
            if state.take(part):
                return part

    async def __aiter__(self) -> AsyncIterator[Any]:
        state = self._self_state
        take = state.take
        try:
            async for part in self.__wrapped__:
                if take(part):
                    yield part
        except GeneratorExit:  # as in the sync one
            raise
        except BaseException as error:
            state.fail(error)
            raise
        state.finish()

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *raised: Any) -> Any:
        try:
            return await self.__wrapped__.__aexit__(*raised)
        finally:
            self._self_state.finish("closed")

    async def close(self) -> Any:
        """Close the stream; one that was not read to its end is then closed early."""
        try:
            return await self.__wrapped__.close()
        finally:
            self._self_state.finish("closed")


class EitherStreamProxy(StreamProxy, AsyncStreamProxy):
    """A stream of which only its reader knows whether it is sync or async."""

    __slots__ = ()

    def close(self) -> Any:
        """Close the stream, or hand out what closes it when it is awaited."""
        closing = self.__wrapped__.close()
        if inspect.isawaitable(closing):
            return self._close_later(closing)
        self._self_state.finish("closed")
        return closing

    async def _close_later(self, closing: Awaitable[Any]) -> Any:
        try:
            return await closing
        finally:
            self._self_state.finish("closed")


_STREAMS: dict[str, type[StreamProxy | AsyncStreamProxy]] = {
    "stream": StreamProxy,
    "async stream": AsyncStreamProxy,
    "either stream": EitherStreamProxy,
}
