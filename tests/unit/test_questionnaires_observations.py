"""observationExtract: coded answers as Observations."""

from __future__ import annotations

from typing import Any

import fhirkit
import pytest
from forms import fhirpath, form, hold, q, scored

from carethread.questionnaires import load, to_observations

EXTRACT = {
    "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-observationExtract",
    "valueBoolean": True,
}
KEEP = {**EXTRACT, "valueBoolean": False}
KG = {
    "url": "http://hl7.org/fhir/StructureDefinition/questionnaire-unit",
    "valueCoding": {"system": "http://unitsofmeasure.org", "code": "kg", "display": "kg"},
}
CODE = [{"system": "http://loinc.org", "code": "1-1", "display": "A code"}]


def extracted(resource: dict[str, Any], *lines: str) -> list[dict[str, Any]]:
    steps, _ = hold(resource, *lines)
    found = to_observations(
        load(resource), steps[-1].session, subject="Patient/1", derived_from="QuestionnaireResponse/2",
        encounter="Encounter/3", performer="Patient/1",
    )  # fmt: skip
    for one in found:
        assert [issue.message for issue in fhirkit.validate(one) if issue.severity == "error"] == []
    return found


@pytest.mark.parametrize(
    ("item", "text", "value"),
    [
        (q("a", "boolean", EXTRACT, code=CODE), "yes", {"valueBoolean": True}),
        (q("a", "integer", EXTRACT, code=CODE), "4", {"valueInteger": 4}),
        (q("a", "string", EXTRACT, code=CODE), "blue", {"valueString": "blue"}),
        (q("a", "date", EXTRACT, code=CODE), "2026-01-02", {"valueDateTime": "2026-01-02"}),
        (q("a", "time", EXTRACT, code=CODE), "14:30", {"valueTime": "14:30:00"}),
        (q("a", "decimal", EXTRACT, KG, code=CODE), "70.5",
         {"valueQuantity": {"value": 70.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}}),
        (q("a", "choice", EXTRACT, code=CODE, answerOption=scored("Bad")), "bad",
         {"valueCodeableConcept": {"coding": [{"system": "s", "code": "bad", "display": "Bad"}]}}),
    ],
)  # fmt: skip
def test_an_answer_becomes_an_observation_with_its_value(
    item: dict[str, Any], text: str, value: dict[str, Any]
) -> None:
    (one,) = extracted(form(item), text)
    assert {key: one[key] for key in value} == value
    assert one["code"] == {"coding": CODE, "text": "a?"}
    assert one["category"][0]["coding"][0]["code"] == "survey"
    assert (one["subject"], one["encounter"]) == ({"reference": "Patient/1"}, {"reference": "Encounter/3"})
    assert one["derivedFrom"] == [{"reference": "QuestionnaireResponse/2"}]
    assert one["effectiveDateTime"] == "2026-03-04T16:00:00+00:00"


def test_it_holds_for_what_lies_below_unless_taken_back() -> None:
    resource = form(
        q("g", "group", item=[q("a", code=CODE), q("b", "string", KEEP, code=CODE), q("c")]), extension=[EXTRACT]
    )
    assert [one["valueString"] for one in extracted(resource, "x", "pear", "z")] == ["x"]


def test_a_score_is_an_observation_too_and_a_category_is_kept() -> None:
    category = {
        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-observation-extract-category",
        "valueCodeableConcept": {"coding": [{"system": "x", "code": "exam"}]},
    }
    total = fhirpath("calculatedExpression", "%resource.item.answer.value.ordinal().sum()")
    score = q("sum", "integer", EXTRACT, category, total, code=CODE)
    resource = form(q("a", "choice", answerOption=scored("No", "Some", "Much")), score)
    (one,) = extracted(resource, "much")
    assert one["valueInteger"] == 2
    assert one["category"] == [{"coding": [{"system": "x", "code": "exam"}]}]


def test_each_answer_of_an_item_that_repeats_is_one_and_an_unfinished_form_gives_none() -> None:
    resource = form(q("a", "integer", EXTRACT, code=CODE, repeats=True), q("b"))
    assert [one["valueInteger"] for one in extracted(resource, "1", "2", "no", "x")] == [1, 2]
    assert extracted(resource, "1", "2") == []
