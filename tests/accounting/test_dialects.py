"""Spans in the names of every known emitter, read as one record."""

from __future__ import annotations

import json
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from otel_agentops.accounting import model_call
from otel_agentops.pricing import PriceBook
from otel_agentops.records import ModelCall, Usage

NOW_NS = 1_790_000_000_000_000_000

Attributes = dict[str, Any]

GPT = {"gen_ai.request.model": "gpt-4o-mini"}
USED = Usage(1000, 100, cache_read_input_tokens=400)
WRITTEN = Usage(1000, 100, cache_read_input_tokens=400, cache_write_input_tokens=200)

ROWS: dict[str, tuple[str, Attributes, str | None, str, Usage]] = {
    # name: scope, attributes, provider, model that is priced, usage in the conventions' form
    "conventions, newest": (
        "opentelemetry.util.genai.handler",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 400,
            "gen_ai.usage.cache_write.input_tokens": 200,
        },
        "anthropic",
        "claude-sonnet-4-5",
        WRITTEN,
    ),
    "conventions 1.41": (
        "opentelemetry.util.genai.handler",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 400,
            "gen_ai.usage.cache_creation.input_tokens": 200,
        },
        "anthropic",
        "claude-sonnet-4-5",
        WRITTEN,
    ),
    "conventions 1.36": (
        "opentelemetry.instrumentation.openai_v2",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        },
        "openai",
        "gpt-4o-mini",
        Usage(1000, 100),
    ),
    "conventions before 1.27": (
        "opentelemetry.instrumentation.openai_v2",
        {
            "gen_ai.system": "openai",
            **GPT,
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
        },
        "openai",
        "gpt-4o-mini",
        Usage(1000, 100),
    ),
    "OpenLLMetry, legacy": (
        "opentelemetry.instrumentation.mistralai",
        {
            "gen_ai.system": "MistralAI",
            "gen_ai.request.model": "mistral-large-2411",
            "llm.request.type": "chat",
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
            "llm.usage.total_tokens": 1100,
            "gen_ai.usage.cache_read_input_tokens": 400,
            "traceloop.association.properties.session_id": "s",
        },
        "mistral_ai",
        "mistral-large-2411",
        USED,
    ),
    "OpenLLMetry, legacy completion": (
        "opentelemetry.instrumentation.cohere",
        {
            "gen_ai.system": "Cohere",
            "gen_ai.request.model": "command-r",
            "llm.request.type": "completion",
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
            "llm.usage.reasoning_tokens": 7,
        },
        "cohere",
        "command-r",
        Usage(1000, 100, reasoning_output_tokens=7),
    ),
    "OpenLLMetry, current": (
        "opentelemetry.instrumentation.openai.v1",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            **GPT,
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.total_tokens": 1100,
            "gen_ai.usage.cache_read.input_tokens": 400,
            "gen_ai.usage.reasoning_tokens": 7,
        },
        "openai",
        "gpt-4o-mini-2024-07-18",
        Usage(1000, 100, cache_read_input_tokens=400, reasoning_output_tokens=7),
    ),
    "OpenInference": (
        "openinference.instrumentation.openai",
        {
            "openinference.span.kind": "LLM",
            "llm.system": "openai",
            "llm.provider": "azure",
            "llm.model_name": "gpt-4o-mini",
            "llm.token_count.prompt": 1000,
            "llm.token_count.completion": 100,
            "llm.token_count.total": 1100,
            "llm.token_count.prompt_details.cache_read": 400,
            "llm.token_count.prompt_details.audio": 0,
            "llm.token_count.completion_details.reasoning": 7,
        },
        "azure.ai.openai",
        "gpt-4o-mini",
        Usage(1000, 100, 400, reasoning_output_tokens=7, audio_input_tokens=0),
    ),
    "OpenInference, new names": (
        "openinference.instrumentation.anthropic",
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "anthropic",
            "llm.model_name": "claude-sonnet-4-5-20250929",
            "llm.request.model_name": "claude-sonnet-4-5",
            "llm.response.model_name": "claude-sonnet-4-5-20250929",
            "llm.token_count.prompt": 1000,
            "llm.token_count.completion": 100,
            "llm.token_count.prompt_details.cache_read": 400,
            "llm.token_count.prompt_details.cache_write": 200,
        },
        "anthropic",
        "claude-sonnet-4-5-20250929",
        WRITTEN,
    ),
    "OpenInference, embedding": (
        "openinference.instrumentation.openai",
        {
            "openinference.span.kind": "EMBEDDING",
            "llm.system": "openai",
            "embedding.model_name": "text-embedding-3-small",
            "llm.token_count.prompt": 7,
            "llm.token_count.total": 7,
        },
        "openai",
        "text-embedding-3-small",
        Usage(7),
    ),
    "Langfuse": (
        "langfuse-sdk",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "claude-sonnet-4-5",
            "gen_ai.system": "anthropic",
            "langfuse.observation.usage_details": json.dumps(
                {
                    "input": 400,
                    "output": 100,
                    "cache_read_input_tokens": 400,
                    "cache_creation_input_tokens": 200,
                }
            ),
        },
        "anthropic",
        "claude-sonnet-4-5",
        WRITTEN,
    ),
    "pydantic-ai": (
        "pydantic-ai",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.details.cache_read_tokens": 400,
            "gen_ai.usage.details.reasoning_tokens": 7,
            "operation.cost": 0.5,
        },
        "openai",
        "gpt-4o-mini",
        Usage(1000, 100, 400, reasoning_output_tokens=7),
    ),
    "Logfire": (
        "logfire.openai",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.raw": json.dumps(
                {
                    "prompt_tokens": 1000,
                    "completion_tokens": 100,
                    "prompt_tokens_details": {"cached_tokens": 400},
                    "completion_tokens_details": None,
                }
            ),
        },
        "openai",
        "gpt-4o-mini",
        USED,
    ),
    "Vercel, version 5": (
        "ai",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "operation.name": "ai.generateText.doGenerate f",
            "ai.model.provider": "openai.responses",
            "ai.model.id": "gpt-4o-mini",
            "ai.response.model": "gpt-4o-mini-2024-07-18",
            "ai.usage.inputTokens": 1000,
            "ai.usage.outputTokens": 100,
            "ai.usage.totalTokens": 1100,
            "ai.usage.cachedInputTokens": 400,
            "ai.usage.reasoningTokens": 7,
        },
        "openai",
        "gpt-4o-mini-2024-07-18",
        Usage(1000, 100, 400, reasoning_output_tokens=7),
    ),
    "Vercel, version 4": (
        "ai",
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "google.vertex.chat",
            "ai.model.id": "gemini-2.5-pro",
            "ai.usage.promptTokens": 1000,
            "ai.usage.completionTokens": 100,
            "gen_ai.usage.prompt_tokens": 1000,
        },
        "gcp.vertex_ai",
        "gemini-2.5-pro",
        Usage(1000, 100),
    ),
    "Vercel, embedding": (
        "ai",
        {
            "ai.operationId": "ai.embed.doEmbed",
            "ai.model.provider": "openai.embedding",
            "ai.model.id": "text-embedding-3-small",
            "ai.usage.tokens": 7,
        },
        "openai",
        "text-embedding-3-small",
        Usage(7),
    ),
    "MLflow": (
        "mlflow",
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.llm.provider": '"openai"',
            "mlflow.llm.model": '"gpt-4o-mini"',
            "mlflow.chat.tokenUsage": json.dumps(
                {
                    "input_tokens": 1000,
                    "output_tokens": 100,
                    "total_tokens": 1100,
                    "cache_read_input_tokens": 400,
                }
            ),
        },
        "openai",
        "gpt-4o-mini",
        USED,
    ),
    "OpenLIT": (
        "openlit.otel.tracing",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.prompt_tokens_details.cached_tokens": 400,
            "gen_ai.usage.completion_tokens_details.reasoning_tokens": 7,
            "gen_ai.usage.cost": 0.5,
        },
        "openai",
        "gpt-4o-mini",
        Usage(1000, 100, 400, reasoning_output_tokens=7),
    ),
    "Sentry": (
        "sentry",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.input_tokens.cached": 400,
            "gen_ai.usage.input_tokens.cache_write": 200,
            "gen_ai.usage.output_tokens.reasoning": 7,
        },
        "openai",
        "gpt-4o-mini",
        Usage(1000, 100, 400, 200, reasoning_output_tokens=7),
    ),
    "AgentOps": (
        "agentops",
        {
            "agentops.span.kind": "llm",
            "gen_ai.system": "openai",
            **GPT,
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
            "gen_ai.usage.cache_read_input_tokens": 400,
        },
        "openai",
        "gpt-4o-mini",
        USED,
    ),
    "LiteLLM": (
        "litellm",
        {
            "llm.request.type": "acompletion",
            "gen_ai.system": "vertex_ai",
            "gen_ai.request.model": "gemini-2.5-pro",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.cost.total_cost": 0.5,
        },
        "gcp.vertex_ai",
        "gemini-2.5-pro",
        Usage(1000, 100),
    ),
    "Strands": (
        "strands.telemetry.tracer",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "strands-agents",
            "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "gen_ai.usage.prompt_tokens": 400,
            "gen_ai.usage.input_tokens": 400,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.total_tokens": 1100,
            "gen_ai.usage.cache_read_input_tokens": 400,
            "gen_ai.usage.cache_write_input_tokens": 200,
        },
        "aws.bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        WRITTEN,
    ),
    "Claude Code": (
        "com.anthropic.claude_code.tracing",
        {
            "span.type": "llm_request",
            "gen_ai.provider.name": "anthropic",
            "model": "claude-sonnet-4-5",
            "input_tokens": 400,
            "output_tokens": 100,
            "cache_read_tokens": 400,
            "cache_creation_tokens": 200,
        },
        "anthropic",
        "claude-sonnet-4-5",
        WRITTEN,
    ),
    "Laminar": (
        "lmnr",
        {
            "lmnr.span.type": "LLM",
            "gen_ai.system": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        },
        "openai",
        "gpt-4o-mini",
        Usage(1000, 100),
    ),
    "LangSmith": (
        "langsmith",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "Langchain",
            "langsmith.metadata.ls_provider": "xai",
            "gen_ai.request.model": "grok-4",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        },
        "x_ai",
        "grok-4",
        Usage(1000, 100),
    ),
    "Google ADK": (
        "gcp.vertex.agent",
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.system": "gemini",
            "gen_ai.request.model": "gemini-2.5-pro",
            "gcp.vertex.agent.llm_response": json.dumps(
                {
                    "usage_metadata": {
                        "prompt_token_count": 1000,
                        "candidates_token_count": 100,
                        "cached_content_token_count": 400,
                    }
                }
            ),
        },
        "gcp.gemini",
        "gemini-2.5-pro",
        USED,
    ),
    "AG2": (
        "opentelemetry.instrumentation.ag2",
        {
            "ag2.span.type": "llm",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        },
        "openai",
        "gpt-4o-mini",
        Usage(1000, 100),
    ),
}


