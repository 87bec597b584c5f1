"""The files people copy: complete, documented, accepted by the collector, and a compose file that is one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from e2e.conftest import module
from e2e.services import OVERLAYS, ROOT

BASE = ROOT / "collector-config.yaml"
FILES = sorted(OVERLAYS.glob("*.yaml"))
COMPOSE = ROOT / "deploy" / "docker-compose.yaml"
VARIABLE = re.compile(r"\$\{env:(\w+)(?::-([^}]*))?\}")
QUEUELESS = {"file", "prometheus", "debug", "nop"}


def read(file: Path) -> dict[str, Any]:
    """A YAML file."""
    return dict(module("yaml").safe_load(file.read_text(encoding="utf-8")))


def names(files: list[Path]) -> list[str]:
    """For test ids."""
    return [file.stem for file in files]


@pytest.mark.parametrize("file", [BASE, *FILES], ids=names([BASE, *FILES]))
def test_every_variable_is_explained(file: Path) -> None:
    """At the head of the file with its default, and in the documents."""
    text = file.read_text(encoding="utf-8")
    head = text[: re.search(r"^\w", text, re.M).start()]  # type: ignore[union-attr]
    documents = (ROOT / "docs" / "collectors.md").read_text(encoding="utf-8")
    base = BASE.read_text(encoding="utf-8")
    for name, default in VARIABLE.findall(text):
        line = next((line for line in (*head.splitlines(), *base.splitlines()) if f"# {name} " in line), None)
        assert line is not None, f"{name} is not explained"
        assert f"`{name}`" in documents
        if default:
            assert f"({default})" in line.replace("(single-tenant)", f"({default})"), line


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_an_overlay_is_one_destination(file: Path) -> None:
    """It adds exporters and pipelines of its own and changes nothing of the base; queues are on disk."""
    base, overlay = read(BASE), read(file)
    assert f"| `{file.name}` |" in (ROOT / "docs" / "collectors.md").read_text(encoding="utf-8")
    assert set(overlay) <= {"exporters", "connectors", "service"}
    assert set(overlay["service"]) == {"pipelines"}
    assert not set(overlay["service"]["pipelines"]) & set(base["service"]["pipelines"])
    for pipeline in overlay["service"]["pipelines"].values():
        assert pipeline["receivers"][0].startswith("forward/")
    for name, exporter in overlay["exporters"].items():
        if name.partition("/")[0] not in QUEUELESS:
            assert exporter["sending_queue"]["storage"] == "file_storage"
            assert exporter["retry_on_failure"] == {"max_elapsed_time": "0s"}


@pytest.mark.parametrize(
    "chosen", [[], *([file] for file in FILES), FILES], ids=["base", *names(FILES), "all"]
)
def test_the_collector_accepts_it(otelcol: Path, chosen: list[Path]) -> None:
    """Alone, and all at once."""
    command: list[str | Path] = [otelcol, "validate"]
    for file in (BASE, *chosen):
        command += ["--config", file]
    address = {"OTLP_FORWARD_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run(command, env=address, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_destination_without_an_address_is_refused(otelcol: Path) -> None:
    """It says which exporter lacks what, instead of running without it."""
    command = [otelcol, "validate", "--config", BASE, "--config", OVERLAYS / "otlp.yaml"]
    done = subprocess.run(command, env={}, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "otlp_http/forward" in done.stderr and "endpoint" in done.stderr


# What of the compose specification the file uses; Docker itself is not asked.
STRINGS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
SCHEMA = {
    "type": "object",
    "required": ["services"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"},
            "additionalProperties": {
                "type": "object",
                "required": ["image"],
                "additionalProperties": False,
                "properties": {
                    "image": {"type": "string", "pattern": "^[a-z0-9/-]+:v?[0-9][a-z0-9.-]*$"},
                    "command": STRINGS,
                    "depends_on": STRINGS,
                    "environment": {"type": "object", "additionalProperties": {"type": "string"}},
                    "ports": {"type": "array", "items": {"pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
                    "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                    "user": {"type": "string"},
                    "volumes": {"type": "array", "items": {"pattern": "^[^:]+:/[^:]+(:ro)?$"}},
                },
            },
        },
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    },
}


def test_the_compose_file_is_one() -> None:
    """By schema only: known keys and types, pinned images, nothing open to other machines."""
    compose = read(COMPOSE)
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(compose)] == []


def test_what_the_compose_file_names_is_there() -> None:
    """Services, volumes, mounted files, the configurations in the command, and the variables they read."""
    compose = read(COMPOSE)
    mounts = {}
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        for source, target in (volume.split(":")[:2] for volume in service.get("volumes", ())):
            mounts[target] = source
            assert source in compose["volumes"] or (COMPOSE.parent / source).exists()
    collector = compose["services"]["collector"]
    wanted = [Path(argument.removeprefix("--config=")) for argument in collector["command"]]
    files = [COMPOSE.parent / mounts[str(f)] if str(f) in mounts else OVERLAYS / f.name for f in wanted]
    assert all(mounts.get(str(f)) or mounts[str(f.parent)] == "./collector" for f in wanted)
    read_there = {name for file in files for name, _ in VARIABLE.findall(file.read_text(encoding="utf-8"))}
    assert set(collector["environment"]) <= read_there
    assert collector["image"].endswith(f":{read(ROOT / 'deploy/otelcol-builder.yaml')['dist']['version']}")
