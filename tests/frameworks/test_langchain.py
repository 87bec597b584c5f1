"""LangChain programs as traces: what becomes a span, whose child it is, and what is on it."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import json
import pickle
import subprocess
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="needs langchain-core: pip install -e '.[test-frameworks]'")

from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough, chain
from langchain_core.tools import ToolException, tool

import otel_agentops as ao
from otel_agentops import failsafe
from otel_agentops.instrumentation import langchain_callbacks, langchain_calls
from otel_agentops.instrumentation.langchain import INSTRUMENTOR
from otel_agentops.testing import Captured, capture
from support.conventions import check_span
from support.tree import attribute, tree

PROMPT = ChatPromptTemplate.from_messages([("system", "Be terse."), ("human", "{q}")])


def fake(*answers: str) -> FakeListChatModel:
    """A chat model that needs no server."""
    return FakeListChatModel(responses=list(answers or ["forty two"]))


class SlowChatModel(FakeListChatModel):
    """One that others start beside."""

    async def _agenerate(self, *arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(0.05)
        return self._generate(*arguments, **named)


class SlowModel(FakeListLLM):
    """The same that completes texts."""

    async def _agenerate(self, *arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(0.05)
        return self._generate(*arguments, **named)


def names(captured: Captured) -> list[str]:
    """The tree, with the fake model's calls named shortly."""
    return tree(captured.spans)


# --- what becomes a span


def test_a_chain_is_its_outermost_run_and_its_model(quiet: Captured) -> None:
    """Prompt, parser and the plumbing between them are passed over."""
    assert (PROMPT | fake() | StrOutputParser()).invoke({"q": "?"}) == "forty two"
    assert names(quiet) == ["RunnableSequence", "  chat"]
    assert attribute(quiet.span("RunnableSequence"), "otel_agentops.span.kind") == "operation"


def test_steps_with_names_are_spans(quiet: Captured) -> None:
    """What somebody gave a name is a step; anonymous functions and maps are not."""

    def shorten(text: str) -> str:
        return text[:5]

    inner = (PROMPT | fake() | StrOutputParser()).with_config(run_name="answering")
    whole = RunnableParallel(text=inner, question=RunnablePassthrough()) | RunnableLambda(
        lambda found: found["text"]
    )
    (whole | RunnableLambda(shorten)).with_config(run_name="whole").invoke({"q": "?"})
    assert names(quiet) == ["whole", "  answering", "    chat", "  shorten"]


def test_runs_that_langchain_hides_are_not_spans(quiet: Captured) -> None:
    """A run with the hidden tag is passed over, and what runs inside it is not lost."""
    hidden = RunnableLambda(lambda _: fake().invoke("?").content).with_config(
        run_name="secret", tags=["langsmith:hidden"]
    )
    RunnableLambda(hidden.invoke).with_config(run_name="outer").invoke("x")
    assert names(quiet) == ["outer", "  chat"]


def test_a_prompt_alone_is_nothing(quiet: Captured) -> None:
    """Filling in a template is no step of its own, wherever it is done."""
    PROMPT.invoke({"q": "?"})
    assert quiet.spans == []


@pytest.mark.parametrize("profile", ["1.41", "latest"])
def test_everything_keeps_to_the_conventions(profile: str) -> None:
    """Chains, agents, tools, retrievers and calls have the names and values that are allowed."""
    with capture(semconv=profile, capture_content=True, auto_session=False) as captured:
        chained = Library() | RunnableLambda(lambda found: found[0].page_content) | fake()
        chained.invoke("q", config={"metadata": {"thread_id": "t-1"}})
        add.invoke({"type": "tool_call", "id": "call_7", "name": "add", "args": {"a": 1, "b": 2}})
        problems = {span.name: found for span in captured.spans if (found := check_span(span, profile))}
    assert problems == {}


# --- tools and retrievers


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def fail() -> str:
    """Raise."""
    raise ToolException("no luck")


@tool
def echo(text: str) -> str:
    """Say it again."""
    return text