def read(attributes: Attributes, scope: str = "somebody") -> ModelCall:
    """The call that a span tells of."""
    call = model_call(attributes, scope)
    assert call is not None
    return call


def cost(call: ModelCall) -> Decimal | None:
    """What the price book says."""
    return PriceBook().price(call, NOW_NS).usd


@pytest.mark.parametrize("name", ROWS)
def test_every_dialect_is_one_record(name: str) -> None:
    """Provider, model and counts come out the same whatever they are called."""
    scope, attributes, provider, model, usage = ROWS[name]
    call = read(attributes, scope)
    assert call.provider == provider
    assert (call.response_model or call.request_model) == model
    assert call.usage == usage
    assert not call.invalid_usage


@pytest.mark.parametrize("name", ROWS)
def test_every_dialect_has_the_price_of_its_counts(name: str) -> None:
    """The cost is that of a record made by hand with the same counts."""
    scope, attributes, provider, model, usage = ROWS[name]
    assert cost(read(attributes, scope)) == cost(ModelCall(provider, model, usage=usage)) is not None


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "invoke_agent", **GPT, "gen_ai.usage.input_tokens": 5},
        {"gen_ai.operation.name": "execute_event_loop_cycle", **GPT, "gen_ai.usage.input_tokens": 5},
        {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 5},
        {"openinference.span.kind": "RERANKER", "reranker.model_name": "m"},
        {"traceloop.span.kind": "task", "gen_ai.system": "openai", **GPT, "gen_ai.usage.prompt_tokens": 5},
        {"llm.request.type": "rerank", "gen_ai.system": "Cohere"},
        {"ai.operationId": "ai.generateText", "gen_ai.system": "openai", "ai.usage.inputTokens": 5},
        {"ai.operationId": "ai.embedMany", "ai.usage.tokens": 5},
        {"mlflow.spanType": '"AGENT"', "mlflow.chat.tokenUsage": '{"input_tokens": 5}'},
        {"langfuse.observation.type": "agent"},
        {"langfuse.observation.type": "span", "langfuse.observation.usage_details": '{"input": 5}'},
        {
            "ag2.span.type": "usage",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 5,
        },
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.aggregated_usage.input_tokens": 5},
        {"http.request.method": "POST"},
        {},
    ],
    ids=str,
)
def test_parents_and_others_are_no_calls(attributes: Attributes) -> None:
    """Spans that repeat the usage of others, or have none, are not counted (the second trap)."""
    assert model_call(attributes, "") is None


