"""What to compare of two programs that have other tools beside us, or none."""

from __future__ import annotations

import re
from typing import Any

from transparency.kit import Seen, differences

__all__ = ["beside", "from_bare"]

_TRACING = re.compile(r"sentry-trace|baggage|traceparent|tracestate|x-datadog-.*", re.IGNORECASE)
_PROXIED = {"type", "special", "vars", "dir", "abcs", "iterator", "async iterator", "frames", "pickled", "copied"} | {
    "error.stack",
    "code.filepath",  # only of requests that were slow
    "code.function",
    "code.namespace",
}
"""What the proxies of any of the tools show of themselves; `class` and `isinstance` say what they pass for."""
_OF_PROXIES = re.compile(r"<\w+ at 0x for \w+ at 0x>")
_LOGGERS = ("openai", "httpx", "asyncio", "root")


def _core(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _core(item) for key, item in value.items() if key not in _PROXIED}
    if isinstance(value, str):  # some name the class of what they wrap
        return _OF_PROXIES.sub("<a proxy>", value)
    return [_core(item) for item in value] if isinstance(value, list) else value


def _wire(requests: list[Any], options: bool) -> list[Any]:
    """Requests without the values of tracing headers; without stream options where peers may add them."""
    found = []
    for *line, head, body in requests:
        kept = [[name, "" if _TRACING.fullmatch(name) else value] for name, value in head]
        if not options:
            kept = [pair for pair in kept if not _TRACING.fullmatch(pair[0]) and pair[0] != "Content-Length"]
            body = re.sub(r',"stream_options":\{"include_usage":true\}', "", body)  # noqa: PLW2901
        found.append([*line, kept, body])
    return sorted(found, key=repr)


def _sight(account: dict[str, Any], whole: bool) -> dict[str, Any]:
    sight = {
        "outcome": _core(account["outcome"]),
        "wire": _wire(account.get("wire", []), whole),
        "logs": [line for line in account["logs"] if line[0].startswith(_LOGGERS)],
    }
    if whole:
        names = ("tape", "warnings", "threads", "context")
        sight |= {name: account[name] for name in names}
        sight |= {name: sorted(_core(account[name]), key=repr) for name in ("sentry", "ddtrace")}
    return sight


def beside(without: Seen, with_us: Seen) -> list[str]:
    """What we change for a program that has others: results, errors, the wire, and what these others send."""
    differs = []
    for name, account in without["scenes"].items():
        ours = with_us["scenes"][name]
        differs += differences(_sight(account, True), _sight(ours, True), lambda *_: False, name)
    failed = [line for line in with_us["stderr"].splitlines() if line.startswith("otel_agentops")]
    return differs + failed


def from_bare(bare: Seen, other: Seen) -> list[str]:
    """What a program with us and others gets that a bare one does not."""
    differs = []
    for name, account in bare["scenes"].items():
        ours = other["scenes"][name]
        differs += differences(_sight(account, False), _sight(ours, False), lambda *_: False, name)
    return differs
