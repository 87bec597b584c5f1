"""The other side of each comparison: programs on the bare OpenTelemetry SDK, written by hand.

`same_*` write the same spans and metrics as the library. They do no accounting: the price is three
multiplications by numbers that stand in the code, the digest and the session are constants.
`plain_*` write what most people write by hand: one span with the models, the tokens and the messages.
"""

from __future__ import annotations

import functools
import json
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.kit import Kit

SECONDS = [0.01 * 2**n for n in range(14)]
TOKENS = [4**n for n in range(14)]
SESSION = {"session.id": "0123456789abcdef0123456789abcdef"}
DIGEST = "fedcba9876543210fedcba9876543210"

_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class _Same:
    """What the programs that write the same have in common."""

    def __init__(self, kit: Kit) -> None:
        self.tracer = kit.tracer
        session = self.tracer.start_span("invoke_workflow", attributes=SESSION)
        self.context = set_span_in_context(session)
        histogram = kit.meter.create_histogram
        self.duration = histogram(
            "gen_ai.client.operation.duration", "s", explicit_bucket_boundaries_advisory=SECONDS
        )
        self.tokens = histogram(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=TOKENS
        )
        self.first_chunk = histogram(
            "gen_ai.client.operation.time_to_first_chunk", "s", explicit_bucket_boundaries_advisory=SECONDS
        )
        self.cost = kit.meter.create_counter("otel_agentops.cost_usd", "{USD}")

    def start(self, resource: Any, kwargs: dict[str, Any], operation: str) -> tuple[Any, int]:
        host = resource._client.base_url.host
        model = kwargs["model"]
        started = time_ns()
        attributes = {
            **SESSION,
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": model,
            "server.address": host,
            "server.port": 443,
        }
        span = self.tracer.start_span(
            f"{operation} {model}", self.context, SpanKind.CLIENT, attributes, start_time=started
        )
        return span, perf_counter_ns()

    def measure(
        self, operation: str, model: str, answer: Any, clock: int, usage: Any, cost: float, first: float = 0
    ) -> None:
        common = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": model,
            "gen_ai.response.model": answer.model,
        }
        priced = {**common, "otel_agentops.cost.source": "genai-prices"}
        del priced["gen_ai.operation.name"]
        self.cost.add(cost, priced)
        self.duration.record((perf_counter_ns() - clock) / 1e9, common)
        if first:
            self.first_chunk.record(first, common)
        self.tokens.record(usage.prompt_tokens, {**common, "gen_ai.token.type": "input"})
        if operation == "chat":
            self.tokens.record(usage.completion_tokens, {**common, "gen_ai.token.type": "output"})


def _request(kwargs: dict[str, Any], attributes: dict[str, Any]) -> None:
    messages = [
        {"role": message["role"], "parts": [{"type": "text", "content": message["content"]}]}
        for message in kwargs["messages"]
    ]
    attributes["gen_ai.input.messages"] = _json(messages)
    for name in ("stream", "temperature", "max_tokens"):
        value = kwargs.get(name)
        if value is not None:
            attributes["gen_ai.request." + name] = value
    attributes["openai.api.type"] = "chat_completions"
    attributes["otel_agentops.input.digest"] = DIGEST


