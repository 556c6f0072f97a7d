"""Which language a message is in, and when the conversation follows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carethread.safety.language import LanguageTable, decide_language, load_language_table
from carethread.safety.tables import TableError

ROOT = Path(__file__).parents[2]
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "safety_language.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def table() -> LanguageTable:
    return load_language_table(ROOT / "content" / "safety" / "language.yml")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['current']}: {row['text']}")
def test_decision(table: LanguageTable, row: dict[str, object]) -> None:
    decision = decide_language(str(row["text"]), str(row["current"]), ("en", "es"), table)
    assert (decision.language, decision.explicit) == (row["language"], row["explicit"])
    assert 0.0 <= decision.confidence <= 1.0


def test_a_language_the_clinic_does_not_speak_is_never_chosen(table: LanguageTable) -> None:
    assert decide_language("necesito una cita por favor", "en", ("en",), table).language == "en"
    assert decide_language("español por favor", "en", ("en",), table).language == "en"


def test_sets_of_alarms_are_told_apart(table: LanguageTable) -> None:
    lines = (Path(__file__).parent / "data" / "safety_emergencies.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if len(row["text"].split()) >= 5]
    wrong = []
    for row in rows:
        other = "es" if row["language"] == "en" else "en"
        if decide_language(row["text"], other, ("en", "es"), table).language != row["language"]:
            wrong.append(row["text"])
    assert len(wrong) <= 0.03 * len(rows), wrong


def test_a_bad_table_says_where(tmp_path: Path) -> None:
    path = tmp_path / "language.yml"
    path.write_text("en:\n  wishes: [english]\n  words: [the]\nneutral: [ok]\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"language\.yml:1: the language table lacks 'es'; add it"):
        load_language_table(path)


@pytest.mark.parametrize(
    "word",
    ["ALTO", "alto", "Parar", "pare", "paren", "basta", "detener", "baja", "desuscribir", "INICIAR", "inicio",
     "comenzar", "empezar", "reanudar", "ayuda", "informacion"],
)  # fmt: skip
def test_a_spanish_keyword_alone_is_answered_in_spanish(table: LanguageTable, word: str) -> None:
    """The messages promise these words; who begins with one must understand the confirmation."""
    assert decide_language(word, "en", ("en", "es"), table).language == "es"
