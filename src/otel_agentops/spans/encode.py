"""Records as span names and attributes, by the tables of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from otel_agentops.failsafe import swallowed
from otel_agentops.messages import json_or_text, settled
from otel_agentops.records import AgentRun, ModelCall, Retrieval, Session, ToolCall
from otel_agentops.semconv import START_FIELDS, own
from otel_agentops.spans.exceptions import attributes_of
from otel_agentops.spans.json_text import to_json
from otel_agentops.spans.redact import Redactor
from otel_agentops.spans.scope_starts import SCOPE_START
from otel_agentops.spans.shorten import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_agentops.accounting import Finding, Ledger, Scope
    from otel_agentops.records import Cost, Record
    from otel_agentops.semconv import Profile

__all__ = ["Encoder"]

Attributes = dict[str, Any]

_OPENAI_PROVIDERS = frozenset({"openai", "azure.ai.openai", "azure.ai.inference"})
"""The conventions define `openai.*` for these; on others' spans it would name the wrong vendor."""


_FOREIGN = (
    ("operation", "gen_ai.operation.name"),
    ("provider", "gen_ai.provider.name"),
    ("request_model", "gen_ai.request.model"),
    ("response_model", "gen_ai.response.model"),
    ("response_id", "gen_ai.response.id"),
    ("digest", own.DIGEST),
)
"""What is added to other instrumentations' spans where it is missing, besides usage and cost."""

_WRITTEN = "gen_ai.usage.cache_%s.input_tokens"
_SPELT = {_WRITTEN % "write": _WRITTEN % "creation", _WRITTEN % "creation": _WRITTEN % "write"}
"""Two versions' names of one count: back ends would bill a second one."""


class _Table:
    """Rows of (field, attribute), written in their order; fields that are None are left out."""

    __slots__ = ("_names", "_read")

    def __init__(self, rows: tuple[tuple[str, str], ...]) -> None:
        self._names = tuple(name for _, name in rows)
        self._read: Callable[[Any], tuple[Any, ...]] = attrgetter(*(field for field, _ in rows))

    def into(self, attributes: Attributes, record: Any) -> None:
        """Write what the record has."""
        for name, value in zip(self._names, self._read(record), strict=True):
            if value is not None:
                attributes[name] = value


class _Sparse(_Table):
    """A long table of which most records have few fields, in the order in which those were set.

    A record without slots holds just the fields that were set, so it is gone through instead of the table.
    """

    __slots__ = ("_by_field",)

    def __init__(self, rows: tuple[tuple[str, str], ...]) -> None:
        super().__init__(rows)
        self._by_field = dict(rows)

    def into(self, attributes: Attributes, record: Any) -> None:
        """Write what the record has."""
        names = self._by_field
        for field, value in vars(record).items():
            if value is not None and field in names:
                attributes[names[field]] = value

    def missing(self, attributes: Attributes, record: Any, known: Mapping[str, Any]) -> None:
        """Write what the record has and a span lacks, under any version's name."""
        names = self._by_field
        for field, value in vars(record).items():
            name = names.get(field)
            if name is not None and name not in known and value is not None and _SPELT.get(name) not in known:
                attributes[name] = value


