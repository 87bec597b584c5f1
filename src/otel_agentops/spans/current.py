"""The recorder of this process: what decorators, instrumentations and processors write to.

`init()` puts one in place. Where nobody calls it, the first use makes one from the environment, which
writes to whatever tracer provider the program has; after `shutdown()` there is none and everything of
ours passes calls through.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from otel_agentops.accounting import Budget
from otel_agentops.config import Config, ConfigError
from otel_agentops.failsafe import warn_once
from otel_agentops.pricing import PriceBook
from otel_agentops.spans.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from otel_agentops.pricing import Adjust, Alias, Price
    from otel_agentops.records import ModelCall

__all__ = ["current", "heard", "price_book", "use"]

_recorder: Recorder | None = None
_off = False
_lock = Lock()


def current() -> Recorder | None:
    """The recorder in use; None after `shutdown()`."""
    if _recorder is None and not _off:
        _make()
    return _recorder


def use(recorder: Recorder | None) -> None:
    """Write to this recorder from now on; None switches everything off."""
    global _recorder, _off
    _recorder, _off = recorder, recorder is None


def _make() -> None:
    global _recorder  # noqa: PLW0603 - as above
    with _lock:
        if _recorder is None:
            config = Config.load()
            _recorder = Recorder(config, price_book(config))


def heard(on_finding: Any, budgets: Any) -> dict[str, Any]:
    """What to tell of findings to, and what may be spent, as arguments of a `Recorder`.

    Raises:
        ConfigError: One of them is none.
    """
    if on_finding is not None and not callable(on_finding):
        raise ConfigError("on_finding", on_finding, "a function of a finding")
    budgets = (budgets,) if isinstance(budgets, Budget) else tuple(budgets)
    for budget in budgets:
        if not isinstance(budget, Budget):
            raise ConfigError("budgets", budget, "Budget objects")
    return {"on_finding": on_finding, "budgets": budgets}


def price_book(
    config: Config,
    rules: tuple[Price | Alias | Adjust, ...] = (),
    hook: Callable[[ModelCall], Decimal | None] | None = None,
    *,
    strict: bool = False,
) -> PriceBook:
    """The prices in force; wrong files are left out and reported, as the environment may have named them.

    Args:
        config: Names the files.
        rules: Rules in code.
        hook: Asked first about each call.
        strict: Whether a wrong file is the developer's error.

    Raises:
        PriceFileError: A file cannot be used, and `strict` is set.
        ConfigError: The hook or a rule is none.
    """
    if hook is not None and not callable(hook):
        raise ConfigError("price_hook", hook, "a function of a call that returns US dollars or None")
    if not rules and not config.prices:
        return PriceBook((), (), hook)
    return _with_rules(config, rules, hook, strict)


def _with_rules(
    config: Config,
    rules: tuple[Price | Alias | Adjust, ...],
    hook: Callable[[ModelCall], Decimal | None] | None,
    strict: bool,
) -> PriceBook:
    # most programs have no rules, and what reads them takes 4 ms to load
    from otel_agentops.pricing import Adjust, Alias, Price, PriceFileError  # noqa: PLC0415

    for rule in rules:
        if not isinstance(rule, Price | Alias | Adjust):
            raise ConfigError("price_rules", rule, "Price, Alias and Adjust objects")
    try:
        return PriceBook(rules, config.prices, hook)
    except PriceFileError as error:
        if strict:
            raise
        warn_once("prices", "OTEL_AGENTOPS_PRICES: %s; the files are not used", error)
        return PriceBook(rules, (), hook)
