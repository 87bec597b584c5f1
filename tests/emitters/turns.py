"""Agents that go round in circles under real emitters: one turn each, always the same.

Run as `python -m emitters.turns NAME`, each in its own process. It prints one line of JSON: with and without
a gate, in a loop and with a budget, what was found, on which spans, how many requests the provider got and
what stopped the program.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import otel_agentops as ao
from emitters import programs
from emitters.programs import ANTHROPIC, OPENAI, Setup
from emitters.served import recorded, serving

Turn = Callable[[], object]

ROUNDS = 5
ALLOWED = 2
QUESTION = "Tell me about OpenTelemetry."


def openai(setup: Setup) -> Turn:
    """A chat of OpenAI's SDK."""
    client = setup.openai()
    body = setup.answers.requests("/v1/chat/completions")[1]
    return lambda: client.chat.completions.create(**body)


def anthropic(setup: Setup) -> Turn:
    """A message of Anthropic's SDK."""
    client = setup.anthropic()
    body = setup.answers.requests("/v1/messages")[0]
    return lambda: client.messages.create(**body)


def _anthropic_helper(setup: Setup) -> Turn:
    """The same by the helper that sends its request only when it is entered."""
    client = setup.anthropic()
    body = setup.answers.requests("/v1/messages", stream=True)[0]
    asked = {name: value for name, value in body.items() if name != "stream"}

    def run() -> None:
        with client.messages.stream(**asked) as stream:
            stream.until_done()

    return run


def _langchain(setup: Setup) -> Turn:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o-mini", base_url=f"{setup.answers.url}/v1", api_key="none", max_retries=0)
    return lambda: model.invoke(QUESTION)