class TestInclusion:
    """Whether input contains what was cached, and output the reasoning: the first trap."""

    def anthropic(self, scope: str, sent: int, provider: str = "anthropic") -> Usage | None:
        """Counts of an Anthropic call as an emitter writes them."""
        call = read(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": "claude-sonnet-4-5",
                "gen_ai.usage.input_tokens": sent,
                "gen_ai.usage.output_tokens": 100,
                "gen_ai.usage.cache_read.input_tokens": 400,
                "gen_ai.usage.cache_creation.input_tokens": 200,
            },
            scope,
        )
        self.flags = call.flags
        return call.usage

    def test_openlit_leaves_the_cache_out(self) -> None:
        """Known by its scope, also where the counts alone would not tell."""
        assert self.anthropic("openlit.otel.tracing", 5000) == Usage(5600, 100, 400, 200)
        assert self.flags == ()

    def test_bedrock_of_openllmetry_leaves_the_cache_out(self) -> None:
        """The same emitter family counts differently by provider."""
        scope = "opentelemetry.instrumentation.bedrock"
        assert self.anthropic(scope, 5000, "AWS") == Usage(5600, 100, 400, 200)

    def test_others_are_taken_at_their_word(self) -> None:
        """Without a rule, counts that can be right are right."""
        assert self.anthropic("opentelemetry.instrumentation.anthropic", 5000) == Usage(5000, 100, 400, 200)

    def test_more_cached_than_sent_is_apart(self) -> None:
        """Then the counts themselves say so, and the cost says that it was found out that way."""
        assert self.anthropic("unknown", 10) == Usage(610, 100, 400, 200)
        assert self.flags == ("usage_normalized",)

    def test_the_total_tells(self) -> None:
        """Strands has models of either kind; its total says which."""
        for total, sent in ((1100, 1000), (1700, 1600)):
            attributes = {
                "gen_ai.operation.name": "chat",
                "gen_ai.system": "strands-agents",
                "gen_ai.request.model": "claude-sonnet-4-5",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 100,
                "gen_ai.usage.total_tokens": total,
                "gen_ai.usage.cache_read.input_tokens": 400,
                "gen_ai.usage.cache_creation.input_tokens": 200,
            }
            assert read(attributes, "strands.telemetry.tracer").usage == Usage(sent, 100, 400, 200)

    def test_reasoning_apart(self) -> None:
        """Gemini's own counts leave reasoning out of the output."""
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "google",
            "gen_ai.request.model": "gemini-2.5-pro",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.reasoning_tokens": 300,
        }
        assert read(attributes).usage == Usage(10, 400, reasoning_output_tokens=300)
        attributes["gen_ai.usage.reasoning_tokens"] = 30
        assert read(attributes, "openlit.otel.tracing").usage == Usage(10, 130, reasoning_output_tokens=30)
        assert read(attributes, "somebody").usage == Usage(10, 100, reasoning_output_tokens=30)


