"""Split the token counts of a call into parts that do not overlap, and rate each part.

The conventions' counts contain each other: input contains what was cached, output contains
reasoning. A *leaf* is a part that nothing else counts again. Which rate a leaf pays is decided once
for a card; a call is then only its leaves times its rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agentops.records import Usage

__all__ = ["LEAVES", "TOKEN_LEAVES", "InvalidUsage", "split"]

LEAVES: tuple[tuple[str, int, tuple[str, ...], tuple[str, ...]], ...] = (
    # name, decimal exponent of the unit, its own price keys, keys of the base rate it falls back to
    ("input", -6, ("input_text_mtok", "input_mtok"), ()),
    ("cache read", -6, ("cache_text_read_mtok", "cache_read_mtok"), ("input_text_mtok", "input_mtok")),
    ("cache write", -6, ("cache_write_5m_mtok", "cache_write_mtok"), ("input_text_mtok", "input_mtok")),
    (
        "cache write 1h",
        -6,
        ("cache_write_1h_mtok",),
        ("cache_write_mtok", "input_text_mtok", "input_mtok"),
    ),
    ("output", -6, ("output_text_mtok", "output_mtok"), ()),
    ("reasoning", -6, ("output_reasoning_mtok", "output_text_mtok", "output_mtok"), ()),
    ("audio input", -6, ("input_audio_mtok",), ("input_mtok",)),
    (
        "audio cache read",
        -6,
        ("cache_audio_read_mtok",),
        ("input_audio_mtok", "cache_read_mtok", "input_mtok"),
    ),
    ("image input", -6, ("input_image_mtok", "input_mtok"), ()),
    (
        "image cache read",
        -6,
        ("cache_image_read_mtok", "cache_read_mtok"),
        ("input_image_mtok", "input_mtok"),
    ),
    ("audio output", -6, ("output_audio_mtok",), ("output_mtok",)),
    ("image output", -6, ("output_image_mtok", "output_mtok"), ()),
    ("web search", -3, ("web_searches_kcount",), ()),
    ("request", -3, ("requests_kcount",), ()),
)
"""The leaves in the order of `split`; the last one, the request itself, is always counted once."""

TOKEN_LEAVES = 12
"""How many of `LEAVES` are tokens."""


class InvalidUsage(Exception):  # noqa: N818 - never leaves this package
    """The counts contradict each other."""


def split(usage: Usage) -> tuple[int, ...]:
    """Counts of `LEAVES` without the request, from counts in the conventions' normal form.

    Raises:
        InvalidUsage: A part is larger than what contains it, or a count is negative.
    """
    written_1h = usage.cache_write_1h_input_tokens or 0
    written = usage.cache_write_input_tokens or written_1h
    text, read, *others = _split_input(usage, written)
    reasoning = usage.reasoning_output_tokens or 0
    audio = usage.audio_output_tokens or 0
    image = usage.image_output_tokens or 0
    output = (usage.output_tokens or 0) - reasoning - audio - image
    searches = usage.web_searches or 0
    counts = (
        text,
        read,
        written - written_1h,
        written_1h,
        output,
        reasoning,
        *others,
        audio,
        image,
        searches,
    )
    if min(counts) < 0:
        raise InvalidUsage
    return counts


def _split_input(usage: Usage, written: int) -> tuple[int, ...]:
    total = usage.input_tokens or 0
    read = usage.cache_read_input_tokens or 0
    if usage.audio_input_tokens or usage.image_input_tokens:
        return _split_kinds(usage, total, read, written)
    return total - read - written, read, 0, 0, 0, 0


def _split_kinds(usage: Usage, total: int, read: int, written: int) -> tuple[int, ...]:
    """Input with audio or images in it; cached tokens of unknown kind are text first, then audio."""
    audio = usage.audio_input_tokens or 0
    image = usage.image_input_tokens or 0
    text = total - audio - image - written
    read_audio = usage.audio_cache_read_input_tokens or 0
    read_image = usage.image_cache_read_input_tokens or 0
    read_text = usage.text_cache_read_input_tokens or 0
    unknown = read - read_audio - read_image - read_text
    if min(text, unknown, audio - read_audio, image - read_image, text - read_text) < 0:
        raise InvalidUsage
    for_text = min(unknown, text - read_text)
    for_audio = min(unknown - for_text, audio - read_audio)
    read_text, read_audio = read_text + for_text, read_audio + for_audio
    read_image += unknown - for_text - for_audio
    return text - read_text, read_text, audio - read_audio, read_audio, image - read_image, read_image
