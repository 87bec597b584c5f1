"""The house: who may import whom, and who may import the SDK."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "otel_agentops"

FLOORS = {
    "semconv": 0, "config": 0, "failsafe": 0, "readers": 0, "interrupts": 0,
    "records": 1, "messages": 1, "exits": 1,
    "pricing": 2,
    "accounting": 3,
    "spans": 4,
    "instrumentation": 5, "decorators": 5, "processors": 5, "store": 5,
    "export": 6, "viewer": 6,
    "providers": 7,
    "runtime": 8,
    "launch": 9,
    "_auto": 10, "cli": 10, "demo": 10, "doctor": 10, "testing": 10, "__init__": 10,
}  # fmt: skip
"""Each imports only lower floors or itself; neighbours never each other."""

GROUND_FLOOR_ORDER = {("config", "semconv"), ("config", "failsafe"), ("config", "readers")}
"""The one order on the ground floor: settings name profiles and report through the guard."""

SDK_ROOMS = {"processors", "export", "store", "viewer", "testing"}

MODULES = sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    """The first part of a module's name inside the package."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Full names of everything a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def rooms_used(path: Path) -> set[str]:
    """Rooms of ours that a module imports from."""
    used = {name.split(".")[1] for name in imports(path) if name.startswith("otel_agentops.")}
    return used & set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_imports_go_down(path: Path) -> None:
    """A module imports lower floors and its own room, never a neighbour or a floor above."""
    here = room(path)
    above = {
        other
        for other in rooms_used(path) - {here}
        if FLOORS[other] >= FLOORS[here] and (here, other) not in GROUND_FLOOR_ORDER and FLOORS[here] < 10
    }
    assert above == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_the_sdk_stays_upstairs(path: Path) -> None:
    """Only the rooms that own a pipeline import the SDK; types are no exception but for checking."""
    uses = {name for name in imports(path) if name.startswith("opentelemetry.sdk")}
    allowed = room(path) in SDK_ROOMS or (room(path) in {"runtime", "providers"} and _only_for_types(path))
    assert not uses or allowed


def _only_for_types(path: Path) -> bool:
    """Whether every SDK import stands below `if TYPE_CHECKING:`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return all(
        id(node) in guarded
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opentelemetry.sdk")
    )


def test_every_room_has_a_floor() -> None:
    """No room is outside the plan."""
    assert {room(path) for path in MODULES} <= set(FLOORS)


def test_only_one_room_reads_the_environment() -> None:
    """Settings come from one place."""
    readers = {room(path) for path in MODULES if "os.environ" in path.read_text(encoding="utf-8")}
    assert readers <= {"config", "demo", "cli"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_modules_stay_small(path: Path) -> None:
    """No module is longer than 400 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
