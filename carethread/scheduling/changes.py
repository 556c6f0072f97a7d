"""What is written: an Appointment from a slot, and the JSON Patches that cancel, move and confirm one. Pure.

How R4 says that a patient will come: their participant status is `accepted`, and as it is that from the booking on
in many EHRs, the extension `CONFIRMED` says when they confirmed. An appointment that was `pending` only for want of
answers becomes `booked`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from carethread.ehr.client import Json
from carethread.ehr.elements import literal_id
from carethread.scheduling.appointments import CONFIRMED, VIRTUAL_SERVICE

CANCELLED_BY_PATIENT = {
    "system": "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason",
    "code": "pat",
    "display": "Patient",
}
# What a visit has from its slot and who holds it; the rest of an appointment stays when it is moved.
_STAFF = ("Practitioner", "PractitionerRole", "Location")
LONGEST_REASON = 500  # characters


def appointment(slot: Json, schedule: Json, patient_id: str, reason: str, mark: Json, now: datetime) -> Json:
    """The Appointment of a patient in a slot of a schedule; all take part: the patient wished it, the slot was open."""
    patient = {"reference": f"Patient/{patient_id}"}
    made: Json = {
        "resourceType": "Appointment",
        "identifier": [mark],
        "status": "booked",
        "start": slot["start"],
        "end": slot["end"],
        "minutesDuration": minutes(slot),
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "created": now.astimezone(UTC).isoformat(timespec="seconds"),
        "participant": [_accepted(actor) for actor in (patient, *staff(schedule))],
    }
    for name in ("serviceCategory", "serviceType", "specialty"):
        if value := slot.get(name) or schedule.get(name):
            made[name] = value
    if "appointmentType" in slot:
        made["appointmentType"] = slot["appointmentType"]
    if said := shortened(reason):
        made["reasonCode"] = [{"text": said}]
    if virtual := [e for e in slot.get("extension", ()) if e.get("url") == VIRTUAL_SERVICE]:
        made["extension"] = virtual
    return made


def cancelling(raw: Json, reason: str, mark: Json) -> list[Json]:
    """Cancelled by the patient, with what they said, marked by this write."""
    why: Json = {"coding": [CANCELLED_BY_PATIENT]}
    if said := shortened(reason):
        why["text"] = said
    return [
        {"op": "test", "path": "/status", "value": raw["status"]},
        {"op": "replace", "path": "/status", "value": "cancelled"},
        {"op": "add", "path": "/cancelationReason", "value": why},
        {"op": "add", "path": "/identifier", "value": [*raw.get("identifier", ()), mark]},
    ]


def moving(raw: Json, slot: Json, schedule: Json, mark: Json) -> list[Json]:
    """The appointment in another slot, with that slot's people and place, no longer confirmed, marked by this write."""
    video = any(extension.get("url") == VIRTUAL_SERVICE for extension in raw.get("extension", ()))
    actors = [actor for actor in staff(schedule) if not (video and _kind(actor) == "Location")]
    others = [p for p in raw["participant"] if _kind(p.get("actor", {})) not in _STAFF]
    patch = [
        {"op": "test", "path": "/status", "value": raw["status"]},
        {"op": "add", "path": "/start", "value": slot["start"]},
        {"op": "add", "path": "/end", "value": slot["end"]},
        {"op": "add", "path": "/minutesDuration", "value": minutes(slot)},
        {"op": "add", "path": "/slot", "value": [{"reference": f"Slot/{slot['id']}"}]},
        {"op": "add", "path": "/identifier", "value": [*raw.get("identifier", ()), mark]},
    ]
    if _staff_ids(raw["participant"]) != {_target(actor) for actor in actors} and actors:
        participants = [*others, *(_accepted(actor) for actor in actors)]
        patch.append({"op": "add", "path": "/participant", "value": participants})
        # The words of the clinic about the old visit may name who no longer sees the patient.
        if "description" in raw:
            patch.append({"op": "remove", "path": "/description"})
    if specialty := slot.get("specialty") or schedule.get("specialty"):
        patch.append({"op": "add", "path": "/specialty", "value": specialty})
    kept = [extension for extension in raw.get("extension", ()) if extension.get("url") != CONFIRMED]
    if len(kept) != len(raw.get("extension", ())):
        patch.append(
            {"op": "replace", "path": "/extension", "value": kept} if kept else {"op": "remove", "path": "/extension"}
        )
    return patch


def confirming(raw: Json, patient_id: str, now: datetime) -> list[Json]:
    """The patient will come: accepted, and since when we know; empty when that is what the record says already."""
    if any(extension.get("url") == CONFIRMED for extension in raw.get("extension", ())):
        return []
    patch: list[Json] = [{"op": "test", "path": "/status", "value": raw["status"]}]
    open_still = False
    for index, participant in enumerate(raw["participant"]):
        if literal_id(participant.get("actor", {}).get("reference", ""), "Patient") == patient_id:
            if participant["status"] != "accepted":
                patch.append({"op": "replace", "path": f"/participant/{index}/status", "value": "accepted"})
        elif participant["status"] != "accepted":
            open_still = True
    if raw["status"] == "pending" and not open_still:
        patch.append({"op": "replace", "path": "/status", "value": "booked"})
    said = {"url": CONFIRMED, "valueDateTime": now.astimezone(UTC).isoformat(timespec="seconds")}
    patch.append({"op": "add", "path": "/extension", "value": [*raw.get("extension", ()), said]})
    return patch


def patient_in(raw: Json) -> str | None:
    """The id of the patient an Appointment is for."""
    for participant in raw.get("participant", ()):
        if found := literal_id(participant.get("actor", {}).get("reference", ""), "Patient"):
            return found
    return None


def slots_in(raw: Json) -> list[str]:
    """The ids of the slots an Appointment fills."""
    return [found for slot in raw.get("slot", ()) if (found := literal_id(slot.get("reference", ""), "Slot"))]


def staff(schedule: Json) -> list[Json]:
    """References to who and where a schedule is for."""
    return [actor for actor in schedule.get("actor", ()) if _kind(actor) in _STAFF]


def minutes(slot: Json) -> int:
    """How long a slot is."""
    length = datetime.fromisoformat(slot["end"]) - datetime.fromisoformat(slot["start"])
    return round(length.total_seconds() / 60)


def shortened(text: str) -> str:
    """`text` on one line, of a length that a record takes."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def _accepted(actor: Json) -> Json:
    return {"actor": actor, "required": "required", "status": "accepted"}


def _kind(actor: Json) -> str:
    parts = str(actor.get("reference", "")).split("/_history/")[0].split("/")
    return parts[-2] if len(parts) >= 2 else str(actor.get("type", ""))


def _target(actor: Json) -> tuple[str, str]:
    kind = _kind(actor)
    return kind, literal_id(str(actor.get("reference", "")), kind) or ""


def _staff_ids(participants: Sequence[Any]) -> set[tuple[str, str]]:
    return {_target(p["actor"]) for p in participants if _kind(p.get("actor", {})) in _STAFF}
