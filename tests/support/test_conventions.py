"""The checks of spans and metrics: each one is seen to pass what is right and to name what is wrong."""

import json

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, Status, StatusCode

from support.conventions import PROFILES, check_metrics, check_span, load_profile

CACHE_WRITE = {
    "1.41": "gen_ai.usage.cache_creation.input_tokens",
    "latest": "gen_ai.usage.cache_write.input_tokens",
}
BOTH = pytest.mark.parametrize("profile", PROFILES)


def messages(role="assistant", **more):
    """One message with a text, as JSON."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": "hi"}], **more}])


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.stop_sequences": ("a", "b"),
    "gen_ai.request.stream": True,
    "gen_ai.output.type": "json",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "gen_ai.usage.cost": 0.25,
    "gen_ai.input.messages": messages("user"),
    "gen_ai.output.messages": messages(finish_reason="stop"),
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "be brief"}]),
    "gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "f", "parameters": None}]),
    "openai.api.type": "chat_completions",
    "openai.request.service_tier": "flex",
    "openai.response.system_fingerprint": "fp_1",
    "server.address": "api.openai.com",
    "server.port": 443,
    "session.id": "s",
    "user.id": "u",
    "gen_ai.agent.name": "a",
    "gen_ai.conversation.id": "c",
    "otel_agentops.tags": ("x",),
    "otel_agentops.metadata.team": 3,
    "otel_agentops.cost.flags": ("f",),
}
EMBEDDINGS = {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": "azure.ai.openai",
    "gen_ai.request.model": "e",
    "gen_ai.embeddings.dimension.count": 8,
    "gen_ai.request.encoding_formats": ("base64",),
    "gen_ai.usage.input_tokens": 3,
    "openai.api.type": "embeddings",
}
FETCH = {
    "gen_ai.operation.name": "fetch_response",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.id": "resp_1",
    "gen_ai.response.model": "m",
    "openai.api.type": "responses",
}
AGENT = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "A",
    "otel_agentops.total.model_calls": 2,
}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "add",
    "gen_ai.tool.type": "function",
    "gen_ai.tool.call.arguments": '{"a":1}',
    "gen_ai.tool.call.result": '{"sum":2}',
    "otel_agentops.tool.cost_usd": 0.5,
}
WORKFLOW = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "W", "session.id": "s"}
OPERATION = {"otel_agentops.span.kind": "operation", "otel_agentops.total.cost_usd": 1.0}


def make(profile, attributes, name=None, kind=SpanKind.CLIENT, status=None, schema_url=None):
    """A finished span of ours; the schema URL is the profile's unless one is given."""
    if name is None:
        name = f"{attributes['gen_ai.operation.name']} {attributes.get('gen_ai.request.model', '')}".strip()
    url = load_profile(profile)["schema_url"] if schema_url is None else schema_url
    scope = InstrumentationScope("otel_agentops", "1", url)
    return ReadableSpan(
        name, attributes=attributes, kind=kind, status=status or Status(), instrumentation_scope=scope
    )


def problems(profile, attributes, **more):
    """What is said about such a span, without its name."""
    span = make(profile, attributes, **more)
    return [problem.removeprefix(f"{span.name}: ") for problem in check_span(span, profile)]


def internal(profile, attributes, name):
    """What is said about a span that is no call."""
    return problems(profile, attributes, name=name, kind=SpanKind.INTERNAL)


def agent(profile):
    """What the agent span of a profile needs."""
    return AGENT | ({"gen_ai.provider.name": "openai"} if profile == "1.41" else {})


class TestRightSpans:
    @BOTH
    def test_calls(self, profile):
        """Model calls of all kinds pass, with everything they may have."""
        assert problems(profile, CHAT | {CACHE_WRITE[profile]: 6}) == []
        assert problems(profile, EMBEDDINGS) == []
        assert problems(profile, FETCH, name="fetch_response") == []

    @BOTH
    def test_scopes(self, profile):
        """So do agents, tools, sessions and operations."""
        assert internal(profile, agent(profile), "invoke_agent A") == []
        assert internal(profile, TOOL, "execute_tool add") == []
        assert internal(profile, WORKFLOW, "invoke_workflow W") == []
        assert internal(profile, OPERATION, "any name") == []

    @BOTH
    def test_failed(self, profile):
        """A failure has status, description and error.type."""
        status = Status(StatusCode.ERROR, "boom")
        assert problems(profile, CHAT | {"error.type": "ValueError"}, status=status) == []
        failed = make(profile, OPERATION | {"error.type": "E"}, "o", SpanKind.INTERNAL, status)
        assert check_span(failed, profile) == []

    @BOTH
    def test_custom_operation(self, profile):
        """The list of operations is open."""
        rerank = {
            "gen_ai.operation.name": "rerank",
            "gen_ai.provider.name": "cohere",
            "gen_ai.request.model": "r",
        }
        assert problems(profile, rerank) == []

    def test_unknown_profile(self):
        """A profile that does not exist is an error of the test."""
        with pytest.raises(ValueError, match=r"1\.42"):
            check_span(make("latest", CHAT), "1.42")


