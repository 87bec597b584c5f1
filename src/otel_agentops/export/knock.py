"""Looking at what answers at an address: TLS, gRPC, plain HTTP, or nobody."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agentops.export.diagnosis import Aim

__all__ = ["Seen", "knock"]


class Seen(Enum):
    """What was found at an address."""

    NO_HOST = auto()
    REFUSED = auto()
    SILENT = auto()
    CLOSED = auto()
    TLS = auto()
    PLAIN = auto()
    UNTRUSTED = auto()
    GRPC = auto()
    HTTP = auto()


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""How every HTTP/2 client begins: the connection preface and empty SETTINGS (RFC 9113, 3.4)."""

_ALERT = b"\x15\x03"
_SETTINGS = 4
_ENOUGH = 512


def knock(aim: Aim, timeout_s: float) -> tuple[Seen, str]:
    """What answers, with the HTTP status or what is wrong with the certificate.

    Args:
        aim: The address, and what is expected there.
        timeout_s: Seconds for each connection.

    Raises:
        socket.gaierror: There is no such host.
    """
    ask = _through_tls if aim.tls else _plainly
    seen = ask(aim, timeout_s)
    if seen[0] is not Seen.CLOSED:
        return seen
    # whoever is spoken to in the wrong language mostly hangs up, so try the others
    as_http = replace(aim, protocol="http/protobuf")
    if aim.protocol == "grpc" and (other := ask(as_http, timeout_s))[0] is Seen.HTTP:
        return other
    if aim.tls:
        answered = _plainly(as_http, timeout_s)[0] in (Seen.HTTP, Seen.GRPC)
        return (Seen.PLAIN, "") if answered else seen
    return (Seen.TLS, "") if _speaks_tls(aim, timeout_s) else seen


def _plainly(aim: Aim, timeout_s: float) -> tuple[Seen, str]:
    return _ask(aim, timeout_s, None)


def _through_tls(aim: Aim, timeout_s: float) -> tuple[Seen, str]:
    context = ssl.create_default_context(cafile=aim.certificate)
    context.set_alpn_protocols(["h2"] if aim.protocol == "grpc" else ["http/1.1"])
    try:
        return _ask(aim, timeout_s, context)
    except ssl.SSLCertVerificationError as error:
        return Seen.UNTRUSTED, error.verify_message
    except ssl.SSLError:
        return Seen.CLOSED, ""


def _speaks_tls(aim: Aim, timeout_s: float) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only its language matters
    with suppress(OSError), _connect(aim, timeout_s, context):
        return True
    return False


def _connect(aim: Aim, timeout_s: float, context: ssl.SSLContext | None) -> socket.socket:
    plain = socket.create_connection(aim.address, timeout=timeout_s)
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=aim.address[0])
    except BaseException:
        plain.close()
        raise


def _ask(aim: Aim, timeout_s: float, context: ssl.SSLContext | None) -> tuple[Seen, str]:
    """Say what the exporter would say, with nothing to export, and read the first bytes of the answer."""
    try:
        with _connect(aim, timeout_s, context) as connection:
            connection.sendall(_PREFACE if aim.protocol == "grpc" else _request(aim))
            return _heard(_read(connection))
    except (socket.gaierror, ssl.SSLError):
        raise
    except ConnectionRefusedError:
        return Seen.REFUSED, ""
    except TimeoutError:
        return Seen.SILENT, ""
    except OSError:
        return Seen.CLOSED, ""


def _request(aim: Aim) -> bytes:
    lines = [
        f"POST {aim.url.path or '/'} HTTP/1.1",
        f"host: {aim.address[0]}:{aim.address[1]}",
        "content-type: application/x-protobuf",
        "content-length: 0",
        "connection: close",
        *(f"{name}: {value}" for name, value in aim.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _read(connection: socket.socket) -> bytes:
    """The first bytes; what came before the connection broke is as good."""
    heard = b""
    with suppress(ConnectionError):
        while len(heard) < _ENOUGH and (part := connection.recv(_ENOUGH)):
            heard += part
            if heard.startswith(b"\x00\x00") or b"\r\n\r\n" in heard:
                break
    return heard


def _heard(answer: bytes) -> tuple[Seen, str]:
    if answer.startswith(b"HTTP/"):
        status, _, text = answer.partition(b" ")[2].partition(b" ")
        told = status == b"400" and b"https" in text.lower()  # servers in Go and nginx do tell
        return (Seen.TLS, "") if told else (Seen.HTTP, status[:3].decode("latin-1"))
    if answer.startswith(_ALERT):
        return Seen.TLS, ""
    if len(answer) > _SETTINGS and answer[:2] == b"\x00\x00" and answer[3] == _SETTINGS:
        return Seen.GRPC, ""
    return Seen.CLOSED, ""
