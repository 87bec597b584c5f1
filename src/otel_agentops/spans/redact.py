"""Taking secrets out of what is written to spans, as valid JSON.

Digests are taken before, so equal prompts stay equal. Where nothing is found, the very text is returned.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_agentops.failsafe import swallowed
from otel_agentops.spans.json_text import to_json
from otel_agentops.spans.secrets import BUILT_IN, Rule, replace_with, suspicious_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FAILED", "Redactor"]

FAILED = "[REDACTED:failed]"
"""Stands for a text that the program's own function failed on: rather nothing than a secret."""

_STRUCTURE = frozenset({"role", "type", "finish_reason", "modality", "mime_type"})
"""Fields of messages that a function of the program is not asked about; they hold the conventions' words."""

_RARE = ("_", "-", "=", "@")
_DEPTH = 64
_CARD = 10**12


class Redactor:
    """Replaces secrets in texts and in JSON.

    Args:
        wanted: Names of built-in rules (`keys`, `email`, `cards`), pairs of a name and a regular
            expression, and functions that take a text and return what may be seen of it.
    """

    def __init__(self, wanted: Iterable[Any]) -> None:
        rules = [rule for item in wanted for rule in _rules(item)]
        self._rules = tuple(rules)
        self._given = tuple(rule for rule in rules if not rule.own)
        self._hints = _gated(hint for rule in rules for hint in rule.hints if not rule.run)
        self._run_hints = tuple(hint.encode() for rule in rules for hint in rule.hints if rule.run)
        self._looks = tuple(rule.looks for rule in rules if rule.looks is not None)
        self._always = any(not rule.hints and rule.looks is None for rule in rules)

    @property
    def idle(self) -> bool:
        """Whether nothing is ever taken out."""
        return not self._rules

    def suspects(self, text: str) -> bool:
        """Whether something may have to be replaced; false for most texts, and quick."""
        for gate, hints in self._hints:
            if gate in text and any(hint in text for hint in hints):
                return True
        if (
            self._run_hints
            and (words := suspicious_words(text))
            and any(hint in words for hint in self._run_hints)
        ):
            return True
        return self._always or any(looks(text) is not None for looks in self._looks)

    def text(self, text: str) -> str:
        """A text without secrets; JSON, also inside the strings of JSON, stays valid."""
        if not self.suspects(text):
            return text
        inner = _container(text)
        if inner is None:
            return _apply(self._rules, text)
        value = self._value(inner, self._rules, 0)
        return text if value == inner else to_json(value)

    def _value(self, value: Any, rules: tuple[Rule, ...], depth: int) -> Any:
        if isinstance(value, str):
            return self._string(value, rules)
        if isinstance(value, dict | list) and depth >= _DEPTH:
            return FAILED
        if isinstance(value, dict):
            return {
                _apply(self._given, key): self._value(
                    item, self._given if key in _STRUCTURE else rules, depth + 1
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._value(item, rules, depth + 1) for item in value]
        if isinstance(value, int) and abs(value) >= _CARD:  # a card's number need not be a text
            text = _apply(self._given, str(value))
            return value if text == str(value) else text
        return value

    def _string(self, text: str, rules: tuple[Rule, ...]) -> str:
        return _apply(rules, text) if _container(text) is None else self.text(text)


def _gated(hints: Iterable[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Hints by a character that each has and most texts lack, so that few searches rule all of them out."""
    groups: dict[str, dict[str, None]] = {}
    for hint in hints:
        gate = next((rare for rare in _RARE if rare in hint), hint)
        groups.setdefault(gate, {})[hint] = None
    return tuple((gate, tuple(members)) for gate, members in groups.items())


def _apply(rules: tuple[Rule, ...], text: str) -> str:
    seen = text
    for rule in rules:
        if not rule.hints or any(hint in seen for hint in rule.hints):
            seen = rule.replace(seen)
    if seen != text:  # what stood right behind a key was no word of its own before
        for rule in rules:
            if rule.hints and any(hint in seen for hint in rule.hints):
                seen = rule.replace(seen)
    return seen


def _container(text: str) -> Any:
    """The object or list that a text is the JSON of; None if it is none."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _rules(item: Any) -> tuple[Rule, ...]:
    if isinstance(item, str):
        return BUILT_IN[item]
    if callable(item):
        return (Rule(_guarded(item), own=True),)
    return (replace_with(*item),)


def _guarded(function: Callable[[str], str]) -> Callable[[str], str]:
    def replace(text: str) -> str:
        try:
            seen = function(text)
            if isinstance(seen, str):
                return seen
            raise TypeError(f"the function given as redact= returned {type(seen).__name__}, not str")
        except Exception as error:  # noqa: BLE001 - theirs may raise anything; the text must not be written
            swallowed("redacting with the program's function", error)
            return FAILED

    return replace
