"""OpenAI's answers read into records: whole ones, and streams part by part; Responses apart.

Every field may be missing or odd (compatible servers leave things out), so nothing is assumed beyond
what is looked at.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from otel_agentops.instrumentation.arguments import word
from otel_agentops.messages import asked_tools, fields, get, text_part, tool_call_part
from otel_agentops.records import usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_agentops.records import ModelCall, Usage

__all__ = [
    "chat",
    "chat_chunk",
    "chat_chunks",
    "chat_done",
    "completion",
    "completion_chunk",
    "embeddings",
    "head",
    "usage_into",
]


def _count(value: Any) -> int | None:
    if type(value) is float and value.is_integer():  # compatible servers write 5.0
        value = int(value)
    return value if type(value) is int and value >= 0 else None


_HEAD = (
    ("id", "response_id"),
    ("model", "response_model"),
    ("service_tier", "service_tier"),
    ("system_fingerprint", "system_fingerprint"),
)


def head(call: ModelCall, answer: Any) -> Mapping[str, Any]:
    """Id, model, tier and fingerprint; a later chunk may know more than the first."""
    told = fields(answer)
    for name, field in _HEAD:
        value = told.get(name)
        if isinstance(value, str):
            setattr(call, field, value)
    return told


def _more(thing: Any, name: str) -> Any:
    """A field that the SDK's model does not declare: compatible servers send some."""
    told = fields(thing)
    if name in told:
        return told[name]
    return (getattr(thing, "model_extra", None) or _NOTHING).get(name)


_NOTHING: Mapping[str, Any] = {}


# --- usage ---

_DETAILS = (
    ("cached_tokens", "cache_read_input_tokens", True),
    ("cache_write_tokens", "cache_write_input_tokens", True),
    ("audio_tokens", "audio_input_tokens", False),
    ("image_tokens", "image_input_tokens", False),
)
_OUTPUT_DETAILS = (
    ("reasoning_tokens", "reasoning_output_tokens", True),
    ("audio_tokens", "audio_output_tokens", False),
    ("image_tokens", "image_output_tokens", False),
)


def usage_into(call: ModelCall, told: Any, sent: str, received: str) -> None:
    """Token counts as told; OpenAI's totals include cached and reasoning tokens."""
    if told is None:
        return
    counts = fields(told)
    asked, answered = _count(counts.get(sent + "_tokens")), _count(counts.get(received + "_tokens"))
    if asked is None and answered is None:
        return
    usage = usage_of({"input_tokens": asked, "output_tokens": answered})
    _details(usage, _more(told, sent + "_tokens_details"), _DETAILS)
    _details(usage, _more(told, received + "_tokens_details"), _OUTPUT_DETAILS)
    call.usage = usage
    if call.provider == "openrouter":
        cost = _more(told, "cost")
        if isinstance(cost, int | float):  # the gateway's own bill; repr() keeps the digits of its JSON
            call.reported_cost_usd = Decimal(repr(cost))


def _details(usage: Usage, details: Any, rows: tuple[tuple[str, str, bool], ...]) -> None:
    if details is None:
        return
    parts = fields(details)
    for name, field, zero_says_something in rows:
        if name in parts and ((count := _count(parts[name])) or (count == 0 and zero_says_something)):
            setattr(usage, field, count)


# --- chat completions ---


def chat(call: ModelCall, answer: Any) -> None:
    """A whole `chat.completion`."""
    told = head(call, answer)
    usage_into(call, told.get("usage"), "prompt", "completion")
    choices = [fields(choice) for choice in told.get("choices") or ()]
    call.finish_reasons = reasons = tuple(
        [word(choice.get("finish_reason")) or "error" for choice in choices]
    )
    if call.capture:
        call.output_messages = [
            _chat_message(choice.get("message"), reason)
            for choice, reason in zip(choices, reasons, strict=True)
        ]


def _reason(choice: Any) -> str:
    return word(fields(choice).get("finish_reason")) or "error"


def _chat_message(message: Any, reason: str) -> dict[str, Any]:
    told = fields(message)
    parts: list[dict[str, Any]] = []
    reasoning = _reasoning(message)
    if reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    for name in ("content", "refusal"):
        text = told.get(name)
        if isinstance(text, str):
            parts.append({"type": "text", "content": text})
    if told.get("tool_calls") or told.get("function_call"):
        parts += asked_tools(message)
    role = word(told.get("role")) or "assistant"
    return {"role": role, "parts": parts, "finish_reason": reason}


def _reasoning(message: Any) -> str | None:
    """The reasoning that compatible servers give away, under one of two names."""
    if not getattr(message, "model_extra", None):
        return None
    return word(_more(message, "reasoning_content")) or word(_more(message, "reasoning"))


class _Choice:
    """One choice of a stream under construction."""

    __slots__ = ("add", "reason", "reasoning", "text", "tools")

    def __init__(self) -> None:
        self.reason: str | None = None
        self.text: list[str] = []
        self.add = self.text.append
        self.reasoning: list[str] = []
        self.tools: dict[int, list[Any]] = {}


