"""Next to an OpenTelemetry set-up that is already there: nothing of it changes.

python examples/existing_otel.py
"""

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_agentops as ao
from otel_agentops.demo import openai_client  # yours: from openai import OpenAI

# Your own set-up, with your own exporter, as it was before.
exporter = InMemorySpanExporter()
provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

# init() finds that provider and joins it. With a provider that is not the global one, or for the accounting
# alone, say: provider.add_span_processor(ao.AgentOpsSpanProcessor())
ao.init()

client = openai_client()
tracer = trace.get_tracer("shop")

with tracer.start_as_current_span("GET /answer"), ao.session("answer") as session:
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}])

    # A span of somebody else's instrumentation, in the GenAI conventions: it gets its price as well.
    with tracer.start_as_current_span("chat claude-sonnet-4-5") as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.model": "claude-sonnet-4-5",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 100,
            }
        )

for finished in exporter.get_finished_spans():
    cost = finished.attributes.get(
        "gen_ai.usage.cost", finished.attributes.get("otel_agentops.total.cost_usd")
    )
    print(f"{finished.name:32} {cost if cost is not None else '-'}")
print(f"session: ${session.total.cost_usd}")
