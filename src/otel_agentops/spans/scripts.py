"""Whether a process is a script, which gets a session without asking for one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agentops.config import Config

__all__ = ["wants_session"]

_SERVERS = frozenset(
    {"celery", "daphne", "granian", "gunicorn", "hypercorn", "mod_wsgi", "rq", "uvicorn", "uwsgi", "waitress"}
)
"""Modules that mean: this process serves many users, so one session for all would be wrong."""


def wants_session(config: Config, under_launcher: bool) -> bool:
    """Whether the first call outside any session opens one for the process."""
    if config.auto_session is not None:
        return config.auto_session
    return not under_launcher and _SERVERS.isdisjoint(sys.modules)
