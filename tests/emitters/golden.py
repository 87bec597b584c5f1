"""Spans as real emitters wrote them, as data: `python -m emitters.golden NAME ...` makes them.

Made without any accounting, in an environment that has the emitter. Long texts are cut, ids are small
numbers, and beside the spans stands what the provider answered.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from emitters.billing import billed

FOLDER = Path(__file__).parent.parent / "data" / "dialects"
TESTS = Path(__file__).parent.parent

_LONGEST = 160
_WHOLE = ("gen_ai.usage.raw", "langfuse.", "mlflow.", "ai.response.providerMetadata")


def run(name: str, *options: str, module: str = "programs") -> dict[str, Any]:
    """What a program of `emitters.programs`, or of another module, printed.

    Raises:
        subprocess.CalledProcessError: It failed; its output holds why.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "DD_"))}
    done = subprocess.run(
        [sys.executable, "-m", f"emitters.{module}", name, *options],
        cwd=TESTS,
        env=kept,
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    # some print spans at their own end
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith('{"'))
    found: dict[str, Any] = json.loads(line)
    return found


def make(name: str) -> None:
    """Write the golden spans of one program."""
    found = run(name, "--bare")
    numbers: dict[int, int] = {}
    begin = min(span["start_ns"] for span in found["spans"])
    for span in sorted(found["spans"], key=lambda each: each["start_ns"]):
        numbers[span["id"]] = len(numbers) + 1
    spans = [
        {
            "name": span["name"],
            "scope": span["scope"],
            "id": numbers[span["id"]],
            "parent": numbers.get(span["parent"]),
            "start_us": (span["start_ns"] - begin) // 1000,
            "end_us": (span["end_ns"] - begin) // 1000,
            "attributes": {key: _short(key, value) for key, value in span["attributes"].items()},
        }
        for span in found["spans"]
        if span["scope"] != "otel_agentops"
    ]
    calls = [call._asdict() for call in map(billed, found["served"])]
    text = json.dumps({"spans": spans, "served": calls}, indent=1, default=str)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text + "\n", "utf-8")


def _short(key: str, value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST and not key.startswith(_WHOLE):
        return value[:_LONGEST]
    if key in {"server.port", "net.peer.port"}:
        return 443
    if isinstance(value, str) and "127.0.0.1:" in value:
        return "http://127.0.0.1"
    if key == "code.filepath":
        return "program.py"
    return value


if __name__ == "__main__":
    for each in sys.argv[1:]:
        make(each)
