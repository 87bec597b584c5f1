"""What never happens unasked: code from data, a connection at import, an unknown certificate."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from export.collector import http_collector, make_certificate

SRC = Path(__file__).resolve().parent.parent.parent / "src"
FORBIDDEN = {"pickle", "cPickle", "_pickle", "shelve", "dill", "cloudpickle", "code", "codeop"}
CALLS = {"eval", "exec", "compile", "__import__"}


def _breaks(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name.partition(".")[0] in FORBIDDEN]
        elif isinstance(node, ast.ImportFrom):
            found += [str(node.module)] if str(node.module).partition(".")[0] in FORBIDDEN else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in CALLS else []
        elif isinstance(node, ast.Attribute) and node.attr in ("load", "loads"):
            found += ["marshal"] if getattr(node.value, "id", "") == "marshal" else []
        elif isinstance(node, ast.keyword) and node.arg == "shell" and getattr(node.value, "value", 0):
            found.append("shell=True")
    return found


def test_no_code_from_data() -> None:
    """Nothing in the package unpickles, evaluates, compiles or starts a shell."""
    files = sorted(SRC.rglob("*.py"))
    assert len(files) > 100
    found = {str(path.relative_to(SRC)): _breaks(ast.parse(path.read_text())) for path in files}
    assert {path: breaks for path, breaks in found.items() if breaks} == {}
    wrong = ast.parse("import pickle; eval('1'); f(shell=True); marshal.loads(b'')")
    assert sorted(_breaks(wrong)) == ["eval", "marshal", "pickle", "shell=True"]


AUDIT = """
import importlib, pkgutil, sys

seen = []
ASKED = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
)

def hook(event, arguments):
    if event in ASKED:
        seen.append((event, repr(arguments)[:200]))
    if event == "open" and isinstance(arguments[1], str) and set("wax+") & set(arguments[1]):
        seen.append((event, repr(arguments)[:200]))

sys.addaudithook(hook)
{work}
print(seen)
"""
IMPORTED = "import otel_agentops"
EVERY_MODULE = """
import otel_agentops
for each in pkgutil.walk_packages(otel_agentops.__path__, "otel_agentops."):
    if not each.name.endswith("__main__"):
        importlib.import_module(each.name)
"""
STARTED = "import otel_agentops; otel_agentops.init(auto_session=False)"


KNOWN = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


@pytest.mark.parametrize("work", [IMPORTED, EVERY_MODULE, STARTED], ids=["import", "every module", "init"])
def test_no_network_at_import(work: str) -> None:
    """To import the package, or start it, opens no connection, no process and no file to write."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", AUDIT.format(work=work)],
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": str(SRC),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


SEND = """
import otel_agentops as ao
ao.init(auto_session=False)
with ao.session("s"):
    pass
print("delivered" if ao.flush(timeout_s=2) else "not delivered")
"""


@pytest.mark.parametrize("trusted", [False, True], ids=["unknown", "trusted"])
def test_certificates_are_verified(tmp_path: Path, trusted: bool) -> None:
    """Spans go to a TLS server whose certificate is trusted, and to no other."""
    certificate = make_certificate(tmp_path)
    with http_collector(certificate=certificate) as received:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "PYTHONPATH": str(SRC),
            **({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate[0])} if trusted else {}),
        }
        done = subprocess.run(
            [sys.executable, "-c", SEND],
            env={**KNOWN, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout.strip() == ("delivered" if trusted else "not delivered"), done.stderr
        assert received.spans == (["invoke_workflow s"] if trusted else [])
