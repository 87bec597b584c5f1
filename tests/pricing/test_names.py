"""Names of providers and models as people and instrumentations write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otel_agentops.records import Cost

Run = Callable[..., Cost]


@pytest.mark.parametrize(
    ("provider", "same_as"),
    [
        ("x_ai", "x-ai"),
        ("gcp.gen_ai", "google"),
        ("gcp.gemini", "google"),
        ("gcp.vertex_ai", "google"),
        ("azure.ai.openai", "azure"),
        ("azure.ai.inference", "azure"),
        ("aws.bedrock", "aws"),
        ("mistral_ai", "mistral"),
        ("moonshot_ai", "moonshotai"),
        (" OpenAI ", "openai"),
    ],
)
def test_provider_names(price: Run, provider: str, same_as: str) -> None:
    """The conventions' names and the cards' names are the same providers."""
    models = {
        "x-ai": "grok-4.3",
        "google": "gemini-2.5-pro",
        "azure": "gpt-4o",
        "aws": "amazon.nova-pro-v1:0",
        "mistral": "mistral-large-2512",
        "moonshotai": "kimi-k2-0905-preview",
        "openai": "gpt-4o",
    }
    cost = price(provider, models[same_as])
    assert cost.usd is not None
    assert cost == price(same_as, models[same_as])


@pytest.mark.parametrize(
    ("provider", "name", "same_as"),
    [
        ("gcp.gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gcp.vertex_ai", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "vertex_ai/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("gcp.vertex_ai", "gemini-2.0-flash@001", "gemini-2.0-flash-001"),
        ("azure.ai.openai", "azure/gpt-4o", "gpt-4o"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("openai", "GPT-4O", "gpt-4o"),
        ("openai", "gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0",
            "us.amazon.nova-pro-v1:0",
        ),
    ],
)
def test_model_names(price: Run, provider: str, name: str, same_as: str) -> None:
    """What people put around a model's name does not change its price."""
    cost = price(provider, name)
    assert cost.usd is not None
    assert cost == price(provider, same_as)


def test_response_model_first(price: Run) -> None:
    """A deployment's name says nothing; the response has the model."""
    cost = price("azure.ai.openai", "our-deployment", response_model="gpt-4o-2024-08-06")
    assert cost.usd == price("azure", "gpt-4o").usd


def test_request_model_first_on_bedrock(price: Run) -> None:
    """Only the request says that the model is regional, which is a tenth dearer."""
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    regional = price("aws.bedrock", f"eu.{model}", response_model=f"global.{model}").usd
    world = price("aws.bedrock", f"global.{model}").usd
    assert world is not None
    assert regional == world * 11 / 10


@pytest.mark.parametrize(
    ("host", "provider", "model"),
    [
        ("api.groq.com", "groq", "llama-3.3-70b-versatile"),
        ("api.x.ai", "x_ai", "grok-4.3"),
        ("https://api.deepseek.com/v1", "deepseek", "deepseek-v4-pro"),
        ("openrouter.ai", "openrouter", "anthropic/claude-sonnet-4.5"),
        ("eu-west.openai.azure.com", "azure.ai.openai", "o3-mini"),
    ],
)
def test_a_known_host_wins(price: Run, host: str, provider: str, model: str) -> None:
    """A client of OpenAI that is pointed elsewhere pays what is asked there."""
    cost = price("openai", model, server_address=host)
    assert cost.usd is not None
    assert cost.usd == price(provider, model).usd


@pytest.mark.parametrize("host", ["localhost", "10.0.0.7:8080", "gateway.example.com", ""])
def test_an_unknown_host_changes_nothing(price: Run, host: str) -> None:
    """A gateway that nobody knows bills what the provider bills."""
    assert price("openai", "gpt-4o", server_address=host) == price("openai", "gpt-4o")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("acme_ai", "gpt-4o"), ("openai", "claude-opus-5"), ("openai", "anthropic/claude-opus-5")],
)
def test_a_vendor_is_never_guessed(price: Run, provider: str, model: str) -> None:
    """A model's name alone does not choose whose price it is."""
    assert price(provider, model).usd is None


def test_a_gateway_names_the_provider(price: Run) -> None:
    """LiteLLM's own model names have the provider in front."""
    assert price("litellm", "openai/gpt-4o") == price("openai", "gpt-4o")
    assert price("litellm", "gpt-4o").reason == "unknown_provider"
