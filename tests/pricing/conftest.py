"""What the pricing tests share: a price in a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from otel_agentops.failsafe import reraise
from otel_agentops.pricing import PriceBook
from otel_agentops.records import Cost

from .calls import NOON, model_call, nanoseconds


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
