"""One agent with two steps on two models, and what each run costs.

    python examples/email_classifier.py

Without OPENAI_API_KEY the answers are recorded ones, so that it runs anywhere.
"""

import os

import otel_agentops as ao
from otel_agentops.demo import openai_client  # yours: from openai import OpenAI

# Spans go where the OTEL_* variables say. Nothing said: print them, so that no collector is needed.
os.environ.setdefault("OTEL_TRACES_EXPORTER", "console")
os.environ.setdefault("OTEL_METRICS_EXPORTER", "none")

ao.init(service_name="email-classifier", stream_usage_hosts=["127.0.0.1"])
client = openai_client()


@ao.agent(name="EmailClassifier")
class EmailClassifier:
    def handle(self, mail: str) -> tuple[str, str]:
        return self.classify(mail), self.draft_reply(mail)

    @ao.operation(name="classify_email")
    def classify(self, mail: str) -> str:
        answer = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[
                {"role": "system", "content": "Answer with one word: billing, bug, sales or other."},
                {"role": "user", "content": mail},
            ],
        )
        return answer.choices[0].message.content or ""

    @ao.operation(name="draft_reply")
    def draft_reply(self, mail: str) -> str:
        stream = client.chat.completions.create(
            model="gpt-4",
            messages=[{"role": "user", "content": f"Draft a short, kind reply to:\n{mail}"}],
            stream=True,
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


with ao.session("triage", user_id="u-17", tags=["example"]) as session:
    EmailClassifier().handle("Hello, why was my card charged twice in November?")
    session.outcome("success")

total = session.total
print(f"{total.model_calls} calls, {total.input_tokens} tokens in, {total.output_tokens} out")
print(f"cost: ${total.cost_usd}")
