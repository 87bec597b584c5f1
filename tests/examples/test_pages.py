"""The code of the pages on budgets and loops runs, and does what the pages say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"

CALLS = """\
for number in range({times}):
    with ao.model_call(provider="openai", model="gpt-4o-mini", messages={text}) as call:
        call.response(usage=ao.Usage(input_tokens=1000, output_tokens=100))
"""

CASES: list[tuple[str, int, str, str]] = [
    # page, which code, what is called in place of the dots, what is printed
    (
        "budgets.md",
        0,
        CALLS.format(times=200, text="str(number)"),
        r"the budget of session triage does not allow this call: 100 of 100 .* are used calls 0\.021000000",
    ),
    ("budgets.md", 1, CALLS.format(times=1, text='"a"'), r""),
    (
        "loops.md",
        0,
        CALLS.format(times=6, text='"the same"'),
        r"repeated_prompt \(gpt-4o-mini\): 5 times",
    ),
    ("loops.md", 1, "return job", r""),
]


def blocks(page: str) -> list[str]:
    """All Python of a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def filled(code: str, calls: str) -> str:
    """Code with something in place of its dots."""
    return re.sub(
        r"^( *)((?:def .*: )?)\.\.\.$",
        lambda found: f"{found[1]}{found[2]}" + calls.rstrip().replace("\n", "\n" + found[1]),
        code,
        flags=re.MULTILINE,
    )


@pytest.mark.parametrize(("page", "number", "calls", "printed"), CASES)
def test_the_code_of_a_page(page: str, number: int, calls: str, printed: str) -> None:
    """It runs as it stands there, with calls where the dots are."""
    program = filled(blocks(page)[number], calls)
    if "import otel_agentops" not in program:
        program = "import otel_agentops as ao\n" + program
    variables = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=False,
        env={**os.environ, **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(printed, done.stdout.strip()), done.stdout


@pytest.mark.parametrize("page", ["budgets.md", "loops.md"])
def test_no_code_is_left_out(page: str) -> None:
    """Each code of these pages is one of the cases."""
    assert [number for name, number, _, _ in CASES if name == page] == list(range(len(blocks(page))))
