"""Programs under the real `opentelemetry-instrument`, between a recorded provider and a receiver."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import genai_prices

from otel_agentops.viewer import ReceivedSpan, Receiver
from support.replay import ReplayServer, expected, load_exchanges

LAUNCHER = str(Path(sys.executable).parent / "opentelemetry-instrument")

(CHAT,) = load_exchanges("openai/openai-v2__test_chat_completion_no_content.json")
USAGE = expected(CHAT)

CALL = """
import openai
client = openai.OpenAI()
answer = client.chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "Say this is a test"}]
)
print(answer.choices[0].message.content)
"""
ANSWER = USAGE["texts"][0] + "\n"


def cost_of(usage_factor: int = 1) -> Decimal:
    """What genai-prices itself says about the recorded answer."""
    usage = genai_prices.Usage(
        input_tokens=USAGE["input_tokens"] * usage_factor, output_tokens=USAGE["output_tokens"] * usage_factor
    )
    return genai_prices.calc_price(usage, USAGE["model"], provider_id="openai").total_price


class World:
    """A provider, a receiver, and the environment that points a program at both."""

    def __init__(self, replay: ReplayServer, receiver: Receiver) -> None:
        self.replay = replay
        self.receiver = receiver

    @property
    def spans(self) -> list[ReceivedSpan]:
        """What has arrived."""
        return self.receiver.spans

    def chats(self) -> list[ReceivedSpan]:
        """The model calls that have arrived."""
        return [span for span in self.spans if span.attributes.get("gen_ai.operation.name") == "chat"]

    def environ(self, **more: str) -> dict[str, str]:
        """Variables of a program: nothing of the caller's telemetry, and both ends of this world."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OTEL_", "OPENAI_", "PYTHON")) and not name.lower().endswith("_proxy")
        }
        return {
            **clean,
            # the real host, so that provider and price are found as they are in production
            "OPENAI_BASE_URL": "http://api.openai.com/v1",
            "OPENAI_API_KEY": "test-key",
            "HTTP_PROXY": self.replay.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **more,
        }

    def run(
        self, program: str, *, bare: bool = False, expect: int = 0, cwd: Path | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program under the launcher (without it when `bare`) to its end."""
        command = [*([] if bare else [LAUNCHER]), sys.executable, "-c", textwrap.dedent(program)]
        done = subprocess.run(
            command,
            check=False,
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            timeout=90,
            cwd=cwd,
        )
        assert done.returncode == expect, done.stderr
        return done


@contextmanager
def world() -> Iterator[World]:
    """A world of its own, gone at the end."""
    with ReplayServer([CHAT]) as replay, Receiver() as receiver:
        yield World(replay, receiver)
