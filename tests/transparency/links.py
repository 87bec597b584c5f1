"""What LangChain programs are made of: models of the servers, tools, retrievers, chains, graphs."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

import transparency.see
from transparency.line import async_http, http_of, sync_http
from transparency.look import plain

__all__ = ["SUBJECTS", "See", "Watcher", "agent", "message_text"]

SAY = "Say this is a test"
SUM = [("system", "You are a mathematician."), ("user", "What's 5 + 5?")]
JOKE = "Tell me a joke about opentelemetry"
ADD = {"messages": [("user", "Add 5 and 7")]}


_PATIENCE_S = {"stall": 2.0, "silent": 0.1}


class See(transparency.see.See):
    """What a scene works with; it can make models, and closes their clients."""

    def __init__(self, name: str, servers: dict[str, str]) -> None:
        super().__init__(name, servers)
        self._sync: list[Any] = []
        self._async: list[Any] = []

    def settings(self, server: str = "plain", gate: asyncio.Event | None = None) -> dict[str, Any]:
        """Arguments of a model of one of the servers."""
        library = http_of("openai")
        http = sync_http(library, self.tape.append)
        async_http_ = async_http(library, self.tape.append, gate=gate)
        self._sync.append(http)
        self._async.append(async_http_)
        return {
            "api_key": "test-key",
            "base_url": f"{self.servers[server]}/v1",
            "max_retries": 0,
            "default_headers": {"x-scene": self.name},
            "http_client": http,
            "http_async_client": async_http_,
            # who is to be cancelled must not give up by itself
            "timeout": library.Timeout(30, read=_PATIENCE_S.get(server, 30) if gate is None else 30),
        }

    def chat(self, server: str = "plain", gate: asyncio.Event | None = None, **more: Any) -> ChatOpenAI:
        """A chat model; its calls and its streams have recorded answers."""
        return ChatOpenAI(**{"model": "gpt-4o", **self.settings(server, gate), **more})

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Close the clients at the end."""
        try:
            yield
        finally:
            for client in self._sync:
                client.close()

    @contextlib.asynccontextmanager
    async def aclosing(self) -> AsyncIterator[None]:
        """The same in a loop."""
        try:
            with self.closing():
                yield
        finally:
            for client in self._async:
                await client.aclose()

    def did(self, step: str) -> None:
        """Write on the tape what a piece of the program does."""
        self.tape.append(f"did {step}")


