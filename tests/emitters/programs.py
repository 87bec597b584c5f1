"""Programs that use real emitters; run as `python -m emitters.programs NAME`, each in its own process.

Each prints one line of JSON: its spans as an exporter saw them, what the provider really answered, and
the session's total.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_agentops as ao
from emitters.served import recorded, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from emitters.served import Answers

OPENAI = (
    "openai/openai__test_openai_prompt_caching_async",
    "openai/openai-v2__test_chat_completion_streaming",
    "openai/openai__test_responses_parse_async",
    "openai/openai__test_responses_streaming",
    "openai/openai-v2__test_async_embeddings_with_content",
)
ANTHROPIC = (
    "anthropic/prompt_caching",
    "anthropic/prompt_caching_stream",
)


class Setup:
    """What a program gets: a provider to instrument, and recorded answers."""

    def __init__(self, answers: Answers, accounting: bool, everybodys: bool = True) -> None:
        self.answers = answers
        self.accounting = accounting
        self.spans = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.spans))
        if accounting:
            self.provider.add_span_processor(ao.AgentOpsSpanProcessor())
        if everybodys:
            trace.set_tracer_provider(self.provider)

    def openai(self, kind: str = "OpenAI") -> Any:
        """A client of OpenAI's SDK."""
        import openai

        return getattr(openai, kind)(base_url=f"{self.answers.url}/v1", api_key="none", max_retries=0)

    def anthropic(self, kind: str = "Anthropic") -> Any:
        """A client of Anthropic's SDK."""
        import anthropic

        return getattr(anthropic, kind)(base_url=self.answers.url, api_key="none", max_retries=0)


def call_openai(setup: Setup) -> None:
    """Every API of OpenAI once: plain, streamed, asynchronous."""
    client, answers = setup.openai(), setup.answers
    for body in answers.requests("/v1/chat/completions"):
        client.chat.completions.create(**body)
    for body in answers.requests("/v1/chat/completions", stream=True):
        for _ in client.chat.completions.create(**body):
            pass
    for body in answers.requests("/v1/responses"):
        client.responses.create(**body)
    for body in answers.requests("/v1/responses", stream=True):
        for _ in client.responses.create(**body):
            pass
    for body in answers.requests("/v1/embeddings"):
        client.embeddings.create(**body)
    asyncio.run(call_openai_async(setup))


async def call_openai_async(setup: Setup) -> None:
    """A chat and its stream, asynchronously."""
    answers = setup.answers
    async with setup.openai("AsyncOpenAI") as client:
        await client.chat.completions.create(**answers.requests("/v1/chat/completions")[1])
        stream = await client.chat.completions.create(
            **answers.requests("/v1/chat/completions", stream=True)[0]
        )
        async for _ in stream:
            pass


def call_anthropic(setup: Setup) -> None:
    """Messages that write to the cache and read from it: plain, streamed, asynchronous."""
    client, answers = setup.anthropic(), setup.answers
    for body in answers.requests("/v1/messages"):
        client.messages.create(**body)
    for body in answers.requests("/v1/messages", stream=True):
        for _ in client.messages.create(**body):
            pass
    asyncio.run(call_anthropic_async(setup))


async def call_anthropic_async(setup: Setup) -> None:
    """The same, asynchronously."""
    async with setup.anthropic("AsyncAnthropic") as client:
        for body in setup.answers.requests("/v1/messages"):
            await client.messages.create(**body)


def call_langchain(setup: Setup) -> None:
    """Chat models of LangChain, plain and streamed."""
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI

    url = setup.answers.url

    def openai(model: str) -> ChatOpenAI:
        return ChatOpenAI(model=model, base_url=f"{url}/v1", api_key="none", max_retries=0, stream_usage=True)

    anthropic = ChatAnthropic(model="claude-3-5-sonnet-20240620", base_url=url, api_key="none", max_retries=0)
    for model in (openai("gpt-4o-mini"), anthropic):
        for _ in range(2):
            model.invoke("Tell me about OpenTelemetry.")
    for model in (openai("gpt-4"), anthropic):
        for _ in model.stream("Tell me about OpenTelemetry."):
            pass