class TestNames:
    @pytest.mark.parametrize(
        ("attributes", "name", "right"),
        [
            (CHAT, "chat", "chat gpt-4o"),
            (FETCH, "fetch_response gpt", "fetch_response"),
            (WORKFLOW, "W", "invoke_workflow W"),
            (TOOL, "execute_tool", "execute_tool add"),
            (AGENT, "A", "invoke_agent A"),
            ({"gen_ai.operation.name": "chat", "gen_ai.provider.name": "x"}, "chat None", "chat"),
            ({"gen_ai.operation.name": "invoke_workflow"}, "invoke_workflow None", "invoke_workflow"),
        ],
    )
    @BOTH
    def test_span_name(self, profile, attributes, name, right):
        """The name is made of the operation and what it is about, if that is known."""
        wrong = problems(profile, attributes, name=name)
        assert any(problem.startswith("name should be") and repr(right) in problem for problem in wrong)
        assert not any(problem.startswith("name") for problem in problems(profile, attributes, name=right))

    @BOTH
    def test_agent_without_a_name(self, profile):
        """An agent may be nameless, also inside another agent whose name is stamped on it."""
        assert internal(profile, agent(profile), "invoke_agent") == []

    @pytest.mark.parametrize(
        ("profile", "name", "text"),
        [
            (
                "1.41",
                "gen_ai.usage.cache_write.input_tokens",
                "it is gen_ai.usage.cache_creation.input_tokens",
            ),
            (
                "latest",
                "gen_ai.usage.cache_creation.input_tokens",
                "it is gen_ai.usage.cache_write.input_tokens",
            ),
            ("1.41", "gen_ai.system", "it is gen_ai.provider.name"),
            ("latest", "gen_ai.openai.request.seed", "it is gen_ai.request.seed"),
            ("1.41", "gen_ai.request.reasoning.level", "unknown attribute"),
            ("1.41", "gen_ai.response.status", "unknown attribute"),
            ("latest", "gen_ai.usage.total_tokens", "unknown attribute"),
            ("latest", "otel_agentops.total.seconds", "unknown attribute"),
            ("1.41", "agentops.tags", "unknown attribute"),
        ],
    )
    def test_unknown_attribute(self, profile, name, text):
        """A name that is not of this version is a problem, and the right one is told."""
        found = problems(profile, CHAT | {name: "x"})
        assert any(name in problem and text in problem for problem in found)

    def test_template(self):
        """A template stands for all names that begin with it."""
        chat = CHAT | {"gen_ai.prompt.variable.city": "Rome"}
        assert problems("latest", chat) == []
        assert problems("1.41", chat) == ["unknown attribute gen_ai.prompt.variable.city"]

    @pytest.mark.parametrize(
        ("attributes", "name", "value"),
        [
            (CHAT, "gen_ai.tool.name", "t"),
            (EMBEDDINGS, "gen_ai.usage.output_tokens", 1),
            (CHAT, "gen_ai.token.type", "input"),
            (CHAT, "aws.bedrock.guardrail.id", "g"),
        ],
    )
    def test_attribute_of_another_span(self, attributes, name, value):
        """A known name on a span that has no such attribute is a problem."""
        found = problems("1.41", attributes | {name: value})
        assert f"attribute {name} does not belong on this span" in found

    @BOTH
    def test_attribute_of_another_span_kind_of_ours(self, profile):
        """Operations and tools have no model's attributes."""
        for attributes, name in ((OPERATION, "x"), (TOOL, "execute_tool add")):
            found = internal(profile, attributes | {"gen_ai.request.model": "m"}, name)
            assert found == ["attribute gen_ai.request.model does not belong on this span"]

    @pytest.mark.parametrize(
        ("provider", "right"),
        [("openai", True), ("azure.ai.openai", True), ("azure.ai.inference", True), ("groq", False)],
    )
    @BOTH
    def test_provider_attributes(self, profile, provider, right):
        """`openai.*` is for the calls of OpenAI and Azure."""
        found = problems(profile, CHAT | {"gen_ai.provider.name": provider})
        assert any("openai.api.type does not belong" in problem for problem in found) is not right


