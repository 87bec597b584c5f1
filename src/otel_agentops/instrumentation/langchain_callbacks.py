"""What LangChain's callbacks do: open a record when a run starts, end it when the run ends.

A run's record is made current for its body, which LangChain runs in the context of the callback, or in
a copy of it. Runs find each other by their ids as well, so that a tree stays whole where a thread was
started without its context. Nothing here raises.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

from otel_agentops.accounting import digest_of_arguments, take_digest
from otel_agentops.failsafe import Refusal, swallowed
from otel_agentops.instrumentation import langchain_calls as calls
from otel_agentops.instrumentation import langchain_runs as runs
from otel_agentops.instrumentation.langchain_inline import in_loop, in_own_task, inline
from otel_agentops.instrumentation.langchain_messages import plain
from otel_agentops.instrumentation.langchain_open import Call, Run, announce
from otel_agentops.instrumentation.switches import suppressed
from otel_agentops.messages import settled
from otel_agentops.records import Retrieval, ToolCall
from otel_agentops.spans import current

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from otel_agentops.records import Ending, Record

__all__ = ["Callbacks"]

_MAX_OPEN = 10_000
"""Open runs that are remembered; beyond it the oldest are ended, since nobody told of their end."""

_NOTHING: dict[str, Any] = {}


def _ours(method: Callable[..., None]) -> Callable[..., None]:
    """A callback that keeps its failures to itself, but for those that are meant for the caller."""

    @functools.wraps(method)
    def guarded(self: Callbacks, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except self.meant_for_callers:
            raise
        except Exception as error:  # noqa: BLE001 - ours must not reach the program
            swallowed(f"handling {method.__name__}", error)

    return guarded


class Callbacks:
    """LangChain's callbacks, without LangChain: `langchain` mixes in its base class when there is one.

    Attributes:
        active: Whether anything is recorded.
        apart: Whether async runs call us in a task of its own, whose context their bodies do not see.
        meant_for_callers: Exceptions of ours that stop a run.
    """

    meant_for_callers: ClassVar[tuple[type[Exception], ...]] = (Refusal,)

    def __init__(self) -> None:
        self.active = True
        self.apart = False
        self._open: dict[UUID, Run | Call] = {}

    @property
    def run_inline(self) -> bool:
        """Whether async runs call us in their own context, not in a thread or task."""
        return inline(self)

    @property
    def raise_error(self) -> bool:
        """Whether LangChain lets what we raise through to the caller."""
        return bool(self.meant_for_callers)

    @property
    def _off(self) -> bool:
        return not self.active

    ignore_chain = ignore_llm = ignore_chat_model = ignore_agent = ignore_retriever = _off

    @property
    def ignore_retry(self) -> bool:
        """Retries are inside the call."""
        return True

    ignore_custom_event = ignore_retry

    def __copy__(self) -> Callbacks:
        return self

    def __deepcopy__(self, _memo: Any) -> Callbacks:
        return self  # a second one would record every run twice

    def end_open(self) -> None:
        """End what is still open; the program is about to."""
        for run_id in reversed(list(self._open)):
            self._end(run_id, "abandoned")

    # --- the book of open runs ---

    def _around(self, parent_run_id: UUID | None) -> Run | None:
        found = self._open.get(parent_run_id) if parent_run_id is not None else None
        return found if isinstance(found, Run) else None

    def _keep(self, run_id: UUID, run: Run | Call) -> None:
        if len(self._open) >= _MAX_OPEN:
            self._end(next(iter(self._open)), "abandoned")
        self._open[run_id] = run
        if run.around is not None:
            run.around.inner.add(run_id)

    def _end(self, run_id: UUID, ending: Ending, error: BaseException | None = None) -> None:
        run = self._open.pop(run_id, None)
        if run is None:
            return
        if run.around is not None:
            run.around.inner.discard(run_id)
        if isinstance(run, Run) and run.inner and error is not None and not isinstance(error, Exception):
            for inner in tuple(run.inner):
                self._end(inner, ending, error)
        run.end(ending, error)

    # --- chains, graphs, agents ---

    @_ours
    def on_chain_start(
        self,
        serialized: Mapping[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        run_type: str | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        """A chain, a graph, a node or an agent starts."""
        around = self._around(parent_run_id)
        node, in_node = runs.is_node(tags), around is not None and around.node
        name = name or runs.name_of(serialized)
        record = runs.chain(name, run_type, tags, metadata or _NOTHING, around is None, node, in_node)
        if record is None:
            self._keep(run_id, Run(around.scope if around else None, around, node))
        else:
            self._start(record, run_id, around, node)

    def _start(self, record: Record, run_id: UUID, around: Run | None, node: bool = False) -> None:
        recorder = current()
        if recorder is None or suppressed() or run_id in self._open:
            return
        scope = recorder.start_scope(record, parent=around.scope if around is not None else None)
        run = Run(scope, around, node)
        run.entered = scope.enter_loosely()
        self._keep(run_id, run)

    @_ours
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """It has ended."""
        self._end(run_id, "complete")

    @_ours
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It has failed, or was cancelled or interrupted."""
        self._end(run_id, "error", error)

    # --- tools ---

    @_ours
    def on_tool_start(
        self,
        serialized: Mapping[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: Any = None,
        name: str | None = None,
        tool_call_id: str | None = None,
        **_: Any,
    ) -> None:
        """A tool starts."""
        recorder, told = current(), serialized or _NOTHING
        tool = ToolCall(str(told.get("name") or name or "tool"), description=told.get("description"))
        tool.call_id = tool_call_id
        if recorder is not None:
            given = input_str if inputs is None else inputs
            tool.digest = digest_of_arguments(recorder.digest_key, tool.name, given)
            if recorder.encoder.capture_content:
                tool.arguments = settled(given)
        self._start(tool, run_id, self._around(parent_run_id))

    @_ours
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """It has returned; a tool that reports an error instead of raising it has failed as well."""
        run = self._open.get(run_id)
        if not isinstance(run, Run) or run.scope is None or not isinstance(run.scope.record, ToolCall):
            return
        tool = run.scope.record
        run.scope.result(settled(getattr(output, "content", output)))
        failed = getattr(output, "status", None) == "error"
        if failed:
            tool.error_type = "_OTHER"
        self._end(run_id, "error" if failed else "complete")

    on_tool_error = on_chain_error

    # --- retrievers ---

    @_ours
    def on_retriever_start(
        self,
        serialized: Mapping[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        """A retriever starts."""
        record = runs.retrieval(name or runs.name_of(serialized), metadata or _NOTHING)
        record.query = str(query)
        self._start(record, run_id, self._around(parent_run_id))

    @_ours
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """It has found something."""
        run = self._open.get(run_id)
        record = run.scope.record if isinstance(run, Run) and run.scope is not None else None
        if isinstance(record, Retrieval):
            record.documents = runs.documents(documents)
        self._end(run_id, "complete")

    on_retriever_error = on_chain_error

    # --- models ---

    @_ours
    def on_chat_model_start(
        self, serialized: Mapping[str, Any] | None, messages: Sequence[Sequence[Any]], **told: Any
    ) -> None:
        """A chat model is about to be called with one list of messages."""
        self._start_call("chat", list(messages[0]) if messages else [], **told)

    @_ours
    def on_llm_start(self, serialized: Mapping[str, Any] | None, prompts: Sequence[str], **told: Any) -> None:
        """A completion model is about to be called with one text."""
        self._start_call("text_completion", prompts[0] if prompts else "", **told)

    def _start_call(
        self,
        operation: str,
        prompt: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        invocation_params: Mapping[str, Any] | None = None,
        batch_size: int = 1,
        **_: Any,
    ) -> None:
        recorder = current()
        if recorder is None or suppressed() or run_id in self._open:
            return
        params = invocation_params or _NOTHING
        call = calls.request(operation, metadata or _NOTHING, params)
        said = prompt if isinstance(prompt, str) else [plain(message) for message in prompt]
        take_digest(call, recorder.digest_key, said, params.get("tools"), weigh=recorder.budgets.wanted)
        around = self._around(parent_run_id)
        if around is None:
            call.conversation_id = calls.conversation(metadata or _NOTHING)
        # a context that a completion model has left behind says nothing of chat models
        apart = self.apart or (operation == "text_completion" and in_own_task())
        run = announce(recorder, call, prompt, params, around, batch_size, apart)
        self._keep(run_id, run)

    @_ours
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **_: Any) -> None:
        """A part of the answer is there; with the first the caller goes on before the call has ended."""
        run = self._open.get(run_id)
        if isinstance(run, Call) and not run.streams:
            run.streams = True
            run.call.record.stream = True
            run.call.first_chunk()
            run.announced.passed = True
            run.stand_in.pass_on()

    on_stream_event = on_llm_new_token

    @_ours
    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """The answer is there."""
        run = self._open.get(run_id)
        if isinstance(run, Call):
            try:
                calls.answer(run.call.record, response, run_id)
            finally:
                self._end(run_id, "complete")

    @_ours
    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: Any = None, **_: Any) -> None:
        """The call failed, or was cancelled or closed; a stream may have told something by then."""
        run = self._open.get(run_id)
        if isinstance(run, Call):
            try:
                if run.streams and response is not None:
                    calls.answer(run.call.record, response, run_id)
            finally:
                self._end(run_id, "error", error)
                self._end_unmade(run)

    def _end_unmade(self, failed: Call) -> None:
        """After its first failure a chat model's `generate` makes no more calls, and tells of none."""
        if not failed.several or failed.call.record.operation != "chat" or in_loop():
            return
        for run_id, run in tuple(self._open.items()):
            if isinstance(run, Call) and run.call.layer is failed.call.layer:
                self._end(run_id, "abandoned")
