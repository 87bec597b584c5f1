"""OpenAI's SDK without the network: `create` hands out an answer that was made before.

The method is replaced before anything is instrumented, so wrappers wrap the stub as they would wrap the
real method, and the call that is not instrumented costs next to nothing.
"""

from __future__ import annotations

from itertools import count
from typing import Any

MODEL = "gpt-4o-mini"
EMBEDDER = "text-embedding-3-small"
_ANSWERED_BY = "gpt-4o-mini-2024-07-18"
_LINE = "Read this log of a broken deployment and say in one sentence what went wrong first. "

MESSAGES = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": (_LINE * 13)[:1024]},
]
"""A prompt of 1 KB."""
_REST = MESSAGES[1]["content"][8:]
_turns = count()


def messages() -> list[dict[str, str]]:
    """A prompt of 1 KB that was not sent before, as those of a program are not: else it is a loop."""
    return [MESSAGES[0], {"role": "user", "content": f"{next(_turns):08d}{_REST}"}]


_USAGE = {
    "prompt_tokens": 240,
    "completion_tokens": 41,
    "total_tokens": 281,
    "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
}
_HEAD = {
    "id": "chatcmpl-A1b2C3d4E5f6",
    "created": 1_795_000_000,
    "model": _ANSWERED_BY,
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
}


def client(known_host: bool = False) -> Any:
    """A client; `known_host` is OpenAI's own, where the library may ask for the usage of streams."""
    import openai

    host = "api.openai.com" if known_host else "llm.example"
    return openai.OpenAI(api_key="none", base_url=f"https://{host}/v1", max_retries=0)


def async_client() -> Any:
    """The same for coroutines."""
    import openai

    return openai.AsyncOpenAI(api_key="none", base_url="https://llm.example/v1", max_retries=0)


def install(chunks: int) -> None:
    """Replace the methods; `chunks` is the length of a stream in tokens."""
    from openai.resources.chat.completions import AsyncCompletions, Completions
    from openai.resources.embeddings import Embeddings

    answer, parts, vector = _completion(), _parts(chunks), _embedding()
    stream = _stream_class()

    def create(self: Any, *, messages: Any, model: str, stream_options: Any = None, **kwargs: Any) -> Any:
        if not kwargs.get("stream"):
            return answer
        return stream(parts if stream_options else parts[:-1])

    async def create_later(self: Any, **kwargs: Any) -> Any:
        return answer

    def embed(self: Any, *, input: Any, model: str, **kwargs: Any) -> Any:  # noqa: A002 - the SDK's name
        return vector

    Completions.create = create  # type: ignore[method-assign]  # on purpose
    AsyncCompletions.create = create_later  # type: ignore[method-assign]  # on purpose
    Embeddings.create = embed  # type: ignore[method-assign]  # on purpose


def _stream_class() -> Any:
    from openai import Stream

    class Canned(Stream):  # type: ignore[type-arg]  # chunks
        def __init__(self, parts: list[Any]) -> None:
            self._iterator = iter(parts)

    return Canned


def _completion() -> Any:
    from openai.types.chat import ChatCompletion

    text = "The deployment failed because the database migration timed out before the new pods had started."
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "logprobs": None,
        "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
    }
    return ChatCompletion.model_validate(
        {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    )


def _parts(chunks: int) -> list[Any]:
    """The tokens, the end, and the usage as the server tells it on request."""
    from openai.types.chat import ChatCompletionChunk

    def part(delta: dict[str, Any], reason: str | None = None) -> Any:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**_HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": None}

    told = {**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}
    words = [part({"content": f"word{number % 7} "}) for number in range(chunks)]
    words[0]["choices"][0]["delta"]["role"] = "assistant"
    return [ChatCompletionChunk.model_validate(each) for each in (*words, part({}, "stop"), told)]


def _embedding() -> Any:
    from openai.types import CreateEmbeddingResponse

    item = {"object": "embedding", "index": 0, "embedding": [number / 64 for number in range(64)]}
    usage = {"prompt_tokens": 11, "total_tokens": 11}
    return CreateEmbeddingResponse.model_validate(
        {"object": "list", "model": EMBEDDER, "data": [item], "usage": usage}
    )
