"""Visits read from Appointments, which one is meant, and the patches that change one."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonpatch
import pytest

from carethread.clinic import load_clinic
from carethread.ehr.client import Record
from carethread.ehr.writes import problems
from carethread.scheduling import changes, holding
from carethread.scheduling.appointments import CONFIRMED, VIRTUAL_SERVICE, Visit, name_match, visit_of
from carethread.scheduling.when import read_when

CHICAGO = ZoneInfo("America/Chicago")
CLINIC = load_clinic(Path(__file__).parents[2] / "clinics" / "riverbend" / "clinic.yml")
NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
MARK = {"system": "urn:carethread:write", "value": "w1"}
OTHER_MARK = {"system": "urn:carethread:write", "value": "w2"}
SCHEDULE = {
    "resourceType": "Schedule",
    "id": "s1",
    "specialty": [{"coding": [{"code": "cardiology"}], "text": "Cardiology"}],
    "actor": [{"reference": "Practitioner/dr-patel", "display": "Dr. Anil Patel"}, {"reference": "Location/main"}],
}
SLOT = {
    "resourceType": "Slot",
    "id": "slot-1",
    "meta": {"versionId": "3"},
    "schedule": {"reference": "Schedule/s1"},
    "status": "free",
    "start": "2026-11-24T09:00:00-06:00",
    "end": "2026-11-24T09:30:00-06:00",
}


def appointment(**more: Any) -> dict[str, Any]:
    made = changes.appointment(SLOT, SCHEDULE, "p1", "palpitations", MARK, NOW)
    return {**made, "id": "a1", **more}


def visit(**more: Any) -> Visit:
    found = visit_of(Record(appointment(**more)), CHICAGO)
    assert found is not None
    return found


def test_what_is_booked_is_valid_and_reads_back() -> None:
    raw = appointment()
    assert not problems(raw)
    seen = visit()
    assert (seen.patient_id, seen.status, seen.reason) == ("p1", "booked", "palpitations")
    assert seen.start == datetime(2026, 11, 24, 9, 0, tzinfo=CHICAGO)
    assert seen.start.tzinfo is CHICAGO
    assert (seen.practitioner, seen.practitioner_id) == ("Dr. Anil Patel", "dr-patel")
    assert seen.specialty == "cardiology"
    assert seen.slot_ids == ("slot-1",)
    assert raw["minutesDuration"] == 30
    assert not seen.virtual
    assert seen.confirmed_at is None


def test_a_reason_is_one_line_of_bounded_length_or_absent() -> None:
    def reason(text: str) -> Any:
        return changes.appointment(SLOT, SCHEDULE, "p1", text, MARK, NOW).get("reasonCode")

    assert reason("  my \n knee\t hurts ") == [{"text": "my knee hurts"}]
    assert reason(" \n ") is None
    assert len(reason("long " * 1000)[0]["text"]) == changes.LONGEST_REASON


def test_what_is_included_names_place_and_people() -> None:
    location = {
        "resourceType": "Location",
        "id": "main",
        "name": "Riverbend Clinic",
        "address": {"line": ["200 River Street"], "city": "Chicago", "state": "IL", "postalCode": "60601"},
    }
    doctor = {"resourceType": "Practitioner", "id": "dr-patel", "name": [{"family": "Patel", "prefix": ["Dr."]}]}
    raw = appointment()
    del raw["participant"][1]["actor"]["display"]
    around = {r.reference: r for r in (Record(location), Record(doctor))}
    seen = visit_of(Record(raw), CHICAGO, around)
    assert seen is not None
    assert seen.location == "Riverbend Clinic"
    assert seen.address == "200 River Street, Chicago, IL 60601"
    assert seen.practitioner == "Dr. Patel"


def video(link: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"url": VIRTUAL_SERVICE, "extension": [{"url": "address", **link}]}]


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ({"valueUrl": "https://video.example.org/1"}, "https://video.example.org/1"),
        ({"valueString": "https://video.example.org/2"}, "https://video.example.org/2"),
        ({"valueContactPoint": {"system": "url", "value": "https://v.example.org/3"}}, "https://v.example.org/3"),
        ({"valueUrl": "javascript:alert(1)"}, None),
        ({"valueString": "call 555-0100"}, None),
    ],
)
def test_a_video_visit_and_its_link(link: dict[str, Any], url: str | None) -> None:
    seen = visit(extension=video(link))
    assert seen.virtual
    assert seen.video_url == url


@pytest.mark.parametrize("broken", [{"start": None}, {"participant": [{"status": "accepted"}]}])
def test_an_appointment_that_is_no_visit(broken: dict[str, Any]) -> None:
    raw = {k: v for k, v in appointment(**broken).items() if v is not None}
    if "start" not in raw:
        raw.pop("end")
        raw["status"] = "waitlist"
    assert visit_of(Record(raw), CHICAGO) is None


# Which one is meant


def other(visit_id: str, doctor: str, specialty: str, start: str, **more: Any) -> Visit:
    raw = appointment(id=visit_id, start=start, end=start.replace(":00:00-", ":30:00-"), **more)
    raw["participant"][1]["actor"] = {"reference": f"Practitioner/{doctor}", "display": doctor}
    raw["specialty"] = [{"coding": [{"code": specialty}]}]
    found = visit_of(Record(raw), CHICAGO)
    assert found is not None
    return found


VISITS = (
    other("check", "Dr. Fiona O'Neill", "family-medicine", "2026-11-24T14:00:00-06:00"),
    other("skin", "Dr. Elena Ivanova", "dermatology", "2026-12-02T10:00:00-06:00", extension=video({})),
    other("heart", "Dr. Anil Patel", "cardiology", "2026-12-08T15:00:00-06:00"),
)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("the one with Dr Patel", ["heart"]),
        ("la del doctor patel", ["heart"]),
        ("oneill", ["check"]),
        ("my cardiology one", ["heart"]),
        ("la de la piel", ["skin"]),
        ("the video visit", ["skin"]),
        ("la videollamada", ["skin"]),
        ("the in-person ones", ["check", "heart"]),
        ("en persona", ["check", "heart"]),
        ("the next one", ["check"]),
        ("la primera", ["check"]),
        ("the second one", ["skin"]),
        ("la última", ["heart"]),
        ("the last one", ["heart"]),
        ("the second in person", ["heart"]),
        ("the fourth", []),
        ("the video with dr patel", []),
    ],
)
def test_the_visit_that_is_meant(said: str, meant: list[str]) -> None:
    found = name_match(VISITS, said, None, CLINIC.specialties)
    assert found.said
    assert [one.id for one in found.visits] == meant


@pytest.mark.parametrize(
    ("said", "language", "meant"),
    [
        ("the one on Tuesday", "en", ["check"]),  # the coming Tuesday before a later one
        ("the one on Wednesday", "en", ["skin"]),  # no visit on the coming one, so the Wednesday that has one
        ("la del miércoles", "es", ["skin"]),
        ("the one in December", "en", ["skin", "heart"]),
        ("the one in December with dr patel", "en", ["heart"]),
        ("my 3pm", "en", ["heart"]),
        ("the one tomorrow", "en", []),
        ("on Friday", "en", []),
        ("Dec 9", "en", []),
        ("cancel my next appointment", "en", ["check"]),
    ],
)
def test_a_time_points_to_a_visit(said: str, language: str, meant: list[str]) -> None:
    when = read_when(said, language=language, now=NOW.astimezone(CHICAGO))
    found = name_match(VISITS, said, when, CLINIC.specialties)
    assert found.said
    assert [one.id for one in found.visits] == meant


@pytest.mark.parametrize("said", ["before my trip", "any time", "please cancel"])
def test_a_time_that_says_nothing(said: str) -> None:
    assert not name_match(VISITS, said, read_when(said, language="en", now=NOW.astimezone(CHICAGO))).said


def test_words_that_point_to_no_visit() -> None:
    assert name_match(VISITS, "cancel my appointment please", None, CLINIC.specialties).said is False
    assert name_match((), "the next one").visits == ()


# Patches


def patched(raw: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    before = deepcopy(raw)
    after: dict[str, Any] = jsonpatch.apply_patch(raw, operations)
    assert raw == before, "a patch is made without touching what was read"
    assert not problems(after)
    return after


def test_cancelling() -> None:
    after = patched(appointment(), changes.cancelling(appointment(), "no ride", OTHER_MARK))
    assert after["status"] == "cancelled"
    assert after["cancelationReason"]["text"] == "no ride"
    assert after["identifier"] == [MARK, OTHER_MARK]
    assert "text" not in patched(appointment(), changes.cancelling(appointment(), "", OTHER_MARK))["cancelationReason"]
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch(appointment(status="fulfilled"), changes.cancelling(appointment(), "", OTHER_MARK))


def test_confirming() -> None:
    raw = appointment(status="pending")
    raw["participant"][0]["status"] = "needs-action"
    after = patched(raw, changes.confirming(raw, "p1", NOW))
    assert after["status"] == "booked"
    assert after["participant"][0]["status"] == "accepted"
    assert after["extension"] == [{"url": CONFIRMED, "valueDateTime": "2026-11-22T15:30:00+00:00"}]
    assert changes.confirming(after, "p1", NOW) == []
    seen = visit_of(Record(after), CHICAGO)
    assert seen is not None
    assert seen.confirmed_at == NOW


def test_confirming_leaves_open_what_waits_for_others() -> None:
    raw = appointment(status="pending")
    raw["participant"][1]["status"] = "tentative"
    assert patched(raw, changes.confirming(raw, "p1", NOW))["status"] == "pending"


def test_moving_to_another_doctor() -> None:
    slot = {**SLOT, "id": "slot-2", "start": "2026-11-25T13:00:00-06:00", "end": "2026-11-25T13:45:00-06:00"}
    schedule = {"actor": [{"reference": "Practitioner/dr-kim"}, {"reference": "Location/north"}]}
    raw = appointment(
        extension=[{"url": CONFIRMED, "valueDateTime": "2026-11-20T10:00:00Z"}], description="With Dr. Patel"
    )
    after = patched(raw, changes.moving(raw, slot, schedule, OTHER_MARK))
    assert (after["start"], after["end"], after["minutesDuration"]) == (slot["start"], slot["end"], 45)
    assert changes.slots_in(after) == ["slot-2"]
    assert [p["actor"]["reference"] for p in after["participant"]] == [
        "Patient/p1",
        "Practitioner/dr-kim",
        "Location/north",
    ]
    assert after["identifier"] == [MARK, OTHER_MARK]
    assert "extension" not in after
    assert "description" not in after
    assert after["reasonCode"] == raw["reasonCode"]


def test_moving_within_one_calendar_keeps_the_participants() -> None:
    raw = appointment(description="With Dr. Patel")
    raw["participant"][1]["type"] = [{"text": "attending"}]
    after = patched(raw, changes.moving(raw, {**SLOT, "id": "slot-2"}, SCHEDULE, OTHER_MARK))
    assert after["participant"] == raw["participant"]
    assert after["description"] == "With Dr. Patel"


# Slots


def test_taking_and_freeing_a_slot_leave_it_as_it_was() -> None:
    taken = jsonpatch.apply_patch(SLOT, holding.taking(SLOT, MARK))
    assert taken["status"] == "busy"
    assert taken["identifier"] == [MARK]
    assert jsonpatch.apply_patch(taken, holding.freeing(taken)) == SLOT


def test_a_slots_own_identifiers_are_kept() -> None:
    own = {**SLOT, "identifier": [{"system": "urn:clinic", "value": "7"}]}
    taken = jsonpatch.apply_patch(own, holding.taking(own, MARK))
    assert taken["identifier"] == [*own["identifier"], MARK]
    both = {**taken, "identifier": [MARK, *own["identifier"], OTHER_MARK]}
    assert jsonpatch.apply_patch(both, holding.freeing(both)) == own


def test_a_slot_that_is_not_free_cannot_be_taken() -> None:
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch({**SLOT, "status": "busy"}, holding.taking(SLOT, MARK))
