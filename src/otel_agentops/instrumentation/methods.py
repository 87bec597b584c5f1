"""What stands in a class instead of one of its methods, and cannot be told from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from otel_agentops.failsafe import failsafe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Method", "Pending", "below", "method_around", "wrapper_in"]


class _Kind(type(wrapt.BoundFunctionWrapper)):  # type: ignore[misc]  # whatever kind that is
    """Puts a method together from a function and an object, as `types.MethodType` does for `WeakMethod`."""

    def __call__(cls, *parts: Any, **options: Any) -> Any:
        if len(parts) == 2:
            function, owner = parts
            return getattr(owner, function.__name__)
        return super().__call__(*parts, **options)


class _Bound(wrapt.BoundFunctionWrapper, metaclass=_Kind):  # type: ignore[type-arg]  # generic in newer versions
    """A bound method of ours; copied, pickled and shown as methods are: by its object and name."""

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: Any) -> Any:
        return self

    def __reduce_ex__(self, _protocol: Any) -> Any:
        owner = self._self_instance if self._self_instance is not None else self._self_parent._self_home
        return getattr, (owner, self.__wrapped__.__name__)


class Method(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # as above
    """A method of ours.

    Args:
        wrapped: The method that was there.
        wrapper: What is called instead, as wrapt calls it.
        owner: The class.
    """

    __bound_function_wrapper__ = _Bound

    def __init__(self, wrapped: Any, wrapper: Callable[..., Any], owner: Any) -> None:
        super().__init__(wrapped, wrapper)
        self._self_home = owner


class _OverPeer(Method):
    """A method of ours whose next layer is a peer's, which must be able to take it off again.

    Peers switched off put `Class.method.__wrapped__` in the place of `Class.method`, whoever's layer that
    removes. With ours on top, theirs would stay and ours go. So the class shows a method whose
    `__wrapped__` is ours around what lies below the peer's: what is removed is the layer below us, as it
    would be without us.
    """

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        bound = super().__get__(instance, owner)
        if instance is not None:
            return bound
        peer: Any = self.__wrapped__
        without = method_around(peer.__wrapped__, self._self_wrapper, self._self_home)

        def call(_wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            # without it in the arguments where a peer above us has put back what the class showed it
            return bound(*args, **kwargs) if instance is None else bound(instance, *args, **kwargs)

        return _Shown(without, call, self)


class _Shown(Method):
    """What a class shows of such a method; calls what is there now.

    Peers that were above ours and are switched off put it back in the place of the method.

    Args:
        wrapped: Ours, around what lies below the peer's.
        wrapper: What calls the method.
        method: The method.
    """

    def __init__(self, wrapped: Method, wrapper: Callable[..., Any], method: _OverPeer) -> None:
        super().__init__(wrapped, wrapper, method._self_home)
        self._self_method = method

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else super().__get__(instance, owner)

    def __repr__(self) -> str:
        ours: Any = self.__wrapped__
        return repr(ours.__wrapped__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: Any) -> Any:
        return self

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return getattr, (self._self_home, self.__wrapped__.__name__)


def method_around(wrapped: Any, wrapper: Callable[..., Any], owner: Any) -> Method:
    """A method of ours around what a class has.

    Args:
        wrapped: The method that is there, as the class keeps it.
        wrapper: What is called instead.
        owner: The class.
    """
    # one that has taken off another leaves a bound method of its own
    peer = isinstance(wrapped, wrapt.FunctionWrapper | wrapt.BoundFunctionWrapper)
    return (_OverPeer if peer and wrapper_in(wrapped) is None else Method)(wrapped, wrapper, owner)


def wrapper_in(layer: Any) -> Any:
    """What is called instead of a method by a layer of ours; None if the layer is another's.

    Peers that were above ours and are switched off put back what the class showed them.
    """
    ours = layer._self_method if isinstance(layer, _Shown) else layer
    return ours._self_wrapper if isinstance(ours, Method | _Bound) else None


def below(layer: Any) -> Any:
    """What a layer of ours is around."""
    return (layer._self_method if isinstance(layer, _Shown) else layer).__wrapped__


class Pending:
    """The coroutine of a call that nobody has awaited yet.

    Async methods are called at once, as they are without us, so that wrong arguments are refused by the
    call and not by the await. If nobody ever awaits the coroutine that the caller was given, the
    interpreter warns about that one; this one is closed without a word. It is made before the coroutine,
    since of a cycle of rubbish the older objects are finalised first.
    """

    __slots__ = ("_coroutine",)

    def __init__(self) -> None:
        self._coroutine: Any = None

    def hold(self, coroutine: Any) -> None:
        """Keep it until it is taken."""
        self._coroutine = coroutine

    def take(self) -> Any:
        """The coroutine, to be awaited."""
        coroutine, self._coroutine = self._coroutine, None
        return coroutine

    def __del__(self) -> None:
        close = getattr(self._coroutine, "close", None)
        if close is not None:
            with failsafe("closing a coroutine that nobody awaited"):
                close()
