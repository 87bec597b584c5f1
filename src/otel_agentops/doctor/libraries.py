"""Which methods are instrumented, by us and by others."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import TYPE_CHECKING

from otel_agentops.doctor.findings import Finding
from otel_agentops.doctor.versions import installed
from otel_agentops.instrumentation import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_agentops.config import Config
    from otel_agentops.instrumentation.switches import Instrumentation, TargetState

__all__ = ["look"]

_OURS = "otel-agentops"


def look(config: Config) -> Iterator[Finding]:
    """Each library that can be instrumented: whether it is, by whom, and what it lacks."""
    wanted = registry.wanted_by(config)
    for instrumentor in registry.every():
        package = instrumentor.package
        number = installed(package)
        if number is None:
            yield Finding("libraries", "note", f"{instrumentor.name}: {package} is not installed")
        elif instrumentor.name not in wanted:
            yield Finding(
                "libraries",
                "note",
                f"{instrumentor.name}: switched off",
                "OTEL_AGENTOPS_INSTRUMENT and OTEL_PYTHON_DISABLED_INSTRUMENTATIONS decide",
            )
        else:
            deferred = _gated(instrumentor, config)
            yield from _look_at(instrumentor, f"{instrumentor.name} ({package} {number})", deferred)


def _gated(instrumentor: Instrumentation, config: Config) -> bool:
    """Whether its calls are only checked, and their spans left to somebody else."""
    named = {instrumentor.name, "all"} & set(config.gate)
    return bool(named) or getattr(instrumentor, "only_gate", False) is True


def _look_at(instrumentor: Instrumentation, title: str, deferred: bool) -> Iterator[Finding]:
    was_active = instrumentor.active
    try:
        instrumentor.instrument()
        broken = _import(instrumentor.modules)
        targets = instrumentor.inspect()
    finally:
        if not was_active:
            instrumentor.uninstrument()
    if broken:
        yield Finding("libraries", "error", f"{title}: {broken}", "repair the installation")
        return
    states = Counter(target.state for target in targets)
    active = states["active"]
    yield Finding(
        "libraries",
        "ok" if active else "error",
        f"{title}: {active} of {len(targets)} methods are {'gated' if deferred else 'instrumented'}",
        None if active else "this version is not known to us; record its calls with model_call() meanwhile",
    )
    # every module was imported above: one that is not there does not exist
    missing = [target.name for target in targets if target.state in ("missing", "not imported")]
    if missing and active:
        yield Finding(
            "libraries", "note", f"{title}: this version does not have {', '.join(sorted(missing))}"
        )
    others = _others(targets)
    for owner, methods in sorted(others.items()):
        told = f"{owner} has wrapped {len(methods)} of these methods too: {', '.join(methods)}"
        yield Finding("libraries", "note", f"{title}: {told}")
    if deferred:
        yield _left_to(title, sorted(others))


def _others(targets: list[TargetState]) -> dict[str, list[str]]:
    """Who else has wrapped what, by the short names of methods."""
    found: dict[str, list[str]] = {}
    for target in targets:
        short = ".".join(target.name.rsplit(".", 2)[-2:])
        for owner in dict.fromkeys(target.layers):
            if owner != _OURS and short not in found.setdefault(owner, []):
                found[owner].append(short)
    return {owner: methods for owner, methods in found.items() if methods}


def _left_to(title: str, owners: list[str]) -> Finding:
    if owners:
        return Finding(
            "libraries", "ok", f"{title}: spans are left to {', '.join(owners)}; calls are checked"
        )
    return Finding(
        "libraries",
        "note",
        f"{title}: calls are checked and spans left to somebody else; nobody is seen here who makes them",
        "look again with --import, or take it out of OTEL_AGENTOPS_GATE",
    )


def _import(modules: tuple[str, ...]) -> str | None:
    """Import what will be patched; what went wrong, or None. A module that does not exist is no fault."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                return f"{module} cannot be imported: {error}"
        except Exception as error:  # noqa: BLE001 - a library may raise anything while it is imported
            return f"{module} cannot be imported: {error!r}"
    return None
