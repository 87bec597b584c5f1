"""Why spans do not arrive, in one sentence: which setting, what is at the other end, what to set instead.

An exporter only knows that a request failed. So after the first failure we knock at the same address
ourselves, with an empty export request, and look at what answers: nobody, TLS, gRPC, plain HTTP.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from opentelemetry.util.re import parse_env_headers

from otel_agentops.export.knock import Seen, knock

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Aim", "explain"]

_OTLP = "OTEL_EXPORTER_OTLP_"
_DEFAULTS = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318"}
_PORTS = {"grpc": 4317, "http/protobuf": 4318}
_FILES = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Aim:
    """Where spans were meant to go.

    Attributes:
        protocol: `http/protobuf` or `grpc`.
        setting: What said so: the name of a variable or of an argument.
        value: What it said, without credentials.
        url: Where the exporter therefore sends.
        headers: Headers of each request.
        certificate: File of the authorities that may sign for the server; None for the usual ones.
        files: Each file that was named, by its variable.
    """

    protocol: str
    setting: str
    value: str
    url: SplitResult
    headers: Mapping[str, str]
    certificate: str | None
    files: Mapping[str, str]

    @classmethod
    def of(cls, variables: Mapping[str, str], protocol: str, wanted: str | None = None) -> Aim:
        """What the variables say, or the URL that an argument gave instead.

        Args:
            variables: `OTEL_EXPORTER_OTLP_*`.
            protocol: `http/protobuf` or `grpc`.
            wanted: URL that goes before the variables' endpoint.
        """
        setting, value = ("exporters", wanted) if wanted else _endpoint(variables, protocol)
        url = urlsplit(value if "://" in value else f"http://{value}")
        path = url.path.rstrip("/")
        if not setting.endswith("TRACES_ENDPOINT") and not path.endswith("/v1/traces"):
            path += "/v1/traces"
        tls = url.scheme in ("https", "grpcs")
        if protocol == "grpc" and "://" not in value:  # without a scheme the exporter wants TLS
            tls = (_get(variables, "INSECURE") or "").strip().lower() != "true"
        return cls(
            protocol,
            setting,
            value.replace(f"{url.username}:{url.password}@", "") if url.password else value,
            url._replace(scheme="https" if tls else "http", path=path),
            parse_env_headers(_get(variables, "HEADERS") or "", liberal=True),
            _get(variables, "CERTIFICATE"),
            {name: variables[name] for name in map(partial(_named, variables), _FILES) if name in variables},
        )

    @property
    def tls(self) -> bool:
        """Whether the exporter speaks TLS."""
        return self.url.scheme == "https"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        usual = _PORTS[self.protocol] if self.protocol == "grpc" else 443 if self.tls else 80
        return self.url.hostname or "localhost", self.url.port or usual


def _named(variables: Mapping[str, str], name: str) -> str:
    """The variable that counts: that for traces, where it is set."""
    own = f"{_OTLP}TRACES_{name}"
    return own if variables.get(own) else _OTLP + name


def _get(variables: Mapping[str, str], name: str) -> str | None:
    return variables.get(_named(variables, name)) or None


def _endpoint(variables: Mapping[str, str], protocol: str) -> tuple[str, str]:
    name = _named(variables, "ENDPOINT")
    return name, variables.get(name) or _DEFAULTS[protocol]


def explain(aim: Aim, timeout_s: float = _TIMEOUT_S) -> str | None:
    """What is wrong with an aim, and what to set instead; None if nothing is seen to be wrong.

    Args:
        aim: Where spans were meant to go.
        timeout_s: Seconds for each of at most four connections; looking up the host comes on top.
    """
    host, port = aim.address
    for variable, file in aim.files.items():
        problem = _unusable(file, variable.endswith("CLIENT_KEY"))
        if problem is not None:
            return f"{variable}={file!r} cannot be used: {problem}"
    scheme = aim.url.scheme
    if aim.protocol != "grpc" and scheme in getproxies() and not proxy_bypass(host):
        return (
            f"{host}:{port} is asked for at the proxy of {scheme.upper()}_PROXY; NO_PROXY={host} goes past it"
        )
    try:
        seen, detail = knock(aim, timeout_s)
    except socket.gaierror:
        seen, detail = Seen.NO_HOST, ""
    found = _wrong(aim, seen, detail)
    if found is None:
        return None
    what, instead = found
    return f"{aim.setting}={aim.value!r}, protocol {aim.protocol}: {what} {host}:{port}; {instead}"


def _unusable(file: str, key: bool) -> str | None:
    try:
        if key:
            Path(file).read_bytes()
        else:
            ssl.create_default_context(cafile=file)
    except OSError as error:
        return error.strerror if error.strerror and not isinstance(error, ssl.SSLError) else _NOTHING_IN_IT
    return None


_NOTHING_IN_IT = "it holds no certificate"


def _wrong(aim: Aim, seen: Seen, detail: str) -> tuple[str, str] | None:
    """What is there, up to the address, and what to do about it."""
    other = "http/protobuf" if aim.protocol == "grpc" else "grpc"
    switch = (
        f"set {_OTLP}PROTOCOL={other}, or the endpoint's port to that for {aim.protocol}, usually"
        f" {_PORTS[aim.protocol]}"
    )
    host, port = aim.address
    swapped = f"{'http' if aim.tls else 'https'}://{host}:{port}"
    table: dict[Seen, tuple[str, str] | None] = {
        Seen.NO_HOST: ("no host is known for", "check the name"),
        Seen.REFUSED: ("nobody listens on", "start a collector there, or set the endpoint to where it is"),
        Seen.SILENT: ("no answer came from", "check the address, and firewalls on the way"),
        Seen.CLOSED: ("the connection was closed without a word by", "check that it is an OTLP receiver"),
        Seen.TLS: ("TLS is spoken by", f"set the endpoint to {swapped}"),
        Seen.PLAIN: ("no TLS is spoken by", f"set the endpoint to {swapped}"),
        Seen.UNTRUSTED: (
            f"{detail}: the certificate of",
            f"set {_OTLP}CERTIFICATE to a file with the authority that signed it",
        ),
        Seen.GRPC: None if aim.protocol == "grpc" else ("gRPC, not HTTP, is spoken by", switch),
        Seen.HTTP: ("HTTP, not gRPC, is spoken by", switch)
        if aim.protocol == "grpc"
        else _status(aim, detail),
    }
    return table[seen]


def _status(aim: Aim, status: str) -> tuple[str, str] | None:
    if status.startswith("2"):
        return None
    what = f"status {status} to {aim.url.path or '/'} comes from"
    if status in ("401", "403"):
        return what, f"check the credentials in {_OTLP}HEADERS"
    if status in ("404", "405", "501"):
        return what, (
            f"check that it is an OTLP receiver, and the path: /v1/traces is added to {_OTLP}ENDPOINT,"
            f" nothing to {_OTLP}TRACES_ENDPOINT"
        )
    return what, "look at its own log"
