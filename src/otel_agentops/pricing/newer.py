"""Cards of a genai-prices that is not the one the shipped cards were made from.

Somebody who upgrades genai-prices gets its new models without a release of this library. Importing it
takes a quarter of a second, so that is never done where a call waits: the first model that the shipped
cards lack starts a thread, and that model stays unpriced until the thread is done.
"""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

from otel_agentops.failsafe import failsafe
from otel_agentops.pricing.cards import Cards, shipped_cards

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NewerCards", "newer_cards"]


class NewerCards:
    """The cards of the installed genai-prices; loaded in the background when they are first missed."""

    def __init__(self) -> None:
        self._cards: Cards | None = None
        self._thread: Thread | None = None

    def get(self) -> Cards | None:
        """The cards, if they are loaded and not the shipped ones; the first time, starts to load."""
        if self._thread is None:
            self._thread = Thread(target=self._load, name="otel-agentops-prices", daemon=True)
            with failsafe("starting to load newer prices"):
                self._thread.start()
        return self._cards

    @property
    def loading(self) -> bool:
        """Whether asking again later may give more. False in a forked child, where the thread is gone."""
        return self._thread is not None and self._thread.is_alive()

    def _load(self) -> None:
        with failsafe("loading newer prices"):
            from importlib.metadata import version  # noqa: PLC0415 - slow, and only wanted here

            if shipped_cards().library != f"genai-prices {version('genai-prices')}":
                self._cards = _compiled()


newer_cards = NewerCards()
"""Shared by the whole process, as genai-prices is."""


def _compiled() -> Cards:
    from otel_agentops.pricing.compiling import compile_lines  # noqa: PLC0415 - as above

    return _cards_of(compile_lines(data_time="installed"))


def _cards_of(lines: Sequence[str]) -> Cards:
    content = "".join(f"{line}\n" for line in lines).encode()
    header = content[: content.index(b"\n") + 1]
    return Cards(header, lambda start, size: content[start : start + size])
