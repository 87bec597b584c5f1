"""What the pricing tests share: one call, described in a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from otel_agentops.failsafe import reraise
from otel_agentops.pricing import PriceBook
from otel_agentops.records import Cost, ModelCall, Usage

NOON = "2026-11-20T12:00:00Z"

USAGE_FIELDS = set(Usage.__dataclass_fields__)


def nanoseconds(text: str) -> int:
    """A moment as spans have it."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def model_call(provider: str | None, model: str | None, **fields: Any) -> ModelCall:
    """A call whose fields may be those of the call or of its usage."""
    counts = {key: fields.pop(key) for key in list(fields) if key in USAGE_FIELDS}
    usage = Usage(**counts) if counts else Usage(input_tokens=1000, output_tokens=100)
    return ModelCall(provider, model, **{"usage": usage, **fields})


@pytest.fixture(scope="session")
def shared_book() -> PriceBook:
    """A book without rules of the user."""
    return PriceBook()


@pytest.fixture
def price(shared_book: PriceBook) -> Callable[..., Cost]:
    """Prices a call: provider, model, then fields of the call or of its usage."""

    def run(
        provider: str | None, model: str | None, at: str = NOON, book: PriceBook = shared_book, **fields: Any
    ) -> Cost:
        return book.price(model_call(provider, model, **fields), nanoseconds(at))

    return run


@pytest.fixture(autouse=True)
def own_failures_are_raised() -> Any:
    """Nothing of ours may fail unseen."""
    reraise(True)
    yield
    reraise(False)
