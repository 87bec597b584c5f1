"""Under the launcher nothing is loaded before it is needed, and nothing is lost by that."""

from __future__ import annotations

from zerocode.launching import ANSWER, cost_of, world

IDLE = """
import sys, json, logging
print([name for name in ("otel_agentops.spans", "otel_agentops.pricing", "openai") if name in sys.modules])
"""

SPANS = """
import threading
from opentelemetry import trace

tracer = trace.get_tracer("theirs")
ready = threading.Barrier(20)

def work(number):
    ready.wait()
    with tracer.start_as_current_span(f"span {number}") as span:
        span.set_attributes({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 1,
        })

threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

DECORATED = """
import otel_agentops as ao

@ao.agent(name="first")
def first():
    import openai
    answer = openai.OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Say this is a test"}]
    )
    print(answer.choices[0].message.content)

with ao.session("lazy"):
    first()
"""

LATE = """
import threading
from opentelemetry import trace

def imports():
    import openai
    openai.OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Say this is a test"}]
    )

def spans():
    for number in range(50):
        with trace.get_tracer("theirs").start_as_current_span("theirs"):
            pass

threads = [threading.Thread(target=imports), threading.Thread(target=spans)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_an_idle_program_loads_next_to_nothing() -> None:
    """A program without a span and without a model call gets no more than the waiting part."""
    with world() as here:
        assert here.run(IDLE).stdout == "[]\n"


def test_the_first_spans_are_others() -> None:
    """Spans that start at the same moment in many threads are all exported, and all priced."""
    with world() as here:
        here.run(SPANS)
        spans = here.spans
    assert sorted(span.name for span in spans) == sorted(f"span {number}" for number in range(20))
    assert {span.attributes["gen_ai.usage.cost"] for span in spans} == {2.1e-06}


def test_the_program_uses_decorators_first() -> None:
    """Without `init()`: session, agent and call are one trace with the call's cost as total."""
    with world() as here:
        assert here.run(DECORATED).stdout == ANSWER
        spans = {span.name: span for span in here.spans}
    assert set(spans) == {"invoke_workflow lazy", "invoke_agent first", "chat gpt-4o-mini"}
    assert len({span.trace_id for span in spans.values()}) == 1
    total = spans["invoke_workflow lazy"].attributes["otel_agentops.total.cost_usd"]
    assert total == spans["chat gpt-4o-mini"].attributes["gen_ai.usage.cost"] == float(cost_of())


def test_an_import_and_spans_at_once() -> None:
    """One thread imports the SDK while another starts spans: nobody waits for ever, nothing is lost."""
    with world() as here:
        for _ in range(3):
            here.run(LATE)
        names = [span.name for span in here.spans]
    assert names.count("theirs") == 150
    assert names.count("chat gpt-4o-mini") == 3
