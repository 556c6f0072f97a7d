"""The questionnaires that ship run without a warning, speak both languages and are valid FHIR."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fhirkit
import pytest

from carethread.questionnaires import Input, answer, load, start, to_response

NOW = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
FILES = sorted((Path(__file__).parents[2] / "programs").glob("*/questionnaire*.json"))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_there_are_some() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_is_valid_and_runs_without_a_warning(path: Path) -> None:
    assert [issue for issue in fhirkit.validate(read(path)) if issue.severity == "error"] == []
    assert load(read(path)).warnings == ()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_text_is_there_in_spanish(path: Path) -> None:
    for item in load(read(path)).walk():
        for wording in (item.wording, item.other_words, item.help, *(option.wording for option in item.options)):
            if wording is not None and wording.text:
                assert wording.translations.get("es"), (item.link_id, wording.text)


CHECKINS = [
    (
        "en",
        [
            "getting better",
            "about a 3",
            "nope",
            "no",
            "i dont have one",
            "yep",
            "yes its on tuesday",
            "my wife helps me so yes",
            "no thats all",
        ],
        {
            "feeling": "better",
            "pain": 3,
            "new-symptoms": False,
            "fever": False,
            "wound": "none",
            "medicines": True,
            "appointment-known": True,
            "help-at-home": True,
        },
    ),
    (
        "es",
        [
            "me siento peor",
            "ocho de diez",
            "sí, me falta el aire al caminar",
            "si anoche",
            "esta roja",
            "no",
            "no me dieron la pastilla de la presión",
            "todavía no",
            "no",
            "transporte",
            "nada más gracias",
        ],
        {
            "feeling": "worse",
            "pain": 8,
            "new-symptoms": True,
            "symptoms-what": "me falta el aire al caminar",
            "fever": True,
            "wound": "yes",
            "medicines": False,
            "medicines-problem": "no me dieron la pastilla de la presión",
            "appointment-known": False,
            "help-at-home": False,
            "help-what": "transporte",
        },
    ),
]


@pytest.mark.parametrize(("language", "lines", "answers"), CHECKINS)
def test_a_discharge_check_in_in_free_words(language: str, lines: list[str], answers: dict[str, Any]) -> None:
    questionnaire = load(read(next(path for path in FILES if path.parent.name == "post_discharge")))
    step = start(questionnaire, language=language, now=NOW)
    for number, line in enumerate(lines):
        step = answer(questionnaire, step.session, Input(line, language, f"m{number}", NOW))
    assert step.status == "completed"
    response = to_response(questionnaire, step.session, subject="Patient/1")
    assert [issue for issue in fhirkit.validate(response) if issue.severity == "error"] == []
    values = {
        item["linkId"]: next(v for k, v in item["answer"][0].items() if k != "extension") for item in response["item"]
    }
    assert {link_id: v["code"] if isinstance(v, dict) else v for link_id, v in values.items()} == answers
