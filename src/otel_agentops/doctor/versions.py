"""Which versions are installed, and pairs of them that are known not to work."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from otel_agentops import __version__
from otel_agentops.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_agentops.config import Config

__all__ = ["installed", "look"]

_OURS = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-instrumentation", "genai-prices", "wrapt")


def installed(distribution: str) -> str | None:
    """The version of a distribution; None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def look(_config: Config) -> Iterator[Finding]:
    """The versions that matter, and what is wrong with them together."""
    found = {name: installed(name) for name in _OURS}
    names = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    yield Finding(
        "versions", "ok", f"otel-agentops {__version__}, Python {platform.python_version()}, {names}"
    )
    if found["opentelemetry-api"] != found["opentelemetry-sdk"]:
        yield Finding(
            "versions",
            "warning",
            "opentelemetry-api and opentelemetry-sdk have different versions",
            "install the two in the same version",
        )
    distro = installed("opentelemetry-distro")
    launcher = found["opentelemetry-instrumentation"]
    if distro and launcher and distro != launcher:
        yield Finding(
            "versions",
            "warning",
            f"opentelemetry-distro {distro} does not belong to opentelemetry-instrumentation {launcher}",
            "install the distro of the same version, or remove it: this library does not need it",
        )
    if installed("opentelemetry-instrumentation-openai-v2"):
        yield Finding(
            "versions",
            "warning",
            "opentelemetry-instrumentation-openai-v2 cannot be imported beside current versions of openai",
            "remove it, or use opentelemetry-instrumentation-genai-openai",
        )