class Encoder:
    """Turns records into what is written on spans.

    Args:
        profile: The names to write.
        cost_names: `default` or `otel-443`.
        capture_content: Whether messages, arguments and results are written; `findings`: only of calls
            with which something is wrong.
        redact: What is taken out of them and of error messages; see `Redactor`.
        limit: Characters of one content attribute; None for no limit.
    """

    def __init__(
        self,
        profile: Profile,
        cost_names: str,
        capture_content: bool | str,
        redact: Iterable[Any] = (),
        limit: int | None = None,
    ) -> None:
        self.profile = profile
        self.capture_content = bool(capture_content)
        self._only_found = capture_content == "findings"
        self.redactor = Redactor(redact)
        self._limit = limit
        self._cost_443 = cost_names == "otel-443"
        later = tuple(row for row in profile.request if row[0] not in START_FIELDS)
        self._start = _Table(tuple(row for row in profile.request if row[0] in START_FIELDS))
        self._end = {
            True: _Sparse(later + profile.response),
            False: _Sparse(
                tuple(row for row in later + profile.response if not row[1].startswith("openai."))
            ),
        }
        self._fetch = _Table(profile.fetch)
        self._usage = _Table(profile.usage)
        self._more_usage = _Sparse(profile.usage)
        self._content = profile.content
        self._foreign = _Sparse(tuple(row for row in _FOREIGN if row in profile.request + profile.response))

    # --- model calls ---

    def call_start(self, call: ModelCall, stamps: Attributes) -> tuple[str, Attributes]:
        """Span name and the attributes that samplers look at."""
        attributes = dict(stamps)
        if call.operation == "embeddings":
            attributes.pop(own.CONVERSATION_ID, None)
        self._start.into(attributes, call)
        if call.operation == "fetch_response":
            attributes.pop("gen_ai.request.model", None)
            return call.operation, attributes
        name = f"{call.operation} {call.request_model}" if call.request_model else call.operation
        return name, attributes

    def call_end(self, call: ModelCall) -> Attributes:
        """Everything else, the most important last."""
        attributes: Attributes = {}
        if self.capture_content and (call.findings or not self._only_found):
            self._write_content(call, attributes)
        if call.operation == "fetch_response":
            self._fetch.into(attributes, call)
            _ending(call, attributes)
            return attributes
        self._end[call.provider in _OPENAI_PROVIDERS].into(attributes, call)
        _ending(call, attributes)
        if call.usage is not None:
            self._usage.into(attributes, call.usage)
        if call.findings:
            self.findings(call.findings, attributes)
        if call.duplicate:
            attributes[own.DUPLICATE] = True
        elif call.cost is not None:
            self.cost(call.cost, attributes)
        return attributes

    def events(self, _record: Record) -> Iterable[tuple[str, Attributes]]:
        """Events to add before the span ends: name and attributes. For profiles that write messages so."""
        return ()

    def foreign(self, call: ModelCall, known: Mapping[str, Any], complete: bool) -> Attributes:
        """What another instrumentation's span lacks.

        Args:
            call: What was read from it, after the accounting.
            known: What is on it; only a cost among this is ever written anew.
            complete: Whether names of the conventions are added, too; not only the cost.
        """
        found: Attributes = {}
        if complete and not call.duplicate:  # a second span with the same counts would be billed again
            self._foreign.missing(found, call, known)
            if call.usage is not None:
                self._more_usage.missing(found, call.usage, known)
        if call.emitter_cost_usd is not None:
            found[own.EMITTER_USD] = float(call.emitter_cost_usd)
        if call.duplicate:
            found[own.DUPLICATE] = True
            if own.COST in known:  # the emitter's estimate would be added up with the counted one
                found[own.COST] = 0.0
        elif call.cost is not None:
            self.cost(call.cost, found)
        if call.findings:
            self.findings(call.findings, found)
        return found

    def _write_content(self, call: ModelCall, attributes: Attributes) -> None:
        found: dict[str, str] = {}
        for field, name in self._content:
            value = getattr(call, field)
            if value:
                try:
                    found[name] = to_json(value)
                except Exception as error:  # noqa: BLE001 - one unreadable message must not cost the span
                    swallowed(f"writing {name}", error)
        # all at once, as nearly all are clean
        if self._limit is None and not self.redactor.suspects("\n".join(found.values())):
            attributes.update(found)
            return
        for name, text in found.items():
            self._content_into(attributes, name, text, plain=True)

    def _content_into(self, attributes: Attributes, name: str, value: Any, plain: bool = False) -> None:
        try:
            text = self.redactor.text(value if plain else to_json(value))
        except Exception as error:  # noqa: BLE001 - as above
            swallowed(f"writing {name}", error)
            return
        if self._limit is not None and len(text) > self._limit:
            short = shorten(text, self._limit)
            attributes[own.SHORTENED] = attributes.get(own.SHORTENED, 0) + len(text) - len(short)
            text = short
        attributes[name] = text

    def findings(self, findings: list[Finding], attributes: Attributes) -> None:
        """What is wrong with a span; the evidence is that of the first finding."""
        attributes[own.FINDING_KINDS] = tuple(dict.fromkeys(finding.kind for finding in findings))
        first = findings[0]
        attributes[own.FINDING_COUNT] = first.count
        for name, span_id in (
            (own.FINDING_FIRST, first.first_span_id),
            (own.FINDING_LAST, first.last_span_id),
        ):
            if span_id is not None:
                attributes[name] = span_id

    def finding_event(self, finding: Finding) -> Attributes:
        """A finding as an event on the session."""
        found = {
            own.FINDING_KIND: finding.kind,
            own.FINDING_NAME: finding.name,
            own.FINDING_COUNT: finding.count,
            own.FINDING_FIRST: finding.first_span_id,
            own.FINDING_LAST: finding.last_span_id,
        }
        return {name: value for name, value in found.items() if value is not None}

    def cost(self, cost: Cost, attributes: Attributes) -> None:
        """Cost and its provenance; an unknown price writes no number."""
        if cost.usd is None:
            attributes[own.COST_STATUS] = "unpriced"
            attributes[own.COST_REASON] = cost.reason or "unknown"
            return
        attributes[own.COST_SOURCE] = cost.source
        attributes[own.COST_STATUS] = "estimated" if cost.flags else "priced"
        if cost.flags:
            attributes[own.COST_FLAGS] = cost.flags
        if self._cost_443:
            amount, currency, source = own.COST_443
            attributes[currency] = "USD"
            attributes[source] = "provider" if cost.source == "reported" else "local"
            attributes[amount] = float(cost.usd)
        else:
            attributes[own.COST] = float(cost.usd)

    def exception(self, error: BaseException) -> dict[str, str]:
        """Attributes of an exception's event."""
        return attributes_of(error, self.redactor.text)

    # --- scopes ---

    def scope_start(self, record: Record, stamps: Attributes) -> tuple[str, Attributes]:
        """Span name and attributes known when the scope opens."""
        attributes = dict(stamps)
        name = SCOPE_START[type(record)](record, attributes)
        return name, attributes

    def scope_end(self, record: Record, scope: Scope) -> Attributes:
        """Outcome and totals."""
        attributes: Attributes = {}
        if isinstance(record, ToolCall):
            self._tool_end(record, attributes)
        elif isinstance(record, Retrieval):
            self._retrieval_end(record, attributes)
        elif isinstance(record, Session) and record.outcome:
            attributes[own.OUTCOME] = record.outcome
        elif isinstance(record, AgentRun) and self.profile.agent_provider:
            attributes["gen_ai.provider.name"] = scope.provider or "otel_agentops"
        _ending(record, attributes)
        if record.findings:
            self.findings(record.findings, attributes)
        _totals(scope.ledger, attributes)
        return attributes

    def _tool_end(self, tool: ToolCall, attributes: Attributes) -> None:
        if self.capture_content and (tool.findings or not self._only_found):
            for name, value in (
                ("gen_ai.tool.call.arguments", tool.arguments),
                ("gen_ai.tool.call.result", tool.result),
            ):
                if value is not None:
                    self._content_into(attributes, name, _as_object(value))
        if tool.cost_usd is not None:
            attributes[own.TOOL_COST] = float(tool.cost_usd)

    def _retrieval_end(self, record: Retrieval, attributes: Attributes) -> None:
        if self.capture_content:
            if record.query is not None:
                self._content_into(attributes, "gen_ai.retrieval.query.text", record.query, plain=True)
            if record.documents is not None:
                self._content_into(attributes, "gen_ai.retrieval.documents", record.documents)


