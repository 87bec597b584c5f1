"""How many generated cases a property is tried on: some at each run, very many in the long mode."""

from __future__ import annotations

import os

__all__ = ["CASES"]

CASES = 20_000 if os.environ.get("AGENTOPS_LONG_TESTS") else 400
"""20,000 if the variable `AGENTOPS_LONG_TESTS` is set to anything."""
