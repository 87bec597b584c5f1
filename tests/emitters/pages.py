"""Code of `docs/keep-your-instrumentation.md` as it stands there, with a call made under it.

Run as `python -m emitters.pages "TITLE OF A SECTION"`, each in its own process. It prints one line of JSON:
what the provider answered, and the total of the session in which the call was made.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

import otel_agentops as ao
from emitters import turns
from emitters.programs import ANTHROPIC, OPENAI, Setup
from emitters.served import recorded, serving
from otel_agentops.spans import current

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).resolve().parents[2] / "docs" / "keep-your-instrumentation.md"

INTRODUCTION = ""
"""Title of what stands before the first section."""

SECTIONS: dict[str, tuple[str, Callable[[Setup], turns.Turn]]] = {
    INTRODUCTION: ("openinference-openai", turns.openai),
    "OpenLLMetry": ("openllmetry-openai", turns.openai),
    "OpenInference": ("openinference-openai", turns.openai),
    "OpenTelemetry's GenAI packages": ("genai-openai", turns.openai),
    "Logfire and Pydantic AI": ("logfire", turns.pydantic_ai),
    "Anthropic, MCP, AutoGen, AG2, Strands": ("native-anthropic", turns.anthropic),
    "OpenLIT": ("openlit", turns.openai),
    "Stopping calls": ("openinference-openai", turns.openai),
}
"""Titles: the emitter that has to be there, and the call."""

THEIRS = "run_my_agents"
"""What code calls that says nothing of an instrumentation; one is switched on for it."""


def code(title: str) -> str:
    """The Python of a section."""
    text = PAGE.read_text("utf-8")
    section = (text.partition(f"\n## {title}\n")[2] if title else text).partition("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))


def main(title: str) -> None:
    """Run the code of a section, and a call under it."""
    with serving(recorded(*OPENAI, *ANTHROPIC)) as answers:
        setup = Setup(answers, accounting=False, everybodys=False)
        emitter, make = SECTIONS[title]
        names = {"ao": ao, "trace": trace, "provider": setup.provider}
        text = code(title)
        if THEIRS in text:
            turns.TURNS[emitter][1](setup)
            exec(text, {**names, THEIRS: lambda: make(setup)()})  # noqa: PLW0108 - made under the gate
        else:
            exec(text, names)
            make(setup)()
        recorder = current()
        assert recorder is not None
        total = recorder.scopes.process
        found: dict[str, Any] = {
            "served": answers.served,
            "cost_usd": str(total.cost_usd),
            "tokens": [total.input_tokens, total.output_tokens],
            "model_calls": total.model_calls,
        }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
