"""The clinic's calendar: Slots for the coming weeks, and the Appointments that fill some of them.

A video visit carries its link in the extension by which R4 holds R5's `Appointment.virtualService`
(`VIRTUAL_SERVICE`, the "address" part), and has no Location among its participants.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from sandbox.clinic.people import Person
from sandbox.clinic.places import doctor, specialty
from sandbox.clinic.tables import TERMINOLOGY, ZONE, Resource, at, by_id, concept, ref, table

VIRTUAL_SERVICE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService"
VIDEO_URL = "https://video.example.org/visit"
CROWD_BOOKED = 0.6  # of the crowd that has a visit coming


def resources(everybody: list[Person], today: date, seed: int) -> Iterator[Resource]:
    """Slots, then appointments; each booked appointment holds a busy slot of its doctor."""
    slots = {slot["id"]: slot for slot in _slots(today, seed)}
    appointments = [*_cast_appointments(everybody, slots, today), *_crowd_appointments(everybody, slots, today, seed)]
    yield from slots.values()
    yield from appointments


def working_day(practitioner: dict[str, Any], today: date, number: int) -> date:
    """The `number`th day that doctor works from tomorrow on; -1 is the last one before today."""
    step = timedelta(days=1 if number > 0 else -1)
    day = today
    for _ in range(abs(number)):
        day += step
        while not _works(practitioner, day):
            day += step
    return day


def _works(practitioner: dict[str, Any], day: date) -> bool:
    return day.weekday() < 5 and day.weekday() not in practitioner["days_off"]


def _slots(today: date, seed: int) -> Iterator[Resource]:
    hours = table("directory")["hours"]
    clocks = _clocks(hours)
    for practitioner in table("directory")["practitioners"]:
        of_specialty = [specialty(practitioner)]
        schedule = ref("Schedule", practitioner["id"])
        for offset in range(7 * hours["weeks"]):
            day = today + timedelta(days=offset)
            if not _works(practitioner, day):
                continue
            chance = random.Random(f"slots/{seed}/{practitioner['id']}/{offset}")
            for clock in clocks:
                start = at(day, clock)
                yield {
                    "resourceType": "Slot",
                    "id": _slot_id(practitioner["id"], start),
                    "specialty": of_specialty,
                    "schedule": schedule,
                    "status": "busy" if chance.random() < hours["busy"][offset // 7] else "free",
                    "start": start.isoformat(),
                    "end": (start + timedelta(minutes=hours["minutes"])).isoformat(),
                }


def _clocks(hours: dict[str, Any]) -> list[str]:
    clock, last = datetime.fromisoformat(f"2000-01-01T{hours['first']}"), hours["last"]
    clocks = []
    while (text := clock.strftime("%H:%M")) <= last:
        if text not in hours["lunch"]:
            clocks.append(text)
        clock += timedelta(minutes=hours["minutes"])
    return clocks


def _slot_id(practitioner_id: str, start: datetime) -> str:
    return f"{practitioner_id}-{start:%Y%m%d-%H%M}"


def _cast_appointments(everybody: list[Person], slots: dict[str, Resource], today: date) -> Iterator[Resource]:
    by_key = {person.key: person for person in everybody}
    practitioners = by_id(table("directory")["practitioners"])
    for row in table("cast")["appointments"]:
        practitioner = practitioners[row["practitioner"]]
        start = at(working_day(practitioner, today, row["visit"]), row["at"])
        slot = slots[_slot_id(practitioner["id"], start)] if row["visit"] > 0 else None
        yield _appointment(row, by_key[row["patient"]], practitioner, start, slot)


def _crowd_appointments(
    everybody: list[Person], slots: dict[str, Resource], today: date, seed: int
) -> Iterator[Resource]:
    chance = random.Random(f"visits/{seed}")
    about = {"family-medicine": "check-up", "cardiology": "heart-follow-up", "dermatology": "skin-check"}
    doctors = [p for p in table("directory")["practitioners"] if p["specialty"] in about]
    tomorrow_on = [s for s in slots.values() if datetime.fromisoformat(s["start"]).date() > today]
    for person in everybody:
        if person.row or chance.random() > CROWD_BOOKED:
            continue
        practitioner = chance.choice(doctors)
        free = [
            s
            for s in tomorrow_on
            if s["status"] == "free" and s["schedule"]["reference"] == f"Schedule/{practitioner['id']}"
        ]
        slot = chance.choice(free)
        row = {"id": f"{person.patient_id}-visit", "about": about[practitioner["specialty"]]}
        yield _appointment(row, person, practitioner, datetime.fromisoformat(slot["start"]), slot)


def _appointment(
    row: dict[str, Any],
    person: Person,
    practitioner: dict[str, Any],
    start: datetime,
    slot: Resource | None,
) -> Resource:
    content = table("content")
    status = row.get("status", "booked")
    video = row.get("kind") == "video"
    about = content["visits"][row["about"]]["en"]
    participants = [ref("Patient", person.patient_id, person.name), doctor(practitioner)]
    if not video:
        place = by_id(table("directory")["locations"])[practitioner["location"]]
        participants.append(ref("Location", place["id"], place["name"]))
    appointment: Resource = {
        "resourceType": "Appointment",
        "id": row["id"],
        "status": status,
        "serviceType": [{"text": "Video visit" if video else "Office visit"}],
        "specialty": [specialty(practitioner)],
        "appointmentType": concept(f"{TERMINOLOGY}/v2-0276", "ROUTINE", "Routine appointment"),
        "reasonCode": [{"text": about}],
        "description": f"{about} with {participants[1]['display']}",
        "start": start.astimezone(ZONE).isoformat(),
        "end": (start + timedelta(minutes=30)).astimezone(ZONE).isoformat(),
        "minutesDuration": 30,
        "participant": [{"actor": actor, "required": "required", "status": "accepted"} for actor in participants],
    }
    if slot is not None:
        slot["status"] = "busy"
        appointment["slot"] = [ref("Slot", slot["id"])]
    if "prepare" in row:
        appointment["patientInstruction"] = content["preparations"][row["prepare"]][person.language]
    if status == "cancelled":
        appointment["cancelationReason"] = concept(f"{TERMINOLOGY}/appointment-cancellation-reason", "pat", "Patient")
    if video:
        appointment["extension"] = [_virtual_service(row["id"])]
    return appointment


def _virtual_service(appointment_id: str) -> dict[str, Any]:
    channel = {
        "system": "http://hl7.org/fhir/virtual-service-type",
        "code": "other",
        "display": "Video visit in the browser",
    }
    return {
        "url": VIRTUAL_SERVICE,
        "extension": [
            {"url": "channelType", "valueCoding": channel},
            {"url": "address", "valueUrl": f"{VIDEO_URL}/{appointment_id}"},
        ],
    }
