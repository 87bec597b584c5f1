"""`opentelemetry-instrument python app.py`, in whatever environment the tests run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import otel_agentops
from zerocode.launching import ANSWER, CALL, LAUNCHER, World, cost_of, world


@pytest.fixture
def here() -> Iterator[World]:
    """A provider, a receiver, and the environment between them."""
    with world() as it:
        yield it


def test_a_program_without_a_line_of_ours_is_priced(here: World) -> None:
    """A model call is one span with the cost that genai-prices gives it; the output is the program's."""
    done = here.run(CALL)
    (span,) = here.spans
    assert span.name == "chat gpt-4o-mini"
    assert span.attributes["gen_ai.usage.cost"] == float(cost_of())
    assert span.attributes["otel_agentops.cost.status"] == "priced"
    assert (done.stdout, done.stderr) == (ANSWER, "")
    assert here.run(CALL, bare=True).stdout == ANSWER
    assert len(here.spans) == 1  # without the launcher nothing of ours runs


def test_a_script_file_and_a_service_name(here: World, tmp_path: Path) -> None:
    """A script by its path, with the launcher's own flags, which become variables."""
    script = tmp_path / "app.py"
    script.write_text(CALL)
    subprocess.run(
        [LAUNCHER, "--traces_exporter", "otlp", sys.executable, str(script)],
        check=True,
        env=here.environ(OTEL_SERVICE_NAME="night-shift"),
        capture_output=True,
        timeout=90,
    )
    assert [span.resource["service.name"] for span in here.chats()] == ["night-shift"]


def test_no_session_unless_asked_for(here: World) -> None:
    """The launcher may start a server, so the process gets no session; the variable asks for one."""
    here.run(CALL)
    here.run(CALL, OTEL_AGENTOPS_AUTO_SESSION="true")
    first, second = here.chats()
    assert "session.id" not in first.attributes
    assert second.attributes["session.id"]
    assert [span.name for span in here.spans] == [first.name, second.name, "invoke_workflow"]


STARTED = """
import sys
print("otel_agentops.runtime" in sys.modules)
"""


@pytest.mark.parametrize("names", ["*", "otel_agentops", "requests , otel-agentops"])
def test_switched_off(here: World, names: str) -> None:
    """`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` switches all of it off: no span, no provider of ours."""
    done = here.run(CALL + STARTED, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=names)
    assert here.spans == []
    assert (done.stdout, done.stderr) == (f"{ANSWER}False\n", "")


@pytest.mark.parametrize("name", ["openai", "otel_agentops.openai"])
def test_one_library_switched_off(here: World, name: str) -> None:
    """The name of one library keeps ours off it; everything else of ours goes on."""
    own = "import otel_agentops as ao\nwith ao.operation('o'): pass"
    here.run(CALL + own, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=name)
    assert [span.name for span in here.spans] == ["o"]


def test_sdk_disabled(here: World) -> None:
    """`OTEL_SDK_DISABLED`: the program runs, and nothing is sent."""
    assert here.run(CALL + STARTED, OTEL_SDK_DISABLED="true").stdout == f"{ANSWER}False\n"
    assert here.spans == []


# --- init() of the program, afterwards ---

INIT = """
import otel_agentops as ao
from opentelemetry import trace
before = trace.get_tracer_provider()
runtime = ao.init({arguments})
assert trace.get_tracer_provider() is before
"""


def test_init_takes_over(here: World) -> None:
    """What `init()` is given holds under the launcher too: names, prices, no second span."""
    rule = (
        'price_rules=[ao.Price(provider="openai", match="gpt-4o-mini-2024-07-18", input=1_000_000, output=0)]'
    )
    program = INIT.format(arguments=f'semconv="latest", {rule}')
    done = here.run(program + CALL + "print(runtime.total.model_calls)")
    (span,) = here.chats()
    assert span.attributes["gen_ai.usage.cost"] == span.attributes["gen_ai.usage.input_tokens"]
    assert done.stdout == f"{ANSWER}1\n"
    assert done.stderr == ""


def test_init_with_fewer_libraries(here: World) -> None:
    """`instrument=[]` in code takes off what the launcher put on."""
    here.run(INIT.format(arguments="instrument=[]") + CALL)
    assert here.spans == []


def test_init_with_a_service_name(here: World) -> None:
    """The launcher's provider stays, and so does its name; a message names the variable to set."""
    done = here.run(INIT.format(arguments='service_name="other"') + CALL)
    (span,) = here.chats()
    assert span.resource["service.name"] != "other"
    assert done.stderr.count("OTEL_SERVICE_NAME") == 1


def test_init_twice(here: World) -> None:
    """The first `init()` of the program takes over, the second changes nothing and says so."""
    program = INIT.format(arguments="") + 'ao.init(semconv="latest")\n' + CALL
    done = here.run(program)
    assert len(here.chats()) == 1
    assert done.stderr.count("init() was called again with other settings") == 1


def test_shutdown_under_the_launcher(here: World) -> None:
    """`shutdown()` sends everything and stops recording; the program goes on."""
    done = here.run(CALL + "import otel_agentops as ao\nprint(ao.shutdown())" + CALL)
    assert done.stdout == f"{ANSWER}True\n{ANSWER}"
    assert len(here.chats()) == 1


