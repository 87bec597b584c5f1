"""Keeping the books: scopes, their ledgers, prices, and foreign spans read as records."""

from otel_agentops.accounting.digest import digest
from otel_agentops.accounting.ledger import Entry, Ledger
from otel_agentops.accounting.pipeline import Stage, free_failure, stages, tool_entry
from otel_agentops.accounting.readers import model_call
from otel_agentops.accounting.scopes import Scope, Scopes

__all__ = [
    "Entry",
    "Ledger",
    "Scope",
    "Scopes",
    "Stage",
    "digest",
    "free_failure",
    "model_call",
    "stages",
    "tool_entry",
]
