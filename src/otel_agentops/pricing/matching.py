"""How a rule says which models it is about, and how specific that is."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ANY", "Matcher"]

ANY: Final = "*"

_EVERYTHING, _REGEX, _GLOB, _EXACT = range(4)


class Matcher:
    """A pattern over model names: an exact name, a glob, `re:` and a regular expression, or `*`.

    Upper and lower case are the same; a pattern has to fit the whole name.

    Attributes:
        rank: How specific the pattern is: exact, then glob, then regular expression, then `*`.

    Raises:
        ValueError: The regular expression is not one.
    """

    __slots__ = ("_test", "rank")

    def __init__(self, pattern: str) -> None:
        self.rank, self._test = _compile(pattern)

    def __call__(self, name: str) -> re.Match[str] | bool | None:
        """The match of a model name, false if there is none."""
        return self._test(name)


def _compile(pattern: str) -> tuple[int, Callable[[str], re.Match[str] | bool | None]]:
    if pattern == ANY:
        return _EVERYTHING, lambda _: True
    if pattern.startswith("re:"):
        return _REGEX, _regex(pattern.removeprefix("re:"))
    if any(sign in pattern for sign in "*?["):
        return _GLOB, re.compile(fnmatch.translate(pattern), re.IGNORECASE).match
    exact = pattern.lower()
    return _EXACT, lambda name: name.lower() == exact


def _regex(pattern: str) -> Callable[[str], re.Match[str] | None]:
    try:
        return re.compile(pattern, re.IGNORECASE).fullmatch
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
