"""A small multi-agent program to try everything with, and recorded OpenAI answers for it.

The examples use `openai_client()`, which needs no key and no network where there is no key.
"""

from otel_agentops.demo.clients import openai_client, recorded_client
from otel_agentops.demo.replay import Replay, recording

__all__ = ["Replay", "openai_client", "recorded_client", "recording"]
