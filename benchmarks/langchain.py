"""A LangChain chain of six runs with a model that answers at once; content on."""

from __future__ import annotations

from benchmarks.driver import Plan, Result, Row, main, over, run

PLAN = Plan(groups=5, rounds=11, block=60, warm=150)
USUAL, NAMED = "langchain.usual", "langchain.named"


def measure() -> Result:
    """Cost of a chain over the same chain without any recording."""
    rows = []
    for chain, spans, what in (
        (USUAL, 4, "prompt, model, parser and two named functions (4 spans)"),
        (NAMED, 6, "a model and four named functions (6 spans)"),
    ):
        bare, own = f"{chain}_bare", f"{chain}_own"
        groups = run((bare, own), PLAN, spans_each=spans)
        rows.append(Row(f"{what}: us a run, calling thread", over(groups, own, bare, "call"), 0, target=900))
        rows.append(Row(f"{what}: us a run, whole process", over(groups, own, bare, "total"), 0))
    return Result("langchain", "LangChain chain of six runs", rows)


if __name__ == "__main__":
    main(measure)
