"""An agent that goes round in circles, and how it is stopped.

python examples/loops.py
"""

import os

import otel_agentops as ao

# Spans go where the OTEL_* variables say. Nothing said: print them, so that no collector is needed.
os.environ.setdefault("OTEL_TRACES_EXPORTER", "console")
os.environ.setdefault("OTEL_METRICS_EXPORTER", "none")

ao.init(service_name="loops", on_finding=lambda finding: print(f"found: {finding}"))


@ao.tool
def search(query: str) -> str:
    """Finds nothing, whatever is asked."""
    return "no results"


@ao.tool(repeatable=True)
def job_status(job: str) -> str:
    """Asked until the job is done: that is no loop."""
    return "running"


def answer(history: list[str]) -> str:
    """Stands for a model that insists."""
    with ao.model_call(provider="openai", model="gpt-4o-mini", messages=history) as call:
        call.response(usage=ao.Usage(input_tokens=200 * len(history), output_tokens=20))
    return "search: the answer"


@ao.agent(name="Researcher")
def research(question: str) -> None:
    history = [question]
    for _ in range(20):
        query = answer(history)
        job_status("crawl")
        history += [query, search(query)]


with ao.session("research", loops="raise") as session:
    try:
        research("What is the answer?")
    except ao.LoopDetected as stopped:
        print(f"stopped: {stopped.finding.kind} of {stopped.finding.name}")

print(f"{session.total.model_calls} model calls, ${session.total.cost_usd:.6f}")
