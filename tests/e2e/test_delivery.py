"""Program -> collector -> file: what arrives is what the program wrote, to the last attribute."""

from __future__ import annotations

from decimal import Decimal

import pytest

from e2e.arrived import delivered, plain, points
from e2e.services import Run, Start, all_of, eventually

NAMES = [
    "chat gpt-4o", "chat gpt-4o-mini", "chat gpt-4o-mini", "chat gpt-4o-mini", "draft", "draft",
    "embeddings text-embedding-3-small", "execute_tool look_up", "invoke_agent Writer", "invoke_agent Writer",
    "invoke_workflow failing", "invoke_workflow letters", "stream",
]  # fmt: skip


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_every_span_and_attribute_arrives(start: Start, run: Run, protocol: str) -> None:
    """Ids, parents, times, kinds, statuses, events, resource and every typed attribute are the same."""
    collector = start("file")
    ran = run(collector.endpoint(protocol), protocol)
    assert ran.sent
    arrived = eventually(lambda: all_of(collector, ran))
    assert arrived == ran.spans
    assert sorted(span["name"] for span in arrived.values()) == NAMES


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_totals_arrive(start: Start, run: Run, protocol: str) -> None:
    """The sums on the sessions are what the program was told, and what their model calls add up to."""
    collector = start("file")
    ran = run(collector.endpoint(protocol), protocol)
    arrived = eventually(lambda: all_of(collector, ran)).values()
    for name, total in zip(("letters", "failing"), ran.totals, strict=True):
        [session] = [span for span in arrived if span["name"] == f"invoke_workflow {name}"]
        inside = [plain(span) for span in arrived if span["trace_id"] == session["trace_id"]]
        costs = [Decimal(repr(a["gen_ai.usage.cost"])) for a in inside if "gen_ai.usage.cost" in a]
        tools = [Decimal(repr(a["otel_agentops.tool.cost_usd"])) for a in inside if "gen_ai.tool.name" in a]
        said = plain(session)
        assert said["otel_agentops.total.cost_usd"] == float(total["cost_usd"])
        assert sum(costs) + sum(tools) == Decimal(total["cost_usd"])
        assert costs and said["otel_agentops.total.model_calls"] == total["model_calls"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_metrics_arrive(start: Start, run: Run, protocol: str) -> None:
    """The tokens of the metric are the tokens of the spans."""
    collector = start("file")
    ran = run(collector.endpoint(protocol), protocol)
    measured = eventually(lambda: points(collector.folder))["gen_ai.client.token.usage"]
    spans = [plain(span) for span in ran.spans.values()]
    models = [a for a in spans if a.get("gen_ai.operation.name") in ("chat", "embeddings")]
    tokens = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    written = sum(a.get(name, 0) for a in models for name in tokens)
    assert written == sum(point["sum"] for point in measured) > 0


def test_two_collectors_in_a_row(start: Start, run: Run) -> None:
    """One collector forwards to the next over OTLP, and nothing is lost or changed on the way."""
    last = start("file")
    first = start("otlp", OTLP_FORWARD_ENDPOINT=last.http)
    ran = run(first.grpc, "grpc")
    assert eventually(lambda: all_of(last, ran)) == ran.spans
    assert eventually(lambda: points(last.folder))["gen_ai.client.operation.duration"]
    assert not delivered(first.folder)
