"""What broke decorators and blocks once, or would have."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from typing import Any

import pytest

import otel_agentops as ao
from otel_agentops.failsafe import failures
from otel_agentops.spans import current
from otel_agentops.testing import Captured


def nothing_open() -> bool:
    """Whether every scope of the runtime has ended."""
    recorder = current()
    assert recorder is not None
    return recorder.scopes._open == 0 and not recorder.scopes._by_span and not recorder.scopes._by_trace


async def one(a: int) -> int:
    """A coroutine function."""
    return a


def some(a: int) -> Iterator[int]:
    """A generator function."""
    yield a


async def many(a: int) -> AsyncIterator[int]:
    """An async generator function."""
    yield a


def test_wrong_arguments_leave_nothing_open(captured: Captured) -> None:
    """A call that fails for its arguments fails as it does bare, and no scope stays open."""

    async def main() -> None:
        with pytest.raises(TypeError):
            await ao.operation(one)()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            list(ao.operation(some)())  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            await anext(ao.operation(many)())  # type: ignore[call-arg]

    asyncio.run(main())
    assert nothing_open()


def test_generator_that_fails_while_closing(captured: Captured) -> None:
    """An async generator whose cleanup raises ends its span with that error."""

    @ao.operation
    async def failing() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise KeyError("cleanup")

    async def main() -> None:
        made = failing()
        await anext(made)
        with pytest.raises(KeyError):
            await made.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert (captured.spans[0].attributes or {})["error.type"] == "KeyError"
    assert nothing_open()


@pytest.mark.filterwarnings("ignore:coroutine")
def test_handed_out_and_thrown_away(captured: Captured) -> None:
    """A coroutine or generator that a plain function hands out and nobody runs ends its scope."""
    ao.operation(lambda: one(1))()
    ao.operation(lambda: some(1))()
    gc.collect()
    endings = [(span.attributes or {}).get("otel_agentops.ending") for span in captured.spans]
    assert endings == ["abandoned", "abandoned"]
    assert nothing_open()


class Silent(Exception):  # noqa: N818 - it is one for tests
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_exceptions_that_cannot_be_printed(captured: Captured) -> None:
    """Somebody's failing `__str__` costs the message, not the span."""
    from otel_agentops.failsafe import reraise

    reraise(False)
    with pytest.raises(Silent), ao.operation("o"):
        raise Silent
    assert (captured.span("o").attributes or {})["error.type"].endswith("Silent")
    assert nothing_open()


def test_every_swallowed_error_has_its_event(captured: Captured) -> None:
    """Errors that are caught one after the other are each recorded, whatever their addresses."""
    with ao.agent("a"):
        for number in range(200):
            try:
                with ao.tool("t"):
                    raise KeyError(number)
            except KeyError:
                pass
    assert [len(span.events) for span in captured.named("execute_tool")] == [1] * 200


def test_one_block_in_two_tasks(captured: Captured) -> None:
    """A block that is kept and entered by tasks in turns ends the right one."""
    block = ao.operation("step")
    order: list[str] = []

    async def task(name: str, seconds: float) -> None:
        with block as step:
            step.span.set_attribute("task", name)  # type: ignore[union-attr]
            await asyncio.sleep(seconds)
        order.append(name)

    async def main() -> None:
        await asyncio.gather(task("slow", 0.1), task("quick", 0.02))

    asyncio.run(main())
    assert [(span.attributes or {})["task"] for span in captured.spans] == order == ["quick", "slow"]


def test_sessions_that_overlap(captured: Captured) -> None:
    """Sessions ended in the order of their start leave nothing behind in the context."""
    first, second = ao.start_session("a"), ao.start_session("b")
    first.end()
    second.end()
    with ao.operation("later"):
        pass
    assert captured.span("later").parent is None


def test_bases_in_a_diamond(captured: Captured) -> None:
    """Inherited methods still go along the order of bases."""

    class Base:
        def run(self) -> str:
            return "base"

    @ao.agent
    class Agent(Base):
        pass

    class Mixin(Base):
        def run(self) -> str:
            return "mixin>" + super().run()

    class Both(Agent, Mixin):
        pass

    assert Both().run() == "mixin>base"
    Base.run = lambda self: "changed"  # type: ignore[method-assign]
    assert Agent().run() == "changed"


class ToolObject:
    """A callable object with more to it."""

    name = "finder"

    def __call__(self, query: str) -> str:
        """Call it."""
        return query.upper()

    def invoke(self) -> str:
        """Something else it can do."""
        return "invoked"


