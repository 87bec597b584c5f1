"""Turn the data of an installed genai-prices into the lines of our own rate-card file.

Used when a release is made and, at run time, only when the installed genai-prices is another one
than the shipped cards were made from. Nothing here runs on the way to a normal price.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["compile_lines"]

_CLAUSES = {
    "ClauseEquals": ("=", "equals"),
    "ClauseStartsWith": ("^", "starts_with"),
    "ClauseEndsWith": ("$", "ends_with"),
    "ClauseContains": ("*", "contains"),
    "ClauseRegex": ("~", "regex"),
    "ClauseOr": ("|", "or_"),
    "ClauseAnd": ("&", "and_"),
}


def compile_lines(data_time: str) -> list[str]:
    """The file's lines: a header with an index, then one line a provider.

    Args:
        data_time: When the data were taken, as an ISO date; genai-prices itself does not say.
    """
    from genai_prices import data  # noqa: PLC0415 - takes a quarter of a second

    lines = [_dump([_model(model) for model in provider.models]) for provider in data.providers]
    index = [
        _provider(each, len(line.encode()) + 1) for each, line in zip(data.providers, lines, strict=True)
    ]
    header = {
        "format": 1,
        "library": f"genai-prices {version('genai-prices')}",
        "data_time": data_time,
        "providers": index,
    }
    return [_dump(header), *lines]


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _provider(provider: Any, size: int) -> dict[str, Any]:
    return {
        "id": provider.id,
        "host": provider.api_pattern,
        "hint": _longest_literal(provider.api_pattern),
        "match": provider.provider_match and _clause(provider.provider_match),
        "fallback": provider.fallback_model_providers or [],
        "size": size,
    }


def _longest_literal(pattern: str) -> str:
    """A text that every match contains, so that most patterns never need to be compiled."""
    plain = re.sub(r"\([^()]*\)[?*+]?", "\0", pattern)
    while "(" in plain and plain != (shorter := re.sub(r"\([^()]*\)[?*+]?", "\0", plain)):
        plain = shorter
    plain = re.sub(r"\[[^\]]*\][?*+]?|\\[a-zA-Z].?|(?<!\\)\.|.[?*+]", "\0", plain)
    literals = [part.replace("\\", "").removeprefix("https://") for part in re.split(r"[\0^$|]", plain)]
    return max(literals, key=len)


def _clause(clause: Any) -> list[Any]:
    sign, attribute = _CLAUSES[type(clause).__name__]
    value = getattr(clause, attribute)
    if isinstance(value, list):
        return [sign, [_clause(each) for each in value]]
    return [sign, value if sign == "~" else value.lower()]


def _model(model: Any) -> dict[str, Any]:
    stages = model.prices if isinstance(model.prices, list) else None
    prices = [[_window(each.constraint), _rates(each.prices)] for each in stages or ()]
    compiled: dict[str, Any] = {"id": model.id, "m": _clause(model.match)}
    compiled["p"] = prices if stages is not None else [[None, _rates(model.prices)]]
    if model.price_variants:
        compiled["v"] = [[v.when, _window(v.constraint), _rates(v.prices)] for v in model.price_variants]
    return compiled


def _window(constraint: Any) -> list[Any] | None:
    if constraint is None:
        return None
    if hasattr(constraint, "start_date"):
        return ["from", constraint.start_date.isoformat()]
    return ["daily", _of_day(constraint.start_time), _of_day(constraint.end_time)]


def _of_day(value: Any) -> str:
    offset = value.utcoffset()
    if offset:
        raise ValueError(f"a daily window that is not in UTC: {value}")
    return str(value.replace(tzinfo=None).isoformat())


def _rates(price: Any) -> dict[str, Any]:
    return {key: _rate(value) for key, value in _priced(price.__dict__.items())}


def _priced(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    return ((key, value) for key, value in items if value is not None and not key.startswith("_"))


def _rate(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return [str(value.base), [[tier.start, str(tier.price)] for tier in value.tiers]]
