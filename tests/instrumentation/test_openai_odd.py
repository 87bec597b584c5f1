"""Odd answers: compatible servers leave out, misspell and invent; the program must not notice us."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

import otel_agentops as ao
from instrumentation.test_openai_recordings import HAS_RESPONSES, dumped
from otel_agentops.failsafe import failures
from otel_agentops.testing import capture
from support.replay import Exchange, ReplayServer, client_kwargs

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
GOOD = {"role": "assistant", "content": "ok"}


def choice(**message: Any) -> dict[str, Any]:
    """One choice with this message."""
    return {"index": 0, "finish_reason": "stop", "message": {**GOOD, **message}}


ANSWERS: dict[str, Any] = {
    "no usage": {"id": "1", "model": "m", "choices": [choice()]},
    "null usage": {"id": "1", "model": "m", "choices": [choice()], "usage": None},
    "null choices": {"id": "1", "model": "m", "choices": None},
    "no choices": {"id": "1", "model": "m"},
    "empty": {},
    "a list": [],
    "null message": {"id": "1", "choices": [{"index": 0, "finish_reason": None, "message": None}]},
    "usage of texts": {"id": "1", "choices": [choice()], "usage": {"prompt_tokens": "many"}},
    "negative usage": {"choices": [choice()], "usage": {"prompt_tokens": -1, "completion_tokens": -5}},
    "details are a list": {"choices": [choice()], "usage": {"prompt_tokens": 1, "prompt_tokens_details": []}},
    "more cached than sent": {
        "choices": [choice()],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}},
    },
    "unknown parts": {"choices": [choice(content=[{"type": "hologram", "data": 1}])]},
    "content is a number": {"choices": [choice(content=5)]},
    "arguments no JSON": {
        "choices": [choice(tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "{oops"}}])]
    },
    "huge arguments": {
        "choices": [choice(tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "[" * 100_000}}])]
    },
    "null arguments": {"choices": [choice(tool_calls=[{"id": None, "function": None}])]},
    "ids are numbers": {"id": 5, "model": 6, "choices": [choice()], "system_fingerprint": 7},
    "reason is a number": {"choices": [{"index": 0, "finish_reason": 3, "message": GOOD}]},
    "reasoning": {"choices": [choice(reasoning_content="hmm")]},
}


def exchange(answer: Any, path: str = "/v1/chat/completions", stream: bool = False) -> Exchange:
    """A made-up exchange with this answer; a stream is a list of events."""
    text = json.dumps(answer)
    if stream:
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in answer) + "data: [DONE]\n\n"
    kind = "text/event-stream" if stream else "application/json"
    return Exchange("openai", "made up", "odd", 0, "POST", path, {"stream": stream}, 200, kind, text)


def outcome(call: Any) -> Any:
    """What the program gets: an answer as data, or the error's type and text."""
    try:
        return dumped(call())
    except Exception as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("name", ANSWERS)
def test_whole_answers(name: str) -> None:
    """Same answer or error as without us, one span, and nothing of ours failed."""
    with ReplayServer([exchange(ANSWERS[name])]) as server, openai.OpenAI(**client_kwargs(server)) as client:
        bare = outcome(lambda: client.chat.completions.create(**ASK))
        with capture(capture_content=True, auto_session=False) as captured:
            ours = outcome(lambda: client.chat.completions.create(**ASK))
            (span,) = captured.spans
    assert ours == bare
    assert not failures
    for attribute, value in (span.attributes or {}).items():
        if "messages" in attribute:
            json.loads(str(value))


