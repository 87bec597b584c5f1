"""Secrets in prompts, tool results and errors do not get past the collector; everything else does."""

from __future__ import annotations

import base64
import json

import pytest

from e2e.arrived import Json
from e2e.services import Run, Start, all_of, eventually

LETTERS = "Zx9Kq2Lm7Np4Rt6Vw8Yb"


def _token() -> str:
    parts = ({"alg": "HS256"}, {"sub": "1234567890"}, {"signature": LETTERS})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


# Put together here, because a file with a key in it is a file with a key in it.
SECRETS = {
    "openai": "sk-" + "proj-" + LETTERS,
    "openai, older": "sk-" + LETTERS * 2,
    "anthropic": "sk-" + "ant-api03-" + LETTERS,
    "aws": "AKIA" + "ABCDEFGHIJ234567",
    "google": "AIza" + (LETTERS * 2)[:35],
    "github": "gh" + "p_" + LETTERS * 2,
    "gitlab": "glpat-" + LETTERS,
    "slack": "xoxb-" + "1234567890-" + LETTERS,
    "huggingface": "hf_" + LETTERS * 2,
    "jwt": _token(),
    "bearer": "Bearer " + LETTERS * 2,
    "private key": "-----BEGIN " + "PRIVATE KEY-----\n" + LETTERS + "\n-----END " + "PRIVATE KEY-----",
}


def test_secrets_are_masked(start: Start, run: Run) -> None:
    """Of every kind: nothing of it is in what arrives, neither in prompts nor in the messages of errors."""
    collector = start("file")
    ran = run(collector.http, OTEL_AGENTOPS_REDACT="none", text=" ; ".join(SECRETS.values()))
    arrived = eventually(lambda: all_of(collector, ran))
    said, left = json.dumps(ran.spans), json.dumps(arrived)
    for kind, secret in SECRETS.items():
        lines = secret.splitlines()
        telling = lines[len(lines) // 2]
        assert telling in said, kind
        assert telling not in left, kind
    assert LETTERS not in left
    _same_but_for_masks(ran.spans, arrived)


def _same_but_for_masks(written: Json, arrived: Json) -> None:
    """Only what was masked differs, and no attribute was added or lost."""
    for name, span in written.items():
        got = arrived[name]
        assert got["attributes"].keys() == span["attributes"].keys()
        for key, value in span["attributes"].items():
            if LETTERS not in json.dumps(value):
                assert got["attributes"][key] == value
            else:
                assert "****" in got["attributes"][key][1]
        for key in ("trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "scope"):
            assert got[key] == span[key]


@pytest.mark.parametrize(
    "text",
    [
        "the task-based-on-my-risk-assessment-of-today",
        "sk-learn-pipelines-of-the-desk-1",
        "Bearer of bad news",
        "AKIAKIAK",
    ],
)
def test_what_only_looks_like_one_is_kept(start: Start, run: Run, text: str) -> None:
    """Ordinary words are not masked."""
    collector = start("file")
    ran = run(collector.http, OTEL_AGENTOPS_REDACT="none", text=text)
    assert eventually(lambda: all_of(collector, ran)) == ran.spans