class TestRequirements:
    @pytest.mark.parametrize(
        ("attributes", "name"),
        [
            (CHAT, "gen_ai.provider.name"),
            (CHAT, "gen_ai.request.model"),
            (EMBEDDINGS, "gen_ai.provider.name"),
            (FETCH, "gen_ai.response.id"),
            (FETCH, "gen_ai.provider.name"),
        ],
    )
    @BOTH
    def test_calls(self, profile, attributes, name):
        """A call without what its span requires is a problem; OpenAI requires a model too."""
        less = {key: value for key, value in attributes.items() if key != name}
        wanted = f"required attribute {name} is missing"
        if name == "gen_ai.provider.name" and attributes is CHAT:
            less["gen_ai.request.model"] = "m"
        assert wanted in problems(profile, less, name="x")
        assert wanted not in problems(profile, attributes, name="x")

    def test_model_of_another_provider(self):
        """Elsewhere the model is required only if there is one."""
        assert problems("1.41", {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "groq"}) == []

    @BOTH
    def test_tool_name(self, profile):
        """A tool has a name."""
        assert "required attribute gen_ai.tool.name is missing" in internal(
            profile, {"gen_ai.operation.name": "execute_tool"}, "execute_tool"
        )

    def test_agent_provider(self):
        """Only 1.41 wants the provider on an agent in this process."""
        assert "required attribute gen_ai.provider.name is missing" in internal(
            "1.41", AGENT, "invoke_agent A"
        )
        found = internal("latest", AGENT | {"gen_ai.provider.name": "openai"}, "invoke_agent A")
        assert found == ["attribute gen_ai.provider.name does not belong on this span"]

    @BOTH
    def test_port(self, profile):
        """An address comes with its port."""
        less = {key: value for key, value in CHAT.items() if key != "server.port"}
        assert problems(profile, less) == ["server.address without server.port"]

    @BOTH
    def test_operation(self, profile):
        """A span without an operation is one of our operations, and says so."""
        expected = ["neither gen_ai.operation.name nor otel_agentops.span.kind=operation"]
        assert internal(profile, {"session.id": "s"}, "x") == expected
        assert internal(profile, {"otel_agentops.span.kind": "agent"}, "x") == expected


class TestKindAndStatus:
    @BOTH
    def test_kind(self, profile):
        """Calls are of kind CLIENT, everything else is INTERNAL."""
        assert problems(profile, CHAT, kind=SpanKind.INTERNAL)[0] == "kind is internal, should be client"
        for attributes, name in (
            (TOOL, "execute_tool add"),
            (OPERATION, "x"),
            (WORKFLOW, "invoke_workflow W"),
        ):
            assert problems(profile, attributes, name=name) == ["kind is client, should be internal"]
        assert "kind is client, should be internal" in problems(profile, AGENT, name="invoke_agent A")
        rerank = {"gen_ai.operation.name": "rerank"}
        assert problems(profile, rerank, kind=SpanKind.SERVER) == [
            "kind is server, should be client or internal"
        ]

    @BOTH
    def test_status(self, profile):
        """Never OK; ERROR with a description exactly when there is an error.type."""
        failed = CHAT | {"error.type": "E"}
        error = Status(StatusCode.ERROR, "boom")
        assert problems(profile, CHAT, status=Status(StatusCode.OK)) == [
            "status is OK, which is for the application to say"
        ]
        assert problems(profile, failed) == ["error.type without status ERROR"]
        assert problems(profile, CHAT, status=error) == ["status ERROR without error.type"]
        assert problems(profile, failed, status=Status(StatusCode.ERROR)) == [
            "status ERROR without a description"
        ]

    @pytest.mark.parametrize(
        ("profile", "url"),
        [("1.41", ""), ("1.41", "https://opentelemetry.io/schemas/1.40.0"), ("latest", "x")],
    )
    def test_schema_url(self, profile, url):
        """The schema URL is the version's, or none where none is published."""
        found = problems(profile, CHAT, schema_url=url)
        assert len(found) == 1
        assert found[0].startswith("schema URL is")

    def test_no_schema_url(self):
        """Empty and absent mean the same."""
        assert problems("latest", CHAT, schema_url="") == []


