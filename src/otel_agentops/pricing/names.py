"""The names people use for providers and models, and what the rate cards call them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_agentops.pricing.cards import Cards

__all__ = ["Names", "host_of"]

_PROVIDERS: dict[str, str] = {
    "aws.bedrock": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "grok": "x-ai",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "together-ai": "together",
    "x_ai": "x-ai",
    "xai": "x-ai",
}
"""Names of providers, lower case, that the cards know by another id."""

_REQUEST_MODEL_FIRST = frozenset({"aws"})
"""Providers whose request says more than the response: on Bedrock only it has the region."""

_RESOURCE = re.compile(r"^(?:.*/)?models/|^arn:[^/]*/")
"""Resource paths in front of a model: `projects/p/.../models/`, `models/`, an ARN up to its slash."""

_GATEWAYS = frozenset({"litellm"})
"""Names that only pass calls on; their models are called `provider/model`."""


def host_of(address: str) -> str:
    """The bare host of a server address, lower case."""
    return re.sub(r"^[a-z]+://", "", address.strip().lower()).partition("/")[0].partition(":")[0]


class Names:
    """Names as one set of cards understands them."""

    def __init__(self, cards: Cards) -> None:
        self._cards = cards

    def provider(self, name: str) -> str | None:
        """The card id of a provider; None when the cards lack it."""
        name = name.strip().lower()
        return self._cards.provider(_PROVIDERS.get(name, name))

    def effective_provider(self, name: str, address: str | None) -> str | None:
        """The provider that answers: a host that the cards know tells more than the client's name."""
        return (self._cards.provider_of_host(host_of(address)) if address else None) or self.provider(name)

    def known_as(self, name: str) -> str:
        """The card id of a provider, or the name itself in lower case where the cards lack it."""
        return self.provider(name) or name.strip().lower()

    def models(self, provider: str, request: str | None, response: str | None) -> tuple[str, ...]:
        """The model names of a call, lower case, best first."""
        names = (request, response) if provider in _REQUEST_MODEL_FIRST else (response, request)
        return tuple(dict.fromkeys(name.strip().lower() for name in names if name and name.strip()))

    def spellings(self, provider: str | None, model: str) -> Iterator[str]:
        """The model's name as given, then without what people put around it."""
        yield model
        bare = _RESOURCE.sub("", model)
        if bare != model:
            yield bare
        head, slash, tail = bare.partition("/")
        while slash and provider and self.provider(head) == provider:
            yield tail
            bare = tail
            head, slash, tail = bare.partition("/")
        if "@" in bare:
            yield bare.replace("@", "-")
            yield bare.partition("@")[0]

    def behind_gateway(self, name: str, model: str) -> tuple[str, str] | None:
        """Provider and model of a `provider/model` name that a gateway was called with."""
        head, slash, tail = model.partition("/")
        if not slash or name.strip().lower() not in _GATEWAYS:
            return None
        provider = self.provider(head)
        return (provider, tail) if provider else None
