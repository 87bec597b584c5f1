"""An instrumented program sees what it sees without us: results, errors, streams, the wire, its process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from transparency.kit import THREADS, Program, Seen, differences, run_programs, stalls
from transparency.known import KNOWN, excuse

pytest.importorskip("pydantic")

BARE = "bare"
PROGRAMS = {
    BARE: Program(["provider", "import"]),
    "instrumented": Program(["provider", "ours", "import"]),
    "instrumented later, with content": Program(["import", "provider", "ours, with content, not asking"]),
    "gated": Program(["provider", "ours, as a gate", "import"], scenes=["chat.", "async chat.", "many "]),
    "undone": Program(["provider", "import", "ours", "undo ours"], scenes=["chat.", "async chat."]),
}
INSTRUMENTED = [name for name in PROGRAMS if name.startswith("instrumented")]


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    """What each program saw."""
    return run_programs(PROGRAMS)


# --- the one request that differs, documented in docs/openai.md ---


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

    def measured(where: str, *values: Any) -> bool:
        return not where.endswith((".type", ".special")) and excuse(where, *values)

    played = seen["undone"]["scenes"]
    bare = {**seen[BARE], "scenes": {scene: seen[BARE]["scenes"][scene] for scene in played}}
    assert differences(bare, seen["undone"], measured) == []


def test_gated(seen: dict[str, Seen]) -> None:
    """A gate before the same methods changes nothing either, and writes no span."""
    played = seen["gated"]["scenes"]
    bare = {**seen[BARE], "scenes": {scene: seen[BARE]["scenes"][scene] for scene in played}}
    assert differences(bare, seen["gated"], excuse) == []
    assert not any(account["spans"] for account in played.values())


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
def test_the_loop_goes_on(seen: dict[str, Seen], name: str) -> None:
    """While a call waits other tasks run, and in no scene does the loop stand still 5 ms longer than bare."""
    waited = [scene for scene in seen[name]["scenes"] if "while waiting" in scene]
    assert waited
    assert all("waiting" in seen[name]["scenes"][s]["tape"] for s in waited if "stream, " in s)
    assert stalls(PROGRAMS[BARE], PROGRAMS[name], (seen[BARE], seen[name])) == []


def test_the_first_call_holds_up_no_loop() -> None:
    """What is loaded with the first call is loaded fast enough."""
    scenes = ["async first call on a warm loop"]
    bare = Program(["provider", "import"], scenes=scenes, again=False)
    ours = Program(["provider", "ours", "import"], scenes=scenes, again=False)
    assert stalls(bare, ours, (bare.run(), ours.run()), tries=8) == []


def test_arguments_arrive_as_they_are() -> None:
    """Below us arrive the very objects that the program passes, nothing less and nothing more."""
    scenes = [f"{kind}{method}: its arguments" for method in _methods() for kind in ("", "async ")]
    bare = Program(["provider", "import", "own layer"], scenes=scenes)
    ours = Program([*bare.steps, "ours, with content"], scenes=scenes)
    seen = run_programs({BARE: bare, "ours": ours})
    assert differences(seen[BARE], seen["ours"], excuse) == []
    outcomes = [account["outcome"] for account in seen["ours"]["scenes"].values()]
    arrived = [outcome["returned"]["arrived"] for outcome in outcomes if "returned" in outcome]
    # the same as without us; where methods of older SDKs call each other, the innermost has others by itself
    assert {"calls": 1, "changed": [], "more": []} in arrived


def _methods() -> list[str]:
    from transparency.scenes import METHODS

    return [method.name for method in METHODS if not method.name.startswith("azure")]


def test_threads_that_are_followed() -> None:
    """Threads, pools and futures work as they do bare, and what they run is inside the session."""
    bare = Program(["provider"], book=THREADS)
    ours = Program(["provider", "ours, following threads"], book=THREADS)
    seen = run_programs({BARE: bare, "ours": ours})
    assert differences(seen[BARE], seen["ours"], excuse) == []
    spans = [seen[name]["scenes"]["thread: a span of the program's own"]["spans"] for name in (BARE, "ours")]
    assert [(span["name"], span["parent"] is not None) for (span,) in spans] == [
        ("inside", False),
        ("inside", True),
    ]


# --- a pipeline of our own ---


def _in_place_of(bare_value: str, our_value: str) -> Callable[[str, Any, Any], bool]:
    return lambda _where, bare, ours: bool(bare == bare_value and ours == our_value)


OF_OUR_PIPELINE = (
    *KNOWN,
    # docs/reliability.md, SIGTERM; of all signals this one alone
    (r"\.process\.signals\.SIGTERM", _in_place_of("0", "Exits._on_sigterm")),
    (
        r"\.process\.tracer provider",
        _in_place_of("opentelemetry.trace.ProxyTracerProvider", "opentelemetry.sdk.trace.TracerProvider"),
    ),
    (
        r"\.process\.meter provider",
        _in_place_of(
            "opentelemetry.metrics._internal._ProxyMeterProvider",
            "opentelemetry.sdk.metrics._internal.MeterProvider",
        ),
    ),
)


def test_with_a_pipeline_of_our_own() -> None:
    """`init()` where there is no provider changes SIGTERM's handler and the providers, no more."""
    environ = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    scenes = [
        "chat.completions.create",
        "async chat.completions.create: stream",
        "embeddings.create",
        "many ",
    ]
    bare = Program(["import"], scenes=scenes, environ=environ)
    ours = Program(["import", "ours, not asking"], scenes=scenes, environ=environ)
    seen = run_programs({BARE: bare, "ours": ours})
    found = differences(seen[BARE], seen["ours"], lambda *at: excuse(*at, OF_OUR_PIPELINE))
    assert found == []
    assert seen[BARE]["process"]["signals"]["SIGTERM"] != seen["ours"]["process"]["signals"]["SIGTERM"]
