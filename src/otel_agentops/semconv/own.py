"""Our own names: everything `otel_agentops.*` that is ever written, each with its meaning.

Nothing here lies under `gen_ai.usage.*`, because back ends bill every number they find there; the one
exception is `gen_ai.usage.cost`, which several of them read.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["OWN", "Name"]


class Name(NamedTuple):
    """One attribute of ours.

    Attributes:
        name: The attribute; a trailing `*` stands for a key of the user's.
        type: `string`, `int`, `double`, `bool` or `string[]`.
        unit: Unit in UCUM; empty for names, flags and texts.
        writer: On which spans it is written, and when.
    """

    name: str
    type: str
    unit: str
    writer: str


SPAN_KIND = "otel_agentops.span.kind"
ENDING = "otel_agentops.ending"
COST = "gen_ai.usage.cost"
COST_443 = ("gen_ai.usage.cost.amount", "gen_ai.usage.cost.currency", "gen_ai.usage.cost.source")
COST_SOURCE = "otel_agentops.cost.source"
COST_STATUS = "otel_agentops.cost.status"
COST_REASON = "otel_agentops.cost.reason"
COST_FLAGS = "otel_agentops.cost.flags"
EMITTER_USD = "otel_agentops.cost.emitter_usd"
DUPLICATE = "otel_agentops.duplicate"
DIGEST = "otel_agentops.input.digest"
CACHE_HIT = "otel_agentops.cache_hit"
TOOL_COST = "otel_agentops.tool.cost_usd"
LATE_CALLS = "otel_agentops.late_calls"
OUTCOME = "otel_agentops.session.outcome"
TAGS = "otel_agentops.tags"
METADATA = "otel_agentops.metadata."
PROCESSING = "otel_agentops.request.processing"
INFERENCE_GEO = "otel_agentops.request.inference_geo"
WEB_SEARCHES = "otel_agentops.usage.web_searches"
CACHE_WRITE_1H = "otel_agentops.usage.cache_creation_1h_input_tokens"
CACHE_READ = "otel_agentops.usage.cache_read_input_tokens"
CACHE_CREATION = "otel_agentops.usage.cache_creation_input_tokens"
REASONING = "otel_agentops.usage.reasoning_output_tokens"
FINDING_KINDS = "otel_agentops.finding.kinds"
FINDING_KIND = "otel_agentops.finding.kind"
FINDING_NAME = "otel_agentops.finding.name"
FINDING_COUNT = "otel_agentops.finding.count"
FINDING_FIRST = "otel_agentops.finding.first_span_id"
FINDING_LAST = "otel_agentops.finding.last_span_id"
FINDING_EVENT = "otel_agentops.finding"
TOTAL = "otel_agentops.total."
DOING = "otel_agentops.doing"
SHORTENED = "otel_agentops.content.shortened"
SESSION_ID = "session.id"
USER_ID = "user.id"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION_ID = "gen_ai.conversation.id"

_SCOPES = "sessions, agents, operations, tools and retrievals in which anything was counted"

OWN: tuple[Name, ...] = (
    Name(COST, "double", "{USD}", "model calls with a known price"),
    Name(COST_443[0], "double", "{USD}", "instead of the former with `cost_names='otel-443'`"),
    Name(COST_443[1], "string", "", "`USD`, with the former"),
    Name(COST_443[2], "string", "", "`provider` if the answer said it, else `local`"),
    Name(COST_SOURCE, "string", "", "priced model calls: who set the price"),
    Name(COST_STATUS, "string", "", "model calls: `priced`, `estimated` (see the flags) or `unpriced`"),
    Name(COST_REASON, "string", "", "unpriced model calls: why"),
    Name(COST_FLAGS, "string[]", "", "estimated model calls: what the price leaves out"),
    Name(
        EMITTER_USD,
        "double",
        "{USD}",
        "model calls of other instrumentations that wrote a cost: what they estimated",
    ),
    Name(
        DUPLICATE,
        "bool",
        "",
        "model calls that are counted on another span already, inside or beside this one: `true`",
    ),
    Name(DIGEST, "string", "", "model calls: keyed digest of what was sent; equal means the same prompt"),
    Name(CACHE_HIT, "bool", "", "model calls that a cache of the framework answered; they cost nothing"),
    Name(ENDING, "string", "", "early ends: `cancelled`, `closed`, `abandoned` or `interrupted`"),
    Name(SPAN_KIND, "string", "", "`operation` on operations, also where the conventions say workflow"),
    Name(TOOL_COST, "double", "{USD}", "tools that cost something by themselves"),
    Name(LATE_CALLS, "int", "{call}", "open scopes around one that ended before a call inside it did"),
    Name(OUTCOME, "string", "", "sessions that were given an outcome"),
    Name(TAGS, "string[]", "", "every span inside a session that has tags"),
    Name(METADATA + "*", "any", "", "sessions with metadata"),
    Name(PROCESSING, "string", "", "`batch` on calls billed as a batch"),
    Name(INFERENCE_GEO, "string", "", "calls whose region is billed apart"),
    Name(WEB_SEARCHES, "int", "{search}", "calls during which the provider searched the web"),
    Name(CACHE_READ, "int", "{token}", "calls in profile `1.36`, whose version has no name for it"),
    Name(CACHE_CREATION, "int", "{token}", "calls in profile `1.36`, as above"),
    Name(REASONING, "int", "{token}", "calls in profile `1.36`, as above"),
    Name(CACHE_WRITE_1H, "int", "{token}", "calls that wrote to the one-hour cache"),
    Name(SHORTENED, "int", "{character}", "spans whose content was longer than the limit: what was left out"),
    Name(FINDING_KINDS, "string[]", "", "spans on which something was found to be wrong: what"),
    Name(FINDING_COUNT, "int", "{call}", "with the former: how often it happened by then, of the first kind"),
    Name(FINDING_FIRST, "string", "", "with the former: span on which it began"),
    Name(
        FINDING_LAST, "string", "", "with the former, and the same on events: span on which it was seen last"
    ),
    Name(FINDING_KIND, "string", "", "events `otel_agentops.finding` on the session: what was found"),
    Name(FINDING_NAME, "string", "", "the same events: the model or tool"),
    Name(DOING, "string", "", "the metric of our own failures: what this library was doing"),
    Name(TOTAL + "cost_usd", "double", "{USD}", _SCOPES),
    Name(TOTAL + "input_tokens", "int", "{token}", _SCOPES),
    Name(TOTAL + "output_tokens", "int", "{token}", _SCOPES),
    Name(TOTAL + "model_calls", "int", "{call}", _SCOPES),
    Name(TOTAL + "tool_calls", "int", "{call}", _SCOPES),
    Name(TOTAL + "errors", "int", "{call}", _SCOPES),
    Name(TOTAL + "unpriced_calls", "int", "{call}", "scopes with calls whose cost is not in the total"),
)
