"""The table of `docs/emitters.md`: what was proven with each emitter, by the runs that prove it.

`python -m emitters.table [NAME ...]` writes the rows of these emitters, or of all that are installed.
`test_emitters.py` makes every row anew and holds the page to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from emitters.billing import billed
from emitters.golden import run
from emitters.turns import ALLOWED, ROUNDS, TURNS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "emitters.md"
HEAD = "| emitter | calls | tokens right | cost right | counted twice | loops found | budget |"

EMITTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "openllmetry-openai": ("OpenLLMetry: openai", ("opentelemetry-instrumentation-openai",)),
    "openllmetry-anthropic": ("OpenLLMetry: anthropic", ("opentelemetry-instrumentation-anthropic",)),
    "openllmetry-langchain": (
        "OpenLLMetry: langchain",
        ("opentelemetry-instrumentation-langchain", "langchain-anthropic"),
    ),
    "openinference-openai": ("OpenInference: openai", ("openinference-instrumentation-openai",)),
    "openinference-anthropic": ("OpenInference: anthropic", ("openinference-instrumentation-anthropic",)),
    "openinference-langchain": (
        "OpenInference: langchain",
        ("openinference-instrumentation-langchain", "langchain-anthropic"),
    ),
    "genai-openai": ("OpenTelemetry: openai", ("opentelemetry-instrumentation-genai-openai",)),
    "native-anthropic": ("Anthropic, its own spans", ("anthropic>=2",)),
    "pydantic-ai": ("Pydantic AI, its own spans", ("pydantic-ai-slim",)),
    "logfire": ("Logfire: Pydantic AI and openai", ("logfire", "pydantic-ai-slim")),
    "openlit": ("OpenLIT: openai, anthropic", ("openlit",)),
    "autogen": (
        "AutoGen, with OpenInference: openai",
        ("autogen-agentchat", "openinference-instrumentation-openai"),
    ),
    "mcp": ("MCP, its own spans", ("mcp", "autogen-agentchat")),
    "strands": ("Strands, its own spans", ("strands-agents",)),
    "ag2": ("AG2, its own spans", ("ag2",)),
    "crewai": ("CrewAI, with a listener", ("crewai",)),
    "three-vendors-openai": (
        "OpenLLMetry, OpenInference and OpenTelemetry: openai",
        (
            "opentelemetry-instrumentation-openai",
            "openinference-instrumentation-openai",
            "opentelemetry-instrumentation-genai-openai",
        ),
    ),
    "three-vendors-anthropic": (
        "OpenLLMetry, OpenInference and its own: anthropic",
        ("opentelemetry-instrumentation-anthropic", "openinference-instrumentation-anthropic"),
    ),
    "langchain-and-providers": (
        "OpenLLMetry and OpenInference: langchain and openai",
        (
            "opentelemetry-instrumentation-langchain",
            "openinference-instrumentation-langchain",
            "langchain-anthropic",
        ),
    ),
    "ours-and-vendors": (
        "OpenLLMetry, OpenTelemetry and ours around them: openai",
        ("opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-genai-openai"),
    ),
    "vendors-and-ours": (
        "ours, and OpenLLMetry and OpenTelemetry around it: openai",
        ("opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-genai-openai"),
    ),
}
"""Programs: what the page calls them, and the distributions that each needs, the emitter's first."""


_NONE = "\N{EN DASH}"


def missing(name: str) -> str | None:
    """Why a program cannot run here; None if it can."""
    for need in EMITTERS[name][1]:
        package, _, least = need.partition(">=")
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"{package} is not installed"
        if int(found.partition(".")[0]) < int(least or 0):
            return f"{package} {found} is too old"
    return None


def row(name: str, ran: dict[str, Any], rounds: dict[str, Any] | None) -> str:
    """What the runs of a program have proven, as a row.

    Args:
        name: The program.
        ran: What it printed.
        rounds: What the program that goes round under the same emitter printed; None where there is none.
    """
    title, needs = EMITTERS[name]
    number = version(needs[0].partition(">=")[0])
    cells = (f"{title} ({number})", *_books(ran), *watched(rounds))
    return f"| {' | '.join(cells)} |"


