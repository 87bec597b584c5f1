"""What happened, in the library's own words: one record for each thing that becomes a span.

Instrumentations, decorators and dialect readers only fill these dataclasses; only `spans` knows how
they look on the wire and only `accounting` knows what they mean for money. A field that is `None` is
unknown or was not asked for; it is never a stand-in for zero. Records are compared by identity, their
values (`Usage`, `Cost`) by what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

__all__ = [
    "AgentRun",
    "Cost",
    "Ending",
    "Message",
    "ModelCall",
    "Operation",
    "Record",
    "Retrieval",
    "Session",
    "ToolCall",
    "Usage",
    "usage_of",
]

Message = dict[str, Any]
"""One chat message in the conventions' shape: `{"role": str, "parts": [{"type": str, ...}]}`."""

Ending = Literal["complete", "error", "cancelled", "closed", "abandoned", "interrupted"]
"""Why a call ended: only `error` is an error; a caller may close or abandon a stream at will, and a
framework may interrupt a step to go on with it later."""


@dataclass
class Usage:
    """Token counts of one model call, in the conventions' normal form.

    `input_tokens` includes cached reads, cache writes and every modality; `output_tokens` includes
    reasoning. The other counts are subsets of these two and are never added to them. `None` means
    that the provider did not say, which is not the same as 0.

    Source: OpenTelemetry GenAI semantic conventions, `gen_ai.usage.*`.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_write_1h_input_tokens: int | None = None
    """Part of `cache_write_input_tokens` that is kept for one hour instead of five minutes."""
    reasoning_output_tokens: int | None = None
    text_input_tokens: int | None = None
    text_output_tokens: int | None = None
    text_cache_read_input_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    audio_cache_read_input_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    image_cache_read_input_tokens: int | None = None
    web_searches: int | None = None
    """Web searches the provider ran and bills apart from tokens."""


def usage_of(counts: Mapping[str, int | None]) -> Usage:
    """`Usage(**counts)` in a third of the time, since most fields keep the default of the class.

    Args:
        counts: Fields of `Usage`; nothing else.
    """
    usage = Usage.__new__(Usage)
    vars(usage).update(counts)
    return usage


@dataclass(slots=True)
class Cost:
    """What one model call costs in US dollars, or why nobody knows.

    Attributes:
        usd: Exact amount in US dollars; None when the call is unpriced, and then `reason` says why.
        source: Who set the price: `genai-prices`, `correction`, `override`, `hook` or `reported`; or
            `emitter`, where only the instrumentation that recorded the call had an estimate.
        reason: One of the reasons in `otel_agentops.pricing`; None when the call is priced.
        flags: Remarks on an estimate, such as `tier_not_applied`; empty for an exact price.
    """

    usd: Decimal | None
    source: str | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()


@dataclass(eq=False)
class Record:
    """What every record has: its outcome.

    Attributes:
        error_type: Qualified name of the exception that the user saw, or the provider's code; None
            when the user saw no exception.
        error_message: The exception's message; it becomes the span's status description.
        ending: Why it ended; None while it runs.
        step: Its place in what the agent did so far, for the accounting; None where nobody looks.
        findings: What was found wrong with it; None if nothing was.
        budget: What may be spent in it; None for no limit of its own.
        held: What it holds of the budgets around it while it is on its way.
    """

    kind: ClassVar[str] = ""

    error_type: str | None = field(default=None, kw_only=True)
    error_message: str | None = field(default=None, kw_only=True)
    ending: Ending | None = field(default=None, kw_only=True)
    step: Any = field(default=None, kw_only=True, compare=False)
    findings: list[Any] | None = field(default=None, kw_only=True, compare=False)
    budget: Any = field(default=None, kw_only=True, compare=False)
    held: Any = field(default=None, kw_only=True, compare=False)


@dataclass(init=False, eq=False)
class ModelCall(Record):
    """One inference, embedding or fetch request to a model provider.

    Attributes:
        provider: `gen_ai.provider.name`; None when it cannot be known, and then there is no price.
        request_model: The model the caller asked for.
        operation: `chat`, `text_completion`, `generate_content`, `embeddings` or `fetch_response`.
        service_tier: The tier the provider says it served, which decides the price.
        processing: `batch` for calls billed as a batch.
        inference_geo: Region the caller asked the inference to stay in, where it is billed apart.
        first_chunk_s: Seconds from the start of the call to the first chunk of a stream.
        digest: Keyed digest of what was sent (32 hex digits); equal digests mean equal prompts.
        input_bytes: About how many bytes are sent; None where nobody measured.
        reported_cost_usd: What the provider or gateway itself says the call costs; it wins.
        emitter_cost_usd: What another instrumentation that recorded the call estimated it to cost.
        invalid_usage: Whether what was recorded as token counts cannot be any; `usage` is then None.
        flags: Remarks on how the record was read, which make its cost an estimate.
        duplicate: Whether another record of the same call was counted already; this one costs nothing.
        shows_prompt: Whether it is the first record of its call that has a digest, though not the first.
        spent: Whether it was counted already, without a span; this one only learns what it costs.
        counted: The part of `usage` that is counted here, where calls inside explain the rest; None
            for all of it.
        cache_hit: True when a cache of the framework answered instead of the provider; costs nothing.
        takes_back: How many calls without usage were counted inside, of which this is the usage.
        place: Where it stands among the live spans; belongs to `accounting`.
        capture: Whether messages are kept; set before the request is read.
        scratch: For the reader of a stream, between one chunk and the next.
        span_id: Its span, where somebody else made that; 0 for our own, and without an SDK.
        trace_id: The trace of that span.
    """

    kind: ClassVar[str] = "model_call"

    provider: str | None = None
    request_model: str | None = None
    operation: str = "chat"

    server_address: str | None = None
    server_port: int | None = None
    api_type: str | None = None
    conversation_id: str | None = None
    output_type: str | None = None
    choice_count: int | None = None
    seed: int | None = None
    stream: bool | None = None
    top_k: int | None = None
    top_p: float | None = None
    temperature: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] | None = None
    reasoning_level: str | None = None
    previous_response_id: str | None = None
    stream_cursor: str | None = None
    request_service_tier: str | None = None
    encoding_formats: tuple[str, ...] | None = None
    dimension_count: int | None = None
    processing: str | None = None
    inference_geo: str | None = None

    response_model: str | None = None
    response_id: str | None = None
    response_status: str | None = None
    finish_reasons: tuple[str, ...] | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    first_chunk_s: float | None = None
    reported_cost_usd: Decimal | None = None
    emitter_cost_usd: Decimal | None = None
    invalid_usage: bool = False
    flags: tuple[str, ...] = ()
    duplicate: bool = False
    shows_prompt: bool = False
    spent: bool = False
    counted: Usage | None = None
    takes_back: int = 0
    place: Any = None

    system_instructions: list[dict[str, Any]] | None = None
    input_messages: list[Message] | None = None
    output_messages: list[Message] | None = None
    tool_definitions: list[dict[str, Any]] | None = None

    digest: str | None = None
    input_bytes: int | None = None
    cost: Cost | None = None
    cache_hit: bool | None = None

    capture: bool = False
    scratch: Any = None
    span_id: int = 0
    trace_id: int = 0

    def __init__(
        self,
        provider: str | None = None,
        request_model: str | None = None,
        operation: str = "chat",
        **fields: Any,
    ) -> None:
        # written out, and without slots: most fields keep the default of the class, for every call
        self.provider = provider
        self.request_model = request_model
        self.operation = operation
        for name, value in fields.items():
            setattr(self, name, value)


@dataclass(slots=True, eq=False)
class ToolCall(Record):
    """One execution of a tool on the client's side.

    Attributes:
        arguments: What the tool was called with; written only when content capture is on.
        result: What it returned; written only when content capture is on.
        cost_usd: What the execution itself costs in US dollars, apart from any model call in it.
        digest: Keyed digest of name and arguments; None where they are unknown.
        repeatable: Whether calling it alike again and again is as it should be.
    """

    kind: ClassVar[str] = "tool"

    name: str
    tool_type: str | None = "function"
    description: str | None = None
    call_id: str | None = None
    arguments: Any = None
    result: Any = None
    cost_usd: Decimal | None = None
    digest: str | None = None
    repeatable: bool = False


@dataclass(slots=True, eq=False)
class AgentRun(Record):
    """One agent's turn.

    Attributes:
        conversation_id: A real id of a message thread, if the framework has one; never invented.
    """

    kind: ClassVar[str] = "agent"

    name: str | None = None
    description: str | None = None
    conversation_id: str | None = None


@dataclass(slots=True, eq=False)
class Operation(Record):
    """A named step of the application that is neither an agent, a tool nor a model call.

    Attributes:
        workflow: Whether it is a composition of steps that the conventions call a workflow (a graph, a
            crew) rather than a single step.
        conversation_id: A real id of a message thread, if the framework has one; never invented.
    """

    kind: ClassVar[str] = "operation"

    name: str | None
    workflow: bool = False
    conversation_id: str | None = None


@dataclass(slots=True, eq=False)
class Retrieval(Record):
    """One search for documents.

    Attributes:
        source: What is searched; a stable name, no address.
        model: The embedding model, where it is known.
        query: What was searched for; written only when content capture is on.
        documents: What was found, as `{"id": …, "score": …}`; written only when content capture is on.
    """

    kind: ClassVar[str] = "retrieval"

    source: str | None
    model: str | None = None
    query: str | None = None
    documents: list[dict[str, Any]] | None = None


@dataclass(slots=True, eq=False)
class Session(Record):
    """One run of the application from the user's point of view.

    Attributes:
        session_id: Groups the spans of one run; also finds the running totals again when the same
            session goes on in another request.
        conversation_id: A real id of a message thread, if the application has one; never invented.
        outcome: What the application says became of the run (`success`, `failure`, ...), lower case.
        given: Whether the application gave the id, so that the run may go on in another request.
        loops: What to do about loops: `warn`, `raise` or `off`; None leaves it to the settings.
        loop_limits: Finding -> how often is too often; what is left out is as in the settings.
    """

    kind: ClassVar[str] = "session"

    name: str | None
    session_id: str
    user_id: str | None = None
    conversation_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str | bool | int | float] = field(default_factory=dict)
    outcome: str | None = None
    given: bool = False
    loops: str | None = None
    loop_limits: dict[str, int] = field(default_factory=dict)
