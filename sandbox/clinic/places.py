"""Where the clinic is and who works there: Organization, Location, Practitioner, PractitionerRole, Schedule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from sandbox.clinic.tables import (
    LANGUAGES,
    SYSTEM,
    TERMINOLOGY,
    Resource,
    at,
    by_id,
    concept,
    human_name,
    ref,
    table,
)


def resources(today: date) -> Iterator[Resource]:
    """Everything of the directory, schedules open from `today` for the weeks the table says."""
    directory = table("directory")
    for row in directory["organizations"]:
        yield {
            "resourceType": "Organization",
            "id": row["id"],
            "active": True,
            "name": row["name"],
            "telecom": [{"system": "phone", "value": row["phone"]}],
        }
    yield from (_location(row) for row in directory["locations"])
    for row in directory["practitioners"]:
        yield _practitioner(row)
        yield _role(row)
        yield _schedule(row, today)


def specialty(practitioner: dict[str, Any]) -> dict[str, Any]:
    """The specialty of a practitioner, in the clinic's own code and in the NUCC taxonomy."""
    row = next(s for s in table("directory")["specialties"] if s["code"] == practitioner["specialty"])
    return {
        "coding": [
            {"system": f"{SYSTEM}/specialty", "code": row["code"], "display": row["display"]},
            {"system": "http://nucc.org/provider-taxonomy", "code": row["nucc"]},
        ],
        "text": row["display"],
    }


def doctor(practitioner: dict[str, Any]) -> dict[str, str]:
    """A Reference to a practitioner with the name patients know."""
    return ref("Practitioner", practitioner["id"], human_name(practitioner, "Dr.")["text"])


def _location(row: dict[str, Any]) -> Resource:
    return {
        "resourceType": "Location",
        "id": row["id"],
        "status": "active",
        "mode": "instance",
        "name": row["name"],
        "telecom": [{"system": "phone", "value": row["phone"]}],
        "address": {
            "use": "work",
            "line": [row["line"]],
            "city": row["city"],
            "state": row["state"],
            "postalCode": row["postal_code"],
            "country": "US",
        },
        "managingOrganization": ref("Organization", row["organization"]),
    }


def _practitioner(row: dict[str, Any]) -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": row["id"],
        "active": True,
        "identifier": [{"system": f"{SYSTEM}/staff", "value": row["id"]}],
        "name": [human_name(row, "Dr.")],
        "gender": row["gender"],
        "communication": [concept("urn:ietf:bcp:47", code, LANGUAGES[code]) for code in row.get("speaks", ["en"])],
    }


def _role(row: dict[str, Any]) -> Resource:
    weekdays = ["mon", "tue", "wed", "thu", "fri"]
    hours = table("directory")["hours"]
    return {
        "resourceType": "PractitionerRole",
        "id": row["id"],
        "active": True,
        "practitioner": doctor(row),
        "organization": ref("Organization", "riverbend-clinic", "Riverbend Clinic"),
        "code": [concept(f"{TERMINOLOGY}/practitioner-role", "doctor", "Doctor")],
        "specialty": [specialty(row)],
        "location": [_place(row)],
        "availableTime": [
            {
                "daysOfWeek": [d for i, d in enumerate(weekdays) if i not in row["days_off"]],
                "availableStartTime": f"{hours['first']}:00",
                "availableEndTime": "17:00:00",
            }
        ],
    }


def _schedule(row: dict[str, Any], today: date) -> Resource:
    end = today + timedelta(weeks=table("directory")["hours"]["weeks"])
    return {
        "resourceType": "Schedule",
        "id": row["id"],
        "active": True,
        "specialty": [specialty(row)],
        "actor": [doctor(row), _place(row)],
        "planningHorizon": {"start": at(today, "00:00").isoformat(), "end": at(end, "00:00").isoformat()},
    }


def _place(row: dict[str, Any]) -> dict[str, str]:
    place = by_id(table("directory")["locations"])[row["location"]]
    return ref("Location", place["id"], place["name"])