def test_callables_keep_what_they_are(captured: Captured) -> None:
    """Cached functions and callable objects keep their own methods and type."""
    cached = ao.operation(functools.lru_cache(one.__wrapped__ if hasattr(one, "__wrapped__") else len))
    assert cached("abc") == cached("abc") == 3
    assert cached.cache_info().hits == 1
    tool = ao.tool(ToolObject())  # type: ignore[type-var]
    assert isinstance(tool, ToolObject)
    assert (tool("a"), tool.invoke(), tool.name) == ("A", "invoked", "finder")
    assert len(captured.spans) == 3


def lazily() -> Any:
    """Things that reading uses up."""
    return {"rows": (n for n in range(3)), "file": StringIO("text"), "list": [iter([1, 2])]}


def test_results_are_not_consumed(captured: Captured) -> None:
    """Writing a tool's arguments and result reads nothing that can be read only once."""

    @ao.tool
    def work(argument: Any) -> Any:
        return lazily()

    items = iter([1, 2])
    result = work(items)
    assert list(items) == [1, 2]
    assert list(result["rows"]) == [0, 1, 2]
    assert result["file"].read() == "text"
    assert list(result["list"][0]) == [1, 2]


def test_arguments_are_those_of_the_call(captured: Captured) -> None:
    """What a tool does to its arguments afterwards is not what it was called with."""

    @ao.tool
    def change(data: dict[str, int]) -> None:
        data["added"] = data.pop("given")

    change({"given": 1})
    assert (captured.spans[0].attributes or {})["gen_ai.tool.call.arguments"] == '{"data":{"given":1}}'


@pytest.mark.parametrize(
    "odd", [{"tags": None}, {"tags": 5}, {"metadata": [1]}, {"metadata": {"k": Silent()}}]
)
def test_odd_sessions_open_all_the_same(odd: dict[str, Any]) -> None:
    """Sessions are opened while requests are served: odd tags are counted, not raised."""
    from otel_agentops.testing import capture

    with capture(strict=False, auto_session=False) as captured:
        with ao.session("s", **odd):
            pass
        assert len(captured.spans) == 1


def test_a_model_call_block_entered_again(captured: Captured) -> None:
    """Each time is a call of its own."""
    call = ao.model_call(provider="openai", model="gpt-4o-mini")
    with call:
        call.response(usage=ao.Usage(input_tokens=10, output_tokens=2))
    with call:
        pass
    first, second = captured.spans
    assert "gen_ai.usage.cost" in (first.attributes or {})
    assert (second.attributes or {})["otel_agentops.cost.reason"] == "no_usage"


ODD_USAGE: list[Any] = [
    ao.Usage(input_tokens="10", output_tokens=5),  # type: ignore[arg-type]
    {"input_tokens": 10, "output_tokens": -5},
    ao.Usage(input_tokens=10.0, output_tokens=5),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("usage", ODD_USAGE, ids=str)
def test_odd_usage(captured: Captured, usage: Any) -> None:
    """Counts that are none are unknown; the rest of the answer is kept."""
    with ao.session("s") as session, ao.model_call(provider="openai", model="gpt-4o-mini") as call:
        call.response(model="m", usage=usage, finish_reasons=["stop"])
    attributes = captured.named("chat")[0].attributes or {}
    assert attributes["gen_ai.response.model"] == "m"
    assert session.total.model_calls == 1
    assert session.total.output_tokens in (5, 0)
    assert all(type(value) is int for name, value in attributes.items() if name.endswith("_tokens"))
    assert len(failures) <= 1


def test_a_tree_that_refers_back_to_itself(captured: Captured) -> None:
    """A digest of objects that know their parents ends in time."""

    class Node:
        def __init__(self) -> None:
            self.children: list[Node] = []
            self.parent: Node | None = None

    root = Node()
    root.children = [Node() for _ in range(8)]
    for child in root.children:
        child.parent = root
    with ao.model_call(provider="openai", model="m", messages=[root, *root.children]):
        pass
    assert len(str((captured.spans[0].attributes or {})["otel_agentops.input.digest"])) == 32


def test_a_processor_of_the_program_that_calls_us(captured: Captured) -> None:
    """Opening the session of the process while a processor calls decorated code does not hang."""
    from opentelemetry.sdk.trace import SpanProcessor

    from otel_agentops.testing import capture

    class Curious(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.name == "invoke_workflow":
                ao.operation(lambda: None)()

    with capture(auto_session=True) as recorded:
        recorded.provider.add_span_processor(Curious())
        with ao.operation("o"):
            pass
        assert recorded.span("o")