class Library(BaseRetriever):
    """Finds two documents, whatever is asked."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        fake().invoke("rephrase", config={"callbacks": run_manager.get_child()})
        return [Document("one", id="d1"), Document("two", metadata={"source": "two.txt", "score": 0.5})]


def test_a_tool(captured: Captured) -> None:
    """A tool has its call id, arguments and result, and counts as a tool call."""
    with ao.session("tools") as session:
        answer = add.invoke({"type": "tool_call", "id": "call_7", "name": "add", "args": {"a": 1, "b": 2}})
    assert isinstance(answer, ToolMessage)
    span = captured.span("execute_tool add")
    assert attribute(span, "gen_ai.tool.description") == "Add two numbers."
    assert json.loads(str(attribute(span, "gen_ai.tool.call.arguments"))) == {"a": 1, "b": 2}
    assert json.loads(str(attribute(span, "gen_ai.tool.call.result"))) == {"result": 3}
    assert session.total.tool_calls == 1


def test_nothing_of_content_unless_asked(quiet: Captured) -> None:
    """Without content capture no text of the program is on any span."""
    add.invoke({"a": 1, "b": 2})
    (Library() | RunnableLambda(lambda found: "ask " + found[0].page_content) | fake("secret")).invoke(
        "query"
    )
    written = json.dumps([dict(span.attributes or {}) for span in quiet.spans])
    assert not [text for text in ("secret", "query", "ask", "rephrase", "arguments") if text in written]


def test_a_tool_that_raises(quiet: Captured) -> None:
    """The exception is the caller's; the span is an error and counted."""
    with ao.session("tools") as session, pytest.raises(ToolException):
        fail.invoke({})
    span = quiet.span("execute_tool fail")
    assert attribute(span, "error.type") == "langchain_core.tools.base.ToolException"
    assert session.total.errors == 1


def test_a_tool_that_reports_its_error(quiet: Captured) -> None:
    """A tool whose error LangChain turned into an answer has failed all the same."""
    gentle = fail.model_copy(update={"handle_tool_error": True})
    gentle.invoke({"type": "tool_call", "id": "c", "name": "fail", "args": {}})
    assert attribute(quiet.span("execute_tool fail"), "error.type") == "_OTHER"


def test_a_retriever(captured: Captured) -> None:
    """A retriever says what was searched for and what was found, by id; calls inside are its own."""
    Library().invoke("what?")
    assert names(captured) == ["retrieval Library", "  chat"]
    span = captured.span("retrieval Library")
    assert span.kind.name == "CLIENT"
    assert attribute(span, "gen_ai.retrieval.query.text") == "what?"
    documents = json.loads(str(attribute(span, "gen_ai.retrieval.documents")))
    assert documents == [{"id": "d1"}, {"id": "two.txt", "score": 0.5}]
    assert attribute(span, "otel_agentops.total.model_calls") == 1


def test_keys_are_taken_out_of_what_is_written(captured: Captured) -> None:
    """What looks like a key is on no span, whoever was given it."""
    key = "sk-" + "a1B2c3D4" * 5
    Library().invoke(f"find {key}")
    fake(f"use {key}").invoke(f"is {key} right?")
    echo.invoke({"text": key})
    written = json.dumps([dict(span.attributes or {}) for span in captured.spans])
    assert "find " in written
    assert key not in written


# --- calls


def test_messages_of_every_kind(captured: Captured) -> None:
    """Texts, tool calls, tool results and content blocks arrive in the conventions' shape."""
    asked = AIMessage(
        [
            {"type": "text", "text": "let me see"},
            {"type": "tool_use", "id": "c1", "name": "add", "input": {}},
        ],
        tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}],
    )
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    fake("done").invoke(
        [("system", "s"), HumanMessage([{"type": "text", "text": "look"}, picture]), asked,
         ToolMessage("3", tool_call_id="c1")]
    )  # fmt: skip
    span = captured.spans[0]
    assert json.loads(str(attribute(span, "gen_ai.input.messages"))) == [
        {"role": "system", "parts": [{"type": "text", "content": "s"}]},
        {"role": "user", "parts": [
            {"type": "text", "content": "look"},
            {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
        ]},
        {"role": "assistant", "parts": [
            {"type": "text", "content": "let me see"},
            {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}},
        ]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "3"}]},
    ]  # fmt: skip
    assert json.loads(str(attribute(span, "gen_ai.output.messages"))) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "done"}], "finish_reason": "stop"}
    ]


