"""`carethread safety`: a draft of the tables is compared with those in use; it goes live when nothing gets worse."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from carethread.cli.safety import safety
from carethread.config import PROJECT

pytestmark = pytest.mark.slow  # reads every table twice, and screens some eighteen thousand texts with each

BITES = Path("emergencies") / "injuries.yml"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tables in use, with a handful of the examples: what is compared is the same, in seconds."""
    content = tmp_path / "content"
    shutil.copytree(PROJECT / "content", content)
    for path in (content / "safety" / "examples").glob("*.txt"):
        path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:40]), encoding="utf-8")
    monkeypatch.setenv("CARETHREAD_CONTENT_DIR", str(content))
    return content / "safety"


@pytest.fixture
def draft(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "draft"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(safety, [str(argument) for argument in arguments])


def change(table: Path, old: str, new: str) -> None:
    text = table.read_text(encoding="utf-8")
    assert old in text
    table.write_text(text.replace(old, new), encoding="utf-8")


def test_a_draft_that_hears_more_is_published(published: Path, draft: Path) -> None:
    change(draft / BITES, "rules:\n", "# Read again by the safety board.\nrules:\n")
    result = run("publish", draft)
    assert result.exit_code == 0, result.output
    assert "0 for the worse" in result.output
    assert "Read again" in (published / BITES).read_text(encoding="utf-8")
    assert "Read again" not in (published.with_name("safety.before") / BITES).read_text(encoding="utf-8")


def test_a_draft_that_misses_what_was_heard_is_not(published: Path, draft: Path) -> None:
    """A rule that is no emergency any more takes its examples with it: they are known from the tables in use."""
    before = (published / BITES).read_text(encoding="utf-8")
    change(draft / BITES, "level: emergency", "level: urgent")
    result = run("publish", draft)
    assert result.exit_code == 1
    assert "worse" in result.output
    assert "emergency \u2192 urgent" in result.output
    assert "nothing was published" in result.output
    assert (published / BITES).read_text(encoding="utf-8") == before


def test_somebody_who_has_read_the_changes_can_accept_them(published: Path, draft: Path) -> None:
    change(draft / BITES, "level: emergency", "level: urgent")
    result = run("publish", draft, "--accept")
    assert result.exit_code == 0, result.output
    assert "level: emergency" not in (published / BITES).read_text(encoding="utf-8")


def test_a_rule_that_breaks_its_word_is_never_published(published: Path, draft: Path) -> None:
    change(draft / BITES, "      examples:\n", "      examples:\n        - where do I park my car\n")
    result = run("publish", draft, "--accept")
    assert result.exit_code == 1
    assert "misses its example 'where do I park my car'" in result.output
    assert "where do I park" not in (published / BITES).read_text(encoding="utf-8")


def test_a_table_that_is_gone_from_the_draft_goes(published: Path, draft: Path) -> None:
    (published / "emergencies" / "old.yml").write_text("rules: []\n", encoding="utf-8")
    assert run("publish", draft, "--accept").exit_code == 0
    assert not (published / "emergencies" / "old.yml").exists()


def test_check_says_whether_the_tables_in_use_keep_their_word(published: Path) -> None:
    result = run("check")
    assert result.exit_code == 0, result.output
    assert "0 of their examples broken" in result.output
