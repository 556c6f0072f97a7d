"""Builds the entries of a patient's chart: Condition, MedicationRequest, Observation, Immunization, Encounter."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sandbox.clinic.people import Person
from sandbox.clinic.places import doctor
from sandbox.clinic.tables import LOINC, SNOMED, TERMINOLOGY, Resource, by_id, concept, ref, table

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"


def condition(
    person: Person, record_id: str, code: str, display: str, onset: date, abated: date | None = None
) -> Resource:
    """A Condition on the problem list, resolved when it has an end."""
    found: Resource = {
        "resourceType": "Condition",
        "id": record_id,
        "clinicalStatus": {
            "coding": [{"system": f"{TERMINOLOGY}/condition-clinical", "code": "resolved" if abated else "active"}]
        },
        "verificationStatus": {"coding": [{"system": f"{TERMINOLOGY}/condition-ver-status", "code": "confirmed"}]},
        "category": [concept(f"{TERMINOLOGY}/condition-category", "problem-list-item", "Problem list item")],
        "code": concept(SNOMED, code, display),
        "subject": ref("Patient", person.patient_id),
        "onsetDateTime": onset.isoformat(),
        "recordedDate": onset.isoformat(),
    }
    return {**found, "abatementDateTime": abated.isoformat()} if abated else found


def medicine(
    person: Person, record_id: str, row: dict[str, Any], authored: date, encounter: str | None = None
) -> Resource:
    """An active MedicationRequest, from a row with RxNorm code, display and how to take it."""
    found: Resource = {
        "resourceType": "MedicationRequest",
        "id": record_id,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(RXNORM, row["code"], row["display"]),
        "subject": ref("Patient", person.patient_id),
        "authoredOn": authored.isoformat(),
        "requester": doctor(by_id(table("directory")["practitioners"])[person.gp]),
        "dosageInstruction": [{"text": row["take"]}],
    }
    return {**found, "encounter": ref("Encounter", encounter)} if encounter else found


def measurement(person: Person, record_id: str, name: str, value: Any, when: datetime) -> Resource:
    """A final Observation of one of the measures in content.yml; a list of values fills its parts."""
    row = table("content")["measures"][name]
    found: Resource = {
        "resourceType": "Observation",
        "id": record_id,
        "status": "final",
        "category": [{"coding": [{"system": f"{TERMINOLOGY}/observation-category", "code": row["category"]}]}],
        "code": concept(LOINC, row["code"], row["display"]),
        "subject": ref("Patient", person.patient_id),
        "effectiveDateTime": when.isoformat(),
    }
    if "parts" in row:
        found["component"] = [
            {"code": concept(LOINC, part["code"], part["display"]), "valueQuantity": quantity(v, part["unit"])}
            for part, v in zip(row["parts"], value, strict=True)
        ]
    else:
        found["valueQuantity"] = quantity(value, row["unit"])
    return found


def quantity(value: float, unit: str) -> dict[str, Any]:
    """A Quantity in a UCUM unit."""
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def allergy(person: Person, row: dict[str, Any], recorded: date) -> Resource:
    """An active AllergyIntolerance, from a row with code and display."""
    return {
        "resourceType": "AllergyIntolerance",
        "id": f"{person.patient_id}-{row['code']}",
        "clinicalStatus": {"coding": [{"system": f"{TERMINOLOGY}/allergyintolerance-clinical", "code": "active"}]},
        "code": concept(SNOMED, row["code"], row["display"]),
        "patient": ref("Patient", person.patient_id),
        "recordedDate": recorded.isoformat(),
    }


def vaccination(person: Person, record_id: str, code: str, display: str, given: date) -> Resource:
    """A completed Immunization by its CVX code."""
    return {
        "resourceType": "Immunization",
        "id": record_id,
        "status": "completed",
        "vaccineCode": concept(CVX, code, display),
        "patient": ref("Patient", person.patient_id),
        "occurrenceDateTime": given.isoformat(),
        "primarySource": True,
    }


def visit(person: Person, record_id: str, code: str, display: str, start: datetime) -> Resource:
    """A finished outpatient Encounter of half an hour with the patient's own doctor."""
    own_doctor = by_id(table("directory")["practitioners"])[person.gp]
    return {
        "resourceType": "Encounter",
        "id": record_id,
        "status": "finished",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "type": [concept(SNOMED, code, display)],
        "subject": ref("Patient", person.patient_id, person.name),
        "participant": [{"individual": doctor(own_doctor)}],
        "period": {"start": start.isoformat(), "end": (start + timedelta(minutes=30)).isoformat()},
        "serviceProvider": ref("Organization", "riverbend-clinic", "Riverbend Clinic"),
    }