# --- one function an emitter ---


def instrumented(
    module: str, kind: str, call: Callable[[Setup], object] = lambda _: None
) -> Callable[[Setup], None]:
    """A program that switches an instrumentation on, and goes on with another one."""

    def run(setup: Setup) -> None:
        import importlib

        instrumentor = getattr(importlib.import_module(module), kind)
        instrumentor().instrument(tracer_provider=setup.provider)
        call(setup)

    return run


def _all(*programs: Callable[[Setup], None]) -> Callable[[Setup], None]:
    def run(setup: Setup) -> None:
        for program in programs:
            program(setup)

    return run


def native_anthropic(setup: Setup) -> None:
    """Anthropic's SDK makes spans by itself."""
    call_anthropic(setup)


def pydantic_ai(setup: Setup) -> None:
    """Pydantic AI's own spans: an agent, its chats and its totals under another name."""
    _run_pydantic_agents(setup)


def configure_logfire(setup: Setup) -> None:
    """Let Logfire make the provider."""
    import logfire

    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[
            SimpleSpanProcessor(setup.spans),
            *((ao.AgentOpsSpanProcessor(),) if setup.accounting else ()),
        ],
    )
    logfire.instrument_pydantic_ai()
    logfire.instrument_openai()


def logfire_pydantic_ai(setup: Setup) -> None:
    """The same, and the provider SDKs, on a provider that Logfire made."""
    configure_logfire(setup)
    _run_pydantic_agents(setup)
    call_openai(setup)


def instrument_pydantic_ai() -> None:
    """Switch the spans of Pydantic AI on."""
    from pydantic_ai import Agent, InstrumentationSettings

    Agent.instrument_all(InstrumentationSettings(tracer_provider=trace.get_tracer_provider()))


def _run_pydantic_agents(setup: Setup) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    instrument_pydantic_ai()
    url = setup.answers.url
    for model in (
        OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="none")),
        AnthropicModel(
            "claude-3-5-sonnet-20240620", provider=AnthropicProvider(base_url=url, api_key="none")
        ),
    ):
        agent = Agent(model, name="writer")
        for _ in range(2):
            agent.run_sync("Tell me about OpenTelemetry.")


OPENLIT_PRICES = {
    "chat": {"gpt-4o-mini": {"promptPrice": 0.001, "completionPrice": 0.001}},
    "embeddings": {"text-embedding-3-small": 0.001},
    "images": {},
    "audio": {},
}
"""Wrong on purpose: what OpenLIT makes of them is its own estimate."""


def start_openlit() -> None:
    """Switch OpenLIT on."""
    import openlit

    with tempfile.NamedTemporaryFile("w", suffix=".json") as prices:
        json.dump(OPENLIT_PRICES, prices)
        prices.flush()
        openlit.init(disable_metrics=True, disable_batch=True, pricing_json=prices.name)


def openlit(setup: Setup) -> None:
    """OpenLIT, which reports its own estimate as the cost."""
    start_openlit()
    call_openai(setup)
    client = setup.anthropic()
    for body in setup.answers.requests("/v1/messages"):  # of streams it loses what was cached
        client.messages.create(**body)


def autogen(setup: Setup) -> None:
    """AutoGen: spans of its runtime and agents, none of model calls; those come from OpenInference."""
    instrumented(_OI + "openai", "OpenAIInstrumentor")(setup)
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    async def run() -> None:
        client = OpenAIChatCompletionClient(
            model="gpt-4o-mini", base_url=f"{setup.answers.url}/v1", api_key="none"
        )
        await AssistantAgent("writer", client).run(task="Tell me about OpenTelemetry.")
        await client.close()

    asyncio.run(run())


