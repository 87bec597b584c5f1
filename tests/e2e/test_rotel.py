"""A collector by somebody else, Rotel: what it takes from the program and hands on is complete, too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import tool
from e2e.services import Collector, Run, Service, Start, all_of, eventually, free_ports

FIND = """
import pathlib, sysconfig, rotel
print(pathlib.Path(rotel.__file__).parent / "rotel-agent")
print(sysconfig.get_config_var("LIBDIR"))
"""


@pytest.fixture
def behind(start: Start) -> Collector:
    """The collector that Rotel sends to."""
    return start("file")


@pytest.fixture
def rotel(behind: Collector, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Its OTLP receivers, by protocol."""
    python = tool("rotel/bin/python", "run scripts/install-test-tools")
    found = subprocess.run([python, "-c", FIND], check=True, capture_output=True, text=True, timeout=60)
    agent, libraries = found.stdout.split()
    grpc, http = (f"127.0.0.1:{port}" for port in free_ports(2))
    service = Service(
        [agent, "start", "--otlp-grpc-endpoint", grpc, "--otlp-http-endpoint", http, "--exporter", "otlp",
         "--otlp-exporter-endpoint", behind.http, "--otlp-exporter-protocol", "http",
         "--batch-timeout", "200ms"],
        tmp_path / "rotel",
        f"http://{http}/",
        LD_LIBRARY_PATH=libraries,  # it embeds the Python it was installed with
    )  # fmt: skip
    with service:
        yield {"grpc": f"http://{grpc}", "http/protobuf": f"http://{http}"}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_every_span_and_attribute_arrives(
    behind: Collector, rotel: dict[str, str], run: Run, protocol: str
) -> None:
    """Through both of them."""
    ran = run(rotel[protocol], protocol)
    assert ran.sent
    assert eventually(lambda: all_of(behind, ran)) == ran.spans
