"""The programs that are compared: each sets itself up in its own process and hands out one call."""

from __future__ import annotations

import atexit
import os
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import stub

if TYPE_CHECKING:
    from collections.abc import Callable


class Arm(NamedTuple):
    """A program that is ready to run.

    Attributes:
        call: One operation.
        flush: Sends everything that is waiting.
        signals: What was written so far, where it goes to memory.
    """

    call: Callable[[], Any]
    flush: Callable[[], Any] = lambda: None
    signals: Callable[[], Any] = dict


def _ours(endpoint: str, **settings: Any) -> Callable[[], Any]:
    """The library with a pipeline of its own; returns its flush."""
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    import otel_agentops

    otel_agentops.init(service_name="benchmark", capture_content=True, **settings)
    return lambda: otel_agentops.flush(30)


def _spooled(durability: str) -> Callable[[str], Arm]:
    """A chat call with the spool, in a directory of its own that goes with the process."""

    def arm(endpoint: str) -> Arm:
        folder = tempfile.TemporaryDirectory()
        atexit.register(folder.cleanup)
        flush = _ours(endpoint, spool=True, spool_directory=folder.name, durability=durability)
        return Arm(_chat(), flush)

    return arm


def _joined() -> None:
    """The library beside the program's own providers."""
    import otel_agentops

    otel_agentops.init(capture_content=True)


def _chat() -> Callable[[], Any]:
    completions, messages = stub.client().chat.completions, stub.messages
    return lambda: completions.create(model=stub.MODEL, messages=messages(), temperature=0.2, max_tokens=256)


def _again() -> Callable[[], Any]:
    """A loop: nothing but one prompt."""
    completions = stub.client().chat.completions
    return lambda: completions.create(
        model=stub.MODEL, messages=stub.MESSAGES, temperature=0.2, max_tokens=256
    )


def _stream(ask: bool = True, known_host: bool = False) -> Callable[[], Any]:
    completions, messages = stub.client(known_host).chat.completions, stub.messages
    more = {"stream_options": {"include_usage": True}} if ask else {}

    def call() -> None:
        for _ in completions.create(model=stub.MODEL, messages=messages(), stream=True, **more):
            pass

    return call


def _embed() -> Callable[[], Any]:
    embeddings = stub.client().embeddings
    text = stub.MESSAGES[1]["content"]
    return lambda: embeddings.create(model=stub.EMBEDDER, input=text, encoding_format="float")


def _nested(session: Any, agent: Any, operation: Any) -> Callable[[], Any]:
    def step() -> Any:
        return None

    inner = operation(step)

    def turn() -> Any:
        return inner()

    middle = agent(turn)

    def run() -> Any:
        return middle()

    outer: Callable[[], Any] = session(run)
    return outer


def _bare(call: Callable[[], Callable[[], Any]]) -> Callable[[str], Arm]:
    return lambda _endpoint: Arm(call())


def _own(call: Callable[[], Callable[[], Any]]) -> Callable[[str], Arm]:
    def arm(endpoint: str) -> Arm:
        flush = _ours(endpoint)
        return Arm(call(), flush)

    return arm


def _beside(call: Callable[[], Callable[[], Any]]) -> Callable[[str], Arm]:
    def arm(endpoint: str) -> Arm:
        from benchmarks.kit import Kit

        kit = Kit(endpoint)
        _joined()
        return Arm(call(), kit.flush, kit.signals)

    return arm


def _raw_same(program: str, call: Callable[[], Callable[[], Any]]) -> Callable[[str], Arm]:
    def arm(endpoint: str) -> Arm:
        from benchmarks import raw
        from benchmarks.kit import Kit

        kit = Kit(endpoint)
        getattr(raw, program)(kit)
        return Arm(call(), kit.flush, kit.signals)

    return arm


def _raw_chat_plain(endpoint: str) -> Arm:
    from benchmarks import raw
    from benchmarks.kit import Kit

    kit = Kit(endpoint, with_metrics=False)
    raw.plain_chat(kit.tracer)
    return Arm(_chat(), kit.flush)


def _raw_nested(endpoint: str) -> Arm:
    from benchmarks import raw
    from benchmarks.kit import Kit

    kit = Kit(endpoint, with_metrics=False)
    run = _nested(*(raw.plain_decorator(kit.tracer, kind) for kind in ("session", "agent", "operation")))
    return Arm(run, kit.flush)


def _ours_nested(endpoint: str) -> Arm:
    import otel_agentops as ao

    flush = _ours(endpoint)
    return Arm(_nested(ao.session(name="run"), ao.agent(name="turn"), ao.operation(name="step")), flush)


def _chain(named: bool) -> Callable[[], Any]:
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnableLambda

    model = FakeListChatModel(responses=["forty two"])
    upper = RunnableLambda(lambda text: text.upper(), name="upper")
    wrap = RunnableLambda(lambda text: {"answer": text}, name="wrap")
    if named:
        ask = RunnableLambda(lambda asked: asked["q"], name="ask")
        read = RunnableLambda(lambda message: message.content, name="read")
        chain: Any = ask | model | read | upper | wrap
    else:
        prompt = ChatPromptTemplate.from_messages([("system", "Be terse."), ("human", "{q}")])
        chain = prompt | model | StrOutputParser() | upper | wrap
    return lambda: chain.invoke({"q": "What is the answer?"})


def _nothing(function: Any) -> Any:
    return function


ARMS: dict[str, Callable[[str], Arm]] = {
    "chat.bare": _bare(_chat),
    "chat.joined": _beside(_chat),
    "chat.again_bare": _bare(_again),
    "chat.again": _beside(_again),
    "chat.same": _raw_same("same_chat", _chat),
    "chat.own": _own(_chat),
    "chat.spool": _spooled("outage"),
    "chat.crash": _spooled("crash"),
    "chat.plain": _raw_chat_plain,
    "stream.bare": _bare(_stream),
    "stream.joined": _beside(_stream),
    "stream.same": _raw_same("same_chat", _stream),
    "stream.own": _own(_stream),
    "stream.asked_bare": _bare(lambda: _stream(ask=False, known_host=True)),
    "stream.asked": _own(lambda: _stream(ask=False, known_host=True)),
    "embeddings.bare": _bare(_embed),
    "embeddings.joined": _beside(_embed),
    "embeddings.same": _raw_same("same_embeddings", _embed),
    "decorators.bare": _bare(lambda: _nested(_nothing, _nothing, _nothing)),
    "decorators.own": _ours_nested,
    "decorators.plain": _raw_nested,
    "langchain.usual_bare": _bare(lambda: _chain(named=False)),
    "langchain.usual_own": _own(lambda: _chain(named=False)),
    "langchain.named_bare": _bare(lambda: _chain(named=True)),
    "langchain.named_own": _own(lambda: _chain(named=True)),
}