def pydantic_ai(setup: Setup) -> Turn:
    """An agent of Pydantic AI."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{setup.answers.url}/v1", api_key="none")
    agent = Agent(OpenAIChatModel("gpt-4o-mini", provider=provider), name="writer")
    return lambda: agent.run_sync(QUESTION)


def _autogen(setup: Setup) -> Turn:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    async def run() -> None:
        url = f"{setup.answers.url}/v1"
        client = OpenAIChatCompletionClient(model="gpt-4o-mini", base_url=url, api_key="none")
        await AssistantAgent("writer", client).run(task=QUESTION)
        await client.close()

    return lambda: asyncio.run(run())


def _strands(setup: Setup) -> Turn:
    from strands import Agent
    from strands.models.openai import OpenAIModel

    arguments = {"base_url": f"{setup.answers.url}/v1", "api_key": "none", "max_retries": 0}

    def run() -> None:
        Agent(model=OpenAIModel(client_args=arguments, model_id="gpt-4"), callback_handler=None)(QUESTION)

    return run


def _ag2(setup: Setup) -> Turn:
    from ag2 import Agent
    from ag2.config import OpenAIConfig
    from ag2.middleware import TelemetryMiddleware

    def run() -> None:
        agent = Agent(
            "writer",
            config=OpenAIConfig("gpt-4o-mini", base_url=f"{setup.answers.url}/v1", api_key="none"),
            middleware=[TelemetryMiddleware(tracer_provider=setup.provider)],
        )
        asyncio.run(agent.ask(QUESTION))

    return run


def _under(*instrumentors: tuple[str, str]) -> Callable[[Setup], object]:
    def switch_on(setup: Setup) -> None:
        for module, kind in instrumentors:
            programs.instrumented(module, kind)(setup)

    return switch_on


_OTEL = "opentelemetry.instrumentation."
_OI = "openinference.instrumentation."
_OLL_OPENAI = (_OTEL + "openai", "OpenAIInstrumentor")
_OI_OPENAI = (_OI + "openai", "OpenAIInstrumentor")
_GENAI_OPENAI = (_OTEL + "genai.openai", "OpenAIInstrumentor")
_OLL_ANTHROPIC = (_OTEL + "anthropic", "AnthropicInstrumentor")
_OI_ANTHROPIC = (_OI + "anthropic", "AnthropicInstrumentor")
_OLL_LANGCHAIN = (_OTEL + "langchain", "LangchainInstrumentor")
_OI_LANGCHAIN = (_OI + "langchain", "LangChainInstrumentor")

TURNS: dict[str, tuple[str, Callable[[Setup], object], Callable[[Setup], Turn]]] = {
    "openllmetry-openai": ("openai", _under(_OLL_OPENAI), openai),
    "openllmetry-anthropic": ("anthropic", _under(_OLL_ANTHROPIC), anthropic),
    "openllmetry-langchain": ("openai", _under(_OLL_LANGCHAIN), _langchain),
    "openinference-openai": ("openai", _under(_OI_OPENAI), openai),
    "openinference-anthropic": ("anthropic", _under(_OI_ANTHROPIC), anthropic),
    "openinference-langchain": ("openai", _under(_OI_LANGCHAIN), _langchain),
    "genai-openai": ("openai", _under(_GENAI_OPENAI), openai),
    "native-anthropic": ("anthropic", _under(), anthropic),
    "pydantic-ai": ("openai", lambda _: programs.instrument_pydantic_ai(), pydantic_ai),
    "logfire": ("openai", programs.configure_logfire, pydantic_ai),
    "openlit": ("openai", lambda _: programs.start_openlit(), openai),
    "autogen": ("openai", _under(_OI_OPENAI), _autogen),
    "strands": ("openai", _under(), _strands),
    "ag2": ("openai", _under(), _ag2),
    "three-vendors-openai": ("openai", _under(_OLL_OPENAI, _OI_OPENAI, _GENAI_OPENAI), openai),
    "three-vendors-anthropic": ("anthropic", _under(_OLL_ANTHROPIC, _OI_ANTHROPIC), anthropic),
    "langchain-and-providers": (
        "openai",
        _under(_OI_OPENAI, _OLL_OPENAI, _OLL_LANGCHAIN, _OI_LANGCHAIN),
        _langchain,
    ),
}
"""The library before which the gate stands, what switches the emitter on, and what makes the turn."""

HELPED = {name: (*TURNS[name][:2], _anthropic_helper) for name in TURNS if "anthropic" in name}
"""The same for streams that a helper of the SDK sends."""


def main(name: str, *options: str) -> None:
    """Go round, without the gate and with it, and say what came of it.

    Args:
        name: One of `TURNS`.
        options: `--helper` for those of `HELPED`; `--inside` for a gate alone, below the emitter's wrapper.
    """
    library, switch_on, make = (HELPED if "--helper" in options else TURNS)[name]
    with serving(recorded(*OPENAI, *ANTHROPIC)) as answers:
        setup = Setup(answers, accounting=True)
        if "--inside" in options:
            ao.init(tracer_provider=setup.provider, auto_session=False, instrument=[], gate=[library])
            switch_on(setup)
            sys.stdout.write("\n" + json.dumps({"gate": _rounds(setup, make(setup))}) + "\n")
            return
        ao.init(tracer_provider=setup.provider, auto_session=False, instrument=[])
        switch_on(setup)
        found = {"alone": _rounds(setup, make(setup))}
        ao.shutdown()
        ao.init(tracer_provider=setup.provider, auto_session=False, instrument=[], gate=[library])
        # anew, since some clients remember the methods that they found when they were made
        found["gate"] = _rounds(setup, make(setup))
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def _rounds(setup: Setup, turn: Turn) -> dict[str, Any]:
    budgets = {"loop": None, "budget": ao.Budget(calls=ALLOWED)}
    return {name: _round(setup, turn, budget) for name, budget in budgets.items()}


def _round(setup: Setup, turn: Turn, budget: ao.Budget | None) -> dict[str, Any]:
    setup.spans.clear()
    before = len(setup.answers.served)
    stopped: BaseException | None = None
    with ao.session("s", budget=budget) as session:
        try:
            for _ in range(ROUNDS):
                turn()
        except Exception as error:
            stopped = error
    setup.provider.force_flush()
    marked = [
        list(span.attributes["otel_agentops.finding.kinds"])
        for span in setup.spans.get_finished_spans()
        if span.attributes.get("otel_agentops.finding.kinds")
        and span.instrumentation_scope.name != "otel_agentops"
    ]
    return {
        "findings": sorted({finding.kind for finding in session.findings}),
        "marked": marked,
        "served": len(setup.answers.served) - before,
        "calls": session.total.model_calls,
        "stopped": _names(stopped),
    }


def _names(error: BaseException | None) -> list[str]:
    """The exception that the program saw, and what it was raised from."""
    found: list[str] = []
    while error is not None:
        found.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
