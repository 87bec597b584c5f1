"""Exporters that are imported late: never while a fork goes on, and never for nothing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from export.collector import http_collector
from export.test_export import METRICS, PROGRAM, SPANS, run

FORK = """
import os, threading, time
from otel_agentops.export.importing import importing
inside, out = threading.Event(), []

def imports():
    with importing():
        inside.set()
        time.sleep(0.5)
        out.append(True)

thread = threading.Thread(target=imports)
thread.start()
inside.wait()
child = os.fork()
assert out, "the fork did not wait"
with importing():
    pass
if child:
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
else:
    os._exit(0)
"""


def test_a_fork_waits_for_an_import() -> None:
    """A child is never made in the middle of an import of ours, which it could not end."""
    run(FORK)


def test_a_temporality_is_kept() -> None:
    """A preference that the reader must know at once is not put off."""
    with http_collector() as collector:
        run(
            PROGRAM,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
        )
    assert collector.spans == SPANS
    assert collector.metrics >= METRICS


def test_a_start_under_the_launcher_is_light(tmp_path: Path) -> None:
    """The launcher's hooks import no provider, no transport and no price data that is not used."""
    launcher = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
    program = (
        f"import os, sys\nos.execv({launcher!r}, [{launcher!r}, sys.executable, {str(tmp_path / 'p.py')!r}])"
    )
    heavy = {"requests", "grpc", "openai", "genai_prices", "pydantic", "httpx", "langchain_core"}
    (tmp_path / "p.py").write_text(f"import sys\nprint(sorted({heavy!r} & set(sys.modules)))")
    # with a distro the exporters are the distro's
    quiet = {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"}
    assert run(program, **quiet).stdout == "[]\n"


@pytest.mark.parametrize("spool", ["false", "true"])
@pytest.mark.parametrize(("protocol", "module"), [("http/protobuf", "requests"), ("grpc", "grpc")])
def test_what_sends_is_there_before_the_first_span(
    tmp_path: Path, spool: str, protocol: str, module: str
) -> None:
    """`init()` imports it, not a thread beside an event loop."""
    program = f"import sys\nimport otel_agentops as ao\nao.init()\nprint({module!r} in sys.modules)"
    done = run(
        program,
        OTEL_AGENTOPS_SPOOL=spool,
        OTEL_AGENTOPS_SPOOL_DIRECTORY=str(tmp_path),
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_METRICS_EXPORTER="none",
    )
    assert done.stdout == "True\n"
