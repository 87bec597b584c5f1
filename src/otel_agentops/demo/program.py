"""The program of the demo, written as a user would write it: three agents, two tool calls, one failure.

Everything that `otel_agentops` needs to know is said by the decorators; the calls are plain OpenAI SDK.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
from pydantic import BaseModel

import otel_agentops as ao
from otel_agentops.demo.replay import recording

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["run"]

WEATHER = {"Seattle, WA": "50 degrees and raining", "San Francisco, CA": "70 degrees and sunny"}


class Person(BaseModel):
    """Somebody mentioned in an e-mail."""

    name: str
    age: int


@ao.agent(name="EmailClassifier", description="Says who wrote and what about")
class EmailClassifier:
    """One agent, two steps, two models."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def read(self, mail: list[dict[str, Any]], signature: str) -> str:
        """The turn of the agent: its steps become children of one `invoke_agent` span."""
        person = self.extract_sender(signature)
        return f"{person.name if person else '?'}: {self.summarize(mail)}"

    @ao.operation(name="extract_sender")
    def extract_sender(self, signature: str) -> Person | None:
        """A small model is enough for this."""
        answer = self._client.responses.parse(model="gpt-4.1-nano", input=signature, text_format=Person)
        return answer.output_parsed

    @ao.operation(name="summarize")
    def summarize(self, mail: Any) -> str:
        """A long prompt, most of which the provider has in its cache."""
        answer = self._client.chat.completions.create(model="gpt-4o-mini", messages=mail)
        return answer.choices[0].message.content or ""


@ao.agent(name="TripPlanner")
class TripPlanner:
    """Asks for tools in a stream, runs them, answers; then asks another agent."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client
        self._reviewer = Reviewer(client)

    def plan(self, question: list[dict[str, Any]], tools: Any) -> str:
        """One turn with tools."""
        messages: list[Any] = list(question)
        calls = self._ask(messages, tools)
        messages.append({"role": "assistant", "tool_calls": calls})
        for call in calls:
            arguments = json.loads(call["function"]["arguments"])
            result = get_current_weather(**arguments)
            messages.append({"role": "tool", "content": result, "tool_call_id": call["id"]})
        answer = self._client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        return self._reviewer.review(answer.choices[0].message.content or "")

    def _ask(self, messages: list[Any], tools: Any) -> list[Any]:
        """Tool calls, put together from the chunks of a stream."""
        calls: dict[int, dict[str, Any]] = {}
        for chunk in self._client.chat.completions.create(
            model="gpt-4o-mini", messages=messages, tools=tools, stream=True
        ):
            for part in chunk.choices[0].delta.tool_calls or []:
                call = calls.setdefault(
                    part.index, {"type": "function", "function": {"name": "", "arguments": ""}}
                )
                call["id"] = part.id or call.get("id")
                if part.function:
                    call["function"]["name"] += part.function.name or ""
                    call["function"]["arguments"] += part.function.arguments or ""
        return list(calls.values())


@ao.tool
def get_current_weather(location: str) -> str:
    """What the weather is like; a fixed table."""
    return WEATHER.get(location, "no idea")


@ao.agent(name="Reviewer")
class Reviewer:
    """Its model is gone, so it falls back to another one: the one that costs most of the bill."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def review(self, text: str) -> str:
        """Try, fail, try something else."""
        try:
            self._say("this-model-does-not-exist")
        except openai.NotFoundError:
            self._say("gpt-4")
        return text

    def _say(self, model: str) -> str:
        stream = self._client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Say this is a test"}], stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def run(client: OpenAI) -> None:
    """One session of the program."""
    mail, weather = recording("summarize"), recording("weather_question")
    with ao.session("inbox", user_id="demo-user", tags=["demo"]) as session:
        EmailClassifier(client).read(mail["messages"], recording("extract_sender")["input"])
        TripPlanner(client).plan(weather["messages"], weather["tools"])
        session.outcome("success")