def chat_chunk(call: ModelCall, part: Any) -> None:
    """One `chat.completion.chunk`; runs for every token, so it looks at little.

    Fields are read from `__dict__`: on the SDK's models that is half the price of an attribute.
    """
    told = part.__dict__
    choices = call.scratch
    if choices is None:
        choices = call.scratch = {}
    if not call.response_id:  # Azure's first chunk has none
        head(call, part)
    if told.get("usage") is not None:
        call.service_tier = told.get("service_tier") or call.service_tier
        usage_into(call, told["usage"], "prompt", "completion")
    for each in told.get("choices") or ():
        seen = each.__dict__
        choice = choices.get(seen["index"])
        if choice is None:
            choice = choices[seen["index"]] = _Choice()
        if call.capture:
            _delta(choice, seen["delta"])
        if seen["finish_reason"] is not None:
            choice.reason = seen["finish_reason"]
            call.service_tier = told.get("service_tier") or call.service_tier


def chat_chunks(call: ModelCall) -> Callable[[Any], object]:
    """Reads the chunks of one stream; a plain piece of text, as nearly all are, on the shortest way."""
    if call.choice_count is not None:
        return partial(chat_chunk, call)
    choice: _Choice | None = None
    add: Callable[[str], object] = _ignore

    def read(part: Any) -> None:
        nonlocal choice, add
        if choice is not None:
            try:
                told = part.__dict__
                (each,) = told["choices"]
                seen = each.__dict__
                text = seen["delta"].__dict__["content"]
                if text and seen["finish_reason"] is None and told["usage"] is None:
                    add(text)
                    return
            except Exception:  # noqa: BLE001, S110 - no plain piece of text, whatever it is
                pass
        chat_chunk(call, part)
        if choice is None and call.scratch:
            choice = next(iter(call.scratch.values()))
            add = choice.add if call.capture else _ignore

    return read


def _ignore(_text: str) -> None:
    """Content is not captured."""


def _delta(choice: _Choice, delta: Any) -> None:
    """Text, tool calls in pieces, refusals, the reasoning of compatible servers."""
    told = fields(delta)
    if told.get("content"):
        choice.add(told["content"])
        return
    for call in told.get("tool_calls") or ():
        function = fields(get(call, "function"))
        piece = choice.tools.setdefault(get(call, "index") or 0, [None, "", []])
        piece[0] = get(call, "id") or piece[0]
        piece[1] = function.get("name") or piece[1]
        piece[2].append(function.get("arguments") or "")
    refusal = told.get("refusal")
    if isinstance(refusal, str):
        choice.text.append(refusal)
    reasoning = _reasoning(delta)
    if reasoning:
        choice.reasoning.append(reasoning)


def chat_done(call: ModelCall) -> None:
    """Put the choices of a stream together; one that broke off has the reason `error`."""
    choices: dict[int, _Choice] | None = call.scratch
    if choices is None:  # no chunk came, or it was no stream after all
        return
    call.scratch = None
    ordered = [choices[index] for index in sorted(choices, key=lambda at: at if _count(at) else 0)]
    if ordered:
        call.finish_reasons = tuple(choice.reason or "error" for choice in ordered)
    if call.capture:
        call.output_messages = [_streamed_message(choice) for choice in ordered]


def _streamed_message(choice: _Choice) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if choice.reasoning:
        parts.append({"type": "reasoning", "content": "".join(choice.reasoning)})
    if choice.text:
        parts.append(text_part("".join(choice.text)))
    for _, (call_id, name, arguments) in sorted(choice.tools.items()):
        parts.append(tool_call_part(call_id, name, "".join(arguments)))
    return {"role": "assistant", "parts": parts, "finish_reason": choice.reason or "error"}


# --- legacy completions and embeddings ---


def completion(call: ModelCall, answer: Any) -> None:
    """A whole `text_completion`."""
    head(call, answer)
    usage_into(call, getattr(answer, "usage", None), "prompt", "completion")
    choices = getattr(answer, "choices", None) or ()
    call.finish_reasons = tuple(_reason(choice) for choice in choices)
    if call.capture:
        call.output_messages = [
            {
                "role": "assistant",
                "parts": [text_part(getattr(choice, "text", None) or "")],
                "finish_reason": _reason(choice),
            }
            for choice in choices
        ]


def completion_chunk(call: ModelCall, part: Any) -> None:
    """One part of a streamed `text_completion`."""
    head(call, part)
    usage_into(call, getattr(part, "usage", None), "prompt", "completion")
    for each in getattr(part, "choices", None) or ():
        choices = call.scratch = call.scratch or {}
        choice = choices.setdefault(getattr(each, "index", 0) or 0, _Choice())
        text = getattr(each, "text", None)
        if call.capture and text:
            choice.text.append(text)
        choice.reason = word(getattr(each, "finish_reason", None)) or choice.reason


def embeddings(call: ModelCall, answer: Any) -> None:
    """A list of embeddings; the vectors themselves are not looked at, apart from one length."""
    call.response_model = word(getattr(answer, "model", None))
    usage_into(call, getattr(answer, "usage", None), "prompt", "completion")
    if call.dimension_count is None:
        data = getattr(answer, "data", None) or ()
        vector = getattr(data[0], "embedding", None) if data else None
        if isinstance(vector, list):
            call.dimension_count = len(vector)
