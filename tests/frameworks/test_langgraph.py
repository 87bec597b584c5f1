"""LangGraph programs as traces: agents, graphs, nodes, subgraphs, interrupts, threads."""

from __future__ import annotations

import asyncio
import importlib
from importlib.metadata import version
from typing import Any

import pytest

pytest.importorskip("langgraph", reason="needs langgraph: pip install -e '.[test-frameworks]'")
pytest.importorskip("langchain_openai", reason="needs langchain-openai: pip install -e '.[test-frameworks]'")

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

import otel_agentops as ao
from frameworks.conftest import ANSWER, QUESTION, run, settings
from otel_agentops.testing import Captured, capture
from support.conventions import check_span
from support.replay import ReplayServer, expected
from support.tree import attribute, tree

MODEL = "gpt-4o-mini"
NEW = int(version("langgraph").split(".")[0]) >= 1
"""Older versions know no names of graphs."""
ASKED = {"messages": [("user", "Add 5 and 7")]}
THREAD: Any = {"configurable": {"thread_id": "t-1"}}


@tool
def add_numbers(a: float, b: float) -> float:
    """Add two numbers together."""
    return a + b


def model(server: ReplayServer) -> ChatOpenAI:
    """A real chat model of the server."""
    return ChatOpenAI(model=MODEL, **settings(server))


def agent(server: ReplayServer, llm: ChatOpenAI | None = None, **named: Any) -> Any:
    """An agent with one tool, where LangChain has them."""
    agents = pytest.importorskip("langchain.agents")
    if not hasattr(agents, "create_agent"):
        pytest.skip("this version of langchain has no create_agent")
    return agents.create_agent(llm or model(server), tools=[add_numbers], **named)


def graph(*nodes: tuple[str, Any], **named: Any) -> Any:
    """A graph of nodes one after the other."""
    built = StateGraph(MessagesState)
    before = START
    for name, node in nodes:
        built.add_node(name, node)
        built.add_edge(before, name)
        before = name
    built.add_edge(before, END)
    if not NEW:
        named.pop("name", None)
    return built.compile(**named)


def named_graph(name: str) -> str:
    """What a graph's span is called."""
    return f"invoke_workflow {name}" if NEW else "invoke_workflow"


def think(_: Any) -> Any:
    """A node that calls a model."""
    return {"messages": [FakeListChatModel(responses=["so"]).invoke("?")]}


AGENT = [
    "invoke_workflow talk",
    "  invoke_agent calc",
    f"    chat {MODEL}",
    "    execute_tool add_numbers",
    f"    chat {MODEL}",
]


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
def test_an_agent_with_a_tool(way: str, quiet: Captured, server: ReplayServer) -> None:
    """An agent is its calls and its tools, with the totals of both, however it is run."""
    llm = model(server)
    calc = agent(server, llm, name="calc")

    async def astream(_: Any) -> None:
        [_ async for _ in calc.astream(ASKED)]

    with ao.session("talk") as session:
        if way == "invoke":
            calc.invoke(ASKED)
        elif way == "stream":
            list(calc.stream(ASKED))
        else:
            run(llm, astream if way == "astream" else lambda _: calc.ainvoke(ASKED))
    assert tree(quiet.spans) == AGENT
    tokens = expected(QUESTION)["input_tokens"] + expected(ANSWER)["input_tokens"]
    span = quiet.span("invoke_agent calc")
    assert attribute(span, "otel_agentops.total.input_tokens") == tokens == session.total.input_tokens
    assert attribute(span, "otel_agentops.total.tool_calls") == 1
    assert attribute(span, "otel_agentops.total.model_calls") == 2
    assert session.total.unpriced_calls == 0
    assert {attribute(s, "gen_ai.agent.name") for s in quiet.named("chat")} == {"calc"}


@pytest.mark.parametrize("profile", ["1.41", "latest"])
def test_an_agent_keeps_to_the_conventions(profile: str, server: ReplayServer) -> None:
    """Every span of an agent's turn has the names and values that are allowed."""
    with capture(semconv=profile, capture_content=True, auto_session=False) as captured:
        agent(server, name="calc").invoke(ASKED, THREAD)
        graph(("think", think), name="mine").invoke(ASKED)
        problems = {span.name: found for span in captured.spans if (found := check_span(span, profile))}
    assert problems == {}


def test_the_thread_is_the_conversation(quiet: Captured, server: ReplayServer) -> None:
    """LangGraph's thread id is the conversation of the agent, its calls and its tools."""
    agent(server).invoke(ASKED, THREAD)
    assert tree(quiet.spans)[0] == "invoke_agent"
    assert {attribute(span, "gen_ai.conversation.id") for span in quiet.spans} == {"t-1"}


def test_a_graph_with_nodes(quiet: Captured) -> None:
    """A graph is a workflow by its name; its nodes are steps, its edges are nothing."""
    built = StateGraph(MessagesState)
    built.add_node("think", think)
    built.add_node("close", lambda _: {"messages": []})
    built.add_edge(START, "think")

    def route(_: Any) -> str:
        return "close"

    built.add_conditional_edges("think", route, ["close"])
    built.compile().invoke(ASKED)
    found = tree(quiet.spans)
    assert found[1:] == ["  think", "    chat", "  close"]
    assert found[0] == "invoke_workflow"


