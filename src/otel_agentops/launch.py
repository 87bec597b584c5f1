"""What happens under `opentelemetry-instrument`: the parts of `init()`, each at its own moment.

Before anybody's instrumentation: the pipeline. With the others: ours. After them: to the top. Each
step may be missing, come early or come twice, as launchers, distros and declarative files please.

Most processes under a launcher never make a model call. So nothing is loaded before the first span of
anybody, the import of a library that is instrumented, or the use of this one by the program.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib.metadata import entry_points
from threading import RLock
from typing import Any

import wrapt

from otel_agentops.config import Config, ConfigError
from otel_agentops.failsafe import failsafe, warn_once

__all__ = ["attach", "instrument", "to_top"]

_OBJECTS = frozenset({"tracer_provider", "meter_provider"})

_waiting: Start | None = None


class Start:
    """Starts everything, once; whoever comes while another thread does it may wait or go on.

    Attributes:
        config: The settings.
        wanted: Names of the libraries to instrument.
        begun: Whether it was started; it may still be going on in another thread.
    """

    def __init__(self, config: Config, wanted: list[str]) -> None:
        self.config = config
        self.wanted = wanted
        self.begun = False
        self._lock = RLock()

    def __call__(self, wait: bool = True) -> None:
        """Start.

        Args:
            wait: Until it is done, where another thread is at it. Not from within an import: that thread
                may need the very module.
        """
        if self._lock.acquire(blocking=wait):
            try:
                if not self.begun:
                    self.begun = True
                    with failsafe("starting under opentelemetry-instrument"):
                        self._start()
            finally:
                self._lock.release()

    def _start(self) -> None:
        from otel_agentops import providers, runtime  # noqa: PLC0415 - what is put off

        runtime.launch(self.config)
        providers.explain_theirs(self.config)


def attach() -> None:
    """Join the pipeline that the configurator has set up; build one where there was none."""
    global _waiting  # noqa: PLW0603 - one launcher a process
    config = Config.load()
    if config.sdk_disabled or config.switched_off or _waiting is not None:
        return
    from otel_agentops import providers  # noqa: PLC0415 - costs nothing where it is switched off
    from otel_agentops.instrumentation import registry  # noqa: PLC0415 - as above

    if config.config_file is not None:
        names = {point.name for point in entry_points(group="opentelemetry_configurator")}
        providers.declare(config, applied=bool(names) and config.configurator in {None, *names})
    wanted = registry.wanted_by(config)
    _waiting = start = Start(config, wanted)
    if not providers.await_span(config, start):
        start()
    registry.await_import(wanted, partial(start, wait=False))
    for module in _OURS:
        wrapt.register_post_import_hook(_used, module)


_OURS = ("otel_agentops.spans", "otel_agentops.runtime")
"""What every use of this library by the program imports, the inner one first."""


def _used(_module: object) -> None:
    """The program uses us. `runtime` imports `spans`, and can start nothing before it is there itself."""
    runtime = sys.modules.get("otel_agentops.runtime")
    if _waiting is not None and (runtime is None or hasattr(runtime, "launch")):
        _waiting(wait=False)


def instrument(options: dict[str, Any]) -> None:
    """Start with options, as a declarative file or a distro gives them."""
    objects = {name: value for name, value in options.items() if name in _OBJECTS}
    settings = {
        name: value for name, value in options.items() if name not in _OBJECTS and _usable(name, value)
    }
    config = Config.load(**settings)
    if not (config.sdk_disabled or config.switched_off or (_waiting is not None and not options)):
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
    """Put our wrappers around everybody else's, now and when a library is imported."""
    if _waiting is not None and not _waiting.begun:
        from otel_agentops.instrumentation import registry  # noqa: PLC0415 - as above

        # theirs wait for the same import, and were there before these
        registry.await_import(_waiting.wanted, _outermost)
    else:
        _outermost()


def _outermost() -> None:
    if _waiting is not None:
        _waiting(wait=False)
    runtime = sys.modules.get("otel_agentops.runtime")
    if runtime is not None:  # else nothing was started
        runtime.launched()
