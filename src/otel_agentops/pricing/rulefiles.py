"""Read rules from TOML and JSON files, and say exactly where a file is wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_agentops.pricing.rules import RATE_KEYS, Adjust, Alias, Price

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_agentops.pricing.rules import Rule

__all__ = ["PriceFileError", "read_rules"]

_COMMON = ("provider", "match", "note", "url")
_CONDITIONAL = (*_COMMON, "from", "until", "days", "when")

_TABLES: dict[str, tuple[type[Rule], tuple[str, ...]]] = {
    "price": (Price, (*_CONDITIONAL, *RATE_KEYS, "request", "tool", "above", "patch")),
    "alias": (Alias, (*_COMMON, "model")),
    "adjust": (Adjust, (*_CONDITIONAL, "multiply")),
}
_REQUIRED = {"price": ("provider", "match"), "alias": ("provider", "match", "model")}
_REQUIRED["adjust"] = ("provider", "match", "multiply")


class PriceFileError(ValueError):
    """A price file that cannot be used; says which file, which table, which line and which key."""


def read_rules(path: str | Path) -> tuple[Rule, ...]:
    """All rules of one file, in the order of the file's tables.

    Raises:
        PriceFileError: The file is missing, is not TOML or JSON, or has a rule that is wrong.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        tables = _parse(path, text)
    except (OSError, ValueError) as error:
        raise PriceFileError(f"{path}: {error}") from error
    return tuple(_rules(path, text, tables))


def _parse(path: Path, text: str) -> Any:
    if path.suffix == ".json":
        return json.loads(text, parse_float=Decimal)
    if path.suffix != ".toml":
        raise ValueError("expected a name that ends in .toml or .json")
    import tomllib  # noqa: PLC0415 - not needed where there is no such file

    return tomllib.loads(text, parse_float=Decimal)


def _rules(path: Path, text: str, tables: Any) -> Iterator[Rule]:
    if not isinstance(tables, dict):
        raise PriceFileError(f"{path}: expected tables, got {type(tables).__name__}")
    for name, rows in tables.items():
        if name not in _TABLES:
            raise PriceFileError(f"{path}: unknown table {name!r}; allowed: {', '.join(_TABLES)}")
        for index, row in enumerate(rows if isinstance(rows, list) else [rows]):
            try:
                yield _rule(name, row)
            except ValueError as error:
                where = _where(path, text, name, index)
                raise PriceFileError(f"{where}: {error}") from error


def _where(path: Path, text: str, name: str, index: int) -> str:
    heads = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == f"[[{name}]]"]
    line = f":{heads[index]}" if index < len(heads) else ""
    return f"{path}{line}: [[{name}]] number {index + 1}"


def _rule(name: str, row: Any) -> Rule:
    kind, allowed = _TABLES[name]
    if not isinstance(row, dict):
        raise ValueError(f"expected a table, got {row!r}")
    row = _nested(row)
    unknown = [key for key in row if key not in allowed]
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; allowed: {', '.join(allowed)}")
    missing = [key for key in _REQUIRED[name] if key not in row]
    if missing:
        raise ValueError(f"key {missing[0]!r} is missing")
    values = {f"{key}_" if key == "from" else key: value for key, value in row.items()}
    return kind(**values)


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    """The row with a dotted key of JSON (`"tool.web_search"`) as TOML reads it."""
    plain = {key: value for key, value in row.items() if not key.startswith("tool.")}
    tools = {key.removeprefix("tool."): value for key, value in row.items() if key.startswith("tool.")}
    return {**plain, "tool": tools} if tools else plain
