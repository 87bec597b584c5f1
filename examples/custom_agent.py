"""An agent that uses no SDK at all: a model of your own, a provider nobody has a price for.

python examples/custom_agent.py
"""

import os

import otel_agentops as ao

# Spans go where the OTEL_* variables say. Nothing said: print them, so that no collector is needed.
os.environ.setdefault("OTEL_TRACES_EXPORTER", "console")
os.environ.setdefault("OTEL_METRICS_EXPORTER", "none")

ao.init(
    service_name="custom-agent",
    price_rules=[
        # US dollars a million tokens. Without this rule the calls would be counted as unpriced.
        ao.Price(provider="acme", match="m1*", input="0.50", output="2.00"),
    ],
)


def ask_acme(prompt: str) -> dict:
    """Stands for your own HTTP client, queue or local model."""
    return {"model": "m1-0925", "text": f"{len(prompt)} characters", "in": 1200, "out": 80, "id": "r-1"}


@ao.tool(cost_usd="0.002")
def search(query: str) -> str:
    """A tool that costs something by itself."""
    return f"nothing about {query}"


@ao.agent(name="Researcher")
def research(question: str) -> str:
    found = search(question)
    with ao.model_call(provider="acme", model="m1", messages=f"{question}\n{found}") as call:
        answer = ask_acme(question + found)
        call.response(
            model=answer["model"],
            usage=ao.Usage(input_tokens=answer["in"], output_tokens=answer["out"]),
            finish_reasons=["stop"],
            response_id=answer["id"],
        )
    print(f"the call: ${call.cost_usd}")
    return answer["text"]


with ao.session("research") as session:
    research("What is a span?")

print(f"with the tool: ${session.total.cost_usd}")