def ours(_: Setup) -> None:
    """This library's own instrumentation, switched on after or before the others."""
    ao.instrument("openai")


def mcp(setup: Setup) -> None:
    """MCP's client and server: a tool, no model."""
    from mcp import Client
    from mcp.server import MCPServer

    server = MCPServer("calculator")

    @server.tool()
    def add(a: int, b: int) -> int:
        return a + b

    async def run() -> None:
        async with Client(server) as client:
            await client.call_tool("add", {"a": 2, "b": 2})

    asyncio.run(run())


def strands(setup: Setup) -> None:
    """Strands: agents that repeat the usage of their calls."""
    from strands import Agent
    from strands.models.anthropic import AnthropicModel
    from strands.models.openai import OpenAIModel

    url = setup.answers.url
    for model in (
        OpenAIModel(client_args={"base_url": f"{url}/v1", "api_key": "none"}, model_id="gpt-4"),
        AnthropicModel(
            client_args={"base_url": url, "api_key": "none"},
            model_id="claude-3-5-sonnet-20240620",
            max_tokens=1024,
        ),
    ):
        Agent(model=model, callback_handler=None)("Tell me about OpenTelemetry.")


def ag2(setup: Setup) -> None:
    """AG2's telemetry: chats, and a record of their usage beside them."""
    from ag2 import Agent
    from ag2.config import OpenAIConfig
    from ag2.middleware import TelemetryMiddleware

    agent = Agent(
        "writer",
        config=OpenAIConfig("gpt-4o-mini", base_url=f"{setup.answers.url}/v1", api_key="none"),
        middleware=[TelemetryMiddleware(tracer_provider=setup.provider)],
    )
    asyncio.run(agent.ask("Tell me about OpenTelemetry."))


def crew(setup: Setup) -> Any:
    """A crew of CrewAI: two agents, two tasks. It writes no spans; a listener of ours makes them."""
    os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_DISABLE_TRACKING="true")
    from crewai import LLM, Agent, Crew, Task

    agents = [
        Agent(
            role=role,
            goal="write",
            backstory="a writer",
            llm=LLM(model="openai/gpt-4o-mini", base_url=f"{setup.answers.url}/v1", api_key="none"),
        )
        for role in ("writer", "editor")
    ]
    tasks = [
        Task(description="Tell me about OpenTelemetry.", expected_output="text", agent=agent)
        for agent in agents
    ]
    return Crew(agents=agents, tasks=tasks)


def crewai(setup: Setup) -> None:
    """CrewAI, with the listener."""
    from crewai.events import crewai_event_bus

    from emitters.crewai_listener import Spans

    Spans()
    crew(setup).kickoff()
    crewai_event_bus.flush()


