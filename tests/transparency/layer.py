"""A layer of the program's own around the methods of an SDK, which sees what arrives below any other."""

from __future__ import annotations

import functools
import importlib
from typing import Any

__all__ = ["arrived", "install"]

_calls: list[dict[str, Any]] = []
_installed = False


def install(book: str) -> None:
    """Put it around every method that scenes call; do this before others come.

    Args:
        book: The module with the scenes.
    """
    global _installed  # noqa: PLW0603 - of the process
    from transparency.calls import owner_of

    methods = importlib.import_module(book).METHODS
    _installed = True
    for owner, name in {owner_of(method, kind) for method in methods for kind in ("", "Async")}:
        setattr(owner, name, _around(getattr(owner, name)))


def _around(method: Any) -> Any:
    @functools.wraps(method)
    def seen(self: Any, *args: Any, **kwargs: Any) -> Any:
        _calls.append(kwargs)
        return method(self, *args, **kwargs)

    return seen


def arrived(passed: dict[str, Any]) -> Any:
    """What arrived otherwise than it was passed; None without this layer.

    Args:
        passed: The arguments of the last call, by name.
    """
    if not _installed:
        return None
    got = _calls[-1]
    changed = sorted(name for name in passed if got.get(name, _installed) is not passed[name])
    return {"calls": len(_calls), "changed": changed, "more": sorted(set(got) - set(passed))}
