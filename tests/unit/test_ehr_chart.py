"""Facts of the chart that change how urgent a complaint is, from resources as EHRs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carethread.ehr.chart import facts_of

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
SNOMED, ICD10 = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
EVERY = ("Condition", "Procedure", "MedicationRequest", "MedicationStatement", "Encounter", "Observation")


def concept(system: str | None = None, code: str = "", display: str = "", text: str = "") -> dict[str, Any]:
    coding = [{"system": system, "code": code, "display": display}] if system else []
    return {"coding": coding, **({"text": text} if text else {})}


def condition(code: dict[str, Any], status: str = "active", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "code": code, "clinicalStatus": concept("s", status), **more}


def medicine(code: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "MedicationRequest", "status": "active", "medicationCodeableConcept": code}


def ago(**passed: int) -> str:
    return (NOW - timedelta(**passed)).isoformat()


CASES: list[tuple[str, dict[str, Any], str, bool | None]] = [
    ("a SNOMED code", condition(concept(SNOMED, "44054006")), "diabetes", True),
    ("an ICD-10 code below the one in the table", condition(concept(ICD10, "E11.65")), "diabetes", True),
    ("an ICD-10 code beside it", condition(concept(ICD10, "E12")), "diabetes", False),
    ("a code of another system", condition(concept("urn:x", "E11.65")), "diabetes", False),
    ("words only", condition(concept(text="Chronic congestive heart failure")), "heart_failure", True),
    ("Spanish words", condition(concept(text="Insuficiencia cardíaca")), "heart_failure", True),
    ("a relative's illness", condition(concept(text="Family history of stroke")), "stroke_before", False),
    ("an old stroke", condition(concept(SNOMED, "230690007"), "resolved"), "stroke_before", True),
    ("asthma that has gone", condition(concept(SNOMED, "195967001"), "resolved"), "asthma", False),
    ("a refuted diagnosis", condition(concept(SNOMED, "195967001"),
     verificationStatus=concept("s", "refuted")), "asthma", False),
    ("hives are not HIV", condition(concept(text="Hives")), "immune_weak", None),
    ("HIV is", condition(concept(text="HIV positive")), "immune_weak", True),
    ("a blood thinner by ingredient", medicine(concept(RXNORM, "11289")), "blood_thinner", True),
    ("by the name of a product", medicine(concept(RXNORM, "1364445", "Apixaban 5 MG Oral Tablet")),
     "blood_thinner", True),
    ("an ointment is not taken", medicine(concept(text="Tacrolimus 0.1% ointment")), "immune_weak", None),
    ("a steroid taken by mouth", medicine(concept(text="Prednisone 20 MG Oral Tablet")), "immune_weak", True),
    ("pregnancy now", condition(concept(SNOMED, "77386006"), onsetDateTime=ago(days=190)), "pregnant", True),
    ("a pregnancy nobody ever closed", condition(concept(SNOMED, "77386006"), onsetDateTime=ago(days=900)),
     "pregnant", None),
    ("an operation last week", {"resourceType": "Procedure", "status": "completed",
     "code": concept(text="Laparoscopic appendectomy"), "performedDateTime": ago(days=7)}, "recent_surgery", True),
    ("an operation long ago", {"resourceType": "Procedure", "status": "completed",
     "code": concept(text="Appendectomy"), "performedDateTime": ago(days=70)}, "recent_surgery", None),
    ("an operation that was not done", {"resourceType": "Procedure", "status": "not-done",
     "code": concept(text="Appendectomy"), "performedDateTime": ago(days=7)}, "recent_surgery", None),
    ("a blood sample", {"resourceType": "Procedure", "status": "completed",
     "code": concept(text="Phlebotomy"), "performedDateTime": ago(days=7)}, "recent_surgery", None),
    ("a transfusion is no fusion", {"resourceType": "Procedure", "status": "completed",
     "code": concept(text="Transfusion"), "performedDateTime": ago(days=7)}, "recent_surgery", None),
    ("a hospital stay that ended", {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"},
     "period": {"start": ago(days=35), "end": ago(days=28)}}, "recent_hospital", True),
    ("a hospital stay that goes on", {"resourceType": "Encounter", "status": "in-progress",
     "class": {"code": "IMP"}, "period": {"start": ago(days=50)}}, "recent_hospital", True),
    ("a visit to the office", {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
     "period": {"start": ago(days=3), "end": ago(days=3)}}, "recent_hospital", None),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "flag", "holds"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_flags_as_the_table_says(resource: dict[str, Any], flag: str, holds: bool | None) -> None:
    found: dict[str, Any] = {kind: [] for kind in EVERY} | {resource["resourceType"]: [resource]}
    facts = facts_of(found, NOW)
    assert facts.flag(flag) is holds
    assert (flag in facts.names) is (holds is True)


def test_what_could_not_be_read_is_unknown_and_what_was_found_stays() -> None:
    facts = facts_of({"Condition": None, "MedicationRequest": [medicine(concept(text="warfarin"))]}, NOW)
    assert (facts.flag("diabetes"), facts.flag("blood_thinner"), facts.age_years) == (None, True, None)


@pytest.mark.parametrize(
    ("born", "sex", "age", "pregnant"),
    [
        ("2026-10-11", "female", 0.115, False),
        ("1990-02-17", "male", 36.76, False),
        ("1990-02-17", "female", 36.76, None),
        ("1990", "female", 36.89, None),
        ("1950-02-17", "female", 76.76, False),
        (None, "female", None, None),
        ("soon", None, None, None),
        ("2027-01-01", None, None, None),
    ],
)
def test_age_with_its_fraction_and_who_cannot_be_pregnant(
    born: str | None, sex: str | None, age: float | None, pregnant: bool | None
) -> None:
    patient = {"resourceType": "Patient", "birthDate": born, "gender": sex}
    facts = facts_of({kind: [] for kind in EVERY} | {"Patient": [patient]}, NOW)
    assert facts.flag("pregnant") is pregnant
    assert facts.age_years == (None if age is None else pytest.approx(age, abs=0.01))


def vital(code: str, value: float, unit: str, hours_ago: int) -> dict[str, Any]:
    quantity = {"value": value, "code": unit}
    return {"resourceType": "Observation", "status": "final", "code": concept("http://loinc.org", code),
            "valueQuantity": quantity, "effectiveDateTime": ago(hours=hours_ago)}  # fmt: skip


def test_vitals_are_the_newest_of_a_day_in_one_unit_and_possible() -> None:
    pressure = {"resourceType": "Observation", "status": "final", "effectiveDateTime": ago(hours=1), "component": [
        {"code": concept("l", "8480-6"), "valueQuantity": {"value": 152, "code": "mm[Hg]"}},
        {"code": concept("l", "8462-4"), "valueQuantity": {"value": 91, "code": "mm[Hg]"}},
    ]}  # fmt: skip
    found = [vital("8310-5", 37.0, "Cel", 20), vital("8310-5", 39.0, "Cel", 2), vital("59408-5", 91, "%", 30),
             vital("8867-4", 900, "/min", 1), vital("2345-7", 20, "mmol/L", 3), pressure]  # fmt: skip
    facts = facts_of({kind: [] for kind in EVERY} | {"Observation": found}, NOW)
    values = {name: v.value for name, v in facts.vitals.items()}
    assert values == {"temperature": 102.2, "blood_sugar": 360, "systolic": 152, "diastolic": 91}


def test_a_repr_tells_nothing_of_a_patient() -> None:
    facts = facts_of({"Condition": [condition(concept(text="HIV positive"))]}, NOW)
    assert "HIV" not in repr(facts)