def _answer(answer: Any, texts: list[str], reasons: list[str], usage: Any, out: dict[str, Any]) -> None:
    cached = usage.prompt_tokens_details.cached_tokens
    fresh, received = usage.prompt_tokens - cached, usage.completion_tokens
    messages = [
        {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": reason}
        for text, reason in zip(texts, reasons, strict=True)
    ]
    out["gen_ai.output.messages"] = _json(messages)
    out["openai.response.system_fingerprint"] = answer.system_fingerprint
    out["openai.response.service_tier"] = answer.service_tier
    out["gen_ai.response.id"] = answer.id
    out["gen_ai.response.model"] = answer.model
    out["gen_ai.response.finish_reasons"] = reasons
    out["gen_ai.usage.reasoning.output_tokens"] = usage.completion_tokens_details.reasoning_tokens
    out["gen_ai.usage.cache_read.input_tokens"] = cached
    out["gen_ai.usage.input_tokens"] = usage.prompt_tokens
    out["gen_ai.usage.output_tokens"] = received
    out["otel_agentops.cost.source"] = "genai-prices"
    out["otel_agentops.cost.status"] = "priced"
    out["gen_ai.usage.cost"] = (fresh * 150 + cached * 75 + received * 600) / 1e9


def _relay(same: _Same, span: Any, clock: int, kwargs: dict[str, Any], stream: Any) -> Iterator[Any]:
    """Hand the chunks of a stream on, and end the span after the last."""
    pieces: list[str] = []
    reasons: list[str] = []
    part = usage = None
    first = 0.0
    try:
        for part in stream:
            if not first:
                first = (perf_counter_ns() - clock) / 1e9
            if part.usage is not None:
                usage = part.usage
            for choice in part.choices:
                if choice.delta.content:
                    pieces.append(choice.delta.content)
                if choice.finish_reason:
                    reasons.append(choice.finish_reason)
            yield part
    finally:
        attributes: dict[str, Any] = {"gen_ai.response.time_to_first_chunk": first}
        _request(kwargs, attributes)
        _answer(part, ["".join(pieces)], reasons, usage, attributes)
        span.set_attributes(attributes)
        span.end()
        same.measure("chat", kwargs["model"], part, clock, usage, attributes["gen_ai.usage.cost"], first)


def same_chat(kit: Kit) -> None:
    """Chat completions, whole and streamed: the library's span and metrics."""
    from openai.resources.chat.completions import Completions

    same, inner = _Same(kit), Completions.create

    @functools.wraps(inner)
    def create(self: Any, **kwargs: Any) -> Any:
        span, clock = same.start(self, kwargs, "chat")
        try:
            answer = inner(self, **kwargs)
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            span.end()
            raise
        if kwargs.get("stream"):
            return _relay(same, span, clock, kwargs, answer)
        attributes: dict[str, Any] = {}
        _request(kwargs, attributes)
        texts = [choice.message.content for choice in answer.choices]
        reasons = [choice.finish_reason for choice in answer.choices]
        _answer(answer, texts, reasons, answer.usage, attributes)
        span.set_attributes(attributes)
        span.end()
        cost = attributes["gen_ai.usage.cost"]
        same.measure("chat", kwargs["model"], answer, clock, answer.usage, cost)
        return answer

    Completions.create = create  # type: ignore[method-assign]  # on purpose


def same_embeddings(kit: Kit) -> None:
    """Embeddings: the library's span and metrics."""
    from openai.resources.embeddings import Embeddings

    same, inner = _Same(kit), Embeddings.create

    @functools.wraps(inner)
    def create(self: Any, **kwargs: Any) -> Any:
        span, clock = same.start(self, kwargs, "embeddings")
        try:
            answer = inner(self, **kwargs)
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            span.end()
            raise
        usage = answer.usage
        cost = usage.prompt_tokens * 20 / 1e9
        span.set_attributes(
            {
                "gen_ai.request.encoding_formats": [kwargs["encoding_format"]],
                "gen_ai.embeddings.dimension.count": len(answer.data[0].embedding),
                "otel_agentops.input.digest": DIGEST,
                "gen_ai.response.model": answer.model,
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "otel_agentops.cost.source": "genai-prices",
                "otel_agentops.cost.status": "priced",
                "gen_ai.usage.cost": cost,
            }
        )
        span.end()
        same.measure("embeddings", kwargs["model"], answer, clock, usage, cost)
        return answer

    Embeddings.create = create  # type: ignore[method-assign]  # on purpose


def plain_chat(tracer: Tracer) -> None:
    """One span with models, tokens and messages; no price, no digest, no session, no metrics."""
    from openai.resources.chat.completions import Completions

    inner = Completions.create

    @functools.wraps(inner)
    def create(self: Any, **kwargs: Any) -> Any:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": kwargs["model"],
            "gen_ai.input.messages": json.dumps(kwargs["messages"]),
        }
        for name in ("temperature", "max_tokens"):
            if kwargs.get(name) is not None:
                attributes["gen_ai.request." + name] = kwargs[name]
        span = tracer.start_span(f"chat {kwargs['model']}", kind=SpanKind.CLIENT, attributes=attributes)
        answer = inner(self, **kwargs)
        texts = [{"role": "assistant", "content": choice.message.content} for choice in answer.choices]
        span.set_attributes(
            {
                "gen_ai.response.id": answer.id,
                "gen_ai.response.model": answer.model,
                "gen_ai.response.finish_reasons": [choice.finish_reason for choice in answer.choices],
                "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
                "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
                "gen_ai.output.messages": json.dumps(texts),
            }
        )
        span.end()
        return answer

    Completions.create = create  # type: ignore[method-assign]  # on purpose


def plain_decorator(tracer: Tracer, kind: str) -> Callable[[Any], Any]:
    """A decorator with a span around the function."""

    def decorate(function: Any) -> Any:
        name = function.__name__
        attributes = {"gen_ai.operation.name": kind, "code.function.name": name}

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with tracer.start_as_current_span(name, attributes=attributes):
                return function(*args, **kwargs)

        return call

    return decorate
