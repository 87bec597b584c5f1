"""Agents, operations and tools: each a decorator and a with-block, made by one factory."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, overload

from otel_agentops.accounting import Budget, Finding, Ledger, digest_of_arguments
from otel_agentops.config import ConfigError
from otel_agentops.decorators.functions import decorate
from otel_agentops.failsafe import failsafe
from otel_agentops.messages import settled
from otel_agentops.records import AgentRun, Operation, Record, Session, ToolCall
from otel_agentops.spans import OpenScope, current

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.trace import Span

__all__ = ["Block", "Handle", "T", "agent", "made", "operation", "read_budget", "tool"]

T = TypeVar("T", bound=Callable[..., Any] | type)
Make = Callable[[str | None], Record]
"""Makes the record of one run, from the name of what is decorated (None for a with-block)."""


class Handle:
    """One open session, agent, operation or tool, as its with-block gives it.

    After `shutdown()` nothing is recorded any more; a handle then stays empty and does nothing.
    """

    def __init__(self, opened: OpenScope | None) -> None:
        self._opened = opened
        account = opened.scope.account if opened is not None else None
        ledger = opened.scope.ledger if opened is not None else Ledger()
        self._total = account.ledger if account is not None else ledger
        self._entered = opened.enter() if opened is not None else None

    @property
    def total(self) -> Ledger:
        """What was spent inside so far; goes on changing while it is open.

        Of a session whose id the program gave: what was spent under that id, earlier requests included.
        """
        return self._total

    @property
    def remaining(self) -> dict[str, Decimal | int]:
        """What is left of its budgets and those around it, by limit; empty where there is none."""
        opened, recorder = self._opened, current()
        if opened is None or recorder is None:
            return {}
        return recorder.budgets.remaining(opened.scope)

    @property
    def findings(self) -> list[Finding]:
        """Loops and silent failures of its session so far, oldest first; each goes on counting."""
        watch = self._opened.scope.watch if self._opened is not None else None
        return list(watch.findings.values()) if watch is not None else []

    @property
    def span(self) -> Span | None:
        """Its span, for attributes of your own; None after `shutdown()`."""
        return self._opened.span if self._opened is not None else None

    @property
    def session_id(self) -> str | None:
        """`session.id` of a session; None for everything else."""
        record = self._opened.record if self._opened is not None else None
        return record.session_id if isinstance(record, Session) else None

    def outcome(self, outcome: str) -> None:
        """Say what became of a session (`success`, `failure`, ...); case does not matter."""
        record = self._opened.record if self._opened is not None else None
        if isinstance(record, Session):
            record.outcome = str(outcome).lower()

    def result(self, result: Any) -> None:
        """What a tool returned; written only when content is captured."""
        record = self._opened.record if self._opened is not None else None
        if isinstance(record, ToolCall) and self._opened is not None:
            self._opened.result(result)

    def score(
        self,
        name: str,
        value: float | None = None,
        *,
        label: str | None = None,
        explanation: str | None = None,
        response_id: str | None = None,
    ) -> None:
        """Note how good it was, as the conventions' event `gen_ai.evaluation.result` on its span.

        Args:
            name: What was judged: `helpful`, `correct`, ... Static and of low cardinality.
            value: The score; None where there is only a label.
            label: What the score means: `pass`, `relevant`, ...
            explanation: Why; written only when content is captured.
            response_id: Id of the answer that was judged, where that is not the whole.
        """
        with failsafe("writing a score"):
            if self._opened is not None:
                self._opened.score(
                    {
                        "gen_ai.evaluation.name": str(name),
                        "gen_ai.evaluation.score.value": None if value is None else float(value),
                        "gen_ai.evaluation.score.label": label,
                        "gen_ai.evaluation.explanation": explanation,
                        "gen_ai.response.id": response_id,
                    }
                )

    def end(self, outcome: str | None = None) -> None:
        """End it now; only the first end counts.

        Args:
            outcome: What became of a session; None says nothing.
        """
        if outcome is not None:
            self.outcome(outcome)
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        opened, self._entered, entered = self._opened, None, self._entered
        if opened is None:
            return
        with failsafe("ending a scope"):
            if entered is not None:
                opened.leave(entered)
            if error is None:
                opened.finish()
            else:
                opened.fail(error)


class Block:
    """What `session(...)`, `agent(...)`, `operation(...)` and `tool(...)` return.

    Decorates a function, a method or a class, or runs a with-block, also `async with`.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._inside: list[Handle] = []

    def __call__(self, target: T) -> T:
        """Decorate: every call of the function opens one."""
        inner = getattr(target, "__func__", target)  # of static and class methods
        name = str(getattr(inner, "__name__", type(inner).__name__))
        return decorate(target, functools.partial(_begin, self._make, name))

    def start(self) -> Handle:
        """Open one now; it must be ended with `Handle.end`."""
        opened = None
        with failsafe("opening a scope"):
            recorder = current()
            if recorder is not None:
                record = self._make(None)
                if isinstance(record, ToolCall) and record.arguments is not None and not record.repeatable:
                    record.digest = digest_of_arguments(recorder.digest_key, record.name, record.arguments)
                opened = recorder.start_scope(record)
        return Handle(opened)

    def __enter__(self) -> Handle:
        handle = self.start()
        self._inside.append(handle)
        _entered.set((*_entered.get(), (self, handle)))
        return handle

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        handle = self._entered_here()
        if handle is None and self._inside:
            handle = self._inside[-1]  # entered in another context, as by web frameworks' dependencies
        if handle is not None:
            with suppress(ValueError):
                self._inside.remove(handle)
            handle._end(error)

    def _entered_here(self) -> Handle | None:
        entered = list(_entered.get())
        for index in range(len(entered) - 1, -1, -1):
            if entered[index][0] is self:
                _, handle = entered.pop(index)
                _entered.set(tuple(entered))
                return handle
        return None

    async def __aenter__(self) -> Handle:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


