"""OTLP over HTTP: bytes to a collector, with the settings of the stock exporter.

`requests` is what the stock exporter itself sends with, so proxies, authorities and `.netrc` work alike.
"""

from __future__ import annotations

import gzip
import math
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import requests

from otel_agentops.export.answers import BATCH_HEADER, Answer, Verdict, rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agentops.export.destination import Destination

__all__ = ["HttpTransport"]

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 6, mtime=0),
    "deflate": zlib.compress,
}
_AGAIN = frozenset({408, 429, *range(500, 600)}) - {501, 505}
_TOO_LARGE = 413


class HttpTransport:
    """Posts to one URL over connections that are kept."""

    def __init__(self, destination: Destination, agent: str) -> None:
        self._url = destination.endpoint
        self._session = requests.Session()
        self._verify = destination.certificate or True
        if destination.client_certificate and destination.client_key:
            self._session.cert = (destination.client_certificate, destination.client_key)
        else:
            self._session.cert = destination.client_certificate
        self._headers = {"content-type": "application/x-protobuf", "user-agent": agent}
        self._headers.update(destination.headers)
        self._compress = _COMPRESS.get(destination.compression)
        if self._compress is not None:
            self._headers.setdefault("content-encoding", destination.compression)

    def send(self, body: bytes, batch_id: bytes, timeout_s: float) -> Answer:
        """One attempt; a connection that the other side closed while it was idle is tried once more."""
        end = time.monotonic() + timeout_s
        if self._compress is not None:
            body = self._compress(body)
        try:
            try:
                response = self._post(body, batch_id, timeout_s)
            except requests.ConnectionError:
                left = end - time.monotonic()
                if left <= 0:
                    raise
                response = self._post(body, batch_id, left)
            return _read(response)
        except (requests.ConnectionError, requests.Timeout) as error:
            return Answer(Verdict.LATER, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a wrong URL or header is the batch's end, not the program's
            return Answer(Verdict.REFUSED, type(error).__name__)

    def _post(self, body: bytes, batch_id: bytes, timeout_s: float) -> requests.Response:
        return self._session.post(
            self._url,
            data=body,
            headers={**self._headers, BATCH_HEADER: batch_id.hex()},
            timeout=timeout_s,
            allow_redirects=False,
            verify=self._verify,  # here, since REQUESTS_CA_BUNDLE goes before the session's own
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _read(response: requests.Response) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        protobuf = "protobuf" in response.headers.get("content-type", "")
        return Answer(Verdict.SENT, rejected=rejected(response.content) if protobuf else 0)
    reason = f"HTTP {status}"
    if status in _AGAIN:
        return Answer(Verdict.LATER, reason, _retry_after(response.headers.get("retry-after")))
    return Answer(Verdict.SMALLER if status == _TOO_LARGE else Verdict.REFUSED, reason)


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of them or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