def delta(**fields: Any) -> dict[str, Any]:
    """One chunk with this delta."""
    return {"id": "1", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


STREAMS: dict[str, list[Any]] = {
    "nothing": [],
    "no choices": [{"id": "1"}, {"id": "1", "choices": None}, {"choices": []}],
    "null delta": [{"choices": [{"index": 0, "delta": None, "finish_reason": None}]}],
    "no delta": [{"choices": [{"index": 0}]}],
    "no index": [{"choices": [{"delta": {"content": "x"}}]}],
    "content is a number": [delta(content=5)],
    "tools in odd pieces": [
        delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a"'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": None}}]),
        delta(tool_calls=[{"index": 0, "function": None}]),
        delta(tool_calls=[{}]),
    ],
    "usage early": [{"id": "1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}],
    "several choices": [
        {"choices": [{"index": n, "delta": {"content": str(n)}, "finish_reason": "stop"} for n in range(3)]}
    ],
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str) -> None:
    """Same chunks as without us, whatever they are; one span, always ended."""
    served = exchange(STREAMS[name], stream=True)
    ask = {**ASK, "stream": True}
    with ReplayServer([served]) as server, openai.OpenAI(**client_kwargs(server)) as client:
        bare = outcome(lambda: list(client.chat.completions.create(**ask)))
        with capture(strict=False, capture_content=True, auto_session=False) as captured:
            ours = outcome(lambda: list(client.chat.completions.create(**ask)))
            assert len(captured.spans) == 1
    assert ours == bare


def test_a_reason_that_comes_with_text_and_before_more() -> None:
    """Why the answer ends is known wherever in the stream it was said."""
    early = {"id": "1", "choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "length"}]}
    chunks = [delta(content="a"), early, delta(content="c"), delta(content="d")]
    with (
        ReplayServer([exchange(chunks, stream=True)]) as server,
        openai.OpenAI(**client_kwargs(server)) as client,
        capture(capture_content=True, auto_session=False) as captured,
    ):
        list(client.chat.completions.create(**{**ASK, "stream": True}))
        attributes = captured.spans[0].attributes or {}
    assert attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert json.loads(str(attributes["gen_ai.output.messages"]))[0]["parts"][0]["content"] == "abcd"


RESPONSES: dict[str, Any] = {
    "empty": {},
    "null output": {"id": "r", "output": None, "status": "completed"},
    "unknown items": {"id": "r", "output": [{"type": "hologram"}, {"type": None}], "status": "completed"},
    "incomplete": {
        "id": "r",
        "output": [],
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "failed": {"id": "r", "output": [], "status": "failed", "error": {"code": "x", "message": "y"}},
    "queued": {"id": "r", "output": [], "status": "queued"},
}


@pytest.mark.skipif(not HAS_RESPONSES, reason="this version of openai has no Responses API")
@pytest.mark.parametrize("name", RESPONSES)
def test_responses(name: str) -> None:
    """The same for the Responses API."""
    served = exchange(RESPONSES[name], "/v1/responses")
    with ReplayServer([served]) as server, openai.OpenAI(**client_kwargs(server)) as client:
        bare = outcome(lambda: client.responses.create(model="m", input="x"))
        with capture(capture_content=True, auto_session=False) as captured:
            ours = outcome(lambda: client.responses.create(model="m", input="x"))
            (span,) = captured.spans
    assert ours == bare
    reasons = {"incomplete": ("length",), "failed": ("error",)}
    if name in reasons:
        assert (span.attributes or {})["gen_ai.response.finish_reasons"] == reasons[name]


def test_what_cannot_be_read_is_counted() -> None:
    """A chunk that fails inside us is counted, and the others are still read."""
    chunks = [delta(content="a"), {"choices": [5]}, delta(content="b")]
    ask = {**ASK, "stream": True}
    with (
        ReplayServer([exchange(chunks, stream=True)]) as server,
        openai.OpenAI(**client_kwargs(server)) as client,
        capture(strict=False, capture_content=True, auto_session=False) as captured,
    ):
        list(client.chat.completions.create(**ask))
        text = str((captured.spans[0].attributes or {})["gen_ai.output.messages"])
    assert json.loads(text)[0]["parts"] == [{"type": "text", "content": "ab"}]
    assert failures["reading a chunk"] == 1


def test_omit_and_not_given() -> None:
    """The SDK's own words for "not given" are not values."""
    missing = [openai.NOT_GIVEN] + ([openai.omit] if hasattr(openai, "omit") else [])
    with (
        ReplayServer([exchange(ANSWERS["no usage"])]) as server,
        openai.OpenAI(**client_kwargs(server)) as client,
        capture(auto_session=False) as captured,
        ao.session("s"),
    ):
        for value in missing:
            client.chat.completions.create(**ASK, temperature=value, stream=value, tools=value, n=value)
        names = set(captured.spans[0].attributes or {})
    assert not failures
    assert not {"gen_ai.request.temperature", "gen_ai.request.stream"} & names
