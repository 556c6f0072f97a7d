"""The next question of a form: milliseconds an answer, over a long form and over one that computes a score."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

from benchmarks.tables import show
from carethread.questionnaires import Input, answer, load, start

NOW = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
MOST_MILLISECONDS = 1.0  # for a form without expressions
_LONG = 300
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
_ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"


def long_form(items: int = _LONG) -> dict[str, Any]:
    """Yes-no questions in groups of ten, every third asked only after a yes to the one before."""
    questions: list[dict[str, Any]] = []
    for number in range(items):
        question = {"linkId": f"q{number}", "type": "boolean", "text": f"Question {number}?"}
        if number % 3 == 1:
            condition = {"question": f"q{number - 1}", "operator": "=", "answerBoolean": True}
            question |= {"enableWhen": [condition]}
        questions.append(question)
    groups = [
        {"linkId": f"g{place}", "type": "group", "text": f"Part {place}", "item": questions[place : place + 10]}
        for place in range(0, items, 10)
    ]
    return _form(groups)


def scored_form(items: int = 9) -> dict[str, Any]:
    """A short instrument with a sum and a question that the sum switches on."""
    options = [
        {"extension": [{"url": _ORDINAL, "valueDecimal": score}], "valueCoding": {"code": f"{score}", "display": name}}
        for score, name in enumerate(("Never", "Some days", "Most days", "Every day"))
    ]
    questions = [
        {"linkId": f"i{n}", "type": "choice", "text": f"Item {n}", "answerOption": options} for n in range(items)
    ]
    total = _computed("calculatedExpression", "%resource.item.answer.value.ordinal().sum()")
    on = _computed("enableWhenExpression", "%resource.item.where(linkId='total').answer.value > 0")
    return _form(
        [
            *questions,
            {"linkId": "total", "type": "integer", "readOnly": True, "extension": [total]},
            {"linkId": "hard", "type": "boolean", "text": "Is it hard?", "extension": [on]},
        ]
    )


def _computed(name: str, text: str) -> dict[str, Any]:
    return {"url": _SDC + name, "valueExpression": {"language": "text/fhirpath", "expression": text}}


def _form(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "url": "urn:bench", "status": "active", "item": items}


def milliseconds(resource: dict[str, Any], said: str, selected: str | None, rounds: int = 3) -> list[float]:
    """What each answer took, the reading of its text included where no button is pressed."""
    questionnaire = load(resource)
    taken: list[float] = []
    for _ in range(rounds):
        step = start(questionnaire, language="en", now=NOW)
        number = 0
        while step.question is not None:
            message = Input(said, "en", f"m{number}", NOW, selected=selected)
            began = time.perf_counter()
            step = answer(questionnaire, step.session, message)
            taken.append((time.perf_counter() - began) * 1000)
            number += 1
    return taken


async def main() -> None:
    rows = []
    for name, resource, said, selected in (
        (f"{_LONG} items, a button", long_form(), "yes", "true"),
        (f"{_LONG} items, in words", long_form(), "yes", None),
        ("9 items with a score, a button", scored_form(), "Most days", "2"),
    ):
        found = milliseconds(resource, said, selected)
        rows.append([name, f"{median(found):.2f} ms", f"{quantiles(found, n=20)[-1]:.2f} ms"])
    show("Next question", ["form", "median", "95 of 100"], rows)
