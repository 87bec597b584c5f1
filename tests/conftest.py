"""What all tests share: the environment they run in, and recorded spans and metrics."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from otel_agentops import failsafe
from otel_agentops.testing import Captured, capture

for _name in [name for name in os.environ if name.startswith(("OTEL_", "OPENAI_", "AZURE_", "DD_"))]:
    del os.environ[_name]


@pytest.fixture(autouse=True)
def _fresh_failures() -> Iterator[None]:
    """Each test counts our failures and warns from nothing."""
    failsafe.failures.clear()
    failsafe.forget_warnings()
    yield


@pytest.fixture(params=["1.41", "latest"])
def profile(request: pytest.FixtureRequest) -> str:
    """Each profile of the conventions."""
    return str(request.param)


@pytest.fixture
def captured() -> Iterator[Captured]:
    """Everything recorded into memory, with content, and without a session of the process."""
    with capture(capture_content=True, auto_session=False) as everything:
        yield everything
