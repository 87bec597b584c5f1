"""What redaction looks for: keys and tokens of known vendors, e-mail addresses, payment cards.

Most rules have hints, texts one of which must occur: looking for them costs a hundredth of a regular
expression, so a prompt without secrets is hardly delayed. Every expression takes time linear in the
text: it starts only where a word starts, and what it repeats is bounded or taken greedily once.

Sources: the vendors' own descriptions of their key formats; ISO/IEC 7812-1 (issuer ranges and check
digit of cards); RFC 5321 §4.5.3.1 (lengths of e-mail addresses).
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BUILT_IN", "Rule", "replace_with", "suspicious_words"]


class Rule(NamedTuple):
    """One thing to look for.

    Attributes:
        replace: The text with what was found replaced by a mark.
        hints: Texts one of which must occur for the rule to find anything; empty: unknown.
        looks: A quick search that is true where the rule may find something; None where hints tell.
        run: Whether what it finds is among the `suspicious_words`, so that a text without any is clean.
        own: Whether the program's own function replaces; it is not asked about the structure of messages.
    """

    replace: Callable[[str], str]
    hints: tuple[str, ...] = ()
    looks: Callable[[str], object] | None = None
    run: bool = False
    own: bool = False


def _later(pattern: str, flags: int = 0) -> Callable[[], re.Pattern[str]]:
    """A pattern that is compiled when it is first needed: all of them together take 5 ms."""
    return functools.cache(lambda: re.compile(pattern, flags))


def _mark(name: str) -> str:
    return f"[REDACTED:{name}]"


def replace_with(name: str, pattern: str | re.Pattern[str]) -> Rule:
    """A rule that replaces what a regular expression matches.

    Raises:
        re.error: The pattern is none.
    """
    compiled, mark = re.compile(pattern), _mark(name)
    return Rule(lambda text: compiled.sub(mark, text), looks=compiled.search)


_RUN = b"x" * 16
_IN_RUN = bytes(
    ord("x") if chr(code).isascii() and (chr(code).isalnum() or chr(code) in "_+/=.~-") else ord(" ")
    for code in range(256)
)


_BEFORE = 16
"""Bytes before such a run that may tell of it, as `Bearer ` does."""


_SEPARATED = bytes(code if chr(code).isascii() and chr(code).isalnum() else ord(" ") for code in range(256))


def suspicious_words(text: str) -> bytes:
    """The words of a text that may be keys, with what stands before each; empty for nearly all texts.

    A key has 16 characters in a row that keys are made of, which few words have, and begins, or its part
    after a hyphen and the like does, as one of those that are known.
    """
    written = text.encode(errors="replace")
    shape = written.translate(_IN_RUN)
    begin = shape.find(_RUN)
    if begin < 0:
        return b""
    words: list[bytes] = []
    while begin >= 0:
        end = shape.find(b" ", begin)
        if end < 0:
            end = len(shape)
        words.append(written[max(0, begin - _BEFORE) : end])
        begin = shape.find(_RUN, end)
    found = b" ".join(words)
    parts = found.translate(_SEPARATED).split()
    starts = {part[:2] for part in parts}
    if b"\\" in found:  # the escapes of JSON, as in "\\nsk-" and "\\u2028sk-"
        starts.update(part[1:3] for part in parts)
        starts.update(part[5:7] for part in parts)
    return b"" if _STARTS.isdisjoint(starts) else found


# --- keys and tokens ---

_PREFIXED: tuple[tuple[str, str], ...] = (
    ("sk-", r"[\w-]{16,}"),  # OpenAI, Anthropic, OpenRouter, DeepSeek, LiteLLM, Langfuse and others
    ("sk_", r"(?:live|test)_\w{16,}"),  # Stripe
    ("rk_", r"(?:live|test)_\w{16,}"),
    ("pk-lf-", r"[\w-]{16,}"),  # Langfuse
    ("whsec_", r"[\w+/=]{16,}"),
    ("AIza", r"[\w-]{35}"),  # Google
    ("ya29.", r"[\w-]{20,}"),
    ("AKIA", r"[0-9A-Z]{16}"),  # AWS
    ("ASIA", r"[0-9A-Z]{16}"),
    ("ghp_", r"\w{36,}"),  # GitHub
    ("gho_", r"\w{36,}"),
    ("ghu_", r"\w{36,}"),
    ("ghs_", r"\w{36,}"),
    ("ghr_", r"\w{36,}"),
    ("github_pat_", r"\w{22,}"),
    ("glpat-", r"[\w-]{20,}"),  # GitLab
    ("xox", r"[abeoprs]-[\w-]{12,}"),  # Slack
    ("xapp-", r"[\w-]{12,}"),
    ("hf_", r"\w{30,}"),  # Hugging Face
    ("gsk_", r"\w{20,}"),  # Groq
    ("xai-", r"\w{20,}"),
    ("pplx-", r"\w{20,}"),  # Perplexity
    ("r8_", r"\w{30,}"),  # Replicate
    ("fw_", r"\w{20,}"),  # Fireworks
    ("nvapi-", r"[\w-]{20,}"),
    ("tgp_v1_", r"[\w-]{20,}"),  # Together
    ("lsv2_", r"\w{20,}"),  # LangSmith
    ("pcsk_", r"\w{20,}"),  # Pinecone
    ("dapi", r"[0-9a-f]{32}(?:-\d)?"),  # Databricks
    ("npm_", r"\w{36}"),
    ("SG.", r"[\w-]{16,}\.[\w-]{16,}"),  # SendGrid
    ("sntrys_", r"[\w+/=]{20,}"),  # Sentry
    ("dop_v1_", r"[0-9a-f]{64}"),  # DigitalOcean
)
"""How keys of vendors begin, and what follows; a digit must be among it, or it is a word."""

_STARTS = frozenset(
    start.encode()[:2]
    for start in (*(prefix for prefix, _ in _PREFIXED), "eyJ", "Be", "be", "BE", "Ba", "ba", "BA")
)


def _prefixed(prefix: str, rest: str) -> Rule:
    # not within a word: "risk-", "task-" and "disk-" are no keys; what sticks to a key may be another one
    pattern = _later(rf"(?<![A-Za-z0-9]){re.escape(prefix)}{rest}[\w-]*+", re.ASCII)
    return Rule(lambda text: pattern().sub(_if_digits, text), (prefix,), run=True)


def _if_digits(match: re.Match[str]) -> str:
    found = match.group()
    return _mark("key") if any(map(str.isdigit, found)) else found


def _grouped(hints: tuple[str, ...], pattern: str, run: bool = True) -> Rule:
    """A rule whose pattern has groups `before` and perhaps `after`, which stay."""
    compiled = _later(pattern, re.ASCII)
    mark = _mark("key")

    def keep(match: re.Match[str]) -> str:
        return match["before"] + mark + (match.groupdict().get("after") or "")

    return Rule(lambda text: compiled().sub(keep, text), hints, run=run)


_PEM = _later(r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----")
_PEM_END = _later(r"-----END [A-Z ]{0,32}PRIVATE KEY-----")


def _private_keys(text: str) -> str:
    """Private keys in PEM, by position: one without an end goes to the end of the text."""
    parts, at = [], 0
    while (begin := _PEM().search(text, at)) is not None:
        end = _PEM_END().search(text, begin.end())
        parts += [text[at : begin.start()], _mark("key")]
        at = end.end() if end is not None else len(text)
    return "".join((*parts, text[at:]))


_KEYS = (
    *(_prefixed(prefix, rest) for prefix, rest in _PREFIXED),
    Rule(_private_keys, ("-----BEGIN ",)),
    # JSON web tokens: two objects in base64 and a signature
    _grouped(("eyJ",), r"(?<![\w.-])(?P<before>)eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]*+"),
    _grouped(("earer ", "EARER "), r"(?i:(?P<before>\bbearer )) {0,8}+[\w.~+/=-]{16,}+"),
    _grouped(("asic ", "ASIC "), r"(?i:(?P<before>\bbasic )) {0,8}+[A-Za-z0-9+/]{16,}+={0,2}"),
    # user and password, and secrets in the query, of URLs
    _grouped(("@",), r"(?P<before>://)[^\s/?#@\"'<>]{1,256}(?P<after>@)", run=False),
    _grouped(
        ("key=", "token=", "sig=", "secret=", "password=", "signature=", "Signature="),
        r"(?P<before>[?&](?i:(?:[a-z_-]{1,24}[_-])?(?:key|apikey|token|sig|secret|password|signature))=)[^&#\s\"'<>]{6,}+",
        run=False,
    ),
)

# --- e-mail addresses ---

_EMAIL = _later(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}(?![\w-])")

# --- payment cards ---

_DIGITS = _later(r"(?<![\w.])\d(?:[ -]?\d){12,}(?![\w])")
_ISSUERS = _later(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|(?:6011|65\d\d|64[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)
"""Numbers as the card schemes give them out: first digits and lengths."""
_SIZES = (13, 14, 15, 16, 17, 18, 19)


def _cards(text: str) -> str:
    return _DIGITS().sub(_cards_in_run, text)


def _cards_in_run(match: re.Match[str]) -> str:
    """Cards in a run of digits, which start and end where a group of digits does."""
    run = match.group()
    places = [at for at, char in enumerate(run) if char not in " -"]
    digits = "".join(run[at] for at in places)
    parts, done, first = [], 0, 0
    while first <= len(digits) - _SIZES[0]:
        last = _card_end(run, places, digits, first)
        if last:
            parts += [run[done : places[first]], _mark("card")]
            done, first = places[last - 1] + 1, last
        else:
            first += 1
    return "".join((*parts, run[done:]))


def _card_end(run: str, places: list[int], digits: str, first: int) -> int:
    """Number of digits up to the end of the card that starts at digit `first`; 0 if none does."""
    if first and places[first] == places[first - 1] + 1:
        return 0
    for size in _SIZES:
        last = first + size
        whole = last == len(digits) or (last < len(digits) and places[last] > places[last - 1] + 1)
        if whole and _ISSUERS().fullmatch(digits, first, last) and _luhn(digits[first:last]):
            return last
    return 0


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


BUILT_IN: dict[str, tuple[Rule, ...]] = {
    "keys": _KEYS,
    "email": (Rule(lambda text: _EMAIL().sub(_mark("email"), text), ("@",)),),
    "cards": (Rule(_cards, looks=lambda text: _DIGITS().search(text)),),
}
"""The rules by the names that the setting takes."""
