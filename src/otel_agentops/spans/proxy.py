"""A stand-in for an object of an SDK that looks like it to everybody who asks.

Not wrapt's proxy, which has the special methods of every kind of object, so that a sync stream in it
would pass for an async context manager, a container and a number.
"""

from __future__ import annotations

import copy
from typing import Any

__all__ = ["Proxy"]


class Proxy:
    """Passes everything on to what it stands for.

    Attributes whose names begin with `_self_` are the proxy's own, in slots; special methods are those
    that a subclass defines.

    Args:
        wrapped: What it stands for; also `__wrapped__`.
    """

    __slots__ = ("__weakref__", "__wrapped__")  # no `__dict__`: `vars()` shows that of the wrapped object

    def __init__(self, wrapped: Any) -> None:
        object.__setattr__(self, "__wrapped__", wrapped)

    @property  # type: ignore[misc]  # `isinstance` asks here
    def __class__(self) -> type:
        found: type = self.__wrapped__.__class__  # not its type: it may be a proxy, too
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_self_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.__wrapped__, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__wrapped__, name)

    def __dir__(self) -> list[str]:
        return dir(self.__wrapped__)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __str__(self) -> str:
        return str(self.__wrapped__)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == getattr(other, "__wrapped__", other))

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: Any) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)
