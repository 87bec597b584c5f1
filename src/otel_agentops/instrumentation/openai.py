"""OpenAI's SDK: chat completions, legacy completions, embeddings and Responses.

Source: the API reference of OpenAI (objects `chat.completion`, `chat.completion.chunk`, `response`,
`text_completion`, `list` of embeddings) and the GenAI semantic conventions for OpenAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from otel_agentops.failsafe import swallowed
from otel_agentops.instrumentation import openai_answers as answers
from otel_agentops.instrumentation import openai_responses
from otel_agentops.instrumentation.arguments import (
    NOTHING,
    SAMPLING,
    Rows,
    fill,
    output_type,
    whole,
    word,
    words,
    yes,
)
from otel_agentops.instrumentation.base import Instrumentor, Target, given
from otel_agentops.instrumentation.openai_usage import ask_for_usage
from otel_agentops.instrumentation.stainless import follow_stainless, host_of
from otel_agentops.messages import as_message, as_messages, get, text_part, tool_call_part
from otel_agentops.records import ModelCall
from otel_agentops.semconv import provider_of_host

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INSTRUMENTOR"]


# --- requests: which argument goes where, as data ---


def _text_format(value: Any) -> Any:
    return output_type(get(value, "format")) or NOTHING


def _effort(value: Any) -> Any:
    return word(get(value, "effort")) or NOTHING


def _conversation(value: Any) -> str | None:
    return word(value) or word(get(value, "id"))


_ASKED: Rows = {"model": ("request_model", word), "stream": ("stream", yes)}
_CHAT: Rows = {**_ASKED, **SAMPLING}
_RESPONSES: Rows = {
    **_ASKED,
    **{name: SAMPLING[name] for name in ("temperature", "top_p", "service_tier")},
    "max_output_tokens": ("max_tokens", whole),
    "previous_response_id": ("previous_response_id", word),
    "conversation": ("conversation_id", _conversation),
    "reasoning": ("reasoning_level", _effort),
    "text": ("output_type", _text_format),
    "text_format": ("output_type", output_type),
}
_EMBEDDINGS: Rows = {
    "model": ("request_model", word),
    "dimensions": ("dimension_count", whole),
    "encoding_format": ("encoding_formats", words),
}


def _read(resource: Any, kwargs: Mapping[str, Any], rows: Rows, operation: str, api: str | None) -> ModelCall:
    """A record of the request; an argument of an unknown kind is counted and left out."""
    address, port = host_of(resource)
    call = ModelCall(_provider(resource, address), None, operation)
    call.server_address, call.server_port, call.api_type = address, port, api
    fill(call, rows, kwargs)
    extra = kwargs.get("extra_body")
    if type(extra) is dict and "n" in extra:  # how many answers decides how a stream is read
        call.choice_count = whole(extra["n"])
    return call


def _provider(resource: Any, address: str | None) -> str:
    """Who answers: the host tells; a host nobody knows is what the client's class says."""
    provider = provider_of_host(address) if address else None
    if provider is not None:
        return provider
    client: Any = type(getattr(resource, "_client", None))
    return "azure.ai.openai" if _is_azure(client) else "openai"


@lru_cache(maxsize=64)
def _is_azure(client: Any) -> bool:
    return any("Azure" in kind.__name__ for kind in getattr(client, "__mro__", ()))


def _chat(resource: Any, kwargs: Mapping[str, Any], capture: bool) -> ModelCall:
    call = _read(resource, kwargs, _CHAT, "chat", "chat_completions")
    if capture:
        _keep_content(call, _chat_content, kwargs)
    return call


def _keep_content(
    call: ModelCall, read: Callable[[ModelCall, Mapping[str, Any]], None], kwargs: Mapping[str, Any]
) -> None:
    """Read what is sent; a message that cannot be read costs its text, not the call."""
    call.capture = True
    try:
        read(call, kwargs)
    except Exception as error:  # noqa: BLE001 - whatever they put in there
        swallowed("reading content", error)


def _chat_content(call: ModelCall, kwargs: Mapping[str, Any]) -> None:
    call.input_messages = as_messages(given(kwargs.get("messages")))
    call.tool_definitions = _tools(given(kwargs.get("tools")))


def _legacy(resource: Any, kwargs: Mapping[str, Any], capture: bool) -> ModelCall:
    call = _read(resource, kwargs, _CHAT, "text_completion", None)
    if capture:
        _keep_content(call, _legacy_content, kwargs)
    return call


def _legacy_content(call: ModelCall, kwargs: Mapping[str, Any]) -> None:
    prompt = given(kwargs.get("prompt"))
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if isinstance(prompts, list) and all(isinstance(text, str) for text in prompts):
        call.input_messages = [{"role": "user", "parts": [text_part(text)]} for text in prompts]


def _embeddings(resource: Any, kwargs: Mapping[str, Any], _capture: bool) -> ModelCall:
    return _read(resource, kwargs, _EMBEDDINGS, "embeddings", None)


def _responses(resource: Any, kwargs: Mapping[str, Any], capture: bool) -> ModelCall:
    call = _read(resource, kwargs, _RESPONSES, "chat", "responses")
    if capture:
        _keep_content(call, _responses_content, kwargs)
    return call