def _books(ran: dict[str, Any]) -> tuple[str, ...]:
    answers = [billed(each) for each in ran["served"]]
    if not answers:
        return "0", _NONE, _NONE, str(ran["total"]["model_calls"])
    total = ran["total"]
    tokens = total["input_tokens"], total["output_tokens"]
    right = tokens == (
        sum(each.input_tokens for each in answers),
        sum(each.output_tokens for each in answers),
    )
    costs = [round(cost, 12) for cost in counted(ran)]
    paid = sorted(round(float(each.cost_usd), 12) for each in answers)
    exact = Decimal(total["cost_usd"]) == sum((each.cost_usd for each in answers), Decimal(0))
    twice = max(total["model_calls"], len(costs)) - len(answers)
    return str(len(answers)), _yes(right), _yes(exact and costs == paid), str(twice)


def counted(ran: dict[str, Any]) -> list[float]:
    """Costs on all spans, smallest first."""
    return sorted(cost for span in ran["spans"] if (cost := span["attributes"].get("gen_ai.usage.cost")))


def watched(rounds: dict[str, Any] | None) -> tuple[str, str]:
    """The cells of loops and budgets."""
    if rounds is None:
        return _NONE, _NONE
    found = [kind for kind in ("alone", "gate") if _found(rounds[kind]["loop"])]
    stops, warns = stopped(rounds["gate"]["budget"]), warned(rounds["alone"]["budget"])
    return (
        "yes" if found == ["alone", "gate"] else "with the gate" if found == ["gate"] else "no",
        "stops" if stops and warns else "warns" if warns else "no",
    )


def _found(went: dict[str, Any]) -> bool:
    """One finding, once, on the emitter's own spans from the third round on."""
    return went["findings"] == ["repeated_prompt"] and went["marked"] == [["repeated_prompt"]] * (ROUNDS - 2)


def stopped(went: dict[str, Any]) -> bool:
    """Whether the call beyond the budget was not sent, and the program was told why."""
    return (
        "BudgetExceeded" in went["stopped"]
        and went["served"] == went["calls"] == ALLOWED
        and "budget_exceeded" in went["findings"]
    )


def warned(went: dict[str, Any]) -> bool:
    """Whether all calls went on, and it was told that they are too many."""
    return not went["stopped"] and went["served"] == ROUNDS and "budget_exceeded" in went["findings"]


def _yes(right: bool) -> str:
    return "yes" if right else "no"


def go_round(name: str) -> dict[str, Any] | None:
    """What the program printed that goes round under an emitter; None where there is none."""
    return run(name, module="turns") if name in TURNS else None


def rows() -> dict[str, str]:
    """The rows of the page by the emitter's title, without its version."""
    lines = PAGE.read_text("utf-8").partition(HEAD)[2].splitlines()[2:]
    found = {}
    for line in lines:
        if not line.startswith("| "):
            break
        found[line[2:].partition(" | ")[0].rpartition(" (")[0]] = line
    return found


def write(names: Iterable[str]) -> None:
    """Make the rows of these emitters, as far as they are installed, and put them on the page."""
    known = rows()
    for name in names:
        if missing(name) is None:
            title = EMITTERS[name][0]
            known[title] = row(name, run(name), go_round(name))
            sys.stdout.write(known[title] + "\n")
    before, _, rest = PAGE.read_text("utf-8").partition(HEAD)
    after = "\n".join(line for line in rest.splitlines()[1:] if not line.startswith("|"))
    titles = [title for title, _ in EMITTERS.values() if title in known]
    table = "\n".join([HEAD, "|---" * (HEAD.count("|") - 1) + "|", *(known[title] for title in titles)])
    PAGE.write_text(before + table + "\n" + after + "\n", "utf-8")


if __name__ == "__main__":
    write(sys.argv[1:] or EMITTERS)