def test_programmatic_start(here: World) -> None:
    """`initialize()` in code is the launcher without a launcher."""
    start = "from opentelemetry.instrumentation.auto_instrumentation import initialize\ninitialize()\n"
    here.run(start + CALL, bare=True)
    assert [span.attributes["gen_ai.usage.cost"] for span in here.chats()] == [float(cost_of())]


INSTRUMENTOR = """
from importlib.metadata import entry_points
(point,) = entry_points(group="opentelemetry_instrumentor", name="otel_agentops")
instrumentor = point.load()()
instrumentor.instrument({options})
"""


def test_the_instrumentor_alone(here: World) -> None:
    """Whoever loads instrumentors by their entry points gets ours, on and off, with its options."""
    off = "instrumentor.uninstrument()\n"
    done = here.run(INSTRUMENTOR.format(options='semconv="latest"') + CALL + off + CALL, bare=True)
    assert len(here.chats()) == 1
    assert done.stdout == ANSWER * 2
    assert done.stderr == ""


def test_wrong_options_are_named(here: World) -> None:
    """An option that is none, or has a wrong value, is one message; the others hold."""
    options = 'semconv="9.9", colour="red", auto_session=True'
    done = here.run(INSTRUMENTOR.format(options=options) + CALL, bare=True)
    assert done.stderr.count("\n") == 2
    assert "semconv='9.9' is not usable; allowed: 1.41, latest" in done.stderr
    assert "colour is none" in done.stderr
    assert [span.name for span in here.spans] == ["chat gpt-4o-mini", "invoke_workflow"]


# --- beside others, who may fail, and whom we must not hurt ---


def install_peer(folder: Path, code: str, *hooks: str) -> None:
    """A package of somebody else's, with entry points, in a folder for PYTHONPATH."""
    (folder / "peer.py").write_text(code)
    metadata = folder / "peer-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: peer\nVersion: 1.0\n")
    lines = [f"[{hook.split('=')[0]}]\npeer = peer:{hook.split('=')[1]}\n" for hook in hooks]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


PEER = """
import wrapt
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

def wrapper(wrapped, instance, args, kwargs):
    print("peer inside", trace.get_current_span().name)
    return wrapped(*args, **kwargs)

def patch(module):
    wrapt.wrap_function_wrapper(module, "Completions.create", wrapper)

NAME = "MODULE"

class Eager(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()
    def _instrument(self, **_):
        import importlib
        patch(importlib.import_module(NAME))
    def _uninstrument(self, **_):
        pass

class Lazy(Eager):
    def _instrument(self, **_):
        wrapt.register_post_import_hook(patch, NAME)

class Broken(Eager):
    def _instrument(self, **_):
        raise RuntimeError("peer is broken")

class Marks(Eager):
    def _instrument(self, **_):
        print("peer was instrumented")
"""


@pytest.mark.parametrize("kind", ["Eager", "Lazy"])
def test_outermost(here: World, tmp_path: Path, kind: str) -> None:
    """A peer that wraps the same method ends up inside ours, and the call is still recorded once."""
    from openai.resources.chat import Completions  # its module is another one in older versions

    peer = PEER.replace("MODULE", Completions.__module__)
    install_peer(tmp_path, peer, f"opentelemetry_instrumentor={kind}")
    done = here.run(CALL, PYTHONPATH=str(tmp_path))
    assert done.stdout == f"peer inside chat gpt-4o-mini\n{ANSWER}"
    assert len(here.chats()) == 1


def test_a_failing_peer_does_not_stop_us(here: World, tmp_path: Path) -> None:
    """A peer that raises makes the launcher skip everything after it, but not our model calls."""
    install_peer(tmp_path, PEER, "opentelemetry_instrumentor=Broken")
    done = here.run(CALL, PYTHONPATH=str(tmp_path))
    assert "peer is broken" in done.stderr
    assert done.stdout == ANSWER
    assert len(here.chats()) == 1


BREAKS = {
    "launch.py": "raise RuntimeError('ours is broken')",
    "runtime.py": "from nowhere import something",
    "config.py": "def broken(:",
    "instrumentation/openai.py": "raise RuntimeError('ours is broken')",
    "spans/recorder.py": "import opentelemetry.trace\nopentelemetry.trace.nothing_of_that_name",
    "export/pipeline.py": "raise ImportError('ours is broken')",
    "processors/processor.py": "raise ImportError('ours is broken')",
}


@pytest.mark.parametrize("module", BREAKS)
def test_our_failure_stops_nobody(here: World, tmp_path: Path, module: str) -> None:
    """With any part of ours broken, the program runs, peers are instrumented, and the log says it once."""
    package = tmp_path / "otel_agentops"
    shutil.copytree(
        Path(otel_agentops.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / module).write_text(BREAKS[module])
    install_peer(tmp_path, PEER, "opentelemetry_instrumentor=Marks")
    done = here.run(CALL, PYTHONPATH=str(tmp_path))
    assert done.stdout == f"peer was instrumented\n{ANSWER}"
    assert "Failed to auto initialize" not in done.stderr
    # beside a distro's pipeline, ours is not even loaded
    loaded = module != "export/pipeline.py" or find_spec("opentelemetry.distro") is None
    assert done.stderr.count("otel_agentops failed while") == loaded
