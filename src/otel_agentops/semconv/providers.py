"""Which provider answers at which host.

Clients of one vendor are often pointed at another one's compatible endpoint; then the host tells the
truth and the client's class does not.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["provider_of_host"]

_EXACT: dict[str, str] = {
    "api.anthropic.com": "anthropic",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openrouter.ai": "openrouter",
}

_SUFFIXES: tuple[tuple[str, str], ...] = (
    (".openai.azure.com", "azure.ai.openai"),
    (".openai.azure.us", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".inference.ai.azure.com", "azure.ai.inference"),
    (".api.openai.com", "openai"),
    (".api.x.ai", "x_ai"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
)


@lru_cache(maxsize=512)
def provider_of_host(host: str) -> str | None:
    """The `gen_ai.provider.name` that answers at `host`; None for a host nobody here knows."""
    host = host.lower()
    if host in _EXACT:
        return _EXACT[host]
    if host.startswith("bedrock-runtime.") and host.endswith(".amazonaws.com"):
        return "aws.bedrock"
    return next((provider for suffix, provider in _SUFFIXES if host.endswith(suffix)), None)
