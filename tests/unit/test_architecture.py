"""The arrows between packages, held by import-linter; and that its contracts really cover and really refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from carethread.config import PROJECT

_IGNORED = shutil.ignore_patterns("__pycache__", "*.gz", "static", "*.js", "*.css")


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    # The folder given comes first on the path, so that its packages are looked at and not the installed ones.
    return subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our packages somewhere else, where a test may break them."""
    home = tmp_path_factory.mktemp("project")
    for package in ("carethread", "actions", "sandbox"):
        shutil.copytree(PROJECT / package, home / package, ignore=_IGNORED)
    shutil.copy(PROJECT / "pyproject.toml", home)
    return home


def test_every_contract_holds() -> None:
    done = lint(PROJECT)
    assert done.returncode == 0, done.stdout


# file, an import that must not stand there, what the contract is called
FORBIDDEN = [
    ("carethread/ehr/client.py", "from carethread.messaging import pipeline", "Arrows point inward only"),
    ("carethread/messaging/types.py", "import carethread.programs.library", "Arrows point inward only"),
    ("carethread/conversations/form.py", "import carethread.channels.web.chat", "Arrows point inward only"),
    ("carethread/programs/quiet.py", "from actions import base", "Arrows point inward only"),
    ("carethread/scheduling/when.py", "import carethread.bootstrap", "Arrows point inward only"),
    ("carethread/safety/text.py", "from carethread.clinic import Clinic", "Screening and questionnaires are pure"),
    ("carethread/questionnaires/values.py", "import carethread.storage.models", "Screening and questionnaires"),
    ("carethread/messaging/intake.py", "import sandbox.postgres", "Nothing that runs in production"),
]


@pytest.mark.parametrize(("file", "line", "contract"), FORBIDDEN)
def test_an_arrow_that_points_outward_is_refused(copy: Path, file: str, line: str, contract: str) -> None:
    place = copy / file
    before = place.read_text()
    place.write_text(f"{before}\n{line}\n")
    try:
        done = lint(copy)
    finally:
        place.write_text(before)
    assert done.returncode != 0
    assert any(contract in text and "BROKEN" in text for text in done.stdout.splitlines()), done.stdout


def test_every_part_has_its_layer() -> None:
    """A new package that no contract names would be free to import anything."""
    named = _named_layers()
    parts = {
        f"carethread.{path.stem}"
        for path in (PROJECT / "carethread").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    } | {f"actions.{path.stem}" for path in (PROJECT / "actions").glob("*.py") if path.stem != "__init__"}
    assert parts == named


def _named_layers() -> set[str]:
    contracts: list[dict[str, Any]] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return {name.strip() for layer in layers for name in layer.replace("|", ":").split(":")}