def test_usage_with_its_details(quiet: Captured) -> None:
    """Cached, written and reasoning tokens are read from LangChain's usage."""
    usage = {
        "input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
        "input_token_details": {"cache_read": 30, "cache_creation": 10, "ephemeral_1h_input_tokens": 4},
        "output_token_details": {"reasoning": 5},
    }  # fmt: skip
    notes = {"model_name": "claude-sonnet-4-5", "stop_reason": "end_turn", "id": "msg_1"}
    message = AIMessage("hi", usage_metadata=usage, response_metadata=notes)
    GenericFakeChatModel(messages=iter([message])).invoke("?")
    span = quiet.spans[0]
    read = {name.removeprefix("gen_ai."): value for name, value in (span.attributes or {}).items()}
    assert read["usage.input_tokens"] == 100
    assert read["usage.cache_read.input_tokens"] == 30
    assert read["usage.cache_creation.input_tokens"] == 10
    assert read["usage.reasoning.output_tokens"] == 5
    assert read["otel_agentops.usage.cache_creation_1h_input_tokens"] == 4
    assert read["response.model"] == "claude-sonnet-4-5"
    assert read["response.finish_reasons"] == ("end_turn",)
    assert read["response.id"] == "msg_1"


def test_providers_are_named_as_in_the_conventions() -> None:
    """LangChain's names of providers and models become those that prices are found by."""
    call = langchain_calls.request("chat", {"ls_provider": "mistralai", "ls_model_name": "m"}, {})
    assert (call.provider, call.request_model) == ("mistral_ai", "m")
    azure = langchain_calls.request("chat", {"ls_provider": "azure"}, {"model": "gpt-4o", "temperature": 0})
    assert (azure.provider, azure.request_model, azure.temperature) == ("azure.ai.openai", "gpt-4o", 0.0)


def test_equal_prompts_have_equal_digests(quiet: Captured) -> None:
    """The digest does not see LangChain's ids of messages, which differ each time."""
    for text, number in (("one", "1"), ("one", "2"), ("two", "3")):
        fake().invoke([HumanMessage(text, id=number)])
    first, second, third = [attribute(span, "otel_agentops.input.digest") for span in quiet.spans]
    assert first == second != third


def test_the_thread_is_the_conversation(quiet: Captured) -> None:
    """A thread id in the metadata is the conversation of everything inside."""
    chained = (PROMPT | fake()).with_config(run_name="talk")
    chained.invoke({"q": "?"}, config={"metadata": {"thread_id": "t-1"}})
    fake().invoke("?", config={"metadata": {"session_id": "t-2"}})
    found = {span.name: attribute(span, "gen_ai.conversation.id") for span in quiet.spans[:2]}
    assert found == {"chat": "t-1", "talk": "t-1"}
    assert attribute(quiet.spans[2], "gen_ai.conversation.id") == "t-2"


# --- parents and contexts


def test_bodies_run_inside_their_spans(quiet: Captured) -> None:
    """Spans of others, and our own decorators, belong to the function that makes them."""
    tracer = quiet.provider.get_tracer("theirs")

    @ao.operation(name="ours")
    def ours() -> str:
        return str(fake().invoke("?").content)

    def body(_: Any) -> str:
        with tracer.start_as_current_span("theirs"):
            return ours()

    RunnableLambda(body).with_config(run_name="run").invoke("x")
    assert names(quiet) == ["run", "  theirs", "    ours", "      chat"]


async def test_async_bodies_run_inside_their_spans(quiet: Captured) -> None:
    """The same in async, and what follows a run is outside of it."""
    tracer = quiet.provider.get_tracer("theirs")

    async def body(_: Any) -> str:
        with tracer.start_as_current_span("inside"):
            return str((await fake().ainvoke("?")).content)

    with tracer.start_as_current_span("outside"):
        await RunnableLambda(body).with_config(run_name="run").ainvoke("x")
        with tracer.start_as_current_span("after"):
            pass
    with tracer.start_as_current_span("last"):
        pass
    assert names(quiet) == ["outside", "  run", "    inside", "      chat", "  after", "last"]


def test_threads_without_context_find_their_parent(quiet: Captured) -> None:
    """A run started in a bare thread with its config is still a child of the run it came from."""

    def body(_: Any, config: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: fake().invoke("?", config=config)).result()

    with ao.session("threads") as session:
        RunnableLambda(body).with_config(run_name="run").invoke("x")
    assert names(quiet) == ["invoke_workflow threads", "  run", "    chat"]
    assert session.total.model_calls == 1


def test_scopes_count_what_runs_inside(quiet: Captured) -> None:
    """Totals of a chain are its own, those of the session are all."""
    with ao.session("sums") as session:
        (PROMPT | fake()).with_config(run_name="first").invoke({"q": "?"})
        fake().invoke("?")
    assert attribute(quiet.span("first"), "otel_agentops.total.model_calls") == 1
    assert session.total.model_calls == 2


