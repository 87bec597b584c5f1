"""What the settings say: content, redaction, prices, and variables that could not be used."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_agentops.doctor.findings import Finding
from otel_agentops.failsafe import forget_warnings, logger
from otel_agentops.pricing import PriceBook
from otel_agentops.spans import current

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_agentops.config import Config

__all__ = ["complaints", "look"]


@contextmanager
def complaints() -> Iterator[list[Finding]]:
    """What the library warns about meanwhile, as findings."""
    found: list[Finding] = []

    class Listener(logging.Handler):
        """Takes down what is said."""

        def emit(self, record: logging.LogRecord) -> None:
            """One warning, one finding."""
            found.append(Finding("settings", "warning", record.getMessage(), "correct or unset the variable"))

    listener, propagate = Listener(logging.WARNING), logger.propagate
    forget_warnings()
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.propagate = propagate
        logger.removeHandler(listener)


def look(config: Config) -> Iterator[Finding]:
    """The policies in force."""
    yield Finding("settings", "ok", f"names: conventions {config.semconv}, cost as {config.cost_names}")
    yield _content(config)
    book = PriceBook(files=config.prices)
    files = f", and {len(config.prices)} files of rules" if config.prices else ""
    yield Finding("settings", "ok", f"prices: {book.version}{files}")
    yield _budgets()
    yield Finding("settings", "ok", f"an exit waits at most {config.exit_timeout_s:g} s for the last spans")


def _budgets() -> Finding:
    """Budgets are set in code: those of the modules that were imported are seen."""
    recorder = current()
    left = recorder.budgets.remaining(None) if recorder is not None else {}
    if not left:
        return Finding("settings", "ok", "budgets: none for the process; sessions and agents have their own")
    limits = ", ".join(f"{amount} {name}" for name, amount in sorted(left.items()))
    return Finding("settings", "ok", f"budgets: the process has {limits} left")


def _content(config: Config) -> Finding:
    if not config.capture_content:
        return Finding("settings", "ok", "content (prompts, answers, tool arguments) is not written")
    if not config.redact:
        return Finding(
            "settings",
            "warning",
            "content is written, and nothing is taken out of it",
            "set OTEL_AGENTOPS_REDACT=keys, or more",
        )
    rules = ", ".join(rule if isinstance(rule, str) else "rules of the program" for rule in config.redact)
    return Finding("settings", "ok", f"content is written; taken out of it: {rules}")