class Watcher(BaseCallbackHandler):
    """A handler of the program's own, which writes down what it is told."""

    def __init__(self, see: See, raises: str = "") -> None:
        self._see, self._raises = see, raises
        self._runs: dict[Any, int] = {}
        self.raise_error = bool(raises)

    def _number(self, run: Any) -> int:
        return self._runs.setdefault(run, len(self._runs))

    def _told(self, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        own, parent = kwargs.pop("run_id", None), kwargs.pop("parent_run_id", None)
        kwargs.pop("chunk", None)
        shown = {name: plain(value) for name, value in sorted(kwargs.items()) if name != "serialized"}
        if self._raises and event.endswith(self._raises):
            raise LookupError("a handler of the program's own")
        runs = self._number(own), None if parent is None else self._number(parent)
        told = [type(each).__name__ for each in args[1:]] if event.endswith("start") else args
        self._see.tape.append(f"{event} {runs} {plain(told)} {shown}")


def _telling(event: str) -> Any:
    def told(self: Watcher, *args: Any, **kwargs: Any) -> None:
        self._told(event, args, kwargs)

    return told


for _event in [name for name, _ in inspect.getmembers(BaseCallbackHandler) if name.startswith("on_")]:
    setattr(Watcher, _event, _telling(_event))


def message_text(message: Any) -> str:
    """What a message says."""
    return str(getattr(message, "content", message))


# --- the subjects: each is a runnable and what it is given ---

Subject = Callable[[See, str, Any], tuple[Runnable[Any, Any], Any]]


def _chat(see: See, server: str, gate: Any) -> Any:
    return see.chat(server, gate), SUM


def _prompted(see: See, server: str, gate: Any) -> Any:
    prompt = ChatPromptTemplate.from_messages([("system", "You are a mathematician."), ("user", "{q}")])
    return prompt | see.chat(server, gate) | StrOutputParser(), {"q": "What's 5 + 5?"}


def _completion(see: See, server: str, gate: Any) -> Any:
    return OpenAI(model="davinci-002", **see.settings(server, gate)), JOKE


def _tool(see: See, _server: str, _gate: Any) -> Any:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        see.did(f"add {a} {b}")
        return a + b

    async def aadd(a: int, b: int) -> int:
        await asyncio.sleep(0)
        see.did(f"add {a} {b} async")
        return a + b

    add.coroutine = aadd  # type: ignore[attr-defined]
    return add, {"a": 5, "b": 7}


class _Shelf(BaseRetriever):
    """Finds what it was given."""

    see: Any = None

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        self.see.did(f"look for {query}")
        return [Document(page_content="ten", metadata={"source": "book", "score": 0.5})]

    async def _aget_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        await asyncio.sleep(0)
        return self._get_relevant_documents(query, run_manager=run_manager)


def _retriever(see: See, _server: str, _gate: Any) -> Any:
    return _Shelf(see=see), "five and five"


def _function(see: See, _server: str, _gate: Any) -> Any:
    def double(number: int) -> int:
        see.did(f"double {number}")
        return 2 * number

    async def adouble(number: int) -> int:
        await asyncio.sleep(0)
        return double(number)

    return RunnableLambda(double, afunc=adouble, name="double"), 21


def _generator(see: See, _server: str, _gate: Any) -> Any:
    def count(given: Iterator[int]) -> Iterator[str]:
        for number in given:
            for each in range(number):
                see.did(f"yield {each}")
                yield str(each)

    async def acount(given: AsyncIterator[int]) -> AsyncIterator[str]:
        async for number in given:
            for each in range(number):
                await asyncio.sleep(0)
                see.did(f"yield {each}")
                yield str(each)

    return RunnableGenerator(count, acount, name="count"), 4


def _parallel(see: See, server: str, gate: Any) -> Any:
    function, _ = _function(see, server, gate)
    return RunnableParallel(one=function), 4


def _fake(_see: See, _server: str, _gate: Any) -> Any:
    return GenericFakeChatModel(messages=iter([AIMessage("one two three")] * 9)), "?"


def _graph(see: See, server: str, gate: Any) -> Any:
    model = see.chat(server, gate)

    def ask(state: Any) -> Any:
        see.did("ask")
        return {"messages": [model.invoke(SUM)]}

    async def aask(state: Any) -> Any:
        see.did("ask async")
        return {"messages": [await model.ainvoke(SUM)]}

    built = StateGraph(MessagesState)
    built.add_node("ask", RunnableLambda(ask, afunc=aask))
    built.add_node("end", lambda _: see.did("end") or {"messages": []})
    built.add_edge(START, "ask")
    built.add_edge("ask", "end")
    built.add_edge("end", END)
    return built.compile(), {"messages": []}


def agent(see: See, server: str, gate: Any) -> Any:
    """An agent with a tool, as this version makes them."""

    @tool
    def add_numbers(a: float, b: float) -> float:
        """Add two numbers together."""
        see.did("add_numbers")
        return a + b

    model = see.chat(server, gate, model="gpt-4o-mini")
    try:
        from langchain.agents import create_agent as make
    except ImportError:
        from langgraph.prebuilt import create_react_agent as make
    return make(model, [add_numbers]), ADD


SUBJECTS: dict[str, Subject] = {
    "chat model": _chat,
    "chain": _prompted,
    "completion model": _completion,
    "tool": _tool,
    "retriever": _retriever,
    "function": _function,
    "generator": _generator,
    "parallel": _parallel,
    "fake model": _fake,
    "graph": _graph,
    "agent": agent,
}
"""Of a scene, the server's name and what holds back the stream: the runnable, and what it is given."""
