"""ClickHouse over HTTP without a server: chDB, which is ClickHouse as a library, behind a small HTTP face.

    python clickhouse_server.py PORT FOLDER     # the Python of an environment that has chdb-core

Enough of the HTTP interface for the collector's exporter (clickhouse-go: queries and inserts in the Native
format, uncompressed) and for Rotel's (RowBinary); one statement at a time.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session  # type: ignore[import-not-found]

FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.I)
HELLO = "SELECT displayName(), version(), revision(), timezone()"


class Engine:
    """The one session that a process can have on a folder."""

    def __init__(self, folder: str) -> None:
        self._session = Session(folder)
        self._lock = threading.Lock()

    def answer(self, query: str, data: bytes, settings: dict[str, str]) -> bytes:
        """Run one statement, with the rows of an insert in `data`."""
        with self._lock:
            if query.strip() == HELLO:
                return hello(self._value("version()"), self._value("timezone()"))
            if settings.get("database", "default") != "default":
                self._session.query(f"USE `{settings['database']}`")
            if data:
                return self._insert(query, data)
            return bytes(self._session.query(query, settings.get("default_format", "TabSeparated")).bytes())

    def _value(self, expression: str) -> str:
        return str(self._session.query(f"SELECT {expression}", "TabSeparated")).strip()

    def _insert(self, query: str, data: bytes) -> bytes:
        stated = FORMAT.search(query)
        form = stated[1] if stated else "Native"
        insert = FORMAT.sub("", query)
        with tempfile.NamedTemporaryFile(suffix=".rows") as file:
            file.write(data)
            file.flush()
            self._session.query(f"{insert} FROM INFILE '{file.name}' FORMAT {form}")
        return b""


def hello(version: str, timezone: str) -> bytes:
    """The answer to clickhouse-go's first question, in the block format of its own revision.

    It says revision 0, so that every later block is plain Native, which is what chDB writes.
    """
    head = b"\x01\x00\x02\xff\xff\xff\xff\x00"  # block info: no overflow rows, no bucket
    columns = [
        _column("displayName()", "String", _text("chdb")),
        _column("version()", "String", _text(version)),
        _column("revision()", "UInt32", (0).to_bytes(4, "little")),
        _column("timezone()", "String", _text(timezone)),
    ]
    return head + bytes([len(columns), 1]) + b"".join(columns)


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _column(name: str, kind: str, value: bytes) -> bytes:
    return _text(name) + _text(kind) + b"\x00" + value  # 0: no custom serialisation


class Handler(BaseHTTPRequestHandler):
    """The face."""

    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        """A query, or whether it is up."""
        if self.path == "/ping":
            self._send(200, b"Ok.\n")
        else:
            self._run(b"")

    def do_POST(self) -> None:
        """A query with its rows, or in the body."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._run(self._chunks())
        else:
            self._run(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _run(self, body: bytes) -> None:
        settings = dict(parse_qsl(urlsplit(self.path).query))
        query = settings.pop("query", "")
        if not query:
            query, body = body.decode(), b""
        try:
            self._send(200, self.engine.answer(query, body, settings))
        except Exception as error:
            print(query[:500], error, flush=True)
            self._send(500, str(error).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-clickhouse-summary", "{}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Handler.engine = Engine(str(Path(sys.argv[2])))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