class TestValues:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("gen_ai.usage.input_tokens", 10.0),
            ("gen_ai.usage.input_tokens", True),
            ("gen_ai.request.temperature", 1),
            ("gen_ai.usage.cost", float("nan")),
            ("gen_ai.request.model", 4),
            ("gen_ai.request.stream", "true"),
            ("gen_ai.response.finish_reasons", "stop"),
            ("gen_ai.response.finish_reasons", ("stop", None)),
            ("server.port", "443"),
            ("otel_agentops.late_calls", True),
            ("otel_agentops.total.cost_usd", 1),
            ("otel_agentops.metadata.team", (1, "a")),
            ("otel_agentops.metadata.team", {"a": 1}),
            ("gen_ai.input.messages", ("a",)),
        ],
    )
    @BOTH
    def test_type(self, profile, name, value):
        """A value of another type than the attribute's is a problem."""
        found = problems(profile, CHAT | {name: value})
        assert any(problem.startswith(f"attribute {name} should be") for problem in found)

    @pytest.mark.parametrize("value", ["a", 1, 0.5, True, ("a", "b"), (1, 2)])
    def test_metadata(self, value):
        """Metadata is whatever an attribute can be."""
        assert problems("1.41", CHAT | {"otel_agentops.metadata.any.key": value}) == []

    def test_type_of_top_k(self):
        """The same name may have another type in another version."""
        chat = CHAT | {"gen_ai.request.top_k": 40}
        assert problems("latest", chat) == []
        assert problems("1.41", chat) == ["attribute gen_ai.request.top_k should be double, is 40"]

    @pytest.mark.parametrize(
        ("name", "value", "listed"),
        [
            ("gen_ai.provider.name", "xai", "x_ai"),
            ("gen_ai.provider.name", "OpenAI", "openai"),
            ("gen_ai.provider.name", "az.ai.openai", "azure.ai.openai"),
            ("gen_ai.provider.name", "aws_bedrock", "aws.bedrock"),
            ("gen_ai.operation.name", "text-completion", "text_completion"),
            ("gen_ai.output.type", "json_schema", "json"),
            ("openai.api.type", "chat", "chat_completions"),
            ("openai.request.service_tier", "Default", "default"),
        ],
    )
    @BOTH
    def test_alias(self, profile, name, value, listed):
        """Another spelling of a listed value is a problem; an unlisted value is not."""
        wanted = f"attribute {name} is {value!r}, the listed value is {listed!r}"
        assert wanted in problems(profile, CHAT | {name: value}, name="x")
        assert not any("listed" in p for p in problems(profile, CHAT | {name: "something_else"}, name="x"))

    def test_value_listed_later(self):
        """What a version does not list is a custom value in it."""
        chat = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "moonshot"}
        assert problems("1.41", chat) == []
        assert problems("latest", chat) != []

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("gen_ai.request.choice.count", 1),
            ("gen_ai.request.stream", False),
            ("openai.request.service_tier", "auto"),
        ],
    )
    @BOTH
    def test_value_left_out(self, profile, name, value):
        """Some usual values are said by leaving the attribute out."""
        found = problems(profile, CHAT | {name: value})
        assert found == [f"attribute {name} should be absent rather than {value!r}"]
        assert problems(profile, CHAT | {"gen_ai.request.choice.count": 2}) == []

    @BOTH
    def test_part_of_a_total(self, profile):
        """What is contained in a total cannot be more."""
        for part in ("gen_ai.usage.cache_read.input_tokens", CACHE_WRITE[profile]):
            found = problems(profile, CHAT | {part: 11})
            assert found == [f"{part} 11 is larger than gen_ai.usage.input_tokens 10, which contains it"]
        reasoning = {"gen_ai.usage.reasoning.output_tokens": 6}
        assert "is larger than gen_ai.usage.output_tokens 5" in problems(profile, CHAT | reasoning)[0]