_entered: ContextVar[tuple[tuple[Block, Handle], ...]] = ContextVar("otel_agentops_blocks", default=())
"""With-blocks that this context is inside of: one `Block` may be entered by several tasks at once."""


def _begin(
    make: Make, name: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], owner: int
) -> OpenScope | None:
    recorder = current()
    if recorder is None:
        return None
    record = make(name)
    if isinstance(record, ToolCall):
        if not record.repeatable:
            given = args[1:] if _is_method(function) else args
            record.digest = digest_of_arguments(recorder.digest_key, record.name, [list(given), kwargs])
        if recorder.encoder.capture_content:
            record.arguments = settled(_arguments(function, args, kwargs))
    return recorder.start_scope(record, owner)


def _is_method(function: Any) -> bool:
    """Whether the first argument is the object, by its name: what it is does not belong to the call."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_varnames[:1] in (("self",), ("cls",))


def _arguments(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Arguments by name, without the object of a method."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # the call itself will fail, or has no signature
        return dict(kwargs) or None
    return {name: value for name, value in bound.items() if name not in ("self", "cls")}


def made(target: Any, block: Callable[[str | None], Block]) -> Any:
    """`@agent` without parentheses hands over the function where the name would be."""
    if target is None or isinstance(target, str):
        return block(target)
    return block(None)(target)


# --- all but sessions ---


@overload
def agent(name: T, /) -> T: ...
@overload
def agent(
    name: str | None = None, *, description: str | None = None, budget: Budget | None = None
) -> Block: ...
def agent(name: Any = None, *, description: str | None = None, budget: Budget | None = None) -> Any:
    """Record an agent: `@agent`, `@agent(name=...)` or `with agent("name"):`.

    On a class the outermost call of any public method is one turn of the agent; calls from there to
    other methods of the same object open no second one.

    Args:
        name: Name of the agent; that of the function or class when left out.
        description: What it is for.
        budget: What each of its turns may spend.
    """
    checked = read_budget(budget)
    return made(
        name, lambda own: Block(lambda default: AgentRun(own or default, description, budget=checked))
    )


@overload
def operation(name: T, /) -> T: ...
@overload
def operation(name: str | None = None, *, budget: Budget | None = None) -> Block: ...
def operation(name: Any = None, *, budget: Budget | None = None) -> Any:
    """Record a step of the program: `@operation`, `@operation(name=...)` or `with operation("name"):`.

    Args:
        name: Name of the step; that of the function or class when left out.
        budget: What it may spend each time.
    """
    checked = read_budget(budget)
    return made(
        name, lambda own: Block(lambda default: Operation(own or default or "operation", budget=checked))
    )


def read_budget(budget: Any) -> Budget | None:
    """A budget as it must be.

    Raises:
        ConfigError: It is none.
    """
    if budget is not None and not isinstance(budget, Budget):
        raise ConfigError("budget", budget, "a Budget")
    return budget


@overload
def tool(name: T, /) -> T: ...
@overload
def tool(
    name: str | None = None,
    *,
    cost_usd: float | str | Decimal | None = None,
    description: str | None = None,
    call_id: str | None = None,
    arguments: Any = None,
    tool_type: str = "function",
    repeatable: bool = False,
) -> Block: ...
def tool(
    name: Any = None,
    *,
    cost_usd: float | str | Decimal | None = None,
    description: str | None = None,
    call_id: str | None = None,
    arguments: Any = None,
    tool_type: str = "function",
    repeatable: bool = False,
) -> Any:
    """Record a tool that runs on this side: `@tool`, `@tool(cost_usd=...)` or `with tool("name"):`.

    Args:
        name: Name of the tool; that of the function when left out.
        cost_usd: What one execution costs in US dollars, apart from model calls made in it.
        description: What it does.
        call_id: The id that the model gave to the call, for with-blocks.
        arguments: What it is called with, for with-blocks; decorated functions know. Written only
            when content is captured.
        tool_type: `function`, `extension` or `datastore`.
        repeatable: Whether it may be called with the same arguments any number of times, as something
            that waits or looks at a clock; such calls are never taken for a loop.

    Raises:
        ValueError: `cost_usd` is no number or negative.
    """
    cost = _usd(cost_usd)

    def make(own: str | None, default: str | None) -> ToolCall:
        record = ToolCall(own or default or "tool", tool_type, description, call_id, arguments, None, cost)
        record.repeatable = repeatable
        return record

    return made(name, lambda own: Block(functools.partial(make, own)))


def _usd(value: float | str | Decimal | None) -> Decimal | None:
    if value is None:
        return None
    try:
        cost = Decimal(str(value))
    except ArithmeticError:
        cost = Decimal("NaN")
    if not cost.is_finite() or cost < 0:
        raise ValueError(f"cost_usd={value!r} is not usable; allowed: US dollars, 0 or more")
    return cost
