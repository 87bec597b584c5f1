"""Decorated functions and classes stay what they were, and are recorded."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured

DECORATORS: list[Callable[..., Any]] = [ao.agent, ao.operation, ao.tool, ao.session]
each = pytest.mark.parametrize("decorator", DECORATORS, ids=lambda d: d.__name__)


def plain(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


async def coroutine(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


def generator(a: int, b: int = 2) -> Iterator[int]:
    """Count."""
    yield a
    yield b


async def async_generator(a: int, b: int = 2) -> AsyncIterator[int]:
    """Count."""
    yield a
    yield b


KINDS = [plain, coroutine, generator, async_generator]

pickled = ao.operation(plain)
pickled.__qualname__ = "pickled"


def run(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call it in the way of its kind."""
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(*args, **kwargs))
    if inspect.isgeneratorfunction(function):
        return list(function(*args, **kwargs))
    if inspect.isasyncgenfunction(function):

        async def collect() -> list[Any]:
            return [item async for item in function(*args, **kwargs)]

        return asyncio.run(collect())
    return function(*args, **kwargs)


@each
@pytest.mark.parametrize("function", KINDS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("form", ["bare", "called", "named"])
def test_same_function_as_before(captured: Captured, decorator: Any, function: Any, form: str) -> None:
    """Result, kind, signature, name and docs are those of the function; one span a call."""
    wrap = {"bare": decorator, "called": decorator(), "named": decorator(name="mine")}[form]
    decorated = wrap(function)
    assert run(decorated, 1, b=5) == run(function, 1, b=5)
    for ask in (
        inspect.signature,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.getdoc,
    ):
        assert ask(decorated) == ask(function)
    assert (decorated.__name__, decorated.__module__) == (function.__name__, function.__module__)
    (span,) = captured.spans
    assert span.name.endswith("mine" if form == "named" else function.__name__)


def test_decorated_functions_can_be_pickled() -> None:
    """Worker pools send functions by name."""
    assert pickle.loads(pickle.dumps(pickled)) is pickled


class Box:
    """Static and class methods."""

    @ao.tool
    @staticmethod
    def first(x: int) -> int:
        """Decorator outermost."""
        return x

    @staticmethod
    @ao.tool
    def second(x: int) -> int:
        """Decorator inside."""
        return x

    @ao.operation
    @classmethod
    def third(cls, x: int) -> tuple[type, int]:
        """Decorator around a class method."""
        return cls, x


def test_static_and_class_methods(captured: Captured) -> None:
    """They work on the class and on objects."""
    assert [Box.first(1), Box().first(2), Box.second(3), Box().second(4)] == [1, 2, 3, 4]
    assert Box.third(5) == (Box, 5) == Box().third(5)
    assert len(captured.spans) == 6


def test_not_a_function() -> None:
    """What cannot be decorated is the developer's error, at once."""
    with pytest.raises(TypeError, match="cannot decorate 5"):
        ao.agent()(5)  # type: ignore[type-var]


@each
@pytest.mark.parametrize("function", KINDS, ids=lambda f: f.__name__)
def test_exceptions_pass_unchanged(captured: Captured, decorator: Any, function: Any) -> None:
    """The very exception object, with its own traceback; the span has its type and message."""
    with pytest.raises(TypeError) as bare:
        run(function, 1, c=3)
    with pytest.raises(TypeError) as ours:
        run(decorator(function), 1, c=3)
    assert str(ours.value) == str(bare.value)


def test_errors_are_on_the_span_that_saw_them_first(captured: Captured) -> None:
    """Every scope around an error fails with it; the exception itself is recorded once."""
    problem = KeyError("gone")

    @ao.operation
    def inner() -> None:
        raise problem

    @ao.agent
    def outer() -> None:
        inner()

    with pytest.raises(KeyError) as raised:
        outer()
    assert raised.value is problem
    first, second = captured.spans
    for span in (first, second):
        assert (span.attributes or {})["error.type"] == "KeyError"
        assert span.status.description == "'gone'"
    assert [len(first.events), len(second.events)] == [1, 0]


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_cancelling_is_no_error(captured: Captured, error: type[BaseException]) -> None:
    """Cancelled, interrupted, exited: reasons for an early end, not errors."""

    @ao.operation
    def stop() -> None:
        raise error

    with pytest.raises(error):
        stop()
    attributes = captured.spans[0].attributes or {}
    assert attributes["otel_agentops.ending"] == "cancelled"
    assert "error.type" not in attributes


# --- generators ---


def test_the_consumer_is_not_inside_the_generator(captured: Captured) -> None:
    """What is started between two items is no child of the generator; what it starts itself is."""

    @ao.operation
    def produce() -> Iterator[int]:
        with ao.operation("made"):
            yield 1
        yield 2

    with ao.session("s"):
        for _ in produce():
            with ao.operation("used"):
                pass
    produce_span, session = captured.span("produce"), captured.span("invoke_workflow s")
    assert captured.span("made").parent.span_id == produce_span.context.span_id  # type: ignore[union-attr]
    assert {s.parent.span_id for s in captured.named("used") if s.parent} == {session.context.span_id}


def test_interleaved_generators_do_not_mix(captured: Captured) -> None:
    """Two generators read in turns are siblings, and leave nothing behind."""

    @ao.operation
    def count(name: str) -> Iterator[str]:
        for _ in range(2):
            with ao.operation(f"step {name}"):
                yield name

    with ao.session("s"):
        assert list(zip(count("a"), count("b"), strict=True)) == [("a", "b")] * 2
    with ao.session("after"):
        pass
    session = captured.span("invoke_workflow s")
    counts = captured.named("count")
    assert {s.parent.span_id for s in counts if s.parent} == {session.context.span_id}
    assert captured.span("invoke_workflow after").parent is None
    for step in captured.named("step"):
        assert step.parent and step.parent.span_id in {c.context.span_id for c in counts}


def test_generators_can_be_talked_to(captured: Captured) -> None:
    """`send`, `throw`, `close` and the return value work as before."""

    @ao.operation
    def talk() -> Any:
        got = yield "first"
        try:
            yield got
        except ValueError as error:
            yield str(error)
        return "end"

    talking = talk()
    assert next(talking) == "first"
    assert talking.send("hello") == "hello"
    assert talking.throw(ValueError("thrown")) == "thrown"
    with pytest.raises(StopIteration) as stop:
        next(talking)
    assert stop.value.value == "end"
    assert "error.type" not in (captured.spans[0].attributes or {})


def test_async_generators_can_be_talked_to(captured: Captured) -> None:
    """The same for async ones."""

    @ao.operation
    async def talk() -> Any:
        got = yield "first"
        try:
            yield got
        except ValueError as error:
            yield str(error)

    async def main() -> None:
        talking = talk()
        assert await anext(talking) == "first"
        assert await talking.asend("hello") == "hello"
        assert await talking.athrow(ValueError("thrown")) == "thrown"
        with pytest.raises(StopAsyncIteration):
            await anext(talking)

    asyncio.run(main())
    assert len(captured.spans) == 1


@pytest.mark.parametrize("closing", ["close", "drop", "break"])
def test_generators_left_early(captured: Captured, closing: str) -> None:
    """A generator that is closed, dropped or left ends its span once, and cleans up."""
    cleaned = []

    @ao.operation
    def produce() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(True)

    made = produce()
    if closing == "break":
        for _ in made:
            break
        del made
    else:
        next(made)
        if closing == "close":
            made.close()  # type: ignore[attr-defined]
        del made
    gc.collect()
    (span,) = captured.spans
    assert (span.attributes or {})["otel_agentops.ending"] == "closed"
    assert cleaned == [True]


def test_generator_never_started(captured: Captured) -> None:
    """A generator that nobody starts runs nothing, and is recorded as nothing."""

    @ao.operation
    def produce() -> Iterator[int]:
        yield 1

    produce()
    gc.collect()
    assert captured.spans == []


def test_async_generator_closed_in_another_task(captured: Captured, caplog: Any) -> None:
    """Closed elsewhere: no error about contexts, and the parents of later spans are right."""

    @ao.operation
    async def produce() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def main() -> None:
        made = produce()
        await anext(made)
        await asyncio.create_task(made.aclose())  # type: ignore[attr-defined]
        with ao.operation("after"):
            pass

    asyncio.run(main())
    assert captured.span("after").parent is None
    assert (captured.span("produce").attributes or {})["otel_agentops.ending"] == "closed"
    assert caplog.records == []


def test_function_that_hands_out_a_coroutine(captured: Captured) -> None:
    """A plain function returning a coroutine, generator or async generator ends when that does."""

    @ao.operation
    def later() -> Any:
        return coroutine(1)

    @ao.operation
    def many() -> Any:
        return generator(1)

    @ao.operation
    def many_later() -> Any:
        return async_generator(1)

    async def main() -> None:
        waiting = later()
        assert captured.spans == []
        assert await waiting == 3
        assert [item async for item in many_later()] == [1, 2]

    asyncio.run(main())
    assert list(many()) == [1, 2]
    assert len(captured.spans) == 3


# --- classes ---


class Base:
    """A base of the same package: its public methods are the agent's, too."""

    def inherited(self) -> str:
        """Public, of the base."""
        return "inherited"


@ao.agent(name="Classifier", description="sorts mail")
class Classifier(Base):
    """An agent as a class."""

    def run(self) -> str:
        """Public: calls another public method."""
        return self.step() + self._hidden()

    @ao.operation
    def step(self) -> str:
        """Public and an operation."""
        return "step"

    def _hidden(self) -> str:
        return "hidden"

    async def arun(self) -> str:
        """Async, calling a sync one."""
        return self.run()

    @property
    def size(self) -> int:
        """No method."""
        return 1


def test_outermost_call_is_the_turn(captured: Captured) -> None:
    """Nested calls on the same object open no second agent span."""
    assert Classifier().run() == "stephidden"
    assert [span.name for span in captured.spans] == ["step", "invoke_agent Classifier"]
    assert (captured.spans[1].attributes or {})["gen_ai.agent.description"] == "sorts mail"


def test_another_object_is_another_agent(captured: Captured) -> None:
    """An agent that calls a second one of its class is two agents."""

    @ao.agent
    class Boss:
        def __init__(self, helper: Any = None) -> None:
            self.helper = helper

        def work(self) -> int:
            return self.helper.work() if self.helper else 1

    assert Boss(Boss()).work() == 1
    inner, outer = captured.spans
    assert inner.parent and inner.parent.span_id == outer.context.span_id


def test_async_inherited_and_properties(captured: Captured) -> None:
    """Async and inherited methods are turns; properties and private methods are not."""
    agent = Classifier()
    assert asyncio.run(agent.arun()) == "stephidden"
    assert agent.inherited() == "inherited"
    assert agent.size == 1
    assert [s.name for s in captured.named("invoke_agent")] == ["invoke_agent Classifier"] * 2


def test_the_class_is_the_same_class() -> None:
    """Decorating changes methods, not the class."""
    assert inspect.isclass(Classifier)
    assert pickle.loads(pickle.dumps(Classifier())).__class__ is Classifier
    assert Classifier.__doc__ == "An agent as a class."
    assert "inherited" not in vars(Base) or Base.inherited.__qualname__ == "Base.inherited"
    assert not hasattr(Base.inherited, "__wrapped__")


# --- tools ---


def test_tool_arguments_and_result(captured: Captured) -> None:
    """With content on, a tool's arguments by name and its result are written as JSON objects."""

    class Shop:
        @ao.tool(name="lookup", cost_usd="0.002", description="finds things")
        def find(self, query: str, *, limit: int = 3) -> dict[str, Any]:
            return {"found": query, "limit": limit}

    Shop().find("tea", limit=1)
    attributes = captured.span("execute_tool lookup").attributes or {}
    assert attributes["gen_ai.tool.call.arguments"] == '{"query":"tea","limit":1}'
    assert attributes["gen_ai.tool.call.result"] == '{"found":"tea","limit":1}'
    assert attributes["otel_agentops.tool.cost_usd"] == 0.002
    assert attributes["gen_ai.tool.description"] == "finds things"


def test_tool_block(captured: Captured) -> None:
    """A with-block is told what it was called with and what came out."""
    with ao.tool("search", call_id="call_1", arguments={"q": 1}) as tool:
        tool.result("nothing")
    attributes = captured.span("execute_tool search").attributes or {}
    assert attributes["gen_ai.tool.call.id"] == "call_1"
    assert attributes["gen_ai.tool.call.result"] == '{"result":"nothing"}'


@pytest.mark.parametrize("cost", [-1, "much", float("nan"), float("inf")])
def test_wrong_tool_cost(cost: Any) -> None:
    """A cost that is none is refused where it is written."""
    with pytest.raises(ValueError, match="cost_usd"):
        ao.tool(cost_usd=cost)
