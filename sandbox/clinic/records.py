"""What the clinic knows of its patients' health: their histories, hospital stays, and services that are due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from sandbox.clinic import charts, histories
from sandbox.clinic.people import Person
from sandbox.clinic.places import doctor
from sandbox.clinic.tables import SNOMED, TERMINOLOGY, Resource, at, by_id, concept, ref, table


def resources(everybody: list[Person], today: date, seed: int) -> Iterator[Resource]:
    """Per patient their history, then stays and due services."""
    by_key = {person.key: person for person in everybody}
    for person in everybody:
        yield from _without_what_is_due(person, histories.of(person, today, seed), today)
    for row in table("cast")["discharges"]:
        yield from _stay(row, by_key[row["patient"]], today)
    for row in table("cast")["due"]:
        if "overdue" in row:
            yield _due(row, by_key[row["patient"]], today)


def _without_what_is_due(person: Person, records: Iterable[Resource], today: date) -> Iterator[Resource]:
    rules = [r["absent"] for r in table("cast")["due"] if r["patient"] == person.key and "absent" in r]
    for record in records:
        if not any(_is_too_recent(record, rule, today) for rule in rules):
            yield record


def _is_too_recent(record: Resource, rule: dict[str, Any], today: date) -> bool:
    if record["resourceType"] != rule["kind"]:
        return False
    coded = record.get("vaccineCode") or record["code"]
    recent = histories.when(record) > today - timedelta(days=rule["days"])
    return recent and any(c["code"] in rule["codes"] for c in coded["coding"])


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
            yield charts.medicine(person, f"{row['id']}-{name}", content["medicines"][name], left, row["id"])


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
