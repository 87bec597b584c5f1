"""Which instrumentations there are: entry points, one line of somebody's `pyproject.toml` each."""

from __future__ import annotations

from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import TYPE_CHECKING

import wrapt

from otel_agentops.config import OWN_NAMES, ConfigError
from otel_agentops.failsafe import failsafe, warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_agentops.instrumentation.switches import Instrumentation

__all__ = [
    "GROUP",
    "await_import",
    "checked",
    "drop_others",
    "every",
    "install",
    "instrumentor",
    "loaded",
    "wanted",
    "when_imported",
]

GROUP = "otel_agentops_instrumentor"
"""Group of the entry points."""

_loaded: dict[str, Instrumentation] = {}
_lock = RLock()


@cache  # reading the metadata of everything installed takes milliseconds
def _known() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def instrumentor(name: str) -> Instrumentation:
    """The instrumentor of a known name, always the same one."""
    with _lock:
        if name not in _loaded:
            _loaded[name] = _known()[name].load()
        return _loaded[name]


def loaded() -> list[Instrumentation]:
    """Those that were used so far."""
    return list(_loaded.values())


def every() -> list[Instrumentation]:
    """All that are installed; one that cannot be loaded is reported and left out."""
    found = []
    for name in sorted(_known()):
        with failsafe(f"loading the instrumentation of {name}"):
            found.append(instrumentor(name))
    return found


def install(names: Iterable[str]) -> None:
    """Switch these on; one that fails costs no other."""
    for name in names:
        with failsafe(f"instrumenting {name}"):
            instrumentor(name).instrument()


def await_import(names: Iterable[str], act: Callable[[], object]) -> None:
    """Do something when one of these libraries is imported; loads nothing of it, nor of ours."""
    for name in names:
        wrapt.register_post_import_hook(lambda _module: act(), _ROOTS.get(name, name))


_ROOTS = {"langchain": "langchain_core"}
"""What is imported of a library that is not called like its instrumentation."""


def when_imported(act: Callable[[str], object]) -> None:
    """Do something with the name of each library in use when it is imported, once or more often."""
    for used in loaded():
        for module in used.modules:
            wrapt.register_post_import_hook(partial(_act, act, used.name), module)


def _act(act: Callable[[str], object], name: str, _module: object) -> None:
    act(name)


def drop_others(names: Iterable[str]) -> None:
    """Switch off what was used so far and is not among these."""
    kept = set(names)
    for used in loaded():
        if used.name not in kept:
            used.uninstrument()


def checked(names: tuple[str, ...]) -> list[Instrumentation]:
    """The instrumentors of these names.

    Raises:
        ConfigError: One of them is unknown.
    """
    return [instrumentor(name) for name in wanted(names, (), strict=True)] if names else []


def wanted(names: tuple[str, ...] | None, disabled: tuple[str, ...], strict: bool) -> list[str]:
    """Names to instrument.

    Args:
        names: What the settings say; None means all.
        disabled: Never these; `openai` and `otel_agentops.openai` both name ours of that library, `*` and
            `otel_agentops` all of ours.
        strict: Whether an unknown name is the developer's error; else it is reported and left out.

    Raises:
        ConfigError: One of them is unknown.
    """
    known = _known()
    asked = names if names is not None else tuple(sorted(known))
    for name in asked:
        if name not in known:
            error = ConfigError("instrument", name, ", ".join(sorted(known)))
            if strict:
                raise error
            warn_once("instrument", "OTEL_AGENTOPS_INSTRUMENT: %s; it is left out", error)
    return [name for name in asked if name in known and not _off(name, disabled)]


def _off(name: str, disabled: tuple[str, ...]) -> bool:
    spellings = {"*", name, *OWN_NAMES, *(f"{own}.{name}" for own in OWN_NAMES)}
    return not spellings.isdisjoint(disabled)
