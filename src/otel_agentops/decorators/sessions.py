"""Sessions: a decorator, a with-block, and a handle for programs that have room for neither."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, overload

from otel_agentops.config import loop_limits as read_limits
from otel_agentops.config import loops as read_loops
from otel_agentops.decorators.blocks import Block, Handle, T, made, read_budget
from otel_agentops.failsafe import failsafe
from otel_agentops.records import Session
from otel_agentops.spans import new_session_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_agentops.accounting import Budget

__all__ = ["session", "start_session"]


@overload
def session(name: T, /) -> T: ...
@overload
def session(
    name: str | None = None,
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    conversation_id: str | None = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    loops: str | None = None,
    loop_limits: Mapping[str, int] | None = None,
    budget: Budget | None = None,
) -> Block: ...
def session(
    name: Any = None,
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    conversation_id: str | None = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    loops: str | None = None,
    loop_limits: Mapping[str, int] | None = None,
    budget: Budget | None = None,
) -> Any:
    """Record one run of the application: `with session("triage") as s:`, `@session` or `@session(name=...)`.

    Args:
        name: Static, low-cardinality name of the kind of run.
        session_id: Groups spans of one run, also over several requests; a new one each time when left
            out.
        user_id: The end user; personal data leaves the process with it.
        conversation_id: A real id of a message thread.
        tags: Marks for every span inside.
        metadata: Values for the session's own span; what is no text, number or bool is written as text.
        loops: What to do about loops: `warn`, `raise` or `off`; as in the settings when left out.
        loop_limits: Finding -> how often is too often, such as `{"repeated_prompt": 10}`.
        budget: What it may spend; with an id of yours, in all its requests together.

    Raises:
        ConfigError: `loops`, `loop_limits` or `budget` cannot be used.
    """
    marks, notes = _texts(tags), _notes(metadata)
    policy = read_loops("loops", loops) if loops is not None else None
    limits = read_limits("loop_limits", loop_limits) if loop_limits is not None else {}
    checked = read_budget(budget)

    def make(own: str | None, default: str | None) -> Session:
        return Session(
            own or default,
            str(session_id) if session_id is not None else new_session_id(),
            str(user_id) if user_id is not None else None,
            str(conversation_id) if conversation_id is not None else None,
            marks,
            notes,
            given=session_id is not None,
            loops=policy,
            loop_limits=limits,
            budget=checked,
        )

    return made(name, lambda own: Block(functools.partial(make, own)))


def _texts(values: Any) -> tuple[str, ...]:
    """Tags as they should be; sessions are opened while requests are served, so nothing raises here."""
    with failsafe("reading tags"):
        items = (values,) if isinstance(values, str) else values or ()
        return tuple(str(item) for item in items)
    return ()


def _notes(values: Any) -> dict[str, str | bool | int | float]:
    with failsafe("reading metadata"):
        return {str(key): _plain_value(value) for key, value in dict(values or {}).items()}
    return {}


def _plain_value(value: Any) -> str | bool | int | float:
    return value if isinstance(value, str | bool | int | float) else str(value)


def start_session(
    name: str | None = None,
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    conversation_id: str | None = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    loops: str | None = None,
    loop_limits: Mapping[str, int] | None = None,
    budget: Budget | None = None,
) -> Handle:
    """Open a session that no block ends; `.end(outcome)` does. Arguments as those of `session`."""
    block = session(
        name,
        session_id=session_id,
        user_id=user_id,
        conversation_id=conversation_id,
        tags=tags,
        metadata=metadata,
        loops=loops,
        loop_limits=loop_limits,
        budget=budget,
    )
    return block.start()
