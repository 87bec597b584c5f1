"""Secrets never reach a span, valid JSON stays valid, and hostile texts take no longer than others."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otel_agentops as ao
from otel_agentops.config import REDACTIONS, ConfigError
from otel_agentops.spans.redact import Redactor
from otel_agentops.spans.secrets import BUILT_IN
from otel_agentops.testing import Captured, capture
from support.cases import CASES

TAIL = "a1B2c3D4" * 8  # a key's own part; put together here, so that no scanner takes it for one

KEYS = [
    "sk-" + TAIL,
    "sk-proj-" + TAIL,
    "sk-ant-api03-" + TAIL,
    "sk_live_" + TAIL,
    "AIza" + TAIL[:35],
    "AKIA" + "A1B2C3D4" * 2,
    "ghp_" + TAIL,
    "github_pat_" + TAIL,
    "xoxb-" + TAIL,
    "hf_" + TAIL,
    "gsk_" + TAIL,
    "eyJ" + TAIL + ".eyJ" + TAIL + "." + TAIL,
    "-----BEGIN PRIVATE KEY-----\n" + TAIL + "\n-----END PRIVATE KEY-----",
]

CARDS = [
    "4111 1111 1111 1111",
    "5555-5555-5555-4444",
    "378282246310005",
    "6011111111111117",
    "30569309025904",
]
"""Numbers that the card schemes give out for tests."""


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:12])
def test_keys_are_replaced(key: str) -> None:
    """A key of a vendor goes, what stands around it stays."""
    assert Redactor(["keys"]).text(f"use {key} now") == "use [REDACTED:key] now"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Authorization: Bearer " + TAIL, "Authorization: Bearer [REDACTED:key]"),
        ("https://me:pw1@host/x", "https://[REDACTED:key]@host/x"),
        ("https://h/x?a=1&api_key=abcdef12&b=2", "https://h/x?a=1&api_key=[REDACTED:key]&b=2"),
        ("task-management-of-several-things", "task-management-of-several-things"),
        ("sk-learn-is-a-library-of-python", "sk-learn-is-a-library-of-python"),
    ],
)
def test_what_tells_of_a_key_stays(text: str, seen: str) -> None:
    """Of headers and addresses only the secret goes; words that look alike stay."""
    assert Redactor(["keys"]).text(text) == seen


@pytest.mark.parametrize("card", CARDS)
def test_cards_by_check_digit(card: str) -> None:
    """A card's number goes, also beside other digits; with a wrong check digit it is none."""
    redact = Redactor(["cards"]).text
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert redact(f"order 12 {card}, 3 pieces") == "order 12 [REDACTED:card], 3 pieces"
    assert redact(f"order 12 {wrong}, 3 pieces") == f"order 12 {wrong}, 3 pieces"
    assert redact("at 1763730000123456789 ns") == "at 1763730000123456789 ns"


def test_only_what_was_asked_for() -> None:
    """E-mail addresses go with `email` and stay without it; names are those of the setting."""
    text = "write to jane.doe+x@mail.example.org, not to @jane"
    assert Redactor(["email"]).text(text) == "write to [REDACTED:email], not to @jane"
    assert Redactor(["keys", "cards"]).text(text) == text
    assert tuple(BUILT_IN) == REDACTIONS


def test_json_in_json_stays_valid() -> None:
    """Escapes next to a secret, JSON inside strings and numbers do not break."""
    inner = json.dumps({"to": "\nme@example.org", "n": [1, 2.5, None]})
    text = json.dumps({"a": "\nyou@example.org", "card": 4111111111111111, "arguments": inner})
    seen = json.loads(Redactor(["email", "cards"]).text(text))
    assert seen["a"] == "\n[REDACTED:email]"
    assert seen["card"] == "[REDACTED:card]"
    assert json.loads(seen["arguments"]) == {"to": "\n[REDACTED:email]", "n": [1, 2.5, None]}


PIECES = [*KEYS[:6], *CARDS, "me@example.org", "[1]", "é", "text", "4111", "sk-"]
TEXTS = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(' "\\\n{:\u2028')), max_size=6).map(
    lambda pairs: "".join(map("".join, pairs))
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_json_stays_json_without_secrets(value: Any) -> None:
    """Whatever the shape: the result can be parsed, has no secret left, and is stable."""
    redactor = Redactor(REDACTIONS)
    seen = redactor.text(json.dumps({"value": value}))
    json.loads(seen)
    assert redactor.text(seen) == seen
    for secret in KEYS[:6]:
        assert secret not in seen


PARTS = st.one_of(
    st.sampled_from(
        [*PIECES, "eyJ", "Bearer ", "://", "key=", "-----BEGIN ", "\\", "\\n", "\\u2028", '"', "{", "]"]
    ),
    st.text(max_size=12),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "Cf", "Zs", "Nd"]), max_size=8),
)


