"""What a session, a user and the whole process may spend, and what happens then.

python examples/budgets.py
"""

import os

import otel_agentops as ao

# Spans go where the OTEL_* variables say. Nothing said: print them, so that no collector is needed.
os.environ.setdefault("OTEL_TRACES_EXPORTER", "console")
os.environ.setdefault("OTEL_METRICS_EXPORTER", "none")

runtime = ao.init(
    service_name="budgets",
    budgets=[ao.Budget(usd=10), ao.Budget(usd="0.001", per="user.id")],
)


def ask(question: str) -> None:
    """Stands for a call of your own; 1,000 tokens in, at most 100 out."""
    with ao.model_call(
        provider="openai", model="gpt-4o-mini", messages=question * 1000, max_tokens=100
    ) as call:
        call.response(usage=ao.Usage(input_tokens=1000, output_tokens=100))


for user in ("ann", "bob", "ann"):
    with ao.session("chat", user_id=user, budget=ao.Budget(calls=3)) as session:
        try:
            for number in range(10):
                ask(f"no{number} ")
        except ao.BudgetExceeded as stopped:
            print(
                f"{user}: {session.total.model_calls} calls, then no more {stopped.limit} for {stopped.where}"
            )

print(f"the process has ${runtime.remaining['usd']:.5f} left")
