"""Following a stream from within, where nothing can pass for it.

Streams of older versions of Anthropic's SDK look at the type alone when `isinstance` asks, and a stand-in
would be none of them. So the caller gets the stream itself, with stand-ins for what it reads and closes.
What it reads is in `_iterator`: an underscore name, but the only way into such a stream. A stream without
such a generator is followed from outside like any other.
"""

from __future__ import annotations

from abc import ABCMeta
from functools import lru_cache
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any
from weakref import ref

from otel_agentops.spans import ResponseProxy, follow_stream

if TYPE_CHECKING:
    from otel_agentops.spans import Following

__all__ = ["follow_anywhere"]


def follow_anywhere(stream: Any, state: Following) -> Any:
    """What the caller gets instead of a stream: a stand-in, or, if that would not pass for it, itself."""
    kind: Any = type(stream)
    steps = None if _takes_stand_ins(kind) else getattr(stream, "_iterator", None)
    if not (isinstance(steps, GeneratorType | AsyncGeneratorType) and hasattr(stream, "response")):
        return follow_stream(stream, state)
    stream.response = _Response(stream.response, state, steps)
    stream._iterator = follow_stream(steps, state)
    return stream


@lru_cache(maxsize=1024)
def _takes_stand_ins(kind: Any) -> bool:
    """Whether `isinstance` believes what an object says of its class, as it does by itself."""
    asked: Any = type(kind).__instancecheck__
    return asked in (type.__instancecheck__, ABCMeta.__instancecheck__)


class _Response(ResponseProxy):
    """The response of such a stream, which closes it also at its end; of that, what it reads tells more."""

    __slots__ = ("_self_steps",)

    _self_steps: ref[Any]

    def __init__(self, response: Any, state: Following, steps: Any) -> None:
        super().__init__(response, state)
        self._self_steps = ref(steps)  # who keeps the response must not keep the stream

    def close(self) -> Any:
        """Close the response; the call ends with it if the program did that."""
        return self.__wrapped__.close() if self._busy("gi_running") else super().close()

    async def aclose(self) -> Any:
        """The same for async clients."""
        if self._busy("ag_running"):
            return await self.__wrapped__.aclose()
        return await super().aclose()

    def _busy(self, flag: str) -> bool:
        return bool(getattr(self._self_steps(), flag, False))
