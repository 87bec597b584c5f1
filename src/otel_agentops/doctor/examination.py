"""The examination, in order; a part that fails says so and the others go on."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otel_agentops.config import Config
from otel_agentops.doctor import endpoint, libraries, neighbours, settings, versions
from otel_agentops.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["examine"]

_PARTS: tuple[tuple[str, Callable[[Config], Iterable[Finding]]], ...] = (
    ("versions", versions.look),
    ("libraries", libraries.look),
    ("neighbours", neighbours.look),
    ("settings", settings.look),
    ("endpoint", endpoint.look),
)


def examine(imports: Sequence[str] = ()) -> list[Finding]:
    """Look at this process and its environment.

    The libraries that can be instrumented are imported where they are installed, and instrumented as
    `init()` would; nothing is exported but an empty request that asks the endpoint whether it answers.

    Args:
        imports: Modules of the program to import first, so that what they set up is seen.
    """
    findings = [finding for module in imports for finding in _import(module)]
    with settings.complaints() as complaints:
        config = Config.load()
    findings += complaints
    for topic, look in _PARTS:
        try:
            findings += look(config)
        except Exception as error:  # noqa: BLE001 - a sick environment is what it is for
            findings.append(Finding(topic, "warning", f"could not be looked at: {error!r}"))
    return findings


def _import(module: str) -> Iterable[Finding]:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - any program may fail to import
        yield Finding("program", "error", f"{module} cannot be imported: {error!r}")
    else:
        yield Finding("program", "ok", f"{module} is imported")
