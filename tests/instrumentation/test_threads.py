"""Work handed to other threads: its parents are where it was handed over, and nothing else changes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

import otel_agentops as ao
from otel_agentops.testing import Captured, capture

PLACES = ((threading.Thread, "start"), (ThreadPoolExecutor, "submit"), (Future, "add_done_callback"))
UNTOUCHED = [inspect.getattr_static(owner, name) for owner, name in PLACES]


def untouched() -> bool:
    """Whether the standard library is as it was; not by `==`, which wrappers hand on to what they wrap."""
    return all(
        inspect.getattr_static(owner, name) is before
        for (owner, name), before in zip(PLACES, UNTOUCHED, strict=True)
    )


@pytest.fixture
def following() -> Iterator[Captured]:
    """Everything recorded, with threads followed."""
    with capture(auto_session=False, propagate_threads=True) as everything:
        yield everything
    assert untouched()


def inner() -> str:
    """What is run elsewhere."""
    with ao.operation("inner"):
        return "done"


def in_thread() -> None:
    """A plain thread."""
    thread = threading.Thread(target=inner)
    thread.start()
    thread.join()


def in_subclass() -> None:
    """A thread with a `run` of its own."""

    class Worker(threading.Thread):
        def run(self) -> None:
            inner()

    thread = Worker()
    thread.start()
    thread.join()
    assert "run" not in vars(thread)


def in_timer() -> None:
    """A timer."""
    timer = threading.Timer(0, inner)
    timer.start()
    timer.join()


def in_thread_of_thread() -> None:
    """Two hops."""
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()


def in_pool() -> None:
    """A task of a pool."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inner).result() == "done"


def in_pool_by_map() -> None:
    """Tasks of a pool by `map`."""
    with ThreadPoolExecutor(1) as pool:
        assert list(pool.map(lambda _: inner(), [1])) == ["done"]


def in_multiprocessing_pool() -> None:
    """The thread pool of multiprocessing."""
    with ThreadPool(1) as pool:
        assert pool.apply(inner) == "done"


def in_executor() -> None:
    """The event loop's own pool."""

    async def main() -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, inner)

    assert asyncio.run(main()) == "done"


def in_to_thread() -> None:
    """What keeps the context by itself."""

    async def main() -> Any:
        return await asyncio.to_thread(inner)

    assert asyncio.run(main()) == "done"


def in_task_group() -> None:
    """Tasks, and a thread from there."""

    async def work() -> None:
        await asyncio.to_thread(inner)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())

    asyncio.run(main())


def in_done_callback() -> None:
    """A callback on the thread that has the result."""
    go, done = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(go.wait)
        waiting.add_done_callback(lambda future: (inner(), done.set()))
        go.set()
        assert done.wait(10)


def by_call_soon_threadsafe() -> None:
    """From a thread back to the event loop."""

    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def call_back() -> None:
            inner()
            done.set()

        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(call_back))
        thread.start()
        await done.wait()

    asyncio.run(main())