def test_a_subgraph_and_an_agent_as_nodes(quiet: Captured, server: ReplayServer) -> None:
    """Nodes that are graphs hold the nodes of those; a node that is an agent holds the agent."""
    inner = graph(("deep", think), name="inner")
    graph(("ask", agent(server, name="calc")), ("sub", inner)).invoke(ASKED)
    assert tree(quiet.spans) == [
        "invoke_workflow",
        "  ask",
        "    invoke_agent calc",
        f"      chat {MODEL}",
        "      execute_tool add_numbers",
        f"      chat {MODEL}",
        "  sub",
        "    deep",
        "      chat",
    ]


def test_an_agent_as_a_tool_of_another(quiet: Captured, server: ReplayServer) -> None:
    """An agent that a tool calls is an agent inside that tool."""
    inner = agent(server, name="calc")

    @tool("add_numbers")
    def ask_calc(a: float, b: float) -> str:
        """Add two numbers together."""
        return str(inner.invoke(ASKED)["messages"][-1].content)

    create = pytest.importorskip("langchain.agents").create_agent
    create(model(server), tools=[ask_calc], name="boss").invoke(ASKED)
    assert tree(quiet.spans) == [
        "invoke_agent boss",
        f"  chat {MODEL}",
        "  execute_tool add_numbers",
        "    invoke_agent calc",
        f"      chat {MODEL}",
        "      execute_tool add_numbers",
        f"      chat {MODEL}",
        f"  chat {MODEL}",
    ]


def test_an_agent_executor(quiet: Captured, server: ReplayServer) -> None:
    """The agents of LangChain before 1.0 are agents, too."""
    agents = pytest.importorskip("langchain.agents")
    if not hasattr(agents, "AgentExecutor"):
        pytest.skip("this version of langchain has no AgentExecutor")
    from langchain_core.prompts import ChatPromptTemplate

    prompt = ChatPromptTemplate.from_messages([("user", "{input}"), ("placeholder", "{agent_scratchpad}")])
    llm = ChatOpenAI(model=MODEL, disable_streaming=True, **settings(server))
    made = agents.create_tool_calling_agent(llm, [add_numbers], prompt)
    agents.AgentExecutor(agent=made, tools=[add_numbers]).invoke({"input": "Add 5 and 7"})
    assert tree(quiet.spans) == [
        "invoke_agent AgentExecutor",
        f"  chat {MODEL}",
        "  execute_tool add_numbers",
        f"  chat {MODEL}",
    ]


def test_nodes_side_by_side(quiet: Captured) -> None:
    """Nodes that LangGraph runs on threads stay in the graph and the session."""
    types = importlib.import_module("langgraph.types" if NEW else "langgraph.constants")
    built = StateGraph(MessagesState)
    built.add_node("think", think)
    built.add_conditional_edges(START, lambda _: [types.Send("think", ASKED) for _ in range(5)], ["think"])
    with ao.session("many") as session:
        built.compile().invoke(ASKED)
    found = tree(quiet.spans)
    assert found[:2] == ["invoke_workflow many", "  invoke_workflow"]
    assert sorted(found[2:]) == sorted(["    think", "      chat"] * 5)
    assert session.total.model_calls == 5


def test_an_interrupt_is_no_error(quiet: Captured) -> None:
    """A node that waits for a person was interrupted, and runs again when the answer is there."""
    from langgraph.checkpoint.memory import MemorySaver

    types = pytest.importorskip("langgraph.types")
    if not hasattr(types, "interrupt"):
        pytest.skip("this version of langgraph has no interrupt()")

    def ask(_: Any) -> Any:
        types.interrupt("sure?")
        return {"messages": []}

    asking = graph(("ask", ask), name="asking", checkpointer=MemorySaver())
    asking.invoke(ASKED, THREAD)
    asking.invoke(types.Command(resume="yes"), THREAD)
    nodes = quiet.named("ask")
    assert [attribute(node, "otel_agentops.ending") for node in nodes] == ["interrupted", None]
    assert all(span.status.is_ok for span in quiet.spans)
    assert {attribute(span, "gen_ai.conversation.id") for span in quiet.spans} == {"t-1"}


def test_a_node_that_fails(quiet: Captured) -> None:
    """The exception passes; the node and the graph are errors, and it is recorded once."""

    def explode(_: Any) -> Any:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        graph(("explode", explode), name="bad").invoke(ASKED)
    assert {span.name: len(span.events) for span in quiet.spans} == {"explode": 1, named_graph("bad"): 0}


def test_spans_of_others_belong_to_their_node(quiet: Captured) -> None:
    """What a node does with OpenTelemetry itself is inside the node, in async as well."""
    tracer = quiet.provider.get_tracer("theirs")

    async def work(_: Any) -> Any:
        with tracer.start_as_current_span("theirs"):
            await asyncio.sleep(0)
        return {"messages": []}

    async def program() -> None:
        await graph(("work", work), name="mine").ainvoke(ASKED)
        with tracer.start_as_current_span("after"):
            pass

    asyncio.run(program())
    assert tree(quiet.spans) == [named_graph("mine"), "  work", "    theirs", "after"]
