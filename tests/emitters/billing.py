"""What a recorded answer costs, worked out by genai-prices itself: its reading, its prices."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NamedTuple

from genai_prices import Usage, calc_price

__all__ = ["Billed", "billed"]


class Billed(NamedTuple):
    """One answer of a provider.

    Attributes:
        input_tokens: With everything that was cached.
        output_tokens: With reasoning.
        cost_usd: At today's price.
    """

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


def billed(served: dict[str, Any]) -> Billed:
    """What an answer says was used, and what that costs.

    Args:
        served: Path and body of the answer.
    """
    body = served["body"]
    documents = [json.loads(line) for line in re.findall(r"^data:\s*(\{.*\})\s*$", body, re.MULTILINE)]
    documents = documents or [json.loads(body)]
    usage: dict[str, Any] = {}
    model = ""
    for document in documents:
        for part in (document, document.get("message") or {}, document.get("response") or {}):
            found = part.get("usage") or {}
            usage.update({key: value for key, value in found.items() if value is not None})
            model = part.get("model") or model
    read = _anthropic(usage) if served["path"] == "/v1/messages" else _openai(usage)
    provider = "anthropic" if served["path"] == "/v1/messages" else "openai"
    price = calc_price(read, model, provider_id=provider)
    return Billed(read.input_tokens or 0, read.output_tokens or 0, price.total_price)


def _openai(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens", usage.get("input_tokens")),
        output_tokens=usage.get("completion_tokens", usage.get("output_tokens", 0)),
        cache_read_tokens=details.get("cached_tokens", 0),
    )


def _anthropic(usage: dict[str, Any]) -> Usage:
    read = usage.get("cache_read_input_tokens", 0)
    written = usage.get("cache_creation_input_tokens", 0)
    return Usage(
        input_tokens=usage["input_tokens"] + read + written,
        output_tokens=usage["output_tokens"],
        cache_read_tokens=read,
        cache_write_tokens=written,
    )
