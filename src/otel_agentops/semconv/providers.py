"""Which provider answers at which host, and what providers are called by others.

Clients of one vendor are often pointed at another one's compatible endpoint; then the host tells the
truth and the client's class does not.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["FRAMEWORKS", "maker_of", "provider_name", "provider_of_host"]

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


_NAMES: dict[str, str] = {
    "amazon": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "chatanthropic": "anthropic",
    "chatopenai": "openai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google-genai": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google_generativeai": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "openai_responses": "openai",
    "grok": "x_ai",
    "x-ai": "x_ai",
    "xai": "x_ai",
}
"""Names that emitters use, lower case, and those of the conventions' registry."""

_REGISTRY = frozenset(
    {
        "anthropic", "aws.bedrock", "azure.ai.inference", "azure.ai.openai", "cohere", "deepseek",
        "gcp.gemini", "gcp.gen_ai", "gcp.vertex_ai", "groq", "ibm.watsonx.ai", "mistral_ai",
        "moonshot_ai", "openai", "perplexity", "x_ai",
    }
)  # fmt: skip

FRAMEWORKS = frozenset(
    {
        "ag2", "agno", "autogen", "crewai", "dspy", "google-adk", "haystack", "langchain", "langgraph",
        "llama_index", "llamaindex", "openai_agents", "pydantic-ai", "pydantic_ai", "smolagents", "strands",
        "strands-agents",
    }
)  # fmt: skip
"""What some emitters write in place of a provider: who called, not who answered."""

_MAKERS: tuple[tuple[str, str], ...] = (
    ("us.anthropic.", "aws.bedrock"),
    ("eu.anthropic.", "aws.bedrock"),
    ("apac.anthropic.", "aws.bedrock"),
    ("global.anthropic.", "aws.bedrock"),
    ("anthropic.claude", "aws.bedrock"),
    ("us.amazon.", "aws.bedrock"),
    ("amazon.", "aws.bedrock"),
    ("claude-", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4-", "openai"),
    ("gemini-", "gcp.gemini"),
    ("grok-", "x_ai"),
    ("mistral-", "mistral_ai"),
    ("command-", "cohere"),
    ("deepseek-", "deepseek"),
)


@lru_cache(maxsize=512)
def provider_name(name: str) -> str | None:
    """The registry's name for what an emitter calls a provider; None for a framework.

    Names of an API (`openai.responses`, `google.vertex.chat`) are those of its provider. A name that
    nobody here knows stays as it is, in lower case.
    """
    given = name.strip().lower()
    if not given or given in FRAMEWORKS:
        return None
    tried = given
    while tried:
        if tried in _REGISTRY or tried in _NAMES:
            return _NAMES.get(tried, tried)
        tried = tried.rpartition(".")[0]
    return given


def maker_of(model: str) -> str | None:
    """Who makes a model, by the start of its name; None where that is not plain."""
    name = model.strip().lower()
    return next((provider for start, provider in _MAKERS if name.startswith(start)), None)