@chain
def broken(_: Any) -> str:
    """A chain that fails."""
    raise ValueError("broken")


@pytest.mark.parametrize("kind", ["chat", "text_completion"])
async def test_calls_side_by_side_with_the_same_words_are_calls_each(quiet: Captured, kind: str) -> None:
    """Also where the announcement of one cannot be told from that of another by its context."""
    model = SlowChatModel(responses=["so"]) if kind == "chat" else SlowModel(responses=["so"])
    with ao.session("many") as session:
        await asyncio.gather(*(model.ainvoke("?") for _ in range(4)))
    assert names(quiet) == ["invoke_workflow many", *[f"  {kind}"] * 4]
    assert session.total.model_calls == 4


def test_errors_pass_and_are_recorded_once(quiet: Captured) -> None:
    """The caller gets the very exception; only the innermost span has its event."""
    outer = RunnableLambda(broken.invoke).with_config(run_name="outer")
    with pytest.raises(ValueError, match="broken"):
        outer.invoke("x")
    events = {span.name: [event.name for event in span.events] for span in quiet.spans}
    assert events == {"broken": ["exception"], "outer": []}
    assert [span.status.is_ok for span in quiet.spans] == [False, False]


# --- streams


def test_between_the_parts_of_a_stream_the_caller_is_outside(quiet: Captured) -> None:
    """What a program does with each part of an answer is not inside the call."""
    tracer = quiet.provider.get_tracer("theirs")
    for _ in fake("ab").stream("?"):
        with tracer.start_as_current_span("theirs"):
            pass
    with tracer.start_as_current_span("after"):
        pass
    assert names(quiet)[0] == "chat"
    assert set(names(quiet)[1:]) == {"theirs", "after"}
    assert isinstance(attribute(quiet.span("chat"), "gen_ai.response.time_to_first_chunk"), float)


def test_a_stream_left_early(quiet: Captured) -> None:
    """A call whose stream is thrown away is closed, and nothing of it stays open."""
    for _ in fake("abc").stream("?"):
        break
    gc.collect()
    assert attribute(quiet.span("chat"), "otel_agentops.ending") == "closed"
    assert INSTRUMENTOR.handler._open == {}


def test_a_chains_stream_left_early(quiet: Captured) -> None:
    """The chain ends and so does what is inside; LangChain reads the model to its end itself."""
    for _ in (PROMPT | fake("abc") | StrOutputParser()).with_config(run_name="talk").stream({"q": "?"}):
        break
    gc.collect()
    assert names(quiet) == ["talk", "  chat"]
    assert INSTRUMENTOR.handler._open == {}


async def test_an_async_stream_that_is_closed(quiet: Captured) -> None:
    """`aclose` ends the runs as soon as the loop gets to it, and what follows is outside."""
    stream = (PROMPT | fake("abc")).with_config(run_name="talk").astream({"q": "?"})
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    del stream
    gc.collect()
    await asyncio.sleep(0.05)
    with quiet.provider.get_tracer("theirs").start_as_current_span("after"):
        pass
    assert INSTRUMENTOR.handler._open == {}
    assert names(quiet) == ["talk", "  chat", "after"]
    assert attribute(quiet.span("chat"), "otel_agentops.ending") == "closed"


async def test_the_events_api(quiet: Captured) -> None:
    """`astream_events` makes the same spans as a plain call."""
    chained = (PROMPT | fake("ab") | StrOutputParser()).with_config(run_name="talk")
    assert [event async for event in chained.astream_events({"q": "?"}, version="v2")]
    assert names(quiet) == ["talk", "  chat"]


def test_the_newer_events_of_a_stream(quiet: Captured) -> None:
    """Streams of protocol events are one call as well, and the caller is outside between them."""
    if not hasattr(BaseChatModel, "stream_events"):
        pytest.skip("this version of langchain-core has no stream_events")
    tracer = quiet.provider.get_tracer("theirs")
    for _ in fake("abc").stream_events("?", version="v3"):
        with tracer.start_as_current_span("theirs"):
            pass
    assert set(names(quiet)) == {"chat", "theirs"}
    assert INSTRUMENTOR.handler._open == {}


