"""What a server must refuse, so that a mistake of ours shows up here and not in a clinic's records."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fhir_http import FHIR_JSON, TIMEOUT_S, Fhir, Json, is_outcome, patient

pytestmark = pytest.mark.server

ACTOR = [{"status": "accepted", "actor": {"display": "somebody"}}]
ACT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
HALF_HOUR = {"start": "2031-12-01T09:00:00-06:00", "end": "2031-12-01T09:30:00-06:00"}

# why → (resource, the element the refusal names)
REFUSED: dict[str, tuple[Json, str]] = {
    "an element R4 does not have": ({"resourceType": "Patient", "favouriteColour": "red"}, "favouriteColour"),
    "an element of R5": (
        {"resourceType": "Appointment", "status": "booked", "participant": ACTOR, **HALF_HOUR, "virtualService": []},
        "virtualService",
    ),
    "a required element missing": (
        {"resourceType": "Appointment", "participant": ACTOR, **HALF_HOUR},
        "Appointment.status",
    ),
    "a code outside its required set": ({"resourceType": "Patient", "gender": "F"}, "Patient.gender"),
    "a status of another resource": (
        {"resourceType": "Appointment", "status": "confirmed", "participant": ACTOR, **HALF_HOUR},
        "Appointment.status",
    ),
    "a bad code deep inside": (
        patient("x", telecom=[{"system": "phone", "value": "1"}, {"system": "mobile", "value": "2"}]),
        "Patient.telecom[1].system",
    ),
    "a coded concept outside its required set": (
        {
            "resourceType": "Condition",
            "subject": {"display": "somebody"},
            "clinicalStatus": {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "very-active"}
                ]
            },
        },
        "Condition.clinicalStatus",
    ),
    "a date that is none": ({"resourceType": "Patient", "birthDate": "1980-13-45"}, "Patient.birthDate"),
    "an instant without time zone": (
        {
            "resourceType": "Slot",
            "schedule": {"display": "x"},
            "status": "free",
            **HALF_HOUR,
            "end": "2031-12-01T09:30:00",
        },
        "Slot.end",
    ),
    "one where a list belongs": ({"resourceType": "Patient", "name": {"family": "x"}}, "Patient.name"),
    "text where a boolean belongs": ({"resourceType": "Patient", "active": "true"}, "Patient.active"),
    "two values of one choice": (
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "valueString": "a",
            "valueBoolean": True,
        },
        "Observation.value",
    ),
    "a booked appointment without time (app-3)": (
        {"resourceType": "Appointment", "status": "booked", "participant": ACTOR},
        "Appointment.start",
    ),
    "a reason of cancelling for a booked one (app-4)": (
        {
            "resourceType": "Appointment",
            "status": "booked",
            "participant": ACTOR,
            **HALF_HOUR,
            "cancelationReason": {"text": "x"},
        },
        "Appointment.cancelationReason",
    ),
    "a period that ends before it starts (per-1)": (
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": ACT,
            "period": {"start": "2026-02-01T10:00:00-06:00", "end": "2026-02-01T15:59:00Z"},
        },
        "Encounter.period",
    ),
    "a value and a reason for its absence (obs-6)": (
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "valueString": "a",
            "dataAbsentReason": {"text": "x"},
        },
        "Observation.dataAbsentReason",
    ),
    "one linkId twice (que-2)": (
        {
            "resourceType": "Questionnaire",
            "status": "active",
            "item": [
                {"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "string"}]},
                {"linkId": "2", "type": "string"},
            ],
        },
        "Questionnaire.item",
    ),
    "a reference to the wrong type": (
        # on another server, so that it is the type that is wrong and not that nothing is there
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": ACT,
            "subject": {"reference": "https://other.example.org/fhir/Slot/1"},
        },
        "Encounter.subject",
    ),
    "a reference to nothing": (
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": ACT,
            "subject": {"reference": "Patient/does-not-exist"},
        },
        "Encounter.subject",
    ),
    "a bad contained resource": (
        patient("x", contained=[{"resourceType": "Organization", "id": "o", "active": "yes"}]),
        "contained[0].active",
    ),
}

ACCEPTED: dict[str, Json] = {
    "periods within one moment of each other in two zones": {
        "resourceType": "Encounter",
        "status": "finished",
        "class": ACT,
        "period": {"start": "2026-02-01T10:00:00-06:00", "end": "2026-02-01T16:00:00Z"},
    },
    "a period of a day and a moment of that day": {
        "resourceType": "Encounter",
        "status": "finished",
        "class": ACT,
        "period": {"start": "2026-02-01T10:00:00Z", "end": "2026-02-01"},
    },
    "a cancelled appointment without time": {
        "resourceType": "Appointment",
        "status": "cancelled",
        "participant": ACTOR,
        "cancelationReason": {"text": "x"},
    },
    "contained resources": patient(
        "x",
        contained=[{"resourceType": "Organization", "id": "o", "name": "n"}],
        managingOrganization={"reference": "#o"},
    ),
    "a logical reference": {
        "resourceType": "Encounter",
        "status": "finished",
        "class": ACT,
        "subject": {"identifier": {"system": "https://example.org/mrn", "value": "1"}},
    },
    "an element that is only an extension": patient(
        "x",
        telecom=[
            {
                "_system": {"extension": [{"url": "https://example.org/x", "valueCode": "fax"}]},
                "value": "1",
            }
        ],
    ),
    "a concept in words only": {
        "resourceType": "Condition",
        "subject": {"display": "somebody"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"text": "pain"},
    },
}


@pytest.mark.parametrize("why", REFUSED)
def test_refuses(fhir: Fhir, why: str) -> None:
    resource, element = REFUSED[why]
    answer = fhir.create(resource)
    assert 400 <= answer.status_code < 500
    assert is_outcome(answer)
    assert element in str(answer.json()["issue"])


@pytest.mark.parametrize("why", ACCEPTED)
def test_accepts(fhir: Fhir, why: str) -> None:
    answer = fhir.create(ACCEPTED[why])
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("why", ["a code outside its required set", "a date that is none"])
def test_validates_an_update_and_a_patch_too(fhir: Fhir, why: str) -> None:
    resource, element = REFUSED[why]
    made = fhir.made(patient("x"))
    assert 400 <= fhir.put({**resource, "id": made["id"]}).status_code < 500
    name = element.removeprefix("Patient.")
    operations = [{"op": "add", "path": f"/{name}", "value": resource[name]}]
    assert 400 <= fhir.patch(f"Patient/{made['id']}", operations).status_code < 500
    assert fhir.call("GET", f"Patient/{made['id']}").json()["meta"]["versionId"] == made["meta"]["versionId"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Patient", '{"resourceType":'),
        ("Patient", "[]"),
        ("Patient", '{"resourceType": "Encounter"}'),
        ("Foo", '{"resourceType": "Foo"}'),
    ],
    ids=["not JSON", "not an object", "another type than the address says", "no such type"],
)
def test_refuses_what_is_no_resource(fhir: Fhir, path: str, body: str) -> None:
    headers = {"Content-Type": FHIR_JSON}
    answer = requests.post(f"{fhir.base_url}/{path}", data=body, headers=headers, timeout=TIMEOUT_S)
    assert 400 <= answer.status_code < 500
    assert is_outcome(answer)


def test_validate_says_what_a_write_would_say(fhir: Fhir) -> None:
    bad: dict[str, Any] = REFUSED["a code outside its required set"][0]
    issues = fhir.call("POST", "Patient/$validate", bad).json()["issue"]
    assert [issue["severity"] for issue in issues] == ["error"]
    good = fhir.call("POST", "Patient/$validate", patient("x")).json()["issue"]
    assert all(issue["severity"] in ("information", "warning") for issue in good)