class TestContent:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("gen_ai.input.messages", "hello"),
            ("gen_ai.input.messages", '{"role": "user"}'),
            ("gen_ai.input.messages", '[{"role": "user", "content": "hello"}]'),
            ("gen_ai.input.messages", '[{"role": "user", "parts": [{"type": "text", "text": "hello"}]}]'),
            ("gen_ai.output.messages", '[{"role": "assistant", "finish_reason": "stop"}]'),
            ("gen_ai.system_instructions", '"be brief"'),
            ("gen_ai.system_instructions", '[{"type": "text"}]'),
            ("gen_ai.tool.definitions", '[{"type": "function", "function": {"name": "f"}}]'),
        ],
    )
    @BOTH
    def test_wrong_shape(self, profile, name, value):
        """Content that is no JSON, or has another shape, is a problem."""
        found = problems(profile, CHAT | {name: value})
        assert any(problem.startswith(f"attribute {name}") for problem in found)

    @pytest.mark.parametrize("name", ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"])
    @BOTH
    def test_tool_values_are_objects(self, profile, name):
        """Arguments and results are objects."""
        found = internal(profile, TOOL | {name: '"text"'}, "execute_tool add")
        assert found == [f"attribute {name} at $: 'text' is not of type 'object'"]

    def test_finish_reason_of_a_message(self):
        """1.41 required it, later versions do not."""
        chat = CHAT | {"gen_ai.output.messages": messages()}
        assert problems("latest", chat) == []
        assert "'finish_reason' is a required property" in problems("1.41", chat)[0]

    @BOTH
    def test_one_message_for_each_choice(self, profile):
        """Two choices are two messages."""
        found = problems(profile, CHAT | {"gen_ai.response.finish_reasons": ("stop", "length")})
        assert found == ["1 output messages, but 2 finish reasons"]


class TestCost:
    @BOTH
    def test_other_names(self, profile):
        """The other set of names replaces ours, and is complete."""
        cost = "gen_ai.usage.cost"
        rest = {f"{cost}.currency": "USD", f"{cost}.source": "local"}
        chat = {key: value for key, value in CHAT.items() if key != cost}
        assert problems(profile, chat | {f"{cost}.amount": 0.5} | rest) == []
        assert problems(profile, CHAT | {f"{cost}.amount": 0.5} | rest) == [
            "both sets of cost names are used"
        ]
        assert problems(profile, chat | {f"{cost}.amount": 0.5}) == [
            f"{cost}.amount without currency and source"
        ]

    @BOTH
    def test_only_on_calls(self, profile):
        """Totals have names of their own, so that no back end adds them up again."""
        found = internal(profile, WORKFLOW | {"gen_ai.usage.cost": 1.0}, "invoke_workflow W")
        assert found == ["gen_ai.usage.cost is not on a call that is billed"]

    @BOTH
    def test_fetched_usage(self, profile):
        """Fetching a response again is no new usage."""
        found = problems(profile, FETCH | {"gen_ai.usage.input_tokens": 3}, name="fetch_response")
        assert "fetch_response reports usage, which was counted when the response was made" in found


POINT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "openai.response.service_tier": "default",
    "server.address": "api.openai.com",
    "server.port": 443,
}
TOKENS = POINT | {"gen_ai.token.type": "input"}
MODALITY = POINT | {"gen_ai.token.modality": "unknown"}
SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
COUNTS = [4**n for n in range(14)]


class Meter:
    """One meter whose metrics are checked when they are read."""

    def __init__(self, profile, schema_url=None):
        url = load_profile(profile)["schema_url"] if schema_url is None else schema_url
        self.profile, self.reader = profile, InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.meter = self.provider.get_meter("otel_agentops", "1", url)

    def histogram(self, name, value, attributes, unit="s", buckets=SECONDS):
        """Record one value, and say what is wrong."""
        made = self.meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=buckets)
        made.record(value, attributes)
        return self.problems(name)

    def counter(self, name, value, attributes, unit="{token}"):
        """Count one value, and say what is wrong."""
        self.meter.create_counter(name, unit).add(value, attributes)
        return self.problems(name)

    def problems(self, name):
        """What is said about the metrics, without their name."""
        found = check_metrics(self.reader.get_metrics_data(), self.profile)
        self.provider.shutdown()
        return [problem.removeprefix(f"{name}: ") for problem in found]


