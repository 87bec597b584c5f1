"""Declarative configuration: the file of `OTEL_CONFIG_FILE`, read by OpenTelemetry's own package."""

from __future__ import annotations

from otel_agentops.failsafe import warn_once

__all__ = ["apply_file"]

_MISSING = (
    "OTEL_CONFIG_FILE=%r is not read, since the package opentelemetry-configuration is not installed; no"
    " spans are sent. Install it, or unset the variable to be configured by the others"
)


def apply_file(path: str) -> None:
    """Set up the global providers as the file says; one that cannot be used is reported, once."""
    try:
        from opentelemetry.configuration import (  # type: ignore[import-not-found]  # noqa: PLC0415
            configure_sdk,
            load_config_file,
        )
    except ImportError:
        warn_once("config file", _MISSING, path)
        return
    try:
        configure_sdk(load_config_file(path))
    except Exception as error:  # noqa: BLE001 - theirs may raise anything; the program runs on
        warn_once("config file", "OTEL_CONFIG_FILE=%r cannot be used; no spans are sent: %s", path, error)
