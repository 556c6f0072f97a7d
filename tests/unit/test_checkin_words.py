"""A questionnaire's question in the words of `content/`: the key that puts it, and what is offered to press."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from carethread.clinic import load_clinics
from carethread.config import PROJECT
from carethread.conversations.checkin import in_words
from carethread.dialogue.content import Content, ContentStore
from carethread.questionnaires import load, start

NOW = datetime(2026, 11, 30, 16, tzinfo=UTC)
_HL7 = "http://hl7.org/fhir/StructureDefinition/"


@pytest.fixture(scope="module")
def content() -> Content:
    return ContentStore(PROJECT / "content", facts=load_clinics(PROJECT / "clinics").shared_facts()).current


def limits(low: int, high: int) -> list[dict[str, Any]]:
    return [{"url": _HL7 + "minValue", "valueInteger": low}, {"url": _HL7 + "maxValue", "valueInteger": high}]


@pytest.mark.parametrize(
    ("item", "offered"),
    [
        ({"type": "integer", "extension": limits(0, 10)}, [str(number) for number in range(11)]),
        ({"type": "integer", "extension": limits(1, 5)}, ["1", "2", "3", "4", "5"]),
        ({"type": "integer", "extension": limits(0, 300)}, []),
        ({"type": "integer"}, []),
        ({"type": "boolean"}, ["Yes", "No"]),
        ({"type": "string"}, []),
    ],
)
def test_what_may_be_pressed(item: dict[str, Any], offered: list[str], content: Content) -> None:
    asked = {"linkId": "a", "text": "How is it?", **item}
    form = load({"resourceType": "Questionnaire", "status": "active", "item": [asked]})
    question = start(form, language="en", now=NOW).question
    assert question is not None
    key, parameters = in_words(content, question, "en")
    assert key == "utter_question"
    assert [choice["label"] for choice in parameters["choices"]] == offered
    assert not parameters["options"]  # a scale is not listed number by number in a text message
