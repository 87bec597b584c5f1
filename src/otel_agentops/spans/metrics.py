"""The conventions' metrics of model calls and scopes; independent of sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

from otel_agentops.semconv import FINDINGS, OVERFLOW, own
from otel_agentops.spans.sums import MOST_SERIES, sums_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agentops.accounting import Finding, Scope
    from otel_agentops.records import ModelCall, Record, Usage
    from otel_agentops.semconv import Metric, Profile

__all__ = ["Instruments"]

_INFERENCE = frozenset({"chat", "text_completion", "generate_content"})


class Instruments:
    """The instruments of one profile on one meter.

    Args:
        profile: Which metrics there are.
        version: Version of this library, for the instrumentation scope.
        meter_provider: Where they go; the global one when None.

    Attributes:
        sums: Dollars and the like; a stage of the accounting adds to them.
    """

    def __init__(
        self, profile: Profile, version: str, meter_provider: metrics.MeterProvider | None = None
    ) -> None:
        self._meter = metrics.get_meter("otel_agentops", version, meter_provider, profile.schema_url)
        self._known: dict[tuple[Any, ...], tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {}
        self._made: dict[str, Callable[..., None]] = {}
        names = profile.metrics
        self._duration = self._make(names.duration)
        self._other = self._make(names.other_duration)
        self._first_chunk = None if names.first_chunk is None else self._make(names.first_chunk)
        self._provider = profile.provider
        self._usage = None if names.token_usage is None else self._make(names.token_usage)
        self._counters = tuple((field, self._make(metric)) for field, metric in names.token_counters)
        self._histograms = tuple((field, self._make(metric)) for field, metric in names.token_histograms)
        self._scopes = {kind: self._make(metric) for kind, metric in names.scopes}
        self._findings = self._make(FINDINGS)
        self._kinds: set[tuple[Any, ...]] = set()
        self.sums = sums_of(meter_provider, self._meter)
        self._agent_calls = tuple((field, self._make(metric)) for field, metric in names.agent_calls)

    def _make(self, metric: Metric) -> Callable[..., None]:
        if metric.name not in self._made:
            if metric.instrument == "counter":
                self._made[metric.name] = self._meter.create_counter(
                    metric.name, metric.unit, metric.description
                ).add
            else:
                self._made[metric.name] = self._meter.create_histogram(
                    metric.name,
                    metric.unit,
                    metric.description,
                    explicit_bucket_boundaries_advisory=metric.buckets,
                ).record
        return self._made[metric.name]

    def model_call(self, call: ModelCall, duration_s: float) -> None:
        """Measure one ended model call; its duration is that of its span."""
        if call.duplicate:
            return
        common, sent, received = self._attributes(call)
        with_error = self._with(common, call.error_type)
        inference = call.operation in _INFERENCE
        measure = self.sums.measure
        measure(self._duration if inference else self._other, duration_s, with_error)
        if inference and call.first_chunk_s is not None and self._first_chunk is not None:
            measure(self._first_chunk, call.first_chunk_s, common)
        usage = call.usage if call.counted is None else call.counted
        if self._usage is not None and usage is not None and call.operation != "fetch_response":
            for tokens, attributes in ((usage.input_tokens, sent), (usage.output_tokens, received)):
                if tokens is not None:
                    measure(self._usage, tokens, attributes)
        if self._counters and inference:
            self._tokens(usage, common, with_error)

    def _attributes(self, call: ModelCall) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Attributes of every metric of such a call, and those of its two token counts."""
        key = (
            call.operation,
            call.provider,
            call.request_model,
            call.response_model,
        )
        known = self._known.get(key)
        if known is None:
            room = len(self._known) < MOST_SERIES
            common = _common(call, self._provider) if room else {OVERFLOW: True}
            known = (
                common,
                {**common, "gen_ai.token.type": "input"},
                {**common, "gen_ai.token.type": "output"},
            )
            if room:
                self._known[key] = known
        return known

    def _with(self, common: dict[str, Any], error_type: str | None) -> dict[str, Any]:
        return self._bounded({**common, "error.type": error_type}) if error_type else common

    def _bounded(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """These attributes, unless there are too many sets of them by now."""
        kind = tuple(attributes.items())
        if kind not in self._kinds:
            if len(self._kinds) >= MOST_SERIES:
                return {OVERFLOW: True}
            self._kinds.add(kind)
        return attributes

    def _tokens(self, usage: Usage | None, common: dict[str, Any], with_error: dict[str, Any]) -> None:
        """`latest`: counters by modality, 0 of modality `unknown` when nothing came back."""
        for field, add in self._counters:
            for modality, tokens in _by_modality(usage, field):
                self.sums.measure(add, tokens, {**common, "gen_ai.token.modality": modality})
        for field, record in self._histograms:
            self.sums.measure(record, (getattr(usage, field) if usage is not None else None) or 0, with_error)

    def finding(self, finding: Finding, scope: Scope | None) -> None:
        """Count a new finding."""
        attributes = {own.FINDING_KIND: finding.kind}
        agent = scope.stamps.get(own.AGENT_NAME) if scope is not None else None
        if agent is not None:
            attributes[own.AGENT_NAME] = agent
        self._findings(1, self._bounded(attributes))

    def scope(self, record: Record, scope: Scope, duration_s: float) -> None:
        """Measure one ended scope, where the profile has a metric for it."""
        measure = self._scopes.get(scope.kind)
        if measure is None:
            return
        attributes = self._bounded(_scope_attributes(record, scope))
        measure(duration_s, self._with(attributes, record.error_type))
        if scope.kind == "agent":
            for field, count in self._agent_calls:
                count(getattr(scope.own, field), attributes)


def _common(call: ModelCall, provider: str) -> dict[str, Any]:
    """Few and bounded: hosts are on the spans, and every attribute here costs time on every record."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": call.operation,
        provider: call.provider or "_OTHER",
    }
    if call.request_model is not None:
        attributes["gen_ai.request.model"] = call.request_model
    if call.response_model is not None:
        attributes["gen_ai.response.model"] = call.response_model
    return attributes


_SPLIT = frozenset({"input_tokens", "output_tokens", "cache_read_input_tokens"})
"""Counts that providers split by modality; the others have no split in the conventions."""


def _by_modality(usage: Usage | None, field: str) -> list[tuple[str, int]]:
    total = (getattr(usage, field) if usage is not None else None) or 0
    parts: list[tuple[str, int]] = []
    if field in _SPLIT and usage is not None:
        for modality in ("text", "audio", "image"):
            tokens = getattr(usage, f"{modality}_{field}")
            if tokens:
                parts.append((modality, tokens))
    rest = total - sum(tokens for _, tokens in parts)
    if rest > 0 or not parts:
        parts.append(("unknown", max(rest, 0)))
    return parts


def _scope_attributes(record: Record, scope: Scope) -> dict[str, Any]:
    name = getattr(record, "name", None)
    if scope.kind == "session":
        return {"gen_ai.workflow.name": name} if name else {}
    if scope.kind == "agent":
        return {"gen_ai.agent.name": name} if name else {}
    attributes: dict[str, Any] = {"gen_ai.tool.name": name}
    tool_type = getattr(record, "tool_type", None)
    if tool_type:
        attributes["gen_ai.tool.type"] = tool_type
    agent = scope.stamps.get("gen_ai.agent.name")
    if agent:
        attributes["gen_ai.agent.name"] = agent
    return attributes
