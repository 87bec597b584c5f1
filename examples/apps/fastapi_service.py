"""A service: one session for each request, and what each user has cost so far.

pip install otel-agentops openai fastapi uvicorn
OPENAI_API_KEY=... uvicorn fastapi_service:app --app-dir examples/apps
curl -X POST "http://127.0.0.1:8000/ask?user=u-17&question=Why+is+the+sky+blue"
"""

from collections import defaultdict
from decimal import Decimal

from fastapi import FastAPI
from openai import AsyncOpenAI

import otel_agentops as ao

ao.init(service_name="answers")
app = FastAPI()
client = AsyncOpenAI()
spent: defaultdict[str, Decimal] = defaultdict(Decimal)  # yours: a table of your database


@app.post("/ask")
async def ask(question: str, user: str) -> dict[str, str]:
    """Answer, and say what it cost and what the user has cost in all."""
    with ao.session("ask", user_id=user) as session:
        answer = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": question}]
        )
    # exact decimals; a call without a known price is counted in session.total.unpriced_calls
    spent[user] += session.total.cost_usd
    return {
        "answer": answer.choices[0].message.content or "",
        "cost_usd": str(session.total.cost_usd),
        "user_cost_usd": str(spent[user]),
    }
