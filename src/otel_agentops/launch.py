"""What happens under `opentelemetry-instrument`: the parts of `init()`, each at its own moment.

Before anybody's instrumentation: the pipeline. With the others: ours. After them: to the top. Each
step may be missing, come early or come twice, as launchers, distros and declarative files please.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Any

from otel_agentops.config import Config, ConfigError
from otel_agentops.failsafe import warn_once

__all__ = ["attach", "instrument", "to_top"]

_OBJECTS = frozenset({"tracer_provider", "meter_provider"})


def attach() -> None:
    """Join the pipeline that the configurator has set up; build one where there was none."""
    config = Config.load()
    if config.sdk_disabled or config.switched_off:
        return
    from otel_agentops import providers, runtime  # noqa: PLC0415 - costs nothing where it is switched off

    if config.config_file is not None:
        names = {point.name for point in entry_points(group="opentelemetry_configurator")}
        providers.declare(config, applied=bool(names) and config.configurator in {None, *names})
    runtime.launch(config)
    providers.explain_theirs(config)


def instrument(options: dict[str, Any]) -> None:
    """Start with options, as a declarative file or a distro gives them."""
    objects = {name: value for name, value in options.items() if name in _OBJECTS}
    settings = {
        name: value for name, value in options.items() if name not in _OBJECTS and _usable(name, value)
    }
    config = Config.load(**settings)
    if not (config.sdk_disabled or config.switched_off):
        from otel_agentops import runtime  # noqa: PLC0415 - as above

        runtime.launch(config, **objects, again=bool(options))


def _usable(name: str, value: object) -> bool:
    try:
        Config.load(None, **{name: value})
    except KeyError:
        problem = f"{name} is none; allowed: {', '.join(Config.arguments())}"
    except ConfigError as error:
        problem = str(error)
    else:
        return True
    warn_once(f"option {name}", "options of the instrumentation otel_agentops: %s; it is left out", problem)
    return False


def to_top() -> None:
    """Put our wrappers around everybody else's."""
    runtime = sys.modules.get("otel_agentops.runtime")
    if runtime is not None:  # else nothing was started
        runtime.launched()
