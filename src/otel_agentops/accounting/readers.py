"""Foreign spans as records: what an emitter wrote about a model call, read by the tables of its dialect.

Whatever an attribute holds, reading it never fails: what is no count is no count, and says so in
`ModelCall.invalid_usage`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from otel_agentops.accounting.normal import normalise
from otel_agentops.accounting.packed import unpack
from otel_agentops.records import ModelCall, usage_of
from otel_agentops.semconv import AI_MARKS, dialects, emitters, maker_of, provider_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "MODEL_OPERATIONS",
    "PRICE_INPUTS",
    "RELATED",
    "is_boundary",
    "learn",
    "model_call",
    "model_operation",
    "prompt_of",
]

MODEL_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""Operations that are billed; agent, tool and workflow spans repeat what is inside them."""

_TEXT, _COUNT, _COST, _PACKED, _HIT, _HEADER = range(6)


def _rows() -> Iterator[tuple[str, tuple[int, str, int]]]:
    for kind, table in ((_TEXT, dialects.TEXTS), (_COUNT, dialects.COUNTS + dialects.MODALITIES)):
        for field, names in table:
            if field != "provider":  # read apart: some of its names hold frameworks
                yield from ((name, (kind, field, rank)) for rank, name in enumerate(names))
    yield from ((name, (_COST, name, rank)) for rank, name in enumerate(dialects.COSTS))
    yield from ((name, (_COST, name, -1)) for _, name in emitters.REPORTED if name != "*")
    yield from ((name, (_PACKED, name, 0)) for name in dialects.PACKED)
    yield from ((name, (_HIT, name, 0)) for name in emitters.CACHE_HITS)


_NAMES: dict[str, tuple[int, str, int]] = dict(_rows())
"""Attribute -> what kind of thing it holds, for which field, and how much it is preferred (least first)."""

_KINDS = frozenset(name for name, _ in dialects.KINDS)
_MARKS = _KINDS.union(*dialects.IMPLICIT)

_PROVIDERS = next(names for field, names in dialects.TEXTS if field == "provider")

PRICE_INPUTS = _MARKS.union(_NAMES, _PROVIDERS)
"""Attributes that decide whether and at what price a call is counted."""


def model_operation(attributes: Mapping[str, Any]) -> str | None:
    """Which of `MODEL_OPERATIONS` a span with these attributes is; None if it is no model call."""
    if _MARKS.isdisjoint(attributes):
        return None
    for name, values in dialects.KINDS:
        value = attributes.get(name)
        if value is not None:
            return values.get(value.strip('"')) if isinstance(value, str) else None
    if all(not names.isdisjoint(attributes) for names in dialects.IMPLICIT):
        return "chat"
    return None


RELATED = AI_MARKS.union(_MARKS, (name for name, _ in dialects.BOUNDARIES))
"""A span without any of these tells of no model, tool or agent, as most do."""


def is_boundary(attributes: Mapping[str, Any]) -> bool:
    """Whether a span is a tool, an agent or the like: calls inside it are no part of a call around it."""
    return any(attributes.get(name) in values for name, values in dialects.BOUNDARIES)


def model_call(attributes: Mapping[str, Any], scope: str = "") -> ModelCall | None:
    """The model call that a span with these attributes describes; None if it describes none.

    Args:
        attributes: As the emitter wrote them; a plain dict is read fastest.
        scope: Name of the emitter's instrumentation scope, which decides what its counts mean.
    """
    operation = model_operation(attributes)
    if operation is None:
        return None
    reading = _Reading(attributes)
    call = ModelCall(None, None, operation)
    vars(call).update(reading.texts)
    call.provider, named = _provider(attributes)
    if call.provider is None and named:
        call.provider = maker_of(call.request_model or call.response_model or "")
        call.flags = ("provider_from_model",) if call.provider else ()
    _usage(call, reading, scope)
    _cost(call, reading, scope)
    if call.usage is None and not call.error_type and _only_starts_a_stream(attributes, scope):
        return None
    call.ending = "error" if call.error_type else "complete"
    return call


