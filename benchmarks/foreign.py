"""What the processor costs on spans of others: the same span on a provider with it and without it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import stub
from benchmarks.driver import ROOT, Result, Row, Spread, environment, main

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

GROUPS, ROUNDS, EACH = 5, 9, 2000

PLAIN = {"http.request.method": "GET", "url.full": "https://example.com/", "http.response.status_code": 200}
ASKED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}
ANSWERED = {
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 2400,
    "gen_ai.usage.output_tokens": 410,
    "gen_ai.usage.cache_read.input_tokens": 1280,
    "gen_ai.response.finish_reasons": ("stop",),
}
PROMPT = json.dumps([{"role": "user", "parts": [stub.MESSAGES[1]["content"]]}])
"""1 KB of content; another one on every span, since the same one again and again is a finding."""

CASES: dict[str, tuple[bool, dict[str, Any], dict[str, Any], bool, float]] = {
    # what it is: inside a session and an agent, attributes at its start, set later, content, target in us
    "no model call": (False, PLAIN, {}, False, 3.0),
    "no model call, stamped": (True, PLAIN, {}, False, 10.0),
    "model call": (False, ASKED, ANSWERED, False, 30.0),
    "model call with 1 KB of content": (False, ASKED, ANSWERED, True, 45.0),
}


def _loop(tracer: Tracer, start: dict[str, Any], later: dict[str, Any], content: bool) -> float:
    prompts = [f"{number} {PROMPT}" for number in range(EACH)] if content else [""] * EACH
    begun = time.process_time()
    for prompt in prompts:
        span = tracer.start_span("span", attributes=start)
        if content:
            span.set_attributes({"gen_ai.input.messages": prompt, **later})
        elif later:
            span.set_attributes(later)
        span.end()
    return (time.process_time() - begun) / EACH * 1e6


def _worker() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    import otel_agentops as ao

    ao.init(tracer_provider=trace.NoOpTracerProvider(), auto_session=False, instrument=[])
    providers = [TracerProvider(shutdown_on_exit=False) for _ in range(2)]
    providers[1].add_span_processor(ao.AgentOpsSpanProcessor())
    bare, ours = (provider.get_tracer("benchmark") for provider in providers)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, (inside, *case, _target) in CASES.items():
            without = _loop(bare, *case)
            if inside:
                with ao.session("s", user_id="u", tags=["t"]), ao.agent("a"):
                    found[name].append((_loop(ours, *case), without))
            else:
                found[name].append((_loop(ours, *case), without))
    print(
        json.dumps(
            {
                name: [median(with_ - without for with_, without in rounds), median(b for _, b in rounds)]
                for name, rounds in found.items()
            }
        )
    )


def measure() -> Result:
    """Cost of the processor for one span."""
    groups = []
    for seed in range(GROUPS):
        output = subprocess.check_output(
            [sys.executable, "-m", "benchmarks.foreign", "--worker"],
            cwd=ROOT,
            env=environment(seed),
            stderr=subprocess.DEVNULL,
        )
        groups.append(json.loads(output.splitlines()[-1]))
    rows = [
        Row(f"{name}: us a span", Spread.of([group[name][0] for group in groups]), target=target)
        for name, (*_, target) in CASES.items()
    ]
    rows += [
        Row(f"{name}: us of the span without us", Spread.of([group[name][1] for group in groups]), 1)
        for name in CASES
    ]
    return Result("foreign", "The processor on spans of others", rows)


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        _worker()
    else:
        main(measure)
