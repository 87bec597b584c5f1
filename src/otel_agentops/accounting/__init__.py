"""Keeping the books: scopes, their ledgers, prices, and foreign spans read as records."""

from otel_agentops.accounting.budgets import Budget, BudgetExceeded
from otel_agentops.accounting.digest import digest, digest_of_arguments, take_digest
from otel_agentops.accounting.findings import Finding, LoopDetected
from otel_agentops.accounting.ledger import EXACT, Entry, Ledger
from otel_agentops.accounting.once import GATE, Calls, know_later
from otel_agentops.accounting.others import reasons_of, tool_call, was_refused
from otel_agentops.accounting.pipeline import Stage, free_failure, stages, tool_entry
from otel_agentops.accounting.places import Place
from otel_agentops.accounting.purses import Budgets
from otel_agentops.accounting.readers import (
    PRICE_INPUTS,
    RELATED,
    is_boundary,
    learn,
    model_call,
    model_operation,
    prompt_of,
)
from otel_agentops.accounting.scopes import Scope, Scopes
from otel_agentops.accounting.watcher import Watcher, fingerprint

__all__ = [
    "EXACT",
    "GATE",
    "PRICE_INPUTS",
    "RELATED",
    "Budget",
    "BudgetExceeded",
    "Budgets",
    "Calls",
    "Entry",
    "Finding",
    "Ledger",
    "LoopDetected",
    "Place",
    "Scope",
    "Scopes",
    "Stage",
    "Watcher",
    "digest",
    "digest_of_arguments",
    "fingerprint",
    "free_failure",
    "is_boundary",
    "know_later",
    "learn",
    "model_call",
    "model_operation",
    "prompt_of",
    "reasons_of",
    "stages",
    "take_digest",
    "tool_call",
    "tool_entry",
    "was_refused",
]
