"""Writing another profile's names: what the tables of 1.41 say, renamed and packed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_agentops.records import ModelCall
from otel_agentops.semconv import own
from otel_agentops.spans.encode import Encoder
from otel_agentops.spans.json_text import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_agentops.accounting import Scope
    from otel_agentops.records import Record
    from otel_agentops.semconv import Outward, Profile

__all__ = ["OutwardEncoder", "encoder"]

Attributes = dict[str, Any]
Events = list[tuple[str, Attributes]]

_SENT = (
    "gen_ai.system_instructions",
    "gen_ai.input.messages",
    "gen_ai.tool.call.arguments",
    "gen_ai.retrieval.query.text",
)
_RECEIVED = ("gen_ai.output.messages", "gen_ai.tool.call.result", "gen_ai.retrieval.documents")
_PARAMETERS = ("temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty")
_PROVIDER = "gen_ai.provider.name"


def encoder(profile: Profile, *arguments: Any) -> Encoder:
    """What writes the names of a profile; the other arguments are those of `Encoder`."""
    kind = Encoder if profile.outward is None else OutwardEncoder
    return kind(profile, *arguments)


class OutwardEncoder(Encoder):
    """An encoder whose names are translated at the end; see `Encoder`."""

    def __init__(self, profile: Profile, *arguments: Any) -> None:
        super().__init__(profile, *arguments)
        assert profile.outward is not None  # noqa: S101 - `encoder` sees to it
        self._outward: Outward = profile.outward

    def call_start(self, call: ModelCall, stamps: Attributes) -> tuple[str, Attributes]:
        """See `Encoder`."""
        name, attributes = super().call_start(call, stamps)
        return name, self._translated(attributes)

    def call_end(self, call: ModelCall) -> Attributes:
        """See `Encoder`."""
        attributes = super().call_end(call)
        if self._outward.message_events:
            call.scratch = _messages(attributes, self._outward.values.get(call.provider or "", call.provider))
        if self._outward.parameters is not None:
            _pack_parameters(attributes, self._outward.parameters)
        self._pack(call, attributes)
        return self._translated(attributes)

    def events(self, record: Record) -> Iterable[tuple[str, Attributes]]:
        """See `Encoder`."""
        if self._outward.message_events and isinstance(record, ModelCall):
            return record.scratch or ()
        return ()

    def foreign(self, call: ModelCall, known: Mapping[str, Any], complete: bool) -> Attributes:
        """See `Encoder`."""
        attributes = super().foreign(call, known, complete)
        if complete:
            if call.usage is not None and not call.duplicate and self._outward.usage is not None:
                self._usage.into(attributes, call.usage)  # all of it, also what is on the span in other names
            self._pack(call, attributes)
        found = self._translated(attributes)
        return {name: value for name, value in found.items() if name not in known or name == own.COST}

    def scope_start(self, record: Record, stamps: Attributes) -> tuple[str, Attributes]:
        """See `Encoder`."""
        name, attributes = super().scope_start(record, stamps)
        if self._outward.kind is not None:
            attributes[self._outward.kind] = self._outward.kinds.get(record.kind, "span")
        return name, self._translated(attributes)

    def scope_end(self, record: Record, scope: Scope) -> Attributes:
        """See `Encoder`."""
        return self._translated(super().scope_end(record, scope))

    # --- parts ---

    def _translated(self, attributes: Attributes) -> Attributes:
        outward = self._outward
        found: Attributes = {}
        for name, value in attributes.items():
            if outward.contents is not None and (name in _SENT or name in _RECEIVED):
                _put_content(found, outward.contents[name in _RECEIVED], name, value)
                continue
            if name == _PROVIDER:
                value = outward.values.get(value, value)  # noqa: PLW2901 - its older spelling
            new = outward.names.get(name, name)
            if new is not None:
                for begin, instead in outward.prefixes.items():
                    if new.startswith(begin):
                        new = instead + new[len(begin) :]
                found[new] = value
        return found

    def _pack(self, call: ModelCall, attributes: Attributes) -> None:
        outward = self._outward
        if outward.kind is not None:
            attributes[outward.kind] = "span" if call.duplicate else outward.kinds.get(call.operation, "span")
        if outward.usage is None:
            return
        counts = {name: attributes.pop(name) for name, _, _ in outward.buckets if name in attributes}
        if call.duplicate:
            return
        for name, _, whole in outward.buckets:
            if whole in counts and name in counts:
                counts[whole] = max(counts[whole] - counts[name], 0)
        if counts:
            keys = {key: counts[name] for name, key, _ in outward.buckets if name in counts}
            attributes[outward.usage] = to_json({**keys, "total": sum(keys.values())})
        if outward.cost is not None and call.cost is not None and call.cost.usd is not None:
            attributes[outward.cost] = json.dumps({"total": float(call.cost.usd)})


def _pack_parameters(attributes: Attributes, name: str) -> None:
    found = {key: attributes.pop(f"gen_ai.request.{key}", None) for key in _PARAMETERS}
    given = {key: value for key, value in found.items() if value is not None}
    if given:
        attributes[name] = to_json(given)


def _put_content(found: Attributes, name: str, source: str, text: Any) -> None:
    """Messages as chats write them; system instructions are the first of them."""
    if source == "gen_ai.system_instructions":
        found[name] = to_json([{"role": "system", "content": _words(_parsed(text))}])
    elif source.endswith(".messages"):
        before = _parsed(found.get(name)) if name in found else []
        messages = [{"role": each.get("role"), "content": _plain(each)} for each in _parsed(text)]
        found[name] = to_json([*before, *messages])
    else:
        found[name] = text


def _parsed(text: Any) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _plain(message: dict[str, Any]) -> Any:
    """The text of a message; its parts, where it has others."""
    parts = message.get("parts") or []
    return _words(parts) if all(part.get("type") == "text" for part in parts) else parts


def _words(parts: Iterable[dict[str, Any]]) -> str:
    return "\n".join(str(part.get("content") or "") for part in parts)


# --- events of 1.36 ---


def _messages(attributes: Attributes, provider: str | None) -> Events:
    system = {"gen_ai.system": provider} if provider else {}
    found: Events = []
    instructions = _parsed(attributes.get("gen_ai.system_instructions"))
    if instructions:
        found.append(("gen_ai.system.message", {**system, "content": _words(instructions)}))
    for message in _parsed(attributes.get("gen_ai.input.messages")):
        found.append(
            (_EVENTS.get(message.get("role", ""), "gen_ai.user.message"), {**system, **_body(message)})
        )
    for index, message in enumerate(_parsed(attributes.get("gen_ai.output.messages"))):
        body = {"index": index, "message": to_json({"role": message.get("role"), **_body(message)})}
        reason = message.get("finish_reason")
        found.append(("gen_ai.choice", {**system, **body, **({"finish_reason": reason} if reason else {})}))
    return found


_EVENTS = {role: f"gen_ai.{role}.message" for role in ("system", "user", "assistant", "tool")}
"""Role -> name of the event."""


def _body(message: dict[str, Any]) -> Attributes:
    """What that version has in an event's body."""
    parts = message.get("parts") or []
    body: Attributes = {}
    content = _words(part for part in parts if part.get("type") == "text")
    answers = [part for part in parts if part.get("type") == "tool_call_response"]
    calls = [_call(part) for part in parts if part.get("type") == "tool_call"]
    if answers:
        content = "\n".join(_text(part.get("response")) for part in answers)
        body["id"] = str(answers[0].get("id") or "")
    if content:
        body["content"] = content
    if calls:
        body["tool_calls"] = to_json(calls)
    return body


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)


def _call(part: dict[str, Any]) -> dict[str, Any]:
    function = {"name": part.get("name"), "arguments": _text(part.get("arguments"))}
    return {"id": part.get("id"), "type": "function", "function": function}
