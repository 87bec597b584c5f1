"""An instrumented program sees what it sees without us: results, errors, streams, the wire, its process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from transparency.kit import Program, Seen, differences, run_programs

pytest.importorskip("pydantic")

BARE = "bare"
PROGRAMS = {
    BARE: Program(["provider", "import"]),
    "instrumented": Program(["provider", "ours", "import"]),
    "instrumented later, with content": Program(["import", "provider", "ours, with content, not asking"]),
    "undone": Program(["provider", "import", "ours", "undo ours"], scenes=["chat.", "async chat."]),
}
INSTRUMENTED = [name for name in PROGRAMS if name.startswith("instrumented")]


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    """What each program saw."""
    return run_programs(PROGRAMS)


# --- differences that are known, and documented in docs/openai.md ---


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
    return True


def _asking(where: str, bare: Any, ours: Any) -> bool:
    """The request for usage, which adds one option to the body and one event to the answer."""
    if ".logs[" in where:  # older versions log what they send
        return bool(ours.replace(", 'stream_options': {'include_usage': True}", "") == bare)
    if where.endswith(".tape"):
        return _without_reading(bare) == _without_reading(ours)
    (server, *line, head, body), (_, *our_line, our_head, our_body) = bare[0], ours[0]
    sent = json.loads(our_body)
    asked = sent.pop("stream_options")
    return (
        len(bare) == len(ours) == 1
        and server == "openai"
        and line == our_line
        and asked == {"include_usage": True}
        and sent == json.loads(body)
        and [one for one in head if one[0] != "Content-Length"]
        == [one for one in our_head if one[0] != "Content-Length"]
    )


def _without_reading(tape: list[str]) -> list[str]:
    return [step for step in tape if not re.fullmatch(r"read (8|9)", step)]


KNOWN: tuple[tuple[str, Callable[[str, Any, Any], bool]], ...] = (
    (r"\.type", _proxy),  # of streams and of raw answers that may still become one
    (r"\.special", _finaliser),
    (r"\.(async )?iterator", _named),
    (r": stream, exception thrown in\..*\.frames", _one_frame),
    (r"\.process\.at exit", _one_more),
    (r"\.(stall_s|spans)", _measured),
)


def excuse(where: str, bare: Any, other: Any) -> bool:
    """Whether a difference is a known one."""
    return any(re.search(pattern + "$", where) and same(where, bare, other) for pattern, same in KNOWN)


def excuse_asking(where: str, bare: Any, other: Any) -> bool:
    """The same where the usage of streams is asked for."""
    if re.search(r"usage unasked: .*\.(wire|tape|logs\[\d+\]\[2\])$", where) and _asking(where, bare, other):
        return True
    return excuse(where, bare, other)


# --- the tests ---


def test_instrumented(seen: dict[str, Seen]) -> None:
    """Nothing differs but what is documented, and the one request that is."""
    assert differences(seen[BARE], seen["instrumented"], excuse_asking) == []


def test_instrumented_later_and_with_content(seen: dict[str, Seen]) -> None:
    """Neither the order of importing nor content changes that; not asking leaves each request as it is."""
    assert differences(seen[BARE], seen["instrumented later, with content"], excuse) == []


def test_undone(seen: dict[str, Seen]) -> None:
    """After un-instrumenting even the types are the SDK's again."""

    def measured(where: str, *_: Any) -> bool:
        return bool(re.search(r"\.(stall_s|spans|process\.at exit)$", where))

    played = seen["undone"]["scenes"]
    bare = {**seen[BARE], "scenes": {scene: seen[BARE]["scenes"][scene] for scene in played}}
    assert differences(bare, seen["undone"], measured) == []


@pytest.mark.parametrize("name", INSTRUMENTED)
def test_every_call_was_recorded(seen: dict[str, Seen], name: str) -> None:
    """The programs really were instrumented: whatever sent a request has spans of ours, all ended."""
    counts = {}
    for scene, account in seen[name]["scenes"].items():
        ours = [span for span in account["spans"] if span["scope"] == "otel_agentops"]
        counts[scene] = len(ours)
        assert all(span["ended"] for span in ours)
        if account.get("wire"):
            assert ours, scene
    assert counts["chat.completions.create: ok"] == counts["async chat.completions.create: stream, full"] == 1
    assert counts["many threads"] == counts["many tasks"] == 24
    assert not any(account["spans"] for account in seen["undone"]["scenes"].values())


def test_the_sdk_is_not_imported_by_us(seen: dict[str, Seen]) -> None:
    """Instrumenting first imports nothing of the SDK."""
    program = Program(["provider", "ours"], scenes=[])
    assert program.run()["imported by the steps"] == []


@pytest.mark.parametrize("name", INSTRUMENTED)
def test_the_loop_goes_on(
    seen: dict[str, Seen], name: str, record_property: Callable[[str, object], None]
) -> None:
    """While a call waits other tasks run: those that must set it free do, or the programs would not end."""
    for which in (BARE, name):
        stalls = sorted(account["stall_s"] for account in seen[which]["scenes"].values())
        record_property(
            f"stalls of the loop, {which}: median and longest", (stalls[len(stalls) // 2], stalls[-1])
        )
    waited = [scene for scene in seen[name]["scenes"] if "while waiting" in scene]
    assert waited
    assert all("waiting" in seen[name]["scenes"][s]["tape"] for s in waited if "stream, " in s)


def test_meddling_is_noticed() -> None:
    """An instrumentation that reads ahead and adds a header fails in both points."""
    scenes = ["chat.completions.create: ok", "chat.completions.create: stream, step by step"]
    programs = {
        BARE: Program(["provider", "import"], scenes=scenes),
        "meddled": Program(["provider", "import", "meddle"], scenes=scenes),
    }
    accounts = run_programs(programs)
    found = "\n".join(differences(accounts[BARE], accounts["meddled"], excuse))
    ok, stream = (re.escape(f".scenes.{scene}") for scene in scenes)
    for facet in (rf"{ok}\.wire", rf"{stream}\.tape"):
        assert re.search(facet, found), facet
