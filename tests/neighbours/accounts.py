"""What to compare of two programs that have other tools beside us, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transparency.kit import Seen, differences
from transparency.look import plain

__all__ = ["beside", "from_bare", "steady"]

_TRACING = re.compile(r"sentry-trace|baggage|traceparent|tracestate|x-datadog-.*", re.IGNORECASE)
_PROXIED = {
    *("type", "special", "vars", "dir", "abcs", "iterator", "async iterator", "frames", "pickled", "copied"),
    *("error.stack", "code.filepath", "code.function", "code.namespace"),  # code: of slow requests only
}
"""What the proxies of any tool show of themselves; `class` and `isinstance` say what they pass for."""
_OF_PROXIES = re.compile(r"<\w+ at 0x for \w+ at 0x>")
_LOGGERS = ("openai", "httpx")


_CHANGING = re.compile(
    r"(trace_?id|span_?id|parent|_id|time|duration|start|sampl|rand|pid|runtime|tid|metric|dd\.p|elapsed|thread"
    r"|breadcrumbs|modules|sys\.argv|profile|client_sample|lineno|context_line|pre_context|post_context|vars|debug)",
    re.IGNORECASE,
)


def steady(value: Any) -> Any:
    """Without ids, times and what else is never the same twice."""
    if isinstance(value, Mapping):
        return {
            str(key): steady(item)
            for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))
            if not _CHANGING.search(str(key))
        }
    if isinstance(value, list | tuple):
        return [steady(item) for item in value]
    return plain(value) if isinstance(value, str) else value


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


def _sight(account: dict[str, Any], whole: bool, quiet: bool = False) -> dict[str, Any]:
    sight = {
        "outcome": _core(account["outcome"]),
        "wire": _wire(account.get("wire", []), whole and not quiet),
        "logs": [line for line in account["logs"] if line[0].startswith(_LOGGERS)],
    }
    if whole:
        names = ("tape", "context") if quiet else ("tape", "context", "warnings")
        sight |= {name: account[name] for name in names}
        # threads of native code come and go and have such names
        sight["threads"] = [thread for thread in account["threads"] if not thread.startswith("Dummy")]
        sight |= {name: sorted(_core(account[name]), key=repr) for name in ("sentry", "ddtrace")}
    return sight


def beside(without: Seen, with_us: Seen, quiet: bool = False) -> list[str]:
    """What we change for a program that has others: results, errors, the wire, and what these others send.

    Args:
        without: What it saw without us.
        with_us: What it saw with us.
        quiet: Whether one of them keeps quiet inside our calls, with its headers and warnings.
    """
    differs = []
    for name, account in without["scenes"].items():
        ours = with_us["scenes"][name]
        differs += differences(
            _sight(account, True, quiet), _sight(ours, True, quiet), lambda *_: False, name
        )
    failed = [line for line in with_us["stderr"].splitlines() if line.startswith("otel_agentops")]
    return differs + failed


def from_bare(bare: Seen, other: Seen) -> list[str]:
    """What a program with us and others gets that a bare one does not."""
    differs = []
    for name, account in bare["scenes"].items():
        ours = other["scenes"][name]
        differs += differences(_sight(account, False), _sight(ours, False), where=name)
    return differs
