"""How the values of settings are read: `(name, value) -> value`, or a `ConfigError`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ConfigError", "at_least", "choice", "files", "flag", "milliseconds", "seconds", "secret", "text",
    "words",
]  # fmt: skip


class ConfigError(ValueError):
    """A setting has a value that cannot be used; the message names setting, value and allowed values."""

    def __init__(self, setting: str, value: object, allowed: str) -> None:
        super().__init__(f"{setting}={value!r} is not usable; allowed: {allowed}")


def text(name: str, value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(name, value, "a text that is not empty")
    return value.strip()


_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def flag(name: str, value: object) -> bool:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ConfigError(name, value, "true or false")
    return word in _TRUE


def choice(*allowed: str) -> Callable[[str, object], str]:
    """One of these words, in any case."""

    def read(name: str, value: object) -> str:
        word = str(value).strip().lower()
        if word not in allowed:
            raise ConfigError(name, value, ", ".join(allowed))
        return word

    return read


def seconds(name: str, value: object) -> float:
    """A time of up to an hour."""
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever is no number is refused below
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 3600:
        raise ConfigError(name, value, "seconds from 0 to 3600")
    return number


def milliseconds(name: str, value: object) -> float:
    """A time in milliseconds, as seconds."""
    if not str(value).strip().isdigit():
        raise ConfigError(name, value, "a number of milliseconds")
    return seconds(name, int(str(value)) / 1000)


def at_least(least: float, unit: str) -> Callable[[str, object], Any]:
    """A whole number that is not too small."""

    def read(name: str, value: object) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = -1.0
        if not least <= number < float("inf"):
            raise ConfigError(name, value, f"a number of {unit}, at least {least:.0f}")
        return int(number)

    return read


def words(name: str, value: object) -> tuple[str, ...]:
    """A list of names, as one text with commas or as a sequence."""
    found = value.split(",") if isinstance(value, str) else value
    try:
        texts = tuple(str(word).strip() for word in found)  # type: ignore[attr-defined]
    except TypeError:
        raise ConfigError(name, value, "a list of names") from None
    return tuple(word for word in texts if word)


def files(name: str, value: object) -> tuple[str, ...]:
    """Paths of files that are there."""
    if isinstance(value, str | Path):
        value = str(value).split(os.pathsep)
    paths = words(name, value)
    for path in paths:
        if not Path(path).is_file():
            raise ConfigError(name, path, "paths of readable TOML or JSON files")
    return paths


def secret(name: str, value: object) -> bytes:
    """A key, which no message shows."""
    key = value.encode() if isinstance(value, str) else value
    if not isinstance(key, bytes) or not 1 <= len(key) <= 64:
        raise ConfigError(name, "...", "1 to 64 bytes")
    return key