def test_all_spellings_of_reasoning_are_read() -> None:
    """`gen_ai.usage.reasoning_tokens` is not the conventions' name (the third trap)."""
    base = {"gen_ai.operation.name": "chat", "gen_ai.usage.output_tokens": 100}
    for name in ("gen_ai.usage.reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"):
        assert read({**base, name: 7}).usage == Usage(None, 100, reasoning_output_tokens=7)


def test_dotted_and_underscored_cache_counts_are_one() -> None:
    """Emitters that write a count under two names have cached once."""
    both = {"gen_ai.usage.cache_read.input_tokens": 400, "gen_ai.usage.cache_read_input_tokens": 400}
    call = read({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1000, **both})
    assert call.usage == Usage(1000, cache_read_input_tokens=400)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("az.ai.openai", "azure.ai.openai"),
        ("azure", "azure.ai.openai"),
        ("mistralai", "mistral_ai"),
        ("xai", "x_ai"),
        ("gemini", "gcp.gemini"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("bedrock", "aws.bedrock"),
        ("AWS", "aws.bedrock"),
        ("OpenAI", "openai"),
        ("Anthropic", "anthropic"),
        ("anthropic.messages", "anthropic"),
        ("amazon-bedrock", "aws.bedrock"),
        ("google.generative-ai", "gcp.gemini"),
        ("gcp.gen_ai", "gcp.gen_ai"),
        ("somebody new", "somebody new"),
    ],
)
def test_providers_have_one_name(theirs: str, ours: str) -> None:
    """What emitters call a provider is the registry's name (the fifth trap)."""
    assert read({"gen_ai.operation.name": "chat", "gen_ai.system": theirs}).provider == ours


