"""What of an instrumentation is played: each method that it changes, in every way it can go."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from otel_agentops.instrumentation.switches import Instrumentation
from transparency.calls import Method, owner_of

__all__ = ["present", "unplayed"]

CALLS = {
    *("ok", "refused with 429", "no JSON", "no connection", "time-out"),
    *("no arguments", "unknown argument", "too many places", "its arguments", "looked at"),
}
STREAMS = {
    f"stream, {ending}"
    for ending in (
        *("as it comes", "full", "step by step", "read twice", "left and resumed", "closed", "dropped"),
        *("in a block", "block that raises", "response closed", "connection breaks", "refused with 429"),
    )
} | {"its arguments, of a stream"}
WAITING = {f"stream, {act} while waiting" for act in ("cancelled", "timed out", "let on")}
RAW_CALLS = {"raw, plain", "raw, error"}
RAW = {f"streaming raw, {use}" for use in ("read", "lines", "bytes", "texts", "parse", "nothing", "close")}
RAW_STREAMS = {use.replace("raw,", "raw of a stream,") for use in RAW}


def present(instrumentation: Instrumentation) -> list[tuple[str, str, str]]:
    """Module, class and method of each target that this version of the library has."""
    for module in instrumentation.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    instrumentation.instrument()  # of older versions, some are only told of while they are switched on
    try:
        states = [state for state in instrumentation.inspect() if state.state == "active"]
    finally:
        instrumentation.uninstrument()
    return [tuple(state.name.rsplit(".", 2)) for state in states]  # type: ignore[misc]


def unplayed(
    instrumentation: Instrumentation,
    methods: Sequence[Method],
    scenes: Mapping[str, Any],
    otherwise: Mapping[str, Collection[str]] | None = None,
) -> dict[tuple[str, str, str], set[str]]:
    """Names of the scenes that should be there and are not, by the target that they should be of.

    Args:
        instrumentation: Of an SDK that is installed.
        methods: Those that the book of scenes has.
        scenes: Those of the book by name.
        otherwise: What is played of methods that are no calls, by their paths.
    """
    places = {
        (owner.__module__, owner.__name__, name): (prefix, method)
        for prefix in ("", "Async")
        for method in methods
        if "Azure" not in method.kind
        for owner, name in [owner_of(method, prefix)]
    }
    missing = {}
    for target in present(instrumentation):
        prefix, method = places[target]
        ways = (otherwise or {}).get(method.path) or _ways(method, prefix)
        wanted = {f"{prefix.lower()} {method.name}: {way}".strip() for way in ways}
        if not wanted <= set(scenes):
            missing[target] = wanted - set(scenes)
    return missing


def _ways(method: Method, prefix: str) -> set[str]:
    ways = CALLS | (RAW_CALLS if method.exists("with_raw_response") else set())
    raw = method.exists("with_streaming_response")
    ways |= RAW if raw else set()
    if method.stream:
        ways |= STREAMS | (RAW_STREAMS if raw else set()) | (WAITING if prefix else set())
    return ways
