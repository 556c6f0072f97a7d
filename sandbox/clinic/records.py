"""What the clinic knows of its patients' health: histories, hospital stays, and services that are due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from sandbox.clinic.people import Person
from sandbox.clinic.places import doctor
from sandbox.clinic.tables import LOINC, SNOMED, TERMINOLOGY, Resource, at, by_id, concept, ref, table

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
CLOCK = "10:20"  # of records whose hour does not matter


def resources(everybody: list[Person], today: date, seed: int) -> Iterator[Resource]:
    """Per patient what their kind of history holds, then stays and due services."""
    by_key = {person.key: person for person in everybody}
    for person in everybody:
        yield from _without_what_is_due(person, _essentials(person, today), today)
    for row in table("cast")["discharges"]:
        yield from _stay(row, by_key[row["patient"]], today)
    for row in table("cast")["due"]:
        if "overdue" in row:
            yield _due(row, by_key[row["patient"]], today)


def _essentials(person: Person, today: date) -> Iterator[Resource]:
    content = table("content")
    for part in (content["kinds"][person.kind], content["extras"].get(person.key, {})):
        for row in part.get("conditions", []):
            onset = today - timedelta(days=int(365 * row["years_ago"]))
            yield condition(person, f"{person.patient_id}-{row['code']}", row["code"], row["display"], onset)
        for name in part.get("medicines", []):
            yield medicine(person, f"{person.patient_id}-{name}", name, today - timedelta(days=200))
        for row in part.get("allergies", []):
            yield _allergy(person, row)
        for row in part.get("results", []):
            for days, value in zip(row["days_ago"], row["values"], strict=True):
                when = at(today - timedelta(days=days), CLOCK)
                yield measurement(person, f"{person.patient_id}-{row['of']}-{days}", row["of"], value, when)


def _without_what_is_due(person: Person, records: Iterator[Resource], today: date) -> Iterator[Resource]:
    rules = [r["absent"] for r in table("cast")["due"] if r["patient"] == person.key and "absent" in r]
    for record in records:
        if not any(_is_too_recent(record, rule, today) for rule in rules):
            yield record


def _is_too_recent(record: Resource, rule: dict[str, Any], today: date) -> bool:
    if record["resourceType"] != rule["kind"]:
        return False
    code = record.get("vaccineCode") or record["code"]
    when = record.get("occurrenceDateTime") or record["effectiveDateTime"]
    recent = datetime.fromisoformat(when).date() > today - timedelta(days=rule["days"])
    return recent and any(c["code"] in rule["codes"] for c in code["coding"])


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


def medicine(person: Person, record_id: str, name: str, authored: date, encounter: str | None = None) -> Resource:
    """An active MedicationRequest for one of the medicines in content.yml."""
    row = table("content")["medicines"][name]
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


def _allergy(person: Person, row: dict[str, Any]) -> Resource:
    return {
        "resourceType": "AllergyIntolerance",
        "id": f"{person.patient_id}-{row['code']}",
        "clinicalStatus": {"coding": [{"system": f"{TERMINOLOGY}/allergyintolerance-clinical", "code": "active"}]},
        "code": concept(SNOMED, row["code"], row["display"]),
        "patient": ref("Patient", person.patient_id),
    }


def _stay(row: dict[str, Any], person: Person, today: date) -> Iterator[Resource]:
    content = table("content")
    reason = content["stays"][row["reason"]]
    left = today - timedelta(days=row["left"]) if "left" in row else None
    came = at((left or today) - timedelta(days=row["stayed"]), "07:30")
    coded_reason = concept(SNOMED, reason["code"], reason["display"])
    encounter: Resource = {
        "resourceType": "Encounter",
        "id": row["id"],
        "status": "finished" if left else "in-progress",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "IMP", "display": "inpatient encounter"},
        "type": [concept(SNOMED, "32485007", "Hospital admission")],
        "subject": ref("Patient", person.patient_id, person.name),
        "period": {"start": came.isoformat()},
        "reasonCode": [coded_reason],
        "location": [{"location": ref("Location", "lakeside-hospital", "Lakeside Memorial Hospital")}],
        "serviceProvider": ref("Organization", "lakeside-hospital", "Lakeside Memorial Hospital"),
    }
    if left:
        encounter["period"]["end"] = at(left, row["at"]).isoformat()
        code, display = ("snf", "Skilled nursing facility") if row.get("to") == "snf" else ("home", "Home")
        encounter["hospitalization"] = {
            "dischargeDisposition": concept(f"{TERMINOLOGY}/discharge-disposition", code, display)
        }
    yield encounter
    if "procedure" in reason:
        yield {
            "resourceType": "Procedure",
            "id": f"{row['id']}-procedure",
            "status": "completed",
            "code": concept(SNOMED, reason["procedure"]["code"], reason["procedure"]["display"]),
            "subject": ref("Patient", person.patient_id),
            "encounter": ref("Encounter", row["id"]),
            "performedDateTime": (came + timedelta(hours=3)).isoformat(),
        }
    if left:
        for name in reason["medicines"]:
            yield medicine(person, f"{row['id']}-{name}", name, left, row["id"])


def _due(row: dict[str, Any], person: Person, today: date) -> Resource:
    service = table("content")["services"][row["service"]]
    due = today - timedelta(days=row["overdue"])
    return {
        "resourceType": "ServiceRequest",
        "id": row["id"],
        "status": "active",
        "intent": "plan",
        "category": [concept(SNOMED, "410606002", "Preventive care")]
        if row["service"] != "a1c"
        else [concept(SNOMED, "108252007", "Laboratory procedure")],
        "code": concept(service["system"], service["code"], service["display"]),
        "subject": ref("Patient", person.patient_id, person.name),
        "occurrenceDateTime": due.isoformat(),
        "authoredOn": (due - timedelta(days=30)).isoformat(),
        "requester": doctor(by_id(table("directory")["practitioners"])[person.gp]),
    }
