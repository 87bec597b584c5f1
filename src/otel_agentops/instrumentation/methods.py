"""What stands in a class instead of one of its methods, and cannot be told from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from otel_agentops.failsafe import failsafe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Method", "Pending"]


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


class Pending:
    """The coroutine of a call that nobody has awaited yet.

    Async methods are called at once, as they are without us, so that wrong arguments are refused by the
    call and not by the await. If nobody ever awaits the coroutine that the caller was given, the
    interpreter warns about that one; this one is closed without a word.
    """

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Any) -> None:
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
