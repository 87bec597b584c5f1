"""Model calls that no instrumentation sees: custom clients, local models, unsupported SDKs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from otel_agentops.accounting import take_digest
from otel_agentops.failsafe import failsafe, failures
from otel_agentops.messages import as_message, as_messages, settled, text_part
from otel_agentops.records import ModelCall, Usage
from otel_agentops.spans import OpenCall, current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from opentelemetry.trace import Span

    from otel_agentops.spans import Recorder

__all__ = ["ModelCallBlock", "model_call"]


class ModelCallBlock:
    """One model call of the program's own making: `with model_call(...) as call:`."""

    def __init__(self, call: ModelCall, prompt: tuple[Any, ...]) -> None:
        self._asked = self._call = call
        self._prompt = prompt
        self._opened: OpenCall | None = None
        self._attached: Any = None

    @property
    def span(self) -> Span | None:
        """Its span, for attributes of your own; None before it starts and after `shutdown()`."""
        return self._opened.span if self._opened is not None else None

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost in US dollars; None while it runs and when the price is unknown."""
        return self._call.cost.usd if self._call.cost is not None else None

    def first_chunk(self) -> None:
        """Say that the first chunk of a streamed answer has arrived."""
        with failsafe("noting the first chunk"):
            if self._opened is not None:
                self._call.stream = True
                self._opened.first_chunk()

    def response(
        self,
        *,
        model: str | None = None,
        usage: Usage | None = None,
        finish_reasons: Sequence[str] | None = None,
        output: Any = None,
        response_id: str | None = None,
        service_tier: str | None = None,
        cost_usd: float | str | Decimal | None = None,
    ) -> None:
        """Fill in what came back. May be called again; what is left out stays as it was.

        Args:
            model: The model that answered.
            usage: Token counts; without them the call stays unpriced.
            finish_reasons: One for each choice.
            output: The answer as a text or messages; written only when content is captured.
            response_id: The provider's id of the answer.
            service_tier: The tier the provider served, where that decides the price.
            cost_usd: What the provider itself says the call costs; it wins over every price list.
        """
        call = self._call
        told: tuple[tuple[str, Any, Callable[[Any], Any]], ...] = (
            ("response_model", model, str),
            ("usage", usage, _usage),
            ("response_id", response_id, str),
            ("service_tier", service_tier, str),
            ("finish_reasons", finish_reasons, _words),
            ("reported_cost_usd", cost_usd, _dollars),
        )
        for field, value, read in told:
            if value is not None:
                with failsafe(f"reading {field}"):  # one odd value must not cost the others
                    setattr(call, field, read(value))
        if output is not None and call.capture:
            with failsafe("reading output"):
                call.output_messages = _output(output, call.finish_reasons)

    def __enter__(self) -> ModelCallBlock:
        with failsafe("starting a model call"):
            recorder = current()
            if recorder is not None:
                self._call = copy.copy(self._asked)  # a block may be entered again
                self._prepare(recorder)
                self._opened = recorder.start_call(self._call)
                self._attached = self._opened.attach()
        return self

    def _prepare(self, recorder: Recorder) -> None:
        key, capture = recorder.digest_key, recorder.encoder.capture_content
        call, (messages, system, tools) = self._call, self._prompt
        call.capture = capture
        if messages is not None or system is not None:
            take_digest(call, key, system, messages, tools, weigh=recorder.budgets.wanted)
        if capture:
            call.input_messages = as_messages(messages) if messages is not None else None
            call.system_instructions = [text_part(system)] if system is not None else None
            call.tool_definitions = settled(tools) if isinstance(tools, list | tuple) else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened = self._opened
        if opened is None:
            return
        with failsafe("ending a model call"):
            opened.detach(self._attached)
            if error is None:
                opened.finish()
            else:
                opened.fail(error)

    async def __aenter__(self) -> ModelCallBlock:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _usage(usage: Any) -> Usage:
    """Counts as they must be: whole and not negative; what is not is unknown, and counted as odd."""
    given = usage if isinstance(usage, Mapping) else vars(usage)
    read = Usage()
    for field in fields(Usage):
        count = given.get(field.name)
        if isinstance(count, float) and count.is_integer():
            count = int(count)
        if type(count) is int and count >= 0:
            setattr(read, field.name, count)
        elif count is not None:
            failures[f"unreadable {field.name}"] += 1
    return read


def _dollars(cost: Any) -> Decimal:
    return Decimal(str(cost))


def _words(words: Sequence[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(str(word) for word in words)


def _output(output: Any, reasons: tuple[str, ...] | None) -> list[dict[str, Any]]:
    if isinstance(output, str):
        messages = [{"role": "assistant", "parts": [text_part(output)]}]
    else:
        items = output if isinstance(output, list | tuple) else [output]
        messages = [
            {"role": "assistant", "parts": [text_part(item)]} if isinstance(item, str) else as_message(item)
            for item in items
        ]
    for index, message in enumerate(messages):
        given = reasons[index] if reasons and index < len(reasons) else "stop"
        message.setdefault("finish_reason", given)
    return messages


def model_call(
    *,
    provider: str,
    model: str,
    operation: str = "chat",
    messages: Any = None,
    system: str | None = None,
    tools: Sequence[dict[str, Any]] | None = None,
    stream: bool = False,
    temperature: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    conversation_id: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
    processing: str | None = None,
    inference_geo: str | None = None,
) -> ModelCallBlock:
    """A model call that the program makes by its own means; recorded, priced and counted like any other.

    Args:
        provider: `gen_ai.provider.name`, such as `openai`; one without a price list stays unpriced.
        model: The model that is asked for.
        operation: `chat`, `text_completion`, `generate_content` or `embeddings`.
        messages: A text or chat messages; written only when content is captured.
        system: System instructions that are sent apart from the messages.
        tools: Tool definitions that are sent along.
        stream: Whether the answer is streamed.
        temperature: Sampling temperature.
        top_p: Nucleus sampling.
        max_tokens: Limit of the answer.
        conversation_id: A real id of a message thread.
        server_address: Host that answers.
        server_port: Its port.
        processing: `batch` for a call that is billed as a batch.
        inference_geo: Region of inference, where it is billed apart.
    """
    call = ModelCall(provider, model, operation)
    call.stream = True if stream else None
    call.temperature, call.top_p, call.max_tokens = temperature, top_p, max_tokens
    call.conversation_id = conversation_id
    call.server_address, call.server_port = server_address, server_port
    call.processing, call.inference_geo = processing, inference_geo
    return ModelCallBlock(call, (messages, system, tools))