@given(st.lists(PARTS, max_size=24).map("".join), st.integers(0, 3))
@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_can_break_it(text: str, wrapped: int) -> None:
    """Any text comes out as a text in which nothing is found any more, as JSON if it was JSON."""
    redactor = Redactor(REDACTIONS)
    for _ in range(wrapped):
        text = json.dumps({"content": text})
    seen = redactor.text(text)
    assert redactor.text(seen) == seen
    if wrapped:
        json.loads(seen)
    if not redactor.suspects(text):
        assert all(rule.replace(text) == text for rules in BUILT_IN.values() for rule in rules)


HOSTILE = [
    "sk-", "a", "a@b.", "1 ", "4", "4111 1111 1111 1112 ", "eyJaaaaaaaaa.", "eyJaaaaaaaaa", "bearer ",
    "Bearer", "://", "-----BEGIN PRIVATE KEY-----", "?key=", "&a_b_key", "@", "a.", '["sk-', "x@a-", "-a",
    "[", '{"a":', "xoxb-", "4444 ", "_-=@", "token=",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_length(piece: str) -> None:
    """A text made to be slow takes about four times as long when it is four times as long, not sixteen."""
    redact = Redactor(REDACTIONS).text

    def seconds(times: int) -> float:
        text = piece * times + "@ key= eyJ ://"
        best = float("inf")
        for _ in range(3):
            begun = time.thread_time()
            redact(text)
            best = min(best, time.thread_time() - begun)
        return best

    size = 40_000 // len(piece)
    assert seconds(4 * size) < 10 * seconds(size) + 0.002


def test_functions_and_patterns_of_the_program() -> None:
    """They see every text but the words that the conventions themselves use."""
    message = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "staff E-1234 and Bob"}]}])
    redactor = Redactor([("staff", r"E-\d{4}"), lambda text: text.replace("Bob", "B.").replace("user", "")])
    assert json.loads(redactor.text(message)) == [
        {"role": "user", "parts": [{"type": "text", "content": "staff [REDACTED:staff] and B."}]}
    ]


@pytest.mark.parametrize("function", [lambda _: 1 / 0, lambda _: None])
def test_a_function_that_fails_hides_the_text(function: Any) -> None:
    """A text that could not be looked at is not written, and the failure is counted."""
    from otel_agentops.failsafe import failures

    assert Redactor([function]).text("secret") == "[REDACTED:failed]"
    assert failures["redacting with the program's function"] == 1


@pytest.mark.parametrize("wrong", ["everything", ["keys", "bank"], 5, [("name", "(")], [("one",)]])
def test_wrong_settings(wrong: Any) -> None:
    """The error names the setting, the value and what is allowed."""
    with pytest.raises(ConfigError, match=r"redact=.*keys, email, cards"):
        ao.init(redact=wrong)


# --- what ends up on spans ---


def call(prompt: str) -> None:
    """One model call of the program, with a tool."""
    with ao.model_call(provider="acme", model="m", messages=prompt) as answer:
        answer.response(output=[{"role": "assistant", "content": prompt}])
    ao.tool(name="look")(lambda text: {"found": text})(prompt)


def texts(captured: Captured) -> str:
    """Everything that was written, as one text."""
    return "\n".join(span.to_json() for span in captured.spans)


def test_keys_are_off_spans_by_default(captured: Captured) -> None:
    """Content, tool results, error messages and stack traces show no key; digests are as without."""
    key = KEYS[1]
    call(f"my key is {key}")

    def failing() -> None:
        raise ValueError(f"Incorrect API key provided: {key}")

    with pytest.raises(ValueError, match=key):
        ao.operation(name="failing")(failing)()
    assert key not in texts(captured)
    failed = captured.span("failing")
    assert failed.status.description == "Incorrect API key provided: [REDACTED:key]"
    assert failed.events[0].attributes["exception.message"] == "Incorrect API key provided: [REDACTED:key]"
    assert "failing" in failed.events[0].attributes["exception.stacktrace"]
    assert "[REDACTED:key]" in captured.span("chat m").attributes["gen_ai.output.messages"]
    assert "[REDACTED:key]" in captured.span("execute_tool look").attributes["gen_ai.tool.call.result"]


def test_the_digest_is_taken_before() -> None:
    """Two prompts that differ in what is taken out are two prompts."""
    digests = []
    for redact in ("email", "none"):
        with capture(capture_content=True, redact=redact, digest_key=b"k", auto_session=False) as captured:
            for who in ("a@example.org", "b@example.org", "a@example.org"):
                call(f"write to {who}")
            found = [span.attributes["otel_agentops.input.digest"] for span in captured.named("chat")]
            assert ("a@example.org" in texts(captured)) is (redact == "none")
            digests.append(found)
    assert digests[0] == digests[1]
    assert digests[0][0] == digests[0][2] != digests[0][1]
