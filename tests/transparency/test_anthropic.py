"""A program behind a gate for Anthropic's SDK sees what it sees without us, and the gate really is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("anthropic", reason="needs anthropic: pip install anthropic")

import anthropic

import otel_agentops as ao
from otel_agentops.instrumentation.anthropic import INSTRUMENTOR
from otel_agentops.instrumentation.base import Instrumentor
from otel_agentops.testing import capture
from support.replay import ReplayServer, load_exchanges
from transparency import letters
from transparency.covered import present, unplayed
from transparency.kit import ANTHROPIC, Program, Seen, differences, run_programs, stalls
from transparency.known import KNOWN, excuse

BARE, GATE = "bare", "ours, as a gate for Anthropic"
STEPS = {
    BARE: ["provider", "import anthropic"],
    "gated": ["provider", GATE, "import anthropic"],
    "gated later": ["provider", "import anthropic", GATE],
    "undone": ["provider", "import anthropic", GATE, "undo ours"],
}
PROGRAMS = {name: Program(steps, book=ANTHROPIC) for name, steps in STEPS.items()}
GATED = [name for name in PROGRAMS if name.startswith("gated")]


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    """What each program saw."""
    return run_programs(PROGRAMS)


# --- the difference that is documented in docs/budgets.md ---


def _nearer(_where: str, _bare: Any, ours: Any) -> bool:
    """A warning that is pinned on a caller some frames up is pinned on one a frame nearer."""
    return ours in {"base.py", "calls.py", "_legacy_response.py"}


OF_THE_GATE = (*KNOWN, (r"\.warnings\[\d\]\[2\]", _nearer))


def excused(where: str, bare: Any, other: Any) -> bool:
    """Whether a difference is a known one."""
    return excuse(where, bare, other, OF_THE_GATE)


# --- the tests ---


@pytest.mark.parametrize("name", GATED)
def test_gated(seen: dict[str, Seen], name: str) -> None:
    """Results, errors, streams, helpers, the wire: nothing differs but what is documented."""
    assert differences(seen[BARE], seen[name], excused) == []


def test_undone(seen: dict[str, Seen]) -> None:
    """After un-instrumenting even types are the SDK's again, and warnings name whom they named."""

    def measured(where: str, *values: Any) -> bool:
        return not where.endswith((".type", ".special")) and excuse(where, *values)

    assert differences(seen[BARE], seen["undone"], measured) == []


def _told(span: dict[str, Any]) -> Any:
    """A span without what we add to it, the server's port and what is measured."""
    ours = ("otel_agentops.", "gen_ai.usage.cost")
    changing = ("url.full", "server.port", "gen_ai.response.time_to_first_chunk")
    attributes = {name: value for name, value in span["attributes"].items() if not name.startswith(ours)}
    return {**span, "attributes": attributes | {name: "" for name in changing if name in attributes}}


@pytest.mark.parametrize("name", [*GATED, "undone"])
def test_no_span_is_ours(seen: dict[str, Seen], name: str) -> None:
    """We write none; those that newer versions of the SDK write are what they are without us."""
    for scene, account in seen[name]["scenes"].items():
        spans, bare = account["spans"], seen[BARE]["scenes"][scene]["spans"]
        assert not [span for span in spans if span["scope"].startswith("otel_agentops")], scene
        assert len(spans) == len(bare), scene
        if not scene.startswith("many "):  # whose turn it was is not the same twice
            assert differences([*map(_told, bare)], [*map(_told, spans)]) == [], scene


def test_the_sdk_is_not_imported_by_us() -> None:
    """A gate that stands there first imports nothing of the SDK."""
    program = Program(["provider", GATE], book=ANTHROPIC, scenes=["nothing"])
    assert program.run()["imported by the steps"] == []


@pytest.mark.parametrize("name", GATED)
def test_the_loop_goes_on(seen: dict[str, Seen], name: str) -> None:
    """While a call waits other tasks run, and in no scene does the loop stand still 5 ms longer than bare."""
    waited = [scene for scene in seen[name]["scenes"] if "while waiting" in scene]
    assert waited
    assert all("waiting" in seen[name]["scenes"][s]["tape"] for s in waited if "for the answer" not in s)
    assert stalls(PROGRAMS[BARE], PROGRAMS[name], (seen[BARE], seen[name])) == []


def test_arguments_arrive_as_they_are() -> None:
    """Below the gate arrive the very objects that the program passes, nothing less and nothing more."""
    scenes = [f"{kind}{method.name}: its arg" for method in letters.CALLS for kind in ("", "async ")]
    bare = Program(
        ["provider", "import anthropic", "own layer around Anthropic"], scenes=scenes, book=ANTHROPIC
    )
    ours = Program([*bare.steps, GATE], scenes=scenes, book=ANTHROPIC)
    seen = run_programs({BARE: bare, "ours": ours})
    assert differences(seen[BARE], seen["ours"], excused) == []
    for scene, account in seen["ours"]["scenes"].items():
        assert account["outcome"]["returned"]["arrived"]["changed"] == [], scene
        assert account["outcome"]["returned"]["arrived"]["more"] == [], scene


# --- the gate is there ---

REFUSED = [
    *(f"{method.name}: ok" for method in letters.CALLS),
    *(f"{method.name}: raw, plain" for method in letters.CALLS if method.exists("with_raw_response")),
    *(f"{method.name}: stream, full" for method in letters.CALLS if method.stream),
    *(f"{method.name}: final message" for method in letters.HELPERS),
]


