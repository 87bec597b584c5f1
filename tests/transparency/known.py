"""Differences that are known: what a program may notice of us, each documented where it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["KNOWN", "Same", "excuse"]

Same = Callable[[str, Any, Any], bool]


def _proxy(_where: str, _bare: Any, ours: Any) -> bool:
    return str(ours).startswith("otel_agentops.")


def _finaliser(_where: str, bare: Any, ours: Any) -> bool:
    return bool(ours == [*bare, "__del__"])


def _named(_where: str, bare: Any, ours: Any) -> bool:
    return bool(str(ours).replace("StreamProxy", "Stream") == bare)


def _one_frame(_where: str, bare: Any, ours: Any) -> bool:
    return bool([*ours, ["_streaming.py", "__iter__"]] == bare)


def _one_more(_where: str, bare: Any, ours: Any) -> bool:
    return bool(ours == bare + 1)


def _measured(_where: str, _bare: Any, _ours: Any) -> bool:
    return True  # by tests of their own


def _finder(_where: str, bare: Any, ours: Any) -> bool:
    return [name for name in ours if name != "wrapt.importer.ImportHookFinder"] == bare


def _findings(_where: str, bare: Any, ours: Any) -> bool:
    """What a person should know of a call: that it has no price, or that its answer was cut off."""
    return not bare and all(line.startswith(("no price for a call", "truncated (")) for line in ours)


def _in_turn(_where: str, bare: Any, ours: Any) -> bool:
    """Equal calls that should run side by side follow each other on a busy machine, and are a loop then."""
    return not bare and all(
        line.startswith(("repeated_prompt (", "no price for a call", "truncated (")) for line in ours
    )


KNOWN: tuple[tuple[str, Same], ...] = (
    (r"\.type", _proxy),  # of streams and of raw answers that may still become one: docs/openai.md
    (r"\.special", _finaliser),
    (r"\.(async )?iterator", _named),
    (r": stream, exception thrown in\..*\.frames", _one_frame),
    (r"\.warned by us", _findings),
    (r"\.many (tasks|threads)\.warned by us", _in_turn),
    (r"\.process\.at exit", _one_more),
    (r"\.process\.finders", _finder),
    (r"\.(stall_s|spans)", _measured),
)


def excuse(where: str, bare: Any, other: Any, known: tuple[tuple[str, Same], ...] = KNOWN) -> bool:
    """Whether a difference is a known one."""
    return any(re.search(pattern + "$", where) and same(where, bare, other) for pattern, same in known)
