"""A new model goes live only if nothing is lost, and says what was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from carethread_engine import admission, train
from carethread_engine.admission import Measured, Sets, reasons_against

SAFETY = {f"help {number}": True for number in range(10)} | {f"fine {number}": False for number in range(100)}
UTTERANCES = {f"book {number}": "book" for number in range(300)}
SETS = Sets(SAFETY, 990, UTTERANCES)


class Says:
    """A model that understands everything but what it is told to get wrong."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        self.wrong = wrong

    def parse(self, texts: Sequence[str]) -> list[dict[str, object]]:
        right = {text: "emergency" if alarms else "thank" for text, alarms in SAFETY.items()} | UTTERANCES
        return [{"intent": self.wrong.get(text, right.get(text, "greet"))} for text in texts]


def measured(**wrong: str) -> Measured:
    return Measured.of(Says({name.replace("_", " "): intent for name, intent in wrong.items()}), SETS)


def test_a_model_that_understands_the_same_goes_live() -> None:
    assert reasons_against(measured(), measured()) == []
    assert reasons_against(measured(book_1="thank"), measured(book_2="thank")) == []


def test_one_emergency_less_is_refused_and_named() -> None:
    new, live = measured(help_3="thank"), measured()
    reasons = reasons_against(new, live)
    assert len(reasons) == 1
    assert "fewer emergencies" in reasons[0]
    assert "not seen: help 3" in admission.explanation(new, live, reasons)


def test_more_false_alarms_are_refused() -> None:
    new = measured(fine_1="emergency")
    assert "more look-alikes" in "".join(reasons_against(new, measured()))
    assert new.worse_than(measured()) == ["alarms: fine 1"]


def test_utterances_may_get_worse_within_the_tolerance_only() -> None:
    assert reasons_against(measured(book_1="thank"), measured()) == []
    new = measured(book_1="thank", book_2="thank")
    assert "fewer utterances" in "".join(reasons_against(new, measured()))
    assert new.worse_than(measured())[0] == "book, now thank: book 1"


def test_without_a_live_model_floors_hold() -> None:
    assert reasons_against(measured(), None) == []
    bad = measured(**{f"book_{number}": "thank" for number in range(20)})
    assert "it must be 97%" in "".join(reasons_against(bad, None))


def test_the_projects_own_sets_are_large_and_apart_from_the_training_data() -> None:
    sets = Sets.read(train.PROJECT / "data" / "regression")
    assert sets is not None
    assert len(sets.utterances) >= 300
    assert sum(sets.safety.values()) >= 100
    taught = "\n".join(
        path.read_text(encoding="utf-8").casefold() for path in (train.PROJECT / "data" / "nlu").rglob("*.yml")
    )
    assert [text for text in sets.utterances if f"- {text.casefold()}\n" in taught] == []


def test_a_row_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "safety.jsonl").write_text('{"text": "a", "level": "none"}\n{"text": "b"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"safety\.jsonl:2: give"):
        Sets.read(tmp_path)
    assert Sets.read(tmp_path / "none") is None


@pytest.fixture
def refusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a live model whose next one is refused."""
    (tmp_path / "config.yml").write_text("pipeline: []\n", encoding="utf-8")
    (tmp_path / "domain.yml").write_text("a: 1\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "carethread.tar.gz").write_bytes(b"live")

    def train_new(project: Path, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "carethread.tar.gz").write_bytes(b"new")

    monkeypatch.setattr(train, "train", train_new)
    monkeypatch.setattr(train, "refused", lambda candidate, live, project: "  fewer emergencies are seen")
    return tmp_path


def test_a_refused_model_stays_out_and_the_live_one_goes_on(refusing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = refusing / "models"
    assert train.main(["--project", str(refusing)]) == 3
    assert (models / "carethread.tar.gz").read_bytes() == b"live"
    assert (models / "refused" / "carethread.tar.gz").read_bytes() == b"new"
    assert not (models / "previous.tar.gz").exists()
    said = capsys.readouterr().err
    assert "fewer emergencies" in said
    assert "--accept" in said
    assert train.main(["--project", str(refusing)]) == 3, "it is no newer state that was trained"


def test_a_model_may_be_accepted_all_the_same(refusing: Path) -> None:
    assert train.main(["--project", str(refusing), "--accept"]) == 0
    models = refusing / "models"
    assert (models / "carethread.tar.gz").read_bytes() == b"new"
    assert (models / "previous.tar.gz").read_bytes() == b"live"
    assert sorted(path.name for path in models.iterdir() if path.is_dir()) == []
    assert train.main(["--project", str(refusing)]) == 0


def test_rows_are_json_objects() -> None:
    path = train.PROJECT / "data" / "regression" / "utterances.jsonl"
    assert all(isinstance(json.loads(line), dict) for line in path.read_text(encoding="utf-8").splitlines())