class _Reading:
    """What the names of a span say, each field by its most preferred name."""

    __slots__ = ("_ranks", "cache_hit", "costs", "counts", "invalid", "packed", "texts")

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.texts: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.costs: list[tuple[int, str, Any]] = []
        self.packed: list[tuple[str, str]] = []
        self.invalid = False
        self.cache_hit = False
        self._ranks: dict[str, int] = {}
        find, ranks = _NAMES.get, self._ranks
        for name, value in attributes.items():
            row = find(name)
            if row is None:
                continue
            kind, field, rank = row
            if kind != _TEXT and not (kind == _COUNT and type(value) is int and 0 <= value <= _MOST):
                _READ[kind](self, field, rank, value)
            elif field not in ranks or ranks[field] > rank:  # most of them
                if kind == _COUNT:
                    ranks[field], self.counts[field] = rank, value
                elif isinstance(value, str) and value:
                    ranks[field] = rank
                    self.texts[field] = value if value[0] != '"' else value.strip('"')
        for name, text in self.packed:
            unpack(name, text, self)

    def _first(self, field: str, rank: int) -> bool:
        known = self._ranks.get(field)
        if known is not None and known <= rank:
            return False
        self._ranks[field] = rank
        return True

    def count(self, field: str, rank: int, value: Any) -> None:
        """A count; what is none makes the whole usage invalid."""
        number = _number(value)
        if number is None:
            self.invalid = self.invalid or field != "total_tokens"
        elif self._first(field, rank):
            self.counts[field] = number

    def cost(self, field: str, rank: int, value: Any) -> None:
        """An amount in US dollars, also as text or in a list, as headers have it."""
        self.costs.append((rank, field, value))

    def json(self, field: str, _rank: int, value: Any) -> None:
        """A JSON text, for later: plain names win."""
        if isinstance(value, str):
            self.packed.append((field, value))

    def hit(self, _field: str, _rank: int, value: Any) -> None:
        """Whether a gateway answered from its cache."""
        word = value[0] if isinstance(value, tuple | list) and value else value
        self.cache_hit = self.cache_hit or word is True or str(word).lower() == "true"


_READ = {
    _COUNT: _Reading.count,
    _COST: _Reading.cost,
    _PACKED: _Reading.json,
    _HIT: _Reading.hit,
}

_MOST = 10**12
"""More tokens than this no call has."""


def _number(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= _MOST else None
    if isinstance(value, float) and 0 <= value <= _MOST and value.is_integer():
        return int(value)
    return None


def _provider(attributes: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Who answered, and whether at least somebody was named."""
    named = False
    for name in _PROVIDERS:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            named = True
            if (provider := provider_name(value.strip('"'))) is not None:
                return provider, True
    return None, named


def _usage(call: ModelCall, reading: _Reading, scope: str) -> None:
    if reading.invalid:
        call.invalid_usage = True
        return
    counts = reading.counts
    total = counts.pop("total_tokens", None)
    if counts:
        call.usage = usage = usage_of(counts)
        if normalise(usage, total, call.provider, emitters.counting(scope, call.provider)):
            call.flags = (*call.flags, "usage_normalized")


def _cost(call: ModelCall, reading: _Reading, scope: str) -> None:
    if not reading.costs and not reading.cache_hit:
        return
    if reading.cache_hit:
        call.reported_cost_usd = Decimal(0)
        call.flags = (*call.flags, "cache_hit")
        return
    for _, name, value in sorted(reading.costs, key=_rank):
        usd = _dollars(value)
        if usd is None:
            continue
        if name == "reported" or emitters.reports(scope, name):
            call.reported_cost_usd = usd
            return
        if call.emitter_cost_usd is None:
            call.emitter_cost_usd = usd


def _rank(found: tuple[int, str, Any]) -> int:
    return found[0]


_MOST_USD = 1_000_000


def _dollars(value: Any) -> Decimal | None:
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 40:
        return None
    try:
        usd = Decimal(str(value))
    except ArithmeticError:
        return None
    return usd if usd.is_finite() and 0 <= usd <= _MOST_USD else None


_ANSWERS = frozenset({"gen_ai.response.id", "gen_ai.output.messages", "response_data"})


def _only_starts_a_stream(attributes: Mapping[str, Any], scope: str) -> bool:
    return scope.startswith(emitters.STREAM_STARTS) and _ANSWERS.isdisjoint(attributes)


_FIRST_PARTS = frozenset(
    f"{prefix}0.{part}"
    for prefix in dialects.PROMPT_PREFIXES
    for part in ("role", "content", "message.role", "message.content")
)


_CONTENT = _FIRST_PARTS.union(dialects.PROMPTS)


def prompt_of(attributes: Mapping[str, Any]) -> list[Any]:
    """What the span says was sent to the model, for its digest; empty where it has no content."""
    if _CONTENT.isdisjoint(attributes):
        return []
    parts = [attributes[name] for name in dialects.PROMPTS[:2] if name in attributes]
    if parts:
        return parts
    if not _FIRST_PARTS.isdisjoint(attributes):
        return [
            (name, value) for name, value in attributes.items() if name.startswith(dialects.PROMPT_PREFIXES)
        ]
    return [attributes[name] for name in dialects.PROMPTS if name in attributes][:1]


_LEARNED = (
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "server_address",
    "api_type",
    "service_tier",
    "processing",
    "inference_geo",
    "usage",
    "reported_cost_usd",
)


def learn(call: ModelCall, inner: ModelCall) -> None:
    """Fill what a span leaves open about its call with what we saw of the same call inside."""
    for field in _LEARNED:
        if getattr(call, field) is None:
            setattr(call, field, getattr(inner, field))
    if call.usage is not None and call.usage is inner.usage:
        call.invalid_usage = False
    call.digest, call.step, call.findings = inner.digest, inner.step, inner.findings
    call.held = inner.held