def _as_object(value: Any) -> Any:
    """The conventions want an object; a JSON text of one is read, any other value gets a name."""
    if isinstance(value, str):
        value = json_or_text(value)
    fields = isinstance(value, Mapping) or hasattr(value, "model_dump") or is_dataclass(value)
    return settled(value) if fields else {"result": settled(value)}


def _ending(record: Record, attributes: Attributes) -> None:
    if record.error_type is not None:
        attributes["error.type"] = record.error_type
    elif record.ending is not None and record.ending != "complete":
        attributes[own.ENDING] = record.ending


def _totals(ledger: Ledger, attributes: Attributes) -> None:
    if ledger.empty:
        return
    attributes[own.TOTAL + "input_tokens"] = ledger.input_tokens
    attributes[own.TOTAL + "output_tokens"] = ledger.output_tokens
    attributes[own.TOTAL + "model_calls"] = ledger.model_calls
    attributes[own.TOTAL + "tool_calls"] = ledger.tool_calls
    attributes[own.TOTAL + "errors"] = ledger.errors
    if ledger.unpriced_calls:
        attributes[own.TOTAL + "unpriced_calls"] = ledger.unpriced_calls
    if ledger.late_calls:
        attributes[own.LATE_CALLS] = ledger.late_calls
    attributes[own.TOTAL + "cost_usd"] = float(ledger.cost_usd)
