"""The tree as a table in a terminal, and as a picture. Needs `rich`, an optional package."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from otel_agentops.viewer.lines import rows
from otel_agentops.viewer.sums import totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from typing import TextIO

    from otel_agentops.viewer.lines import Row
    from otel_agentops.viewer.sums import Totals
    from otel_agentops.viewer.tree import Node

__all__ = ["show", "svg", "table"]

_STYLES = {"session": "bold", "agent": "bold cyan", "operation": "cyan", "tool": "magenta"}
_PLAIN = str.maketrans("├└│─✗…", "|`|-x.")
_WIDTH = 92
"""Columns of a picture and of a pipe; a terminal has its own."""


def show(trees: Sequence[Node], file: TextIO | None = None, notes: Sequence[str] = ()) -> None:
    """Print the tree, a total line and remarks."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    picture = table(trees, notes)
    if console.encoding.startswith("utf"):
        console.print(picture)
    else:
        with console.capture() as text:
            console.print(picture)
        console.file.write(_plain(text.get(), console.encoding))


def _plain(text: str, encoding: str) -> str:
    """The same for an output that lacks the characters of branches and marks."""
    return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)


def svg(trees: Sequence[Node], title: str, notes: Sequence[str] = ()) -> str:
    """The same as an SVG picture that loads nothing from elsewhere."""
    console = Console(record=True, width=_WIDTH, file=StringIO(), force_terminal=True, highlight=False)
    console.print(table(trees, notes))
    picture = console.export_svg(title=title, unique_id="otel-agentops")
    return re.sub(r"\s*(@font-face \{.*?\}|<!--.*?-->)", "", picture, flags=re.DOTALL)


def table(trees: Sequence[Node], notes: Sequence[str] = ()) -> Group:
    """What `show` prints."""
    grid, lines, total = _grid(), rows(trees), totals(trees)
    places = _places([total.cost_usd, *(row.cost_usd for row in lines if row.cost_usd is not None)])
    for row in lines:
        grid.add_row(*_cells(row, places), style="red" if row.error else None)
    grid.add_section()
    grid.add_row(
        _line(_calls(total)), f"{total.input_tokens:,}", f"{total.output_tokens:,}",
        f"${total.cost_usd:.{places}f}", style="bold",
    )  # fmt: skip
    remarks = [Text(note, style="dim") for note in (*_remarks(lines), *notes)]
    return Group(grid, *remarks)


def _grid() -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("")
    for header in ("tokens in", "out", "cost", "share", "time"):
        grid.add_column(header, justify="right", no_wrap=True)  # names give way before numbers do
    return grid


def _places(costs: Sequence[Decimal]) -> int:
    """Digits after the point that show every cost exactly, from 6 to 12."""
    needed = [-int(cost.normalize().as_tuple().exponent) for cost in costs if cost]
    return min(12, max([6, *needed]))


def _calls(total: Totals) -> str:
    counts = ((total.model_calls, "calls"), (total.errors, "failed"), (total.unpriced_calls, "unpriced"))
    return "total: " + (", ".join(f"{count} {word}" for count, word in counts if count) or "no calls")


def _cells(row: Row, places: int) -> tuple[Text | str, ...]:
    name = _line("").append(row.guide, "dim").append(_label(row), _STYLES.get(row.kind, ""))
    if row.error:
        name.append(" ✗", "bold red")
    return (
        name,
        "" if row.input_tokens is None else f"{row.input_tokens:,}",
        "" if row.output_tokens is None else f"{row.output_tokens:,}",
        _cost(row, places),
        "" if row.share is None else f"{row.share:.1%}",
        _duration(row.duration_s),
    )


def _label(row: Row) -> str:
    if row.kind == "model_call":
        return f"{row.name} {row.model}" if row.model else row.name
    return row.name if row.kind == "span" else f"{row.kind} {row.name}"


def _line(text: str) -> Text:
    """A cell that is cut rather than broken, so that the branches stay whole."""
    return Text(text, no_wrap=True, overflow="ellipsis", end="")


def _cost(row: Row, places: int) -> str:
    if row.cost_usd is None:
        return "unpriced" if row.unpriced else ""
    return ("~" if row.status == "estimated" else "") + f"${row.cost_usd:.{places}f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _remarks(lines: Sequence[Row]) -> list[str]:
    """One line for each error, each price that is missing and each that leaves something out."""
    told = []
    for row in lines:
        what = _label(row)
        if row.error:
            told.append(f"✗ {what}: {row.error}")
        elif row.unpriced:
            told.append(f"unpriced {what}: {row.note}")
        elif row.status == "estimated":
            told.append(f"~ {what}: {row.note}")
    return told