WAYS = [
    in_thread, in_subclass, in_timer, in_thread_of_thread, in_pool, in_pool_by_map, in_multiprocessing_pool,
    in_executor, in_to_thread, in_task_group, in_done_callback, by_call_soon_threadsafe,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_parents(way: Callable[[], None], following: Captured) -> None:
    """The span's parent, its session and the totals are those of the place that handed the work over."""
    with ao.session("s", session_id="s-1") as session, ao.agent("a"):
        way()
        with ao.model_call(provider="openai", model="gpt-4o-mini") as call:
            call.response(usage=ao.Usage(input_tokens=1, output_tokens=1))
    inside, agent = following.span("inner"), following.span("invoke_agent a")
    assert inside.parent is not None
    assert inside.parent.span_id == agent.context.span_id
    assert inside.attributes["session.id"] == "s-1"
    assert session.total.model_calls == 1


@pytest.mark.parametrize("way", [in_thread, in_pool])
def test_off_by_default(way: Callable[[], None], captured: Captured) -> None:
    """Without the setting threads start outside, as in OpenTelemetry."""
    assert untouched()
    with ao.session("s"):
        way()
    assert captured.span("inner").parent is None


def test_a_pool_serves_many_sessions(following: Captured) -> None:
    """A thread that a task of one session started knows nothing of it when it serves another, or none."""
    with ThreadPoolExecutor(1) as pool:
        for name in ("first", "second"):
            with ao.session(name, session_id=name):
                pool.submit(inner).result()
        pool.submit(inner).result()
    found = [span.attributes.get("session.id") for span in following.named("inner")]
    assert found == ["first", "second", None]
    assert following.named("inner")[2].parent is None


def test_variables_of_the_program_stay_behind(following: Captured) -> None:
    """Only what is ours goes along: a thread still starts without the program's context variables."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []
    with ao.session("s"), ThreadPoolExecutor(1) as pool:
        variable.set("set")
        pool.submit(lambda: seen.append(variable.get())).result()
        thread = threading.Thread(target=lambda: seen.append(variable.get()))
        thread.start()
        thread.join()
    assert seen == ["unset", "unset"]


def test_arguments_results_and_errors_pass(following: Captured) -> None:
    """Tasks get their arguments, and callers their results, errors and wrong calls, as ever."""

    def task(*args: Any, **kwargs: Any) -> Any:
        if not args:
            raise ValueError("no")
        return args, kwargs

    seen: list[Any] = []
    with ao.session("s"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(task, 1, work=2, fn=3, self=4).result() == ((1,), {"work": 2, "fn": 3, "self": 4})
        with pytest.raises(ValueError, match="no"):
            pool.submit(task).result()
        with pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="not callable"):
            pool.submit(5).result()  # type: ignore[call-overload]
        thread = threading.Thread(target=seen.append, args=(1,))
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        thread.join()
        assert "run" not in vars(thread)
    assert seen == [1]


def test_a_run_of_the_programs_own(following: Captured) -> None:
    """A `run` that the program has put on the object is run, and is there afterwards."""
    thread = threading.Thread()
    thread.run = inner  # type: ignore[method-assign,assignment]
    with ao.session("s"):
        thread.start()
        thread.join()
    assert vars(thread)["run"] is inner
    assert following.span("inner").parent is not None


def test_a_thread_that_outlives_its_session(following: Captured) -> None:
    """What comes late is a child of where it was handed over, and counts to nobody but the process."""
    over = threading.Event()

    def late() -> None:
        over.wait(10)
        inner()

    thread = threading.Thread(target=late)
    with ao.session("s", session_id="s-1"):
        thread.start()
    over.set()
    thread.join()
    late_span, session = following.span("inner"), following.span("invoke_workflow s")
    assert late_span.parent is not None
    assert late_span.parent.span_id == session.context.span_id
    assert "session.id" not in late_span.attributes


def test_uninstrument_and_instrument_again(following: Captured) -> None:
    """`uninstrument()` takes it off, `instrument()` puts it on again as the settings say."""
    ao.uninstrument()
    assert untouched()
    with ao.session("s"):
        in_thread()
    assert following.span("inner").parent is None
    following.clear()
    ao.instrument()
    with ao.session("s"):
        in_thread()
    assert following.span("inner").parent is not None


def test_below_another_wrapper(following: Captured) -> None:
    """Wrapped by another since, ours stays below and passes on; the other's wrapper is not lost."""
    ours = inspect.getattr_static(threading.Thread, "start")
    calls = []

    def start(self: threading.Thread) -> None:
        calls.append(self)
        ours.__get__(self, threading.Thread)()

    threading.Thread.start = start  # type: ignore[method-assign]
    try:
        ao.uninstrument()
        with ao.session("s"):
            in_thread()
        assert following.span("inner").parent is None
        assert len(calls) == 1
    finally:
        threading.Thread.start = ours  # type: ignore[method-assign]
        ao.uninstrument()


def test_beside_the_official_instrumentation(following: Captured) -> None:
    """OpenTelemetry's own instrumentation does it alone then, and parents are the same."""
    module = pytest.importorskip("opentelemetry.instrumentation.threading", reason="not in the `test` extra")
    instrumentor = module.ThreadingInstrumentor()
    instrumentor.instrument()
    try:
        with ao.session("s", session_id="s-1"):
            in_pool()
            in_thread()
        session = following.span("invoke_workflow s")
        for span in following.named("inner"):
            assert span.parent is not None
            assert span.parent.span_id == session.context.span_id
            assert span.attributes["session.id"] == "s-1"
    finally:
        instrumentor.uninstrument()
        # it leaves what it found bound to the class, which is no longer the very object that was there
        ao.uninstrument()
        for (owner, name), before in zip(PLACES, UNTOUCHED, strict=True):
            setattr(owner, name, before)


# --- generators that are ended by somebody else ---


@ao.agent(name="streaming")
def stream() -> Iterator[str]:
    """An agent that answers in parts."""
    yield inner()
    yield "more"


@ao.agent(name="streaming")
async def stream_async() -> AsyncIterator[str]:
    """The same for tasks."""
    yield inner()
    yield "more"


def test_a_generator_is_closed_by_another_thread(following: Captured) -> None:
    """Read on one thread and closed on another: parents are right and nothing stays current."""
    with ao.session("s") as session:
        generator = stream()
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            assert first.submit(next, generator).result() == "done"
            second.submit(generator.close).result()
            first.submit(inner).result()
        assert session.span is not None
        session_id = session.span.get_span_context().span_id
    agent = following.span("invoke_agent streaming")
    parents = [span.parent.span_id for span in following.named("inner") if span.parent is not None]
    assert parents == [agent.context.span_id, session_id]
    assert agent.attributes["otel_agentops.ending"] == "closed"


async def test_an_async_generator_is_closed_by_another_task(following: Captured) -> None:
    """The same for tasks."""
    with ao.session("s"):
        generator = stream_async()
        assert await asyncio.create_task(anext(generator)) == "done"
        await asyncio.create_task(generator.aclose())
        await asyncio.to_thread(inner)
    agent, session = following.span("invoke_agent streaming"), following.span("invoke_workflow s")
    parents = [span.parent.span_id for span in following.named("inner") if span.parent is not None]
    assert parents == [agent.context.span_id, session.context.span_id]


def test_a_session_ended_by_another_thread(following: Captured) -> None:
    """A with-block whose two ends run on different threads leaves nothing current on either."""

    @contextlib.contextmanager
    def dependency() -> Iterator[None]:
        with ao.session("s", session_id="s-1"):
            inner()
            yield

    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        manager = dependency()
        first.submit(contextvars.copy_context().run, manager.__enter__).result()
        second.submit(contextvars.copy_context().run, manager.__exit__, None, None, None).result()
        for pool in (first, second):
            pool.submit(inner).result()
    found = [span.attributes.get("session.id") for span in following.named("inner")]
    assert found == ["s-1", None, None]
    assert following.span("invoke_workflow s").attributes.get("otel_agentops.ending") is None
