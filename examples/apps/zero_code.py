"""A plain program: it knows nothing of OpenTelemetry, and is recorded and priced all the same.

pip install otel-agentops openai
OPENAI_API_KEY=... OTEL_TRACES_EXPORTER=console opentelemetry-instrument python examples/apps/zero_code.py
"""

from openai import OpenAI

client = OpenAI()
answer = client.chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "Why is the sky blue? One sentence."}]
)
print(answer.choices[0].message.content)
