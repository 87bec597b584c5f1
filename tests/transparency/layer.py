"""A layer of the program's own around the methods of the SDK, which sees what arrives below any other."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["arrived", "install"]

_calls: list[dict[str, Any]] = []
_installed = False


def install() -> None:
    """Put it around every method that scenes call; do this before others come."""
    global _installed  # noqa: PLW0603 - of the process
    from transparency.scenes import METHODS, owner_of

    _installed = True
    for owner, name in {owner_of(method, kind) for method in METHODS for kind in ("", "Async")}:
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
