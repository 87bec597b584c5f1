"""Decorating functions and classes so that they stay what they were."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
)
from typing import Any, TypeVar

from otel_agentops.failsafe import Refusal, swallowed
from otel_agentops.spans import OpenScope, Proxy, Steps, current, leave, run_coroutine, run_generator

__all__ = ["Begin", "decorate"]

T = TypeVar("T")
Begin = Callable[[Any, tuple[Any, ...], dict[str, Any], int], OpenScope | None]
"""`(function, args, kwargs, owner)` -> the open scope of one call; None when nothing is recorded."""


Owner = Callable[[tuple[Any, ...]], int]
"""`(args)` -> `id()` of the object whose method runs; 0 for functions."""


def decorate(target: T, begin: Begin) -> T:
    """The decorated function, static or class method; for a class, the class itself.

    Raises:
        TypeError: The target can neither be called nor holds a function.
    """
    if isinstance(target, staticmethod | classmethod):
        return type(target)(_function(target.__func__, begin))
    if inspect.isclass(target):
        return _class(target, begin)  # type: ignore[return-value]  # the very same class
    if not callable(target):
        raise TypeError(f"cannot decorate {target!r}: it is no function, method or class")
    return _function(target, begin)  # type: ignore[return-value]  # a function for a function


def _start(
    begin: Begin, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], owner: int
) -> OpenScope | None:
    try:
        return begin(function, args, kwargs, owner)
    except Refusal:
        raise
    except Exception as error:  # noqa: BLE001 - the caller's function must run, recorded or not
        swallowed("opening a scope", error)
        return None


def _nobody(_args: tuple[Any, ...]) -> int:
    return 0


def _function(function: Callable[..., Any], begin: Begin, owner: Owner = _nobody) -> Callable[..., Any]:
    """A wrapper of the same kind: frameworks ask `inspect` what they were given."""
    wrapper = _KINDS[_kind(function)](function, begin, owner)
    if not isinstance(function, _PLAIN):
        return _Callable(function, wrapper)
    return functools.wraps(function)(wrapper)


_PLAIN = (FunctionType, MethodType, BuiltinFunctionType, functools.partial)
"""Callables that are no more than that."""


class _Callable(Proxy):
    """A decorated object that can be called and is more than that (a cached function, a tool object)."""

    __slots__ = ("_self_call",)

    def __init__(self, wrapped: Any, call: Callable[..., Any]) -> None:
        super().__init__(wrapped)
        self._self_call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_call(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)


def _kind(function: Any) -> str:
    if inspect.isasyncgenfunction(function):
        return "async generator"
    if inspect.isgeneratorfunction(function):
        return "generator"
    return "coroutine" if inspect.iscoroutinefunction(function) else "plain"


def _plain(function: Any, begin: Begin, owner: Owner) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        opened = _start(begin, function, args, kwargs, owner(args))
        if opened is None:
            return function(*args, **kwargs)
        entered = opened.enter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            opened.leave(entered)
            opened.fail(error)
            raise
        opened.leave(entered)
        run = _RUNS.get(type(result))
        if run is None:
            opened.finish_with(result)
            return result
        # a function that hands out a coroutine or generator ends when that does, or is thrown away
        handed = run(result, opened)
        weakref.finalize(handed, _abandon, opened).atexit = False
        return handed

    return call


def _abandon(opened: OpenScope) -> None:
    if not opened.finished:
        leave(lambda: opened.finish("abandoned"))


_RUNS: dict[type, Callable[[Any, OpenScope], Any]] = {
    CoroutineType: run_coroutine,
    GeneratorType: run_generator,
    AsyncGeneratorType: lambda run, opened: _async_generator(lambda: run, lambda *_: opened, _nobody)(),
}


def _coroutine(function: Any, begin: Begin, owner: Owner) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = function(*args, **kwargs)  # nothing runs yet; wrong arguments fail here
        try:
            opened = _start(begin, function, args, kwargs, owner(args))
        except Refusal:
            run.close()
            raise
        return await (run if opened is None else run_coroutine(run, opened))

    return call


def _generator(function: Any, begin: Begin, owner: Owner) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        run = function(*args, **kwargs)
        opened = _start(begin, function, args, kwargs, owner(args))
        return (yield from run if opened is None else run_generator(run, opened))

    return call


def _async_generator(function: Any, begin: Begin, owner: Owner) -> Callable[..., Any]:
    # the loop stands here, not in `spans`: only a function with a `yield` is an async generator function
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        run = function(*args, **kwargs)
        steps = Steps(_start(begin, function, args, kwargs, owner(args)))
        advance = anext(run)
        while True:
            try:
                item = await steps.run(advance)
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                await steps.close(run)
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in, for the generator to handle
                advance = run.athrow(error)
            else:
                advance = run.asend(sent)

    return call


_KINDS: dict[str, Callable[..., Callable[..., Any]]] = {
    "plain": _plain,
    "coroutine": _coroutine,
    "generator": _generator,
    "async generator": _async_generator,
}


# --- classes ---


def _class(cls: type, begin: Begin) -> type:
    """Wrap the public methods in place: the outermost call on an object opens the scope."""
    for name, method in _public_methods(cls):
        function = method if name in vars(cls) else _inherited(cls, name)
        wrapper = _KINDS[_kind(method)](function, _unless_inside(begin), _self_of)
        setattr(cls, name, functools.wraps(method)(wrapper))
    return cls


def _inherited(cls: type, name: str) -> Callable[..., Any]:
    """A method that goes on along the order of bases, whatever stands there when it is called."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(cls, self), name)(*args, **kwargs)

    return call


def _public_methods(cls: type) -> list[tuple[str, Any]]:
    """Its own functions and those of bases in the same package; other people's bases stay theirs."""
    home = cls.__module__.partition(".")[0]
    methods: dict[str, Any] = {}
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == home:
            for name, value in vars(base).items():
                if inspect.isfunction(value) and (not name.startswith("_") or name == "__call__"):
                    methods.setdefault(name, value)
    return list(methods.items())


def _self_of(args: tuple[Any, ...]) -> int:
    return id(args[0]) if args else 0


def _unless_inside(begin: Begin) -> Begin:
    def outermost(function: Any, args: Any, kwargs: Any, owner: int) -> OpenScope | None:
        recorder = current()
        if recorder is None or recorder.scopes.owned(owner):
            return None
        return begin(function, args, kwargs, owner)

    return outermost
