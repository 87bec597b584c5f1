"""One model call seen by two layers: a framework announces it, the SDK of its provider makes it.

A framework's call that is open waits for the call of an SDK that sends the same text. That one then has
no span of its own: it fills the framework's with what only the SDK knows. A call inside that sends
anything else is a call by itself, with a span and a count of its own; `accounting.once` sees to it that
the framework's does not count it again.

The layer is found in a context variable, so it reaches threads and tasks that were given the context. It
may stay behind there after its calls have ended, as callbacks often end elsewhere; then it is ignored.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from otel_agentops.records import ModelCall
    from otel_agentops.spans.joined import JoinedCall
    from otel_agentops.spans.opened import OpenCall

__all__ = ["Layer", "Waiting", "sent_text", "waiting"]


class Waiting:
    """One announced call.

    Attributes:
        call: The framework's open call.
        joined: The SDK's call that turned out to be it; None so far.
        passed: Whether its answer has begun, so that whatever starts now is the caller's doing.
    """

    __slots__ = ("_read", "_text", "call", "joined", "passed")

    def __init__(self, call: OpenCall, text: Callable[[], str]) -> None:
        self.call = call
        self.joined: JoinedCall | None = None
        self.passed = False
        self._read = text
        self._text: str | None = None

    @property
    def text(self) -> str:
        """What it sends, as `sent_text` says; read when somebody asks for the first time."""
        if self._text is None:
            self._text = self._read()
        return self._text

    def forget_text(self) -> None:
        """It has ended: a context that is left with it must not keep the prompt."""
        self._text, self._read = "", str

    @property
    def free(self) -> bool:
        """Whether it still waits."""
        return self.joined is None and self.alive

    @property
    def alive(self) -> bool:
        """Whether anything that starts now may be inside of it."""
        return not self.passed and not self.call.finished


class Layer:
    """The calls that a framework has started together, usually one, and what ran inside them.

    Args:
        key: What the framework's calls of one request have in common, compared by identity.
        context: The OpenTelemetry context that was current before them.
        around: The layer outside of it, if any.
    """

    __slots__ = ("_calls", "around", "context", "key")

    def __init__(self, key: object, context: Context, around: Layer | None) -> None:
        self.key = key
        self.context = context
        self.around = around
        self._calls: list[Waiting] = []

    @classmethod
    def enter(cls, key: object = None) -> Layer:
        """A new innermost layer for the running context."""
        layer = cls(key, otel_context.get_current(), waiting(anywhere=False))
        _innermost.set(layer)
        return layer

    def add(self, call: OpenCall, text: Callable[[], str]) -> Waiting:
        """Announce a call.

        Args:
            call: The framework's open call.
            text: What it sends, as `sent_text` says; only asked for if an SDK makes a call inside.
        """
        call.layer = self
        announced = Waiting(call, text)
        self._calls.append(announced)
        return announced

    def drift(self) -> None:
        """Let calls of an SDK find it that do not share a context with whoever announced it.

        For frameworks that announce a call in a task of its own; the text alone must do then.
        """
        if len(_adrift) < _MAX_ADRIFT:
            _adrift[id(self)] = self

    @staticmethod
    def adrift(key: object) -> Layer | None:
        """The layer with this key that drifts; None if there is none."""
        return next((layer for layer in tuple(_adrift.values()) if layer.key is key), None)

    @property
    def alive(self) -> bool:
        """Whether anything that starts now may be inside one of its calls."""
        return any(each.alive for each in self._calls)

    def claim(self, text: str) -> list[Waiting]:
        """The waiting calls that a request with this text makes, here or in the layers around.

        Usually one; several where a framework sends several prompts in one request. Empty if the request
        is not theirs.
        """
        layer: Layer | None = self
        while layer is not None:
            for start in range(len(layer._calls)):
                if found := _run(layer._calls[start:], text):
                    return found
            layer = layer.around
        return []

    def settle(self, call: OpenCall) -> bool:
        """An announced call ends: take what the SDK's call knows.

        Returns:
            Whether an SDK has made it, so that what it used is known apart from other calls inside.
        """
        if _adrift and not any(each.alive and each.call is not call for each in self._calls):
            _adrift.pop(id(self), None)
        mine = next((each for each in self._calls if each.call is call), None)
        if mine is None:
            return False
        mine.forget_text()
        if mine.joined is None:
            return False
        mine.joined.give()
        return True


class _Adrift(Layer):
    """All layers that a context cannot lead to, for a call that is in none that it can."""

    __slots__ = ()

    @property
    def alive(self) -> bool:
        """As long as it has any."""
        return bool(_adrift)

    def claim(self, text: str) -> list[Waiting]:
        """The first that waits for this text."""
        return next((found for layer in tuple(_adrift.values()) if (found := layer.claim(text))), [])


_adrift: dict[int, Layer] = {}
_MAX_ADRIFT = 10_000
_innermost: ContextVar[Layer | None] = ContextVar("otel_agentops_layer", default=None)
_ANYWHERE = _Adrift(None, otel_context.Context(), None)


def waiting(anywhere: bool = True) -> Layer | None:
    """The innermost layer of the running context with an open call; None if there is none.

    Args:
        anywhere: Whether those that drift are meant as well, where the context has none. They are not for
            a framework's own call: one beside it that sends the same words is no call around it.
    """
    layer = before = _innermost.get()
    while layer is not None and not layer.alive:
        layer = layer.around
    if layer is not before:
        _innermost.set(layer)
    return _ANYWHERE if layer is None and anywhere and _adrift else layer


def _run(calls: list[Waiting], text: str) -> list[Waiting]:
    """The first of these calls, if their texts one after the other are this text; else nothing."""
    found, rest = [], text
    for each in calls:
        if not each.free or not each.text or not rest.startswith(each.text):
            return []
        found.append(each)
        rest = rest[len(each.text) :]
        if not rest:
            return found
    return []


# --- comparing what two layers send ---


def sent_text(call: ModelCall) -> str:
    """The words of a call in the order in which they are sent, whatever shape each layer gives them.

    Roles, ids, arguments and everything that is not text differ between a framework and an SDK for the
    same call, the words do not. Empty for what sends no words.
    """
    parts: list[Any] = list(call.system_instructions or ())
    for message in call.input_messages or ():
        parts += message["parts"]
    return "".join(map(_words, parts))


def _words(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if kind == "text":
        return str(part.get("content") or "").strip()
    if kind == "tool_call":
        return str(part.get("name") or "")
    if kind == "tool_call_response":
        return str(part.get("response") or "").strip()
    return ""
