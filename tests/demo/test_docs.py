"""The documentation says what the code does."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import otel_agentops as ao
from otel_agentops import config

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "docs" / "settings.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("variable", sorted({variable for variable, _, _ in config._VARIABLES}))
def test_every_variable_is_documented(variable: str) -> None:
    """Each variable that is read has a row."""
    assert f"| `{variable}`" in SETTINGS


@pytest.mark.parametrize("argument", list(inspect.signature(ao.init).parameters))
def test_every_argument_is_documented(argument: str) -> None:
    """Each argument of `init()` has a row."""
    assert f"\n| `{argument}` |" in SETTINGS


def test_arguments_stand_beside_their_variables() -> None:
    """Where an argument has a variable of its own, both are in one row."""
    arguments = set(inspect.signature(ao.init).parameters)
    for variable, setting, _ in config._VARIABLES:
        if setting in arguments:
            assert f"\n| `{setting}` | `{variable}` |" in SETTINGS


def test_no_variable_is_invented() -> None:
    """Every variable of ours in any page is one that is read."""
    read = {variable for variable, _, _ in config._VARIABLES}
    told = {name for page in PAGES for name in re.findall(r"OTEL_AGENTOPS_\w+", page.read_text("utf-8"))}
    assert told <= read


def test_the_attributes_are_up_to_date() -> None:
    """`docs/attributes.md` is what its script writes."""
    script = ROOT / "scripts" / "make_attribute_docs.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout.decode().strip()) == (0, "up to date")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page is a file that is there."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_public_names_in_the_pages_exist() -> None:
    """Whatever a page calls `ao.something` can be called that."""
    names = {name for page in PAGES for name in re.findall(r"\bao\.(\w+)", page.read_text("utf-8"))}
    assert names <= set(ao.__all__)
