"""One spool file: batches behind each other, each with its length and checksum.

    file   = head record*
    head   = "OASPOOL1", offset up to which everything is settled (8 bytes), its checksum (4), 12 zeros
    record = mark (4), checksum of the rest (4), length of the body (4), spans in it (4), time in ns (8),
             id (16), body

The body is an `ExportTraceServiceRequest`. Numbers are little-endian, checksums CRC-32. Whoever writes a
file or sends what is in it holds its lock, which the system takes away from a process that is gone. A
damaged record costs itself alone: reading goes on at the next mark whose record has the right checksum.

There is no `fsync`: what was written survives the process, not a crash of the machine.
"""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

try:
    import fcntl
except ImportError:  # no such locks: nothing is kept in files there
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SUFFIX", "Portion", "Record", "Segment", "frame", "new_name", "records_in", "scan", "supported"]

SUFFIX = ".spool"
_MAGIC = b"OASPOOL1"
_START = 32
_MARK = b"\xf1OA\x9e"
_HEAD = struct.Struct("<4sIIIQ16s")
_REST = struct.Struct("<IIQ16s")
_SETTLED = struct.Struct("<QI")
_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


def supported() -> bool:
    """Whether this system has the locks that a spool needs."""
    return fcntl is not None


class Record(NamedTuple):
    """One batch in a file.

    Attributes:
        id: Of the batch.
        spans: How many are in it.
        time_ns: When it was written.
        body: Its request.
        end: Offset behind it.
    """

    id: bytes
    spans: int
    time_ns: int
    body: bytes
    end: int


class Portion(NamedTuple):
    """What one look into a file gave.

    Attributes:
        records: Intact ones, in order.
        end: Offset up to which the file has been read.
        damaged: Places where something else was.
    """

    records: list[Record]
    end: int
    damaged: int


_numbers = count(1)


def new_name() -> str:
    """A name for a file that no other has; by their names, files are in the order in which they were made."""
    return f"{time.time_ns():x}-{os.getpid()}-{next(_numbers)}{SUFFIX}"


def frame(batch_id: bytes, spans: int, body: bytes) -> bytes:
    """A record."""
    rest = _REST.pack(len(body), spans, time.time_ns(), batch_id)
    checksum = zlib.crc32(body, zlib.crc32(rest))
    return b"".join((_MARK, checksum.to_bytes(4, "little"), rest, body))


def scan(data: bytes) -> Iterator[Record | None]:
    """Intact records in any bytes, in order; None for each place where something else is."""
    at = 0
    while at < len(data):
        record = _record(data, at)
        yield record
        if record is not None:
            at = record.end
        else:
            following = data.find(_MARK, at + 1)
            at = following if following >= 0 else len(data)


def records_in(data: bytes) -> Portion:
    """What waits in the bytes of a whole file."""
    start = _read_settled(data[:_START])
    start = start if _START <= start <= len(data) else _START
    found = list(scan(data[start:]))
    return Portion([record for record in found if record is not None], len(data), found.count(None))


def _record(data: bytes, at: int) -> Record | None:
    if len(data) - at < _HEAD.size:
        return None
    mark, checksum, length, spans, time_ns, batch_id = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    end = start + length
    if mark != _MARK or end > len(data):
        return None
    body = data[start:end]
    if zlib.crc32(body, zlib.crc32(data[at + 8 : start])) != checksum:
        return None
    return Record(batch_id, spans, time_ns, body, end)


class Segment:
    """A file that this process has locked.

    Every method may raise OSError.

    Attributes:
        path: Where it is.
        size: Bytes in it.
        settled: Offset up to which everything has been sent or given up.
    """

    def __init__(self, path: Path, fd: int, settled: int) -> None:
        self.path = path
        self.size = max(os.fstat(fd).st_size, _START)
        self.settled = settled if _START <= settled <= self.size else _START
        self._fd = fd

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new file; nobody sees it before it is locked."""
        hidden = path.with_suffix(".new")
        fd = os.open(hidden, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(fd, _MAGIC + _settled(_START) + bytes(12)) != _START:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            hidden.rename(path)
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                hidden.unlink()
            raise
        return cls(path, fd, _START)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """A file whose process is gone; None if somebody has it, or had it to its end."""
        fd = os.open(path, _FLAGS)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:
                return cls(path, fd, _read_settled(os.pread(fd, _START, 0)))
        except BlockingIOError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None

    def append(self, framed: bytes) -> None:
        """Write a record to the end; after an error the file is as it was before."""
        try:
            if os.pwrite(self._fd, framed, self.size) != len(framed):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self.size)
            raise
        self.size += len(framed)

    def read(self, limit: int, end: int | None = None) -> Portion:
        """Records behind what is settled: about so many bytes of them, but one at least if there is any.

        Args:
            limit: Bytes to read.
            end: Offset to read up to; the end of the file when None.
        """
        start = self.settled
        end = self.size if end is None else end
        data = os.pread(self._fd, min(end - start, limit + _HEAD.size), start)
        records: list[Record] = []
        at = damaged = 0
        for found in scan(data):
            if found is not None:
                records.append(found._replace(end=start + found.end))
                at = found.end
            elif start + len(data) < end:  # cut off by the limit, or damaged: look at the whole of it
                return self.read(end - start, end) if not records else Portion(records, start + at, damaged)
            else:
                damaged += 1
        return Portion(records, end if start + len(data) >= end else start + at, damaged)

    def settle(self, offset: int) -> None:
        """Note that everything up to here has been sent or given up."""
        self.settled = offset
        os.pwrite(self._fd, _settled(offset), len(_MAGIC))

    @property
    def finished(self) -> bool:
        """Whether nothing in it is waiting."""
        return self.settled >= self.size

    @property
    def written_at(self) -> float:
        """Seconds since the epoch."""
        return os.fstat(self._fd).st_mtime

    @property
    def removed(self) -> bool:
        """Whether somebody has deleted it; what is in it can still be read."""
        return os.fstat(self._fd).st_nlink == 0

    def close(self, remove: bool = False) -> None:
        """Let it go: delete it, or leave it to whoever locks it next."""
        if remove:
            with suppress(OSError):
                self.path.unlink()
        fd, self._fd = self._fd, -1  # whoever still reads must not read what has this number next
        with suppress(OSError):
            os.close(fd)


def _settled(offset: int) -> bytes:
    return _SETTLED.pack(offset, zlib.crc32(offset.to_bytes(8, "little")))


def _read_settled(head: bytes) -> int:
    """0 where it is damaged: then everything is sent again rather than not at all."""
    if len(head) < _START or head[: len(_MAGIC)] != _MAGIC:
        return 0
    offset, checksum = _SETTLED.unpack_from(head, len(_MAGIC))
    return offset if checksum == zlib.crc32(offset.to_bytes(8, "little")) else 0
