"""Which instrumentations there are: entry points, one line of somebody's `pyproject.toml` each."""

from __future__ import annotations

from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import TYPE_CHECKING, Any

import wrapt

from otel_agentops.config import OWN_NAMES, ConfigError
from otel_agentops.failsafe import failsafe, warn_once
from otel_agentops.instrumentation.switches import Gateable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_agentops.config import Config
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
    "wanted_by",
    "when_imported",
]

GROUP = "otel_agentops_instrumentor"
"""Group of the entry points."""
GATES = "otel_agentops_gate"
"""Group of those that only check calls; they are used when they are named."""

_loaded: dict[str, Instrumentation] = {}
_lock = RLock()


@cache
def _installed() -> Any:  # another class in Python 3.11 than since 3.12
    """All entry points, of all groups: reading the metadata of what is installed takes milliseconds."""
    return entry_points()


@cache
def _known() -> dict[str, EntryPoint]:
    return {point.name: point for point in _installed().select(group=GROUP)}


@cache
def _nameable() -> dict[str, EntryPoint]:
    return {**{point.name: point for point in _installed().select(group=GATES)}, **_known()}


def instrumentor(name: str) -> Instrumentation:
    """The instrumentor of a known name, always the same one."""
    with _lock:
        if name not in _loaded:
            _loaded[name] = _nameable()[name].load()
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


def install(names: Iterable[str], gate: Iterable[str] = ()) -> None:
    """Switch these on; one that fails costs no other.

    Args:
        names: From `wanted`.
        gate: Those of them whose calls are only checked.
    """
    for name in names:
        with failsafe(f"instrumenting {name}"):
            found = instrumentor(name)
            if isinstance(found, Gateable):
                found.gate = found.only_gate or name in gate or not _ALL.isdisjoint(gate)
            found.instrument()


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


def wanted_by(config: Config, strict: bool = False) -> list[str]:
    """Names that the settings ask for, those to be checked only included; see `wanted`."""
    return wanted(config.instrument, config.disabled, strict, config.gate)


def wanted(
    names: tuple[str, ...] | None, disabled: tuple[str, ...], strict: bool, gate: tuple[str, ...] = ()
) -> list[str]:
    """Names to instrument.

    Args:
        names: What the settings say; None means all.
        disabled: Never these; `openai` and `otel_agentops.openai` both name ours of that library, `*` and
            `otel_agentops` all of ours.
        strict: Whether an unknown name is the developer's error; else it is reported and left out.
        gate: Names, or `all`, of libraries whose calls are only checked.

    Raises:
        ConfigError: One of them is unknown.
    """
    known = _nameable()
    asked = names if names is not None else tuple(sorted(_known()))
    for name in asked:
        if name not in known:
            _unknown("instrument", name, known, strict)
    found = [name for name in asked if name in known] + _gated(gate, strict)
    return [name for name in dict.fromkeys(found) if not _off(name, disabled)]


_ALL = frozenset({"all", "*"})


def _gated(gate: tuple[str, ...], strict: bool) -> list[str]:
    if not gate:
        return []
    known = {name: _gateable(name) for name in sorted(_nameable())}
    able = [name for name in known if known[name]]
    if not _ALL.isdisjoint(gate):
        return able
    for name in gate:
        if known.get(name, False) is False:
            _unknown("gate", name, [*able, "all"], strict)
    return [name for name in gate if name in able]


def _gateable(name: str) -> bool | None:
    """Whether its calls can be checked; None if it cannot be loaded, which is reported."""
    with failsafe(f"loading the instrumentor {name}"):  # somebody's may be broken
        return isinstance(instrumentor(name), Gateable)
    return None


def _unknown(setting: str, name: str, known: Iterable[str], strict: bool) -> None:
    error = ConfigError(setting, name, ", ".join(sorted(known)))
    if strict:
        raise error
    warn_once(setting, "OTEL_AGENTOPS_%s: %s; it is left out", setting.upper(), error)


def _off(name: str, disabled: tuple[str, ...]) -> bool:
    spellings = {"*", name, *OWN_NAMES, *(f"{own}.{name}" for own in OWN_NAMES)}
    return not spellings.isdisjoint(disabled)
