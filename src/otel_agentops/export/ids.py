"""Ids of traces and spans that cost the program none of its random numbers.

The SDK's generator draws from Python's shared generator. A program that seeds that one, to get the same
results every time, would get others with us than without, and the same ids in every run.
"""

from __future__ import annotations

import os
import random

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

__all__ = ["OwnIds", "jitter"]

_own = random.Random()  # noqa: S311 - ids are no secrets; seeded by the system
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own.seed)  # a child makes ids of its own


class OwnIds(RandomIdGenerator):
    """Random ids from a generator of our own."""

    def generate_span_id(self) -> int:
        """64 random bits, never 0."""
        return _own.getrandbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        """128 random bits, never 0."""
        return _own.getrandbits(128) or self.generate_trace_id()


def jitter() -> float:
    """About 1: a factor for a wait, so that not all processes come back at once."""
    return _own.uniform(0.8, 1.2)