DURATION = "gen_ai.client.operation.duration"
USAGE = "gen_ai.client.token.usage"
INFERENCE = "gen_ai.client.inference"


class TestMetrics:
    def test_right(self):
        """Right metrics pass, in both versions."""
        assert Meter("1.41").histogram(DURATION, 0.5, POINT | {"error.type": "E"}) == []
        assert Meter("1.41").histogram(USAGE, 5, TOKENS, "{token}", COUNTS) == []
        assert Meter("latest").histogram(f"{INFERENCE}.duration", 0.5, POINT) == []
        assert Meter("latest").counter(f"{INFERENCE}.usage.input_tokens", 5, MODALITY) == []
        assert (
            Meter("latest").histogram(f"{INFERENCE}.operation.input_tokens", 5, POINT, "{token}", COUNTS)
            == []
        )
        assert check_metrics(None, "1.41") == []

    @pytest.mark.parametrize(
        ("profile", "name"), [("latest", USAGE), ("1.41", f"{INFERENCE}.duration"), ("1.41", "gen_ai.cost")]
    )
    def test_unknown(self, profile, name):
        """A metric of another version, or of none, is unknown."""
        assert Meter(profile).histogram(name, 1.0, POINT) == ["unknown metric"]

    def test_unit(self):
        """The unit is the one of the conventions."""
        assert Meter("1.41").histogram(DURATION, 0.5, POINT, unit="ms") == ["unit is 'ms', should be 's'"]

    def test_buckets(self):
        """So are the bucket bounds, up to rounding."""
        computed = [0.01 * 2**n for n in range(14)]
        assert Meter("1.41").histogram(DURATION, 0.5, POINT, buckets=computed) == []
        assert "buckets are [1, 2]" in Meter("1.41").histogram(DURATION, 0.5, POINT, buckets=[1, 2])[0]
        shifted = [bound + 0.5 for bound in SECONDS]
        assert "buckets are" in Meter("1.41").histogram(DURATION, 0.5, POINT, buckets=shifted)[0]

    def test_instrument(self):
        """A counter is no histogram."""
        assert Meter("1.41").counter(DURATION, 0.5, POINT, "s") == ["is a counter, should be a histogram"]

    def test_value_type(self):
        """Seconds are doubles, tokens are integers."""
        assert Meter("1.41").histogram(DURATION, 1, POINT) == ["values should be double, are int"]
        found = Meter("1.41").histogram(USAGE, 5.0, TOKENS, "{token}", COUNTS)
        assert found == ["values should be int, are float"]

    def test_attributes(self):
        """Required attributes are there, others are not; values have the right type."""
        less = {key: value for key, value in POINT.items() if key != "gen_ai.provider.name"}
        found = Meter("1.41").histogram(DURATION, 0.5, less)
        assert "required attribute gen_ai.provider.name is missing" in found
        found = Meter("1.41").histogram(DURATION, 0.5, POINT | {"session.id": "s"})
        assert found == ["attribute session.id does not belong on this metric"]
        found = Meter("1.41").histogram(DURATION, 0.5, POINT | {"gen_ai.request.model": 4})
        assert found == ["attribute gen_ai.request.model should be string, is 4"]
        without = {key: value for key, value in POINT.items() if key != "server.port"}
        assert Meter("1.41").histogram(DURATION, 0.5, without) == ["server.address without server.port"]

    def test_provider_attributes(self):
        """`openai.*` is for the calls of OpenAI and Azure."""
        found = Meter("1.41").histogram(DURATION, 0.5, POINT | {"gen_ai.provider.name": "groq"})
        assert found == ["attribute openai.response.service_tier on a call of groq"]

    def test_listed_values(self):
        """Listed values are used where they mean the same."""
        found = Meter("1.41").histogram(USAGE, 5, TOKENS | {"gen_ai.token.type": "prompt"}, "{token}", COUNTS)
        assert found == ["attribute gen_ai.token.type is 'prompt', the listed value is 'input'"]

    @pytest.mark.parametrize(("profile", "url"), [("1.41", ""), ("latest", "https://x/1.42.0")])
    def test_schema_url(self, profile, url):
        """A meter has the schema URL of the version too."""
        name = DURATION if profile == "1.41" else f"{INFERENCE}.duration"
        found = Meter(profile, schema_url=url).histogram(name, 0.5, POINT)
        assert found[0].startswith("schema URL is")
