"""A LangGraph agent with a tool: who asked what, and what it cost.

pip install otel-agentops langchain langgraph langchain-openai
OPENAI_API_KEY=... python examples/apps/langgraph_agent.py
"""

import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

import otel_agentops as ao

# Spans go where the OTEL_* variables say. Nothing said: print them, so that no collector is needed.
os.environ.setdefault("OTEL_TRACES_EXPORTER", "console")
os.environ.setdefault("OTEL_METRICS_EXPORTER", "none")

ao.init(service_name="calculator")


@tool
def add_numbers(a: float, b: float) -> float:
    """Add two numbers together."""
    return a + b


agent = create_agent(ChatOpenAI(model="gpt-4o-mini"), tools=[add_numbers], name="calculator")

with ao.session("homework", user_id="u-17") as session:
    # the thread's id becomes gen_ai.conversation.id
    result = agent.invoke(
        {"messages": [("user", "Add 5 and 7")]}, config={"configurable": {"thread_id": "thread-1"}}
    )

total = session.total
print(result["messages"][-1].content)
print(f"{total.model_calls} model calls, {total.tool_calls} tool call, ${total.cost_usd}")
