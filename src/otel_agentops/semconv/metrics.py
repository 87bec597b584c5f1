"""The metrics of each profile, as data: what is recorded, in which unit, with which buckets."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = [
    "COST",
    "DUPLICATES",
    "FINDINGS",
    "INTERNAL_ERRORS",
    "OURS",
    "OVERFLOW",
    "SECONDS",
    "TOKENS",
    "UNPRICED",
    "Metric",
    "MetricSet",
]

SECONDS: tuple[float, ...] = tuple(0.01 * 2**n for n in range(14))
"""Bucket bounds of the conventions for durations, in seconds: 0.01 to 81.92."""

TOKENS: tuple[float, ...] = tuple(4**n for n in range(14))
"""Bucket bounds of the conventions for token counts: powers of four from 1 to 67108864."""

_AGENT_SECONDS: tuple[float, ...] = tuple(0.1 * 2**n for n in range(13))
_WORKFLOW_SECONDS: tuple[float, ...] = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_CALLS: tuple[float, ...] = (1, 2, 4, 8, 16, 32, 64, 128)


class Metric(NamedTuple):
    """One instrument: its name, how to make it and, for histograms, its bucket bounds."""

    name: str
    instrument: Literal["histogram", "counter"]
    unit: str
    description: str
    buckets: tuple[float, ...] | None = None


OVERFLOW = "otel.metric.overflow"
"""The attribute of OpenTelemetry, `true`, of what is counted beyond the sets of attributes there may be."""

FINDINGS = Metric("otel_agentops.findings", "counter", "{finding}", "Loops and silent failures found")
COST = Metric("otel_agentops.cost_usd", "counter", "{USD}", "Cost of model calls, each counted once")
UNPRICED = Metric("otel_agentops.unpriced_calls", "counter", "{call}", "Model calls whose cost nobody knows")
DUPLICATES = Metric(
    "otel_agentops.duplicate_calls", "counter", "{call}", "Spans of calls that another span was counted for"
)
INTERNAL_ERRORS = Metric(
    "otel_agentops.internal_errors", "counter", "{error}", "Failures of this library; the program goes on"
)

_MODEL = ("gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model")

OURS: tuple[tuple[Metric, tuple[str, ...]], ...] = (
    (COST, (*_MODEL, "gen_ai.agent.name", "otel_agentops.cost.source")),
    (UNPRICED, (*_MODEL, "otel_agentops.cost.reason")),
    (DUPLICATES, ("gen_ai.provider.name",)),
    (FINDINGS, ("otel_agentops.finding.kind", "gen_ai.agent.name")),
    (INTERNAL_ERRORS, ("otel_agentops.doing",)),
)
"""Written in every profile, with their attributes."""


class MetricSet(NamedTuple):
    """What a profile measures; None where a profile has no such metric.

    Attributes:
        duration: Duration of an inference.
        other_duration: Duration of a client operation that is no inference (embeddings, fetch).
        first_chunk: Time to the first chunk of a stream.
        token_usage: The one token histogram of 1.41, told apart by `gen_ai.token.type`.
        token_counters: Usage field -> counter, each with `gen_ai.token.modality`.
        token_histograms: Usage field -> histogram of one operation's tokens.
        scopes: Kind of scope -> its duration histogram.
        agent_calls: Kind of call -> histogram of calls in one agent's turn.
    """

    duration: Metric
    other_duration: Metric
    first_chunk: Metric | None
    token_usage: Metric | None
    token_counters: tuple[tuple[str, Metric], ...]
    token_histograms: tuple[tuple[str, Metric], ...]
    scopes: tuple[tuple[str, Metric], ...]
    agent_calls: tuple[tuple[str, Metric], ...]


def _seconds(name: str, description: str, buckets: tuple[float, ...] = SECONDS) -> Metric:
    return Metric(name, "histogram", "s", description, buckets)


_OPERATION = _seconds("gen_ai.client.operation.duration", "Duration of a GenAI operation")

V1_41 = MetricSet(
    duration=_OPERATION,
    other_duration=_OPERATION,
    first_chunk=_seconds(
        "gen_ai.client.operation.time_to_first_chunk", "Time from the request to the first chunk"
    ),
    token_usage=Metric(
        "gen_ai.client.token.usage", "histogram", "{token}", "Number of input and output tokens used", TOKENS
    ),
    token_counters=(),
    token_histograms=(),
    scopes=(),
    agent_calls=(),
)

V1_36 = V1_41._replace(first_chunk=None)

_INFERENCE = "gen_ai.client.inference."
_COUNTED = (
    ("input_tokens", "usage.input_tokens"),
    ("output_tokens", "usage.output_tokens"),
    ("cache_read_input_tokens", "usage.cache_read.input_tokens"),
    ("cache_write_input_tokens", "usage.cache_write.input_tokens"),
    ("reasoning_output_tokens", "usage.reasoning.output_tokens"),
)

LATEST = MetricSet(
    duration=_seconds(_INFERENCE + "duration", "Duration of an inference"),
    other_duration=_OPERATION,
    first_chunk=_seconds(_INFERENCE + "time_to_first_chunk", "Time from the request to the first chunk"),
    token_usage=None,
    token_counters=tuple(
        (field, Metric(_INFERENCE + name, "counter", "{token}", f"Tokens counted as {name}"))
        for field, name in _COUNTED
    ),
    token_histograms=tuple(
        (
            field,
            Metric(_INFERENCE + "operation." + field, "histogram", "{token}", f"{field} of a call", TOKENS),
        )
        for field in ("input_tokens", "output_tokens")
    ),
    scopes=(
        ("agent", _seconds("gen_ai.invoke_agent.duration", "Duration of an agent's turn", _AGENT_SECONDS)),
        ("tool", _seconds("gen_ai.execute_tool.duration", "Duration of a tool execution")),
        (
            "session",
            _seconds("gen_ai.invoke_workflow.duration", "Duration of a workflow", _WORKFLOW_SECONDS),
        ),
    ),
    agent_calls=(
        (
            "model_calls",
            Metric(
                "gen_ai.invoke_agent.inference_calls",
                "histogram",
                "{inference_call}",
                "Model calls of an agent's turn",
                _CALLS,
            ),
        ),
        (
            "tool_calls",
            Metric(
                "gen_ai.invoke_agent.tool_calls", "histogram", "{tool_call}", "Tool calls of a turn", _CALLS
            ),
        ),
    ),
)