_OTEL = "opentelemetry.instrumentation."
_OI = "openinference.instrumentation."
PROGRAMS: dict[str, tuple[tuple[str, ...], Callable[[Setup], None]]] = {
    "openllmetry-openai": (OPENAI, instrumented(_OTEL + "openai", "OpenAIInstrumentor", call_openai)),
    "openllmetry-anthropic": (
        ANTHROPIC,
        instrumented(_OTEL + "anthropic", "AnthropicInstrumentor", call_anthropic),
    ),
    "openllmetry-langchain": (
        OPENAI + ANTHROPIC,
        instrumented(_OTEL + "langchain", "LangchainInstrumentor", call_langchain),
    ),
    "openinference-openai": (OPENAI, instrumented(_OI + "openai", "OpenAIInstrumentor", call_openai)),
    "openinference-anthropic": (
        ANTHROPIC,
        instrumented(_OI + "anthropic", "AnthropicInstrumentor", call_anthropic),
    ),
    "openinference-langchain": (
        OPENAI + ANTHROPIC,
        instrumented(_OI + "langchain", "LangChainInstrumentor", call_langchain),
    ),
    "genai-openai": (OPENAI, instrumented(_OTEL + "genai.openai", "OpenAIInstrumentor", call_openai)),
    "native-anthropic": (ANTHROPIC, native_anthropic),
    "pydantic-ai": (OPENAI + ANTHROPIC, pydantic_ai),
    "logfire": (OPENAI + ANTHROPIC, logfire_pydantic_ai),
    "openlit": (OPENAI + ANTHROPIC, openlit),
    "autogen": (OPENAI, autogen),
    "mcp": (OPENAI, mcp),
    "strands": (OPENAI + ANTHROPIC, strands),
    "ag2": (OPENAI, ag2),
    "crewai": (OPENAI, crewai),
    "three-vendors-openai": (
        OPENAI,
        _all(
            instrumented(_OTEL + "openai", "OpenAIInstrumentor"),
            instrumented(_OI + "openai", "OpenAIInstrumentor"),
            instrumented(_OTEL + "genai.openai", "OpenAIInstrumentor", call_openai),
        ),
    ),
    "three-vendors-anthropic": (
        ANTHROPIC,
        _all(
            instrumented(_OTEL + "anthropic", "AnthropicInstrumentor"),
            instrumented(_OI + "anthropic", "AnthropicInstrumentor", call_anthropic),
        ),
    ),
    "langchain-and-providers": (
        OPENAI + ANTHROPIC,
        _all(
            instrumented(_OI + "openai", "OpenAIInstrumentor"),
            instrumented(_OTEL + "openai", "OpenAIInstrumentor"),
            instrumented(_OTEL + "langchain", "LangchainInstrumentor"),
            instrumented(_OI + "langchain", "LangChainInstrumentor", call_langchain),
        ),
    ),
    "ours-and-vendors": (
        OPENAI,
        _all(
            instrumented(_OTEL + "openai", "OpenAIInstrumentor"),
            instrumented(_OTEL + "genai.openai", "OpenAIInstrumentor"),
            ours,
            call_openai,
        ),
    ),
    "vendors-and-ours": (
        OPENAI,
        _all(
            ours,
            instrumented(_OTEL + "openai", "OpenAIInstrumentor"),
            instrumented(_OTEL + "genai.openai", "OpenAIInstrumentor"),
            call_openai,
        ),
    ),
}


BUDGET = ao.Budget(usd=1000, tokens=10_000_000, calls=10_000)
"""Room for everything; what is left of it tells what the books took for spent."""


def main(name: str, accounting: bool) -> None:
    """Run one program and print what came of it."""
    names, program = PROGRAMS[name]
    with serving(recorded(*names)) as answers:
        setup = Setup(answers, accounting)
        if accounting:
            ao.init(tracer_provider=setup.provider, auto_session=False, instrument=[])
        with ao.session("s", session_id="the session", budget=BUDGET) as session:
            program(setup)
            left = session.remaining
        setup.provider.force_flush()
        total = session.total
        found = {
            "spans": [_span(each) for each in setup.spans.get_finished_spans()],
            "served": answers.served,
            "left": {name: str(amount) for name, amount in left.items()},
            "total": {
                "cost_usd": str(total.cost_usd),
                "input_tokens": total.input_tokens,
                "output_tokens": total.output_tokens,
                "model_calls": total.model_calls,
                "tool_calls": total.tool_calls,
                "unpriced_calls": total.unpriced_calls,
            },
        }
        sys.stdout.write("\n" + json.dumps(found, default=str) + "\n")


def _span(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "scope": span.instrumentation_scope.name,
        "id": span.context.span_id,
        "parent": span.parent.span_id if span.parent else None,
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "attributes": dict(span.attributes),
        "events": [{"name": each.name, "attributes": dict(each.attributes)} for each in span.events],
    }


if __name__ == "__main__":
    main(sys.argv[1], accounting="--bare" not in sys.argv)
