"""Clients of the real OpenAI SDK: for the real API, or for the recordings on this machine."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

from otel_agentops.demo.replay import Replay

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["openai_client", "recorded_client"]


def recorded_client(replay: Replay) -> OpenAI:
    """A client that talks to recordings only; it reads no key and uses no proxy."""
    from openai import DefaultHttpxClient, OpenAI  # noqa: PLC0415 - an optional package

    client = DefaultHttpxClient(trust_env=False)
    return OpenAI(base_url=replay.url, api_key="recorded", http_client=client)


def openai_client() -> OpenAI:
    """The real API where `OPENAI_API_KEY` is set, recorded answers where it is not."""
    from openai import OpenAI, OpenAIError  # noqa: PLC0415 - an optional package

    try:
        return OpenAI()
    except OpenAIError:  # no key
        replay = Replay()
        client = recorded_client(replay)
        atexit.register(replay.close)
        atexit.register(client.close)
        return client