def test_a_framework_is_no_provider() -> None:
    """Where only the framework is named, the maker of the model is taken, and the cost says so."""
    used = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    call = read({"gen_ai.operation.name": "chat", "gen_ai.system": "Langchain", **GPT, **used})
    assert (call.provider, PriceBook().price(call, NOW_NS).flags) == ("openai", ("provider_from_model",))
    other = read({"gen_ai.operation.name": "chat", "gen_ai.system": "Langchain", "gen_ai.request.model": "m"})
    assert other.provider is None


def test_nobody_named_is_nobody_guessed() -> None:
    """Without any provider the model alone decides nothing."""
    assert read({"gen_ai.operation.name": "chat", **GPT}).provider is None


@pytest.mark.parametrize(
    ("attributes", "operation"),
    [
        ({"llm.request.type": "completion"}, "text_completion"),
        ({"gen_ai.operation.name": "completion"}, "text_completion"),
        ({"openinference.span.kind": "LLM"}, "chat"),
        ({"gen_ai.operation.name": "embedding"}, "embeddings"),
    ],
)
def test_kinds_have_one_name(attributes: Attributes, operation: str) -> None:
    """What emitters call a kind of call is the conventions' name (the sixth trap)."""
    assert read(attributes).operation == operation


class TestCosts:
    """Whose cost counts: the seventh trap."""

    used = MappingProxyType(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            **GPT,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        }
    )

    @pytest.mark.parametrize(
        "name",
        [
            "gen_ai.usage.cost",
            "operation.cost",
            "llm.cost.total",
            "gen_ai.cost.total_cost",
            "gen_ai.usage.total_cost",
            "litellm.cost.total",
            "gen_ai.usage.cost.total",
            "gen_ai.usage.cost_usd",
            "llm.usage.total_cost",
        ],
    )
    def test_an_emitters_estimate_is_kept_beside_ours(self, name: str) -> None:
        """Ours stands where there is a price."""
        call = read({**self.used, name: 0.5})
        assert call.emitter_cost_usd == Decimal("0.5")
        assert cost(call) == Decimal("0.00021")

    def test_an_estimate_stands_where_there_is_no_price(self) -> None:
        """It is then flagged; a zero is no estimate but a model that the emitter does not know."""
        book = PriceBook()
        unknown = {**self.used, "gen_ai.request.model": "no such model"}
        found = book.price(read({**unknown, "gen_ai.usage.cost": 0.5}), NOW_NS)
        assert (found.usd, found.source, found.flags) == (Decimal("0.5"), "emitter", ("emitter_estimate",))
        assert book.price(read({**unknown, "gen_ai.usage.cost": 0.0}), NOW_NS).usd is None

    @pytest.mark.parametrize(
        ("scope", "attributes"),
        [
            ("openrouter", {"gen_ai.usage.cost": 0.5}),
            ("x", {"http.response.header.x-litellm-response-cost": ("0.5",)}),
            ("logfire.openai", {"gen_ai.usage.raw": '{"prompt_tokens": 1000, "cost": 0.5}'}),
            ("ai", {"ai.response.providerMetadata": '{"openrouter": {"usage": {"cost": 0.5}}}'}),
            ("ai", {"ai.response.providerMetadata": '{"gateway": {"cost": "0.5"}}'}),
        ],
    )
    def test_what_the_provider_or_gateway_reported_is_taken(self, scope: str, attributes: Attributes) -> None:
        """It is what will be on the bill."""
        found = PriceBook().price(read({**self.used, **attributes}, scope), NOW_NS)
        assert (found.usd, found.source) == (Decimal("0.5"), "reported")

    def test_parts_of_a_cost_are_not_read(self) -> None:
        """OpenInference's LiteLLM writes a token count where a part of the cost belongs."""
        call = read({**self.used, "llm.cost.completion_details.output": 100, "llm.cost.completion": 100})
        assert call.emitter_cost_usd is None

    @pytest.mark.parametrize(
        "hit",
        [
            {"metadata.cache_hit": True},
            {"metadata.cache_hit": "True"},
            {"hidden_params": '{"cache_hit": true}'},
            {"http.response.header.x-litellm-cache-hit": ("true",)},
        ],
    )
    def test_answers_from_a_gateways_cache_are_free(self, hit: Attributes) -> None:
        """LiteLLM keeps the full cost on them."""
        found = PriceBook().price(
            read({**self.used, "gen_ai.cost.total_cost": 0.5, **hit}, "litellm"), NOW_NS
        )
        assert (found.usd, found.flags) == (Decimal(0), ("cache_hit",))

    def test_no_hit_is_no_hit(self) -> None:
        """A cache that was asked in vain."""
        call = read({**self.used, "metadata.cache_hit": False, "hidden_params": '{"cache_hit": null}'})
        assert cost(call) == Decimal("0.00021")
