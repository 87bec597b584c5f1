"""The price cases: list prices read on the vendors' own pages, matched to the last digit."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otel_agentops.pricing import PriceBook
from otel_agentops.records import ModelCall, Usage

from .calls import nanoseconds

CASES = json.loads((Path(__file__).parent.parent / "data" / "price_cases.json").read_text())

FIELDS = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_input_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write_input_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_output_tokens",
    "gen_ai.usage.audio.input_tokens": "audio_input_tokens",
    "gen_ai.usage.audio.output_tokens": "audio_output_tokens",
}

CONTEXT = {
    "openai.response.service_tier": "service_tier",
    "anthropic.response.service_tier": "service_tier",
    "inference_geo": "inference_geo",
}


def call_of(case: dict[str, Any]) -> ModelCall:
    """The record that an instrumentation would make of a case."""
    context = dict(case.get("context", {}))
    usage = Usage(**{FIELDS[key]: value for key, value in case["usage"].items()})
    usage.cache_write_1h_input_tokens = context.pop("cache_creation_1h_input_tokens", None)
    usage.web_searches = context.pop("web_searches", None)
    call = ModelCall(case["provider"], case["model"], response_model=case["model"], usage=usage)
    call.server_address = case.get("server.address")
    call.processing = "batch" if context.pop("batch", False) else None
    for key, value in context.items():
        setattr(call, CONTEXT[key], value)
    return call


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_price_case(case: dict[str, Any]) -> None:
    """The book gives exactly the amount on the vendor's page, or none where there is none."""
    cost = PriceBook().price(call_of(case), nanoseconds(case["timestamp"]))
    expected = case["expected_usd"]
    assert cost.usd == (None if expected is None else Decimal(expected)), cost
    assert (cost.usd is None) == (cost.reason is not None)
