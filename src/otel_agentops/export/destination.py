"""Where OTLP spans go: the standard variables, read as the stock exporters read them.

Source: the specification's "OpenTelemetry Protocol Exporter", and the variables of
`opentelemetry.sdk.environment_variables`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

from otel_agentops.failsafe import warn_once

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SCHEMES", "Destination", "only_stock", "resolve", "what"]

_GENERAL = "OTEL_EXPORTER_OTLP_"
_TIMEOUT_S = 10.0
_COMPRESSIONS = ("none", "gzip", "deflate")
_PYTHON = "OTEL_PYTHON_EXPORTER_OTLP_"
_STOCK_ONLY = (
    _PYTHON + "HTTP_CREDENTIAL_PROVIDER",
    _PYTHON + "HTTP_TRACES_CREDENTIAL_PROVIDER",
    _PYTHON + "GRPC_CREDENTIAL_PROVIDER",
    _PYTHON + "GRPC_TRACES_CREDENTIAL_PROVIDER",
    _PYTHON + "GRPC_RETRYABLE_ERROR_CODES",
)


SCHEMES = {"http": "http/protobuf", "https": "http/protobuf", "grpc": "grpc", "grpcs": "grpc"}
"""Protocol of destinations that are given as URLs, by their scheme."""


class Destination(NamedTuple):
    """A collector and how to talk to it.

    Attributes:
        protocol: `http/protobuf` or `grpc`.
        endpoint: Full URL for HTTP; `host:port` for gRPC.
        headers: Headers or metadata of each request, names in lower case.
        timeout_s: Seconds for one batch, all attempts together.
        compression: `none`, `gzip` or `deflate`.
        certificate: File of the authorities that may sign for the server; None for the usual ones.
        client_certificate: File of our own certificate; None for none.
        client_key: File of its key; None if it is in the same file, or there is none.
        insecure: No TLS (gRPC; an HTTP endpoint's scheme says it).
    """

    protocol: str
    endpoint: str
    headers: Mapping[str, str]
    timeout_s: float
    compression: str
    certificate: str | None
    client_certificate: str | None
    client_key: str | None
    insecure: bool

    def __repr__(self) -> str:  # headers hold keys, and so may the URL
        return f"Destination({self.protocol}, {urlsplit(self.endpoint).hostname or self.endpoint})"


def only_stock(variables: Mapping[str, str]) -> bool:
    """Whether something is asked for that only the stock exporters do, so that they must be used."""
    own_metrics = variables.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").strip().lower() == "true"
    return own_metrics or any(variables.get(name) for name in _STOCK_ONLY)


def what(wanted: object, protocol: str) -> tuple[str, str | None] | None:
    """Protocol and URL that a name or URL in `exporters` or `OTEL_TRACES_EXPORTER` means.

    Args:
        wanted: `otlp` for what the variables say, or a URL; anything else is no OTLP.
        protocol: That of the variables.

    Returns:
        The protocol, and the URL that goes before the variables' endpoint, None for that; None altogether
        for what is no OTLP.
    """
    if wanted == "otlp":
        return protocol, None
    if not isinstance(wanted, str) or (scheme := wanted.partition("://")[0]) not in SCHEMES:
        return None
    return SCHEMES[scheme], wanted


def resolve(variables: Mapping[str, str], protocol: str, url: str | None = None) -> Destination:
    """The destination that the variables describe.

    Args:
        variables: `OTEL_EXPORTER_OTLP_*`, those for traces winning over the general ones.
        protocol: `http/protobuf` or `grpc`.
        url: Goes before the variables' endpoint: `http(s)://host:port`, `/v1/traces` added where it is
            missing, or `grpc(s)://host:port`. Headers and the rest are still the variables'.
    """
    if protocol == "grpc":
        endpoint, insecure = _grpc(variables, url)
    else:
        endpoint, insecure = _http(variables, url), False
    return Destination(
        protocol=protocol,
        endpoint=endpoint,
        headers=_headers(_get(variables, "HEADERS") or ""),
        timeout_s=_timeout(_get(variables, "TIMEOUT")),
        compression=_compression(_get(variables, "COMPRESSION")),
        certificate=_get(variables, "CERTIFICATE"),
        client_certificate=_get(variables, "CLIENT_CERTIFICATE"),
        client_key=_get(variables, "CLIENT_KEY"),
        insecure=insecure,
    )


def _get(variables: Mapping[str, str], name: str) -> str | None:
    return variables.get(_GENERAL + "TRACES_" + name) or variables.get(_GENERAL + name) or None


def _http(variables: Mapping[str, str], url: str | None) -> str:
    if url is None:
        whole = variables.get(_GENERAL + "TRACES_ENDPOINT")
        if whole:
            return whole
        return (variables.get(_GENERAL + "ENDPOINT") or "http://localhost:4318").rstrip("/") + "/v1/traces"
    url = url.rstrip("/")
    return url if url.endswith("/v1/traces") else url + "/v1/traces"


def _grpc(variables: Mapping[str, str], url: str | None) -> tuple[str, bool]:
    if url is not None:
        scheme, _, address = url.partition("://")
        return address.rstrip("/"), scheme == "grpc"
    endpoint = _get(variables, "ENDPOINT") or "http://localhost:4317"
    parts = urlsplit(endpoint)
    said = _get(variables, "INSECURE")
    plain = said.strip().lower() == "true" if said else parts.scheme == "http"
    return parts.netloc or endpoint, plain and parts.scheme != "https"


# as OpenTelemetry reads them, which logs what does not look like this
_HEADER = re.compile(r"[!#-'*+\-.0-9A-Z^-z|~]+[ \t]*=[ !#-+\--:<-\[\]-~\t]*")


def _headers(text: str) -> Mapping[str, str]:
    """Headers of a variable; what is none may be a key without a name: it is left out and not shown."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    headers = [entry for entry in entries if _HEADER.fullmatch(entry)]
    if len(headers) < len(entries):
        wrong = len(entries) - len(headers)
        told = "OTEL_EXPORTER_OTLP_HEADERS: %d of %d entries are no name=value and are left out"
        warn_once("otlp headers", told, wrong, len(entries))
    return parse_env_headers(",".join(headers), liberal=True)


def _timeout(text: str | None) -> float:
    try:
        seconds = float(text or _TIMEOUT_S)
    except ValueError:
        seconds = -1.0
    if 0 < seconds < float("inf"):
        return seconds
    warn_once("otlp timeout", "OTLP time-out %r is no number of seconds; %s holds", text, _TIMEOUT_S)
    return _TIMEOUT_S


def _compression(text: str | None) -> str:
    word = (text or "none").strip().lower()
    if word in _COMPRESSIONS:
        return word
    warn_once("otlp compression", "OTLP compression %r is not known; nothing is compressed", text)
    return "none"
