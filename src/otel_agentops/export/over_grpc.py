"""OTLP over gRPC: the same bytes as a unary call, without generated stubs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from otel_agentops.export.answers import BATCH_HEADER, Answer, Verdict, rejected

if TYPE_CHECKING:
    from otel_agentops.export.destination import Destination

__all__ = ["GrpcTransport"]

_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_COMPRESSION = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
_AGAIN = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class GrpcTransport:
    """One channel, made anew after the collector was away, since a channel waits ever longer to reconnect."""

    def __init__(self, destination: Destination, agent: str) -> None:
        self._destination = destination
        self._agent = agent
        self._metadata = tuple(destination.headers.items())
        self._credentials = None if destination.insecure else _credentials(destination)
        self._open()

    def _open(self) -> None:
        to = self._destination
        options = (("grpc.primary_user_agent", self._agent),)
        compression = _COMPRESSION.get(to.compression, grpc.Compression.NoCompression)
        if self._credentials is None:
            self._channel = grpc.insecure_channel(to.endpoint, options, compression)
        else:
            self._channel = grpc.secure_channel(to.endpoint, self._credentials, options, compression)
        self._export = self._channel.unary_unary(_METHOD)

    def send(self, body: bytes, batch_id: bytes, timeout_s: float) -> Answer:
        """One attempt."""
        try:
            metadata = (*self._metadata, (BATCH_HEADER, batch_id.hex()))
            return Answer(
                Verdict.SENT, rejected=rejected(self._export(body, timeout=timeout_s, metadata=metadata))
            )
        except grpc.RpcError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - a header that gRPC does not take, a channel closed meanwhile
            return Answer(Verdict.REFUSED, type(error).__name__)

    def _failed(self, error: Any) -> Answer:
        code = error.code()
        if code is grpc.StatusCode.UNAVAILABLE:
            self._channel.close()
            self._open()
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in (error.details() or ""):
            return Answer(Verdict.SMALLER, code.name)
        if code in _AGAIN:
            return Answer(Verdict.LATER, code.name, _retry_after(error))
        return Answer(Verdict.REFUSED, code.name)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _credentials(destination: Destination) -> grpc.ChannelCredentials:
    files = (destination.certificate, destination.client_key, destination.client_certificate)
    return grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))


def _retry_after(error: Any) -> float | None:
    """Seconds, from the details that gRPC defines or from the trailer that some collectors send."""
    trailers = dict(error.trailing_metadata() or ())
    info = RetryInfo()
    if "google.rpc.retryinfo-bin" in trailers:
        info.ParseFromString(trailers["google.rpc.retryinfo-bin"])
    elif "grpc-status-details-bin" in trailers:
        status = Status.FromString(trailers["grpc-status-details-bin"])
        if not any(detail.Unpack(info) for detail in status.details if detail.Is(RetryInfo.DESCRIPTOR)):
            return None
    else:
        return None
    return float(info.retry_delay.ToTimedelta().total_seconds())
