"""What a shell may contain that would make the demo show something else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["tidy"]

_KEPT = ("OTEL_EXPORTER_OTLP_", "OTEL_RESOURCE_ATTRIBUTES")
_LOCAL = "127.0.0.1,localhost"


def tidy(environ: MutableMapping[str, str] | None = None) -> None:
    """Take samplers, limits, switches and proxies out of the way of this one process.

    What concerns the collector of `--otlp` (headers, certificates, compression) stays.

    Args:
        environ: Variables to change; the process's own when None.
    """
    variables = os.environ if environ is None else environ
    for name in list(variables):
        if name.startswith("OTEL_") and not name.startswith(_KEPT):
            del variables[name]
    variables["OTEL_METRICS_EXPORTER"] = "none"  # there is no collector that could take them
    for name in ("NO_PROXY", "no_proxy"):
        variables[name] = ",".join(filter(None, (variables.get(name), _LOCAL)))