async def test_a_cancelled_chain_ends_with_all_its_runs(quiet: Captured) -> None:
    """LangChain tells of the chain alone; the runs inside end with it."""

    class Slow(BaseChatModel):
        """Takes for ever."""

        @property
        def _llm_type(self) -> str:
            return "slow"

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        async def _agenerate(self, *args: Any, **kwargs: Any) -> str:
            await asyncio.sleep(60)
            return ""

    task = asyncio.create_task((PROMPT | Slow()).with_config(run_name="talk").ainvoke({"q": "?"}))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    endings = {span.name: attribute(span, "otel_agentops.ending") for span in quiet.spans}
    assert endings == {"talk": "cancelled", "chat": "cancelled"}
    assert INSTRUMENTOR.handler._open == {}


# --- the hook


def test_nothing_is_imported_for_us() -> None:
    """Switching on imports nothing; importing LangChain afterwards, or before, is enough."""
    code = """
import sys
{before}
import otel_agentops as ao
from otel_agentops.testing import capture
with capture(auto_session=False) as captured:
    assert {known} == ("langchain_core" in sys.modules)
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    FakeListChatModel(responses=["x"]).invoke("?")
    assert [span.name for span in captured.spans] == ["chat"], captured.spans
"""
    for before in ("", "import langchain_core.runnables"):
        program = code.format(before=before, known=bool(before))
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_off_and_on_again(quiet: Captured) -> None:
    """Switched off nothing is recorded; switched on again each run is recorded once."""
    ao.uninstrument("langchain")
    fake().invoke("?")
    assert quiet.spans == []
    ao.instrument("langchain")
    ao.instrument("langchain")
    fake().invoke("?")
    assert names(quiet) == ["chat"]


def test_copies_of_the_handler_are_the_handler(quiet: Captured) -> None:
    """A program that copies or pickles its callbacks does not get every run twice."""
    fake().invoke("?")
    handler = INSTRUMENTOR.handler
    for same in (copy.copy(handler), copy.deepcopy([handler])[0], pickle.loads(pickle.dumps(handler))):
        assert same is handler
    fake().invoke("?", config={"callbacks": [handler, handler]})
    assert names(quiet) == ["chat", "chat"]


def test_ended_calls_do_not_keep_their_prompts(quiet: Captured) -> None:
    """What stays behind in a context holds no messages."""
    message = HumanMessage("a long prompt")
    kept = weakref.ref(message)

    async def program(message: Any) -> None:
        await fake().ainvoke([message])

    context = contextvars.copy_context()
    context.run(asyncio.run, program(message))
    del message
    gc.collect()
    assert kept() is None


def test_suppressed_runs_are_not_recorded(quiet: Captured) -> None:
    """Whoever asks instrumentations to keep quiet is heard."""
    from opentelemetry.context import attach, detach, set_value

    token = attach(set_value("suppress_instrumentation", True))
    try:
        (PROMPT | fake()).invoke({"q": "?"})
    finally:
        detach(token)
    assert quiet.spans == []


@pytest.mark.parametrize("place", ["request", "answer", "take_digest"])
def test_our_failure_is_not_the_callers(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When we fail while a run starts or ends, the run goes on and its span ends."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ours")

    with capture(strict=False, auto_session=False) as captured:
        monkeypatch.setattr(langchain_callbacks if place == "take_digest" else langchain_calls, place, refuse)
        assert (PROMPT | fake() | StrOutputParser()).invoke({"q": "?"}) == "forty two"
        assert captured.span("RunnableSequence").status.is_ok
        assert len(captured.named("chat")) == (place == "answer")
        assert INSTRUMENTOR.handler._open == {}
    assert sum(failsafe.failures.values()) == 1
    failsafe.failures.clear()


def test_open_runs_end_at_shutdown() -> None:
    """A run that is open when the program ends is written."""
    with capture(auto_session=False) as captured:
        stream = (PROMPT | fake("abc")).with_config(run_name="talk").stream({"q": "?"})
        next(stream)
        ao.shutdown()
        spans = {span.name: attribute(span, "otel_agentops.ending") for span in captured.spans}
        stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert spans == {"talk": "abandoned", "chat": "abandoned"}


def test_runs_that_never_end_are_bounded(quiet: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest run is ended when there are too many; a framework may forget to tell."""
    monkeypatch.setattr(langchain_callbacks, "_MAX_OPEN", 3)
    streams: list[Iterator[Any]] = []
    for _ in range(6):
        streams.append(fake("abc").stream("?"))
        next(streams[-1])
    assert len(INSTRUMENTOR.handler._open) == 3
    assert [attribute(span, "otel_agentops.ending") for span in quiet.spans] == ["abandoned"] * 3
    for stream in streams:
        stream.close()  # type: ignore[attr-defined]  # it is a generator
