"""Profiles: one version of the GenAI conventions each, as tables from record fields to names.

The order of each table is the order on the span. What matters most comes last, because an SDK that
runs into its attribute limit throws out the oldest.
"""

from __future__ import annotations

from typing import NamedTuple

from otel_agentops.semconv import metrics, outward, own

__all__ = ["DEFAULT_PROFILE", "PROFILES", "Profile"]

Fields = tuple[tuple[str, str], ...]
"""Rows of (record field, attribute name)."""


class Profile(NamedTuple):
    """The names of one version of the conventions.

    Attributes:
        name: What `init(semconv=)` and `OTEL_AGENTOPS_SEMCONV` take.
        schema_url: Schema URL of our spans and metrics; None where no schema is published.
        request: Fields of a model call known when it starts.
        response: Fields known when it ends.
        usage: Fields of its usage.
        content: Fields written only when content capture is on.
        fetch: Response fields of a `fetch_response`, which must not report usage.
        agent_provider: Whether an agent's span must name a provider.
        metrics: The metrics of this version.
        outward: How the names above are written instead; None for as they stand.
        provider: The name of the provider on metrics.
    """

    name: str
    schema_url: str | None
    request: Fields
    response: Fields
    usage: Fields
    content: Fields
    fetch: Fields
    agent_provider: bool
    metrics: metrics.MetricSet
    outward: outward.Outward | None = None
    provider: str = "gen_ai.provider.name"


_START: Fields = (
    ("operation", "gen_ai.operation.name"),
    ("provider", "gen_ai.provider.name"),
    ("request_model", "gen_ai.request.model"),
    ("server_address", "server.address"),
    ("server_port", "server.port"),
)
"""What the conventions want at the start of a span, since samplers look at it."""

_REQUEST_1_41: Fields = (
    ("output_type", "gen_ai.output.type"),
    ("choice_count", "gen_ai.request.choice.count"),
    ("seed", "gen_ai.request.seed"),
    ("stream", "gen_ai.request.stream"),
    ("top_k", "gen_ai.request.top_k"),
    ("top_p", "gen_ai.request.top_p"),
    ("temperature", "gen_ai.request.temperature"),
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("stop_sequences", "gen_ai.request.stop_sequences"),
    ("encoding_formats", "gen_ai.request.encoding_formats"),
    ("dimension_count", "gen_ai.embeddings.dimension.count"),
    ("conversation_id", own.CONVERSATION_ID),
    ("request_service_tier", "openai.request.service_tier"),
    ("api_type", "openai.api.type"),
    ("processing", own.PROCESSING),
    ("inference_geo", own.INFERENCE_GEO),
    ("digest", own.DIGEST),
    ("cache_hit", own.CACHE_HIT),
)

_REQUEST_LATEST: Fields = (
    *_REQUEST_1_41,
    ("reasoning_level", "gen_ai.request.reasoning.level"),
    ("previous_response_id", "gen_ai.request.previous_response.id"),
    ("stream_cursor", "gen_ai.request.stream_cursor"),
)

_RESPONSE: Fields = (
    ("system_fingerprint", "openai.response.system_fingerprint"),
    ("service_tier", "openai.response.service_tier"),
    ("first_chunk_s", "gen_ai.response.time_to_first_chunk"),
    ("response_id", "gen_ai.response.id"),
    ("response_model", "gen_ai.response.model"),
    ("finish_reasons", "gen_ai.response.finish_reasons"),
)

_FETCH: Fields = tuple(row for row in _RESPONSE if row[0] not in {"system_fingerprint", "first_chunk_s"})

_CONTENT: Fields = (
    ("tool_definitions", "gen_ai.tool.definitions"),
    ("system_instructions", "gen_ai.system_instructions"),
    ("input_messages", "gen_ai.input.messages"),
    ("output_messages", "gen_ai.output.messages"),
)

_USAGE_OWN: Fields = (
    ("web_searches", own.WEB_SEARCHES),
    ("cache_write_1h_input_tokens", own.CACHE_WRITE_1H),
)

_USAGE_MODALITY: Fields = tuple(
    (f"{modality}_{kind}", f"gen_ai.usage.{modality}.{name}")
    for modality in ("text", "audio", "image")
    for kind, name in (
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_input_tokens", "cache_read.input_tokens"),
    )
)

_USAGE_LAST: Fields = (
    ("reasoning_output_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ("cache_read_input_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
)

V1_41 = Profile(
    name="1.41",
    schema_url="https://opentelemetry.io/schemas/1.41.0",
    request=_START + _REQUEST_1_41,
    response=_RESPONSE,
    usage=(
        *_USAGE_OWN,
        ("cache_write_input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
        *_USAGE_LAST,
    ),
    content=_CONTENT,
    fetch=_FETCH,
    agent_provider=True,
    metrics=metrics.V1_41,
)

LATEST = Profile(
    name="latest",
    schema_url=None,
    request=_START + _REQUEST_LATEST,
    response=_RESPONSE,
    usage=(
        *_USAGE_OWN,
        *_USAGE_MODALITY,
        ("cache_write_input_tokens", "gen_ai.usage.cache_write.input_tokens"),
        *_USAGE_LAST,
    ),
    content=_CONTENT,
    fetch=(("response_status", "gen_ai.response.status"), *_FETCH),
    agent_provider=False,
    metrics=metrics.LATEST,
)

V1_36 = V1_41._replace(
    name="1.36",
    schema_url="https://opentelemetry.io/schemas/1.36.0",
    metrics=metrics.V1_36,
    outward=outward.V1_36,
    provider="gen_ai.system",
)

LANGFUSE = V1_41._replace(name="langfuse", outward=outward.LANGFUSE)

START_FIELDS = frozenset(field for field, _ in _START)
"""Fields that go on the span when it starts."""

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (V1_41, LATEST, V1_36, LANGFUSE)}
DEFAULT_PROFILE = V1_41.name