@pytest.fixture(scope="module")
def refused() -> dict[str, Seen]:
    """What programs saw whose budget lets no call through, or one."""
    scenes = [*REFUSED, *(f"async {scene}" for scene in REFUSED)]
    return run_programs(
        {
            calls: Program([*STEPS["gated"], f"a budget of {calls}"], book=ANTHROPIC, scenes=scenes)
            for calls in ("no calls", "one call")
        }
    )


def _exceeded(account: dict[str, Any]) -> bool:
    raised = account["outcome"].get("raised", {"class": ""})
    return bool(re.search(r"\.BudgetExceeded$", raised["class"]))


def test_a_budget_of_no_calls_refuses_each(refused: dict[str, Seen]) -> None:
    """Every method refuses, plain, raw, streamed and async; nothing is sent, and nothing is complained of."""
    scenes = refused["no calls"]["scenes"]
    assert set(scenes) == {*REFUSED, *(f"async {scene}" for scene in REFUSED)}
    for scene, account in scenes.items():
        assert _exceeded(account), (scene, account["outcome"])
        assert (account.get("wire"), account["warnings"]) == (None, []), scene


def test_a_budget_of_one_call_lets_one_through(refused: dict[str, Seen]) -> None:
    """The first call is made, and every later one is refused."""
    first, *others = refused["one call"]["scenes"].values()
    assert "returned" in first["outcome"]
    assert len(first["wire"]) == 1
    assert all(_exceeded(account) and "wire" not in account for account in others)


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    """A recorded stream."""
    with ReplayServer(load_exchanges("anthropic/*_stream_message.json")) as made:
        yield made


@pytest.fixture
def client(server: ReplayServer) -> Iterator[Any]:
    """A real client of it."""
    with anthropic.Anthropic(api_key="test-key", base_url=server.url, max_retries=0) as made:
        yield made


def _stream(client: Any) -> Any:
    return client.messages.create(**letters.CALLS[0].streamed)


def _raw(client: Any) -> Any:
    return client.messages.with_raw_response.create(**letters.CALLS[0].streamed).parse()


def _left(stream: Any) -> None:
    next(stream)
    stream.close()


async def _read_async(server: ReplayServer, close: bool) -> None:
    async with anthropic.AsyncAnthropic(api_key="test-key", base_url=server.url, max_retries=0) as client:
        stream = await client.messages.create(**letters.CALLS[0].streamed)
        assert isinstance(stream, anthropic.AsyncStream)
        async for _ in stream:
            if close:
                await stream.close()
                break


@pytest.mark.parametrize("make", [_stream, _raw])
@pytest.mark.parametrize(("use", "output_tokens"), [(list, 11), (_left, 6)])
def test_a_stream_is_counted(
    client: Any, make: Callable[[Any], Any], use: Callable[[Any], object], output_tokens: int
) -> None:
    """What the program reads of a stream is counted, at once, and the stream is one of the SDK's."""
    with capture(auto_session=False, instrument=[], gate=["anthropic"]), ao.session("s") as session:
        stream = make(client)
        assert isinstance(stream, anthropic.Stream)
        use(stream)
        assert (session.total.input_tokens, session.total.output_tokens) == (14, output_tokens)
        assert session.total.model_calls == 1


Told = Callable[[], list[tuple[Any, Any]]]


@pytest.fixture
def told() -> Iterator[Told]:
    """How calls ended, and with which error: spans of ours tell, which the gate does not write."""
    spoken = Instrumentor("anthropic, with spans", INSTRUMENTOR.targets)
    with capture(auto_session=False, instrument=[]) as captured:
        spoken.instrument()
        yield lambda: [
            (attributes.get("otel_agentops.ending"), attributes.get("error.type"))
            for span in captured.spans
            for attributes in [span.attributes or {}]
        ]
        spoken.uninstrument()


def test_how_a_stream_ends(client: Any, server: ReplayServer, told: Told) -> None:
    """Whether it is read to its end, closed before, or breaks, is told apart, in versions of every kind."""
    list(_stream(client))
    _left(_stream(client))
    server.cut_after = 3
    with pytest.raises(Exception, match="closed"):
        list(_stream(client))
    complete, closed, (_, error) = told()
    assert (complete, closed) == ((None, None), ("closed", None))
    assert error.endswith("RemoteProtocolError")


async def test_how_an_async_stream_ends(server: ReplayServer, told: Told) -> None:
    """The same of async streams."""
    await _read_async(server, close=False)
    await _read_async(server, close=True)
    server.cut_after = 3
    with pytest.raises(Exception, match="closed"):
        await _read_async(server, close=False)
    complete, closed, (_, error) = told()
    assert (complete, closed) == ((None, None), ("closed", None))
    assert error.endswith("RemoteProtocolError")


# --- nothing is forgotten ---

HELPED = {
    *("as it comes", "events", "texts", "final message", "left and resumed", "left", "never read", "closed"),
    *("block that raises", "connection breaks", "stalls", "refused with 429", "no JSON", "no connection"),
    *("tools", "never entered", "no arguments", "unknown argument", "too many places", "looked at"),
}


def test_every_method_is_played() -> None:
    """Each target that this version has, plain, raw, streamed, sync and async, in every ending."""
    assert {(kind, name) for _, kind, name in present(INSTRUMENTOR)} >= {
        (kind, name) for kind in ("Messages", "AsyncMessages") for name in ("create", "stream")
    }
    helped = {method.path: HELPED for method in letters.HELPERS}
    assert unplayed(INSTRUMENTOR, letters.METHODS, letters.SCENES, helped) == {}