def _responses_content(call: ModelCall, kwargs: Mapping[str, Any]) -> None:
    instructions = given(kwargs.get("instructions"))
    if isinstance(instructions, str):
        call.system_instructions = [text_part(instructions)]
    call.input_messages = _input_items(given(kwargs.get("input")))
    call.tool_definitions = _tools(given(kwargs.get("tools")))


def _retrieve(resource: Any, kwargs: Mapping[str, Any], capture: bool) -> ModelCall:
    call = _read(resource, kwargs, {"stream": ("stream", yes)}, "fetch_response", "responses")
    call.capture = capture
    call.response_id = word(kwargs.get("response_id"))
    after = whole(given(kwargs.get("starting_after")))
    call.stream_cursor = None if after is None else str(after)
    return call


def _tools(tools: Any) -> list[dict[str, Any]] | None:
    if not isinstance(tools, list | tuple):
        return None
    return [_tool(tool) for tool in tools]


def _tool(tool: Any) -> dict[str, Any]:
    kind = word(get(tool, "type")) or "function"
    function = get(tool, "function") or tool
    name = word(get(function, "name")) or kind
    definition = {"type": kind, "name": name, "description": get(function, "description")}
    parameters = get(function, "parameters")
    if isinstance(parameters, Mapping):
        definition["parameters"] = dict(parameters)
    return {key: value for key, value in definition.items() if value is not None}


def _input_items(items: Any) -> list[dict[str, Any]]:
    """The `input` of a Responses request: a text, or messages, tool calls and tool results."""
    if not isinstance(items, list | tuple):
        return as_messages(items)
    return [_input_item(item) for item in items]


def _input_item(item: Any) -> dict[str, Any]:
    kind = get(item, "type")
    if kind in ("function_call", "custom_tool_call"):
        arguments = get(item, "arguments") if kind == "function_call" else get(item, "input")
        part = tool_call_part(get(item, "call_id"), get(item, "name"), arguments)
        return {"role": "assistant", "parts": [part]}
    if kind in ("function_call_output", "custom_tool_call_output"):
        part = {"type": "tool_call_response", "id": get(item, "call_id"), "response": get(item, "output")}
        return {"role": "tool", "parts": [part]}
    if kind == "reasoning":
        return {"role": "assistant", "parts": [openai_responses.reasoning_part(item)]}
    if kind in (None, "message"):
        return as_message(item)
    return {"role": "assistant", "parts": [{"type": str(kind)}]}


# --- the table ---

_CHAT_MODULES = (
    "openai.resources.chat.completions.completions",  # 1.59 and later
    "openai.resources.chat.completions",  # before
)
_BETA_CHAT = "openai.resources.beta.chat.completions"  # parse() before 1.92
_RESPONSES_MODULE = "openai.resources.responses.responses"


def _target(module: str, attribute: str, **functions: Any) -> Target:
    return Target(module, attribute, follow=follow_stainless, **functions)


_CHAT_FUNCTIONS: dict[str, Any] = {
    "request": _chat,
    "response": answers.chat,
    "chunk": answers.chat_chunk,
    "chunks": answers.chat_chunks,
    "done": answers.chat_done,
    "prompt": ("messages", "tools"),
}
_RESPONSES_FUNCTIONS: dict[str, Any] = {
    "request": _responses,
    "response": openai_responses.response,
    "chunk": openai_responses.response_event,
    "prompt": ("instructions", "input", "tools", "previous_response_id"),
}


def _targets() -> tuple[Target, ...]:
    targets: list[Target] = []
    for prefix in ("", "Async"):
        chat, responses = f"{prefix}Completions", f"{prefix}Responses"
        targets += [
            _target(module, f"{chat}.create", amend=ask_for_usage, former=former, **_CHAT_FUNCTIONS)
            for module, former in zip(_CHAT_MODULES, (False, True), strict=True)
        ]
        targets += [
            _target(module, f"{chat}.parse", former=former, **_CHAT_FUNCTIONS)
            for module, former in ((_CHAT_MODULES[0], False), (_BETA_CHAT, True))
        ]
        targets += [
            _target(_RESPONSES_MODULE, f"{responses}.{method}", **_RESPONSES_FUNCTIONS)
            for method in ("create", "parse")
        ]
        targets.append(
            _target(
                _RESPONSES_MODULE,
                f"{responses}.retrieve",
                request=_retrieve,
                positional=("response_id",),
                response=openai_responses.response,
                chunk=openai_responses.response_event,
            )
        )
        targets.append(
            _target(
                "openai.resources.completions",
                f"{chat}.create",
                request=_legacy,
                response=answers.completion,
                chunk=answers.completion_chunk,
                done=answers.chat_done,
                prompt=("prompt", "suffix"),
            )
        )
        targets.append(
            _target(
                "openai.resources.embeddings",
                f"{prefix}Embeddings.create",
                request=_embeddings,
                response=answers.embeddings,
                prompt=("input",),
            )
        )
    return tuple(targets)


INSTRUMENTOR = Instrumentor("openai", _targets())
"""`.stream()` helpers have no target: they go through `create` and read its stream."""
