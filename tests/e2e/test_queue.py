"""A destination that is down, a collector that is killed: what was acknowledged arrives all the same."""

from __future__ import annotations

from pathlib import Path

from e2e.arrived import delivered
from e2e.services import Collector, Run, Start, all_of, eventually, free_ports


def test_the_queue_survives_a_kill(start: Start, run: Run, otelcol: Path, tmp_path: Path) -> None:
    """Destination down, collector killed without a chance to flush and started again, destination back."""
    last = Collector(otelcol, tmp_path / "last", "file")
    first = start("otlp", OTLP_FORWARD_ENDPOINT=last.http)
    ran = run(first.http)
    assert ran.sent
    first.kill()
    assert not delivered(last.folder)
    first.start()
    with last:
        assert eventually(lambda: all_of(last, ran)) == ran.spans


def test_a_destination_that_is_down_costs_the_others_nothing(start: Start, run: Run) -> None:
    """The file is complete while Jaeger, Tempo and ClickHouse are not there, and the program has no error."""
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    collector = start("jaeger", "tempo", "file", JAEGER_ENDPOINT=nobody, TEMPO_ENDPOINT=nobody)
    ran = run(collector.http)
    assert ran.sent
    assert eventually(lambda: all_of(collector, ran)) == ran.spans


def test_what_comes_while_the_destination_is_down_comes_later(
    start: Start, run: Run, otelcol: Path, tmp_path: Path
) -> None:
    """Three programs while it is down, one after: all four arrive, each span once."""
    last = Collector(otelcol, tmp_path / "last", "file")
    first = start("otlp", OTLP_FORWARD_ENDPOINT=last.http)
    before = [run(first.http) for _ in range(3)]
    with last:
        after = run(first.http)
        spans = {name: span for ran in (*before, after) for name, span in ran.spans.items()}
        assert eventually(lambda: len(delivered(last.folder)) >= len(spans))
        assert delivered(last.folder) == spans
