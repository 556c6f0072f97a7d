"""The searches this product asks an EHR: each finds what it should among others that differ in one respect."""

from __future__ import annotations

import uuid
from urllib.parse import quote

import pytest
from fhir_http import Fhir, entries
from fhir_world import MRN, phone, world

pytestmark = pytest.mark.server

# query → what it finds, by name in fhir_world.py. {tag} makes ids and words unique, {1}–{9} are phone numbers.
SEARCHES = {
    "Patient?phone={1}": "ann ben",
    "Patient?phone={1}&birthdate=1980-03-04": "ann",
    "Patient?telecom={1}&given=ann": "ann",
    "Patient?email=ann.{tag}@example.org": "ann",
    "Patient?birthdate=1980-03-04&family=probe{tag}": "ann",
    "Patient?birthdate=1980-03-04&name=PROBE{tag}": "ann",
    "Patient?family=probe{tag}": "ann ben",
    "Patient?identifier={mrn}|ann{tag}": "ann",
    "Patient?identifier=ann{tag}": "ann",
    "Patient?deceased=true&family=gone{tag}": "gone",
    "Patient?_id=ann-{tag},cal-{tag}": "ann cal",
    "RelatedPerson?phone={3}": "guardian",
    "RelatedPerson?patient=kid-{tag}": "guardian",
    "RelatedPerson?name=guardian{tag}&birthdate=1985-05-05": "guardian",
    "PractitionerRole?specialty=heart{tag}": "role-dan",
    "PractitionerRole?practitioner=doc-{tag}": "role-doc",
    "Practitioner?name=doc{tag}": "doc",
    "Schedule?actor=Practitioner/doc-{tag}": "of-doc",
    "Slot?schedule=of-doc-{tag}&status=free&start=ge2031-12-02": "slot3 slot5",
    "Slot?schedule=of-doc-{tag}&status=free&start=ge2031-12-02T00:00:00-06:00&start=lt2031-12-05": "slot3",
    "Slot?schedule=of-doc-{tag},of-dan-{tag}&status=free&start=ge2031-12-03&start=lt2031-12-04": "slot3 slot-dan",
    "Appointment?patient=ann-{tag}&status=booked&date=ge2031-01-01": "next later",
    "Appointment?patient=Patient/ann-{tag}&date=ge2031-12-01&date=lt2031-12-10": "next dropped",
    "Appointment?patient=ann-{tag}&practitioner=doc-{tag}&date=ge2031-01-01": "next dropped",
    "Appointment?practitioner=doc-{tag}&status=booked,cancelled": "next dropped past bens",
    "Appointment?slot=slot2-{tag}": "next",
    "Appointment?actor=Patient/ben-{tag}": "bens",
    "Appointment?patient.identifier={mrn}|ben{tag}": "bens",
    "Encounter?patient=ann-{tag}&status=finished&class=IMP&date=ge2031-01-01": "home",
    "Encounter?subject=Patient/ann-{tag}&class=IMP": "home inside long-ago",
    "Questionnaire?url=https://example.org/questionnaire/{tag}/pain": "pain",
    "QuestionnaireResponse?patient=ann-{tag}&questionnaire=https://example.org/questionnaire/{tag}/pain"
    "&status=completed&authored=ge2031-01-01": "answers",
    "QuestionnaireResponse?subject=Patient/ben-{tag}": "bens-answers",
    "QuestionnaireResponse?encounter=home-{tag}": "answers",
    "Communication?patient=ann-{tag}&sent=ge2031-01-01": "ann-told",
    "CommunicationRequest?patient=ann-{tag}&status=active": "ann-to-tell",
    "CommunicationRequest?patient=ann-{tag}&occurrence=ge2031-11-16": "ann-to-tell",
    "Flag?patient=ann-{tag}&status=active": "ann-flag",
    "Task?owner=Practitioner/doc-{tag}&status=requested": "ann-task",
    "Task?patient=ann-{tag}": "ann-task",
    "ServiceRequest?patient=ann-{tag}&status=active": "ann-due",
    "ServiceRequest?occurrence=lt2032-01-01&patient=ann-{tag},ben-{tag}": "ann-due",
    "ServiceRequest?subject=Patient/ben-{tag}&code=http://snomed.info/sct|24623002": "ben-due",
    "Observation?patient=ann-{tag}&code=http://loinc.org|8867-4&date=ge2031-11-10": "obs10 obs11 obs12",
    "Observation?patient=ann-{tag}&value-quantity=gt69": "obs11 obs12",
    "Condition?patient=ann-{tag}&clinical-status=active": "ann-condition",
    "Immunization?patient=ann-{tag}&vaccine-code=http://hl7.org/fhir/sid/cvx|140": "ann-shot",
    "MedicationRequest?patient=ann-{tag}&authoredon=ge2031-01-01": "ann-medicine",
    "CarePlan?patient=ann-{tag}&status=active": "ann-plan",
    "RiskAssessment?subject=Patient/ann-{tag}": "ann-risk",
    "Consent?patient=ann-{tag}&status=active": "ann-consent",
    "Group?member=Patient/ann-{tag}": "ann-group",
    "DocumentReference?patient=ann-{tag}&type=http://loinc.org|34133-9": "ann-document",
    "Patient?_has:Flag:subject:_id=ann-flag-{tag}": "ann",
}


@pytest.fixture(scope="module")
def tag() -> str:
    """One world for the whole module."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def found_in(fhir: Fhir, tag: str) -> Fhir:
    """The server, holding the world."""
    for resource in world(tag):
        answer = fhir.put(resource)
        assert answer.status_code == 201, answer.text
    return fhir


def _filled(query: str, tag: str) -> str:
    numbers = {str(n): quote(phone(tag, n)) for n in range(1, 10)}
    for name, value in {**numbers, "tag": tag, "mrn": MRN}.items():
        query = query.replace(f"{{{name}}}", value)
    return query


def _names(ids: list[str], tag: str) -> set[str]:
    return {found.removesuffix(f"-{tag}") for found in ids if found.endswith(f"-{tag}")}


@pytest.mark.parametrize(("query", "expected"), SEARCHES.items())
def test_finds_what_matches_and_nothing_else(found_in: Fhir, tag: str, query: str, expected: str) -> None:
    ids = found_in.ids(_filled(query, tag))
    assert _names(ids, tag) == set(expected.split())
    assert len(ids) == len(expected.split())


@pytest.mark.parametrize("query", [q for q in SEARCHES if "&" in q])
def test_every_parameter_of_a_search_matters(found_in: Fhir, tag: str, query: str) -> None:
    """Of the world above: it holds something that each parameter, and nothing else, keeps out."""
    kind, _, text = query.partition("?")
    params = text.split("&")
    for left_out in params:
        rest = "&".join(p for p in params if p is not left_out)
        wider = _names(found_in.ids(_filled(f"{kind}?{rest}&_count=1000", tag)), tag)
        assert wider > set(SEARCHES[query].split()), f"{left_out} keeps nothing out"


class TestOrderAndPages:
    def test_sorts_by_time_up_and_down(self, found_in: Fhir, tag: str) -> None:
        visits = f"Appointment?patient=ann-{tag}"
        rising = [found.removesuffix(f"-{tag}") for found in found_in.ids(f"{visits}&_sort=date")]
        falling = [found.removesuffix(f"-{tag}") for found in found_in.ids(f"{visits}&_sort=-date")]
        assert rising == ["past", "next", "dropped", "later"]
        assert falling == rising[::-1]

    def test_the_first_free_slots_come_first(self, found_in: Fhir, tag: str) -> None:
        ids = found_in.ids(f"Slot?schedule=of-doc-{tag}&status=free&_sort=start&_count=2")
        assert ids == [f"slot1-{tag}", f"slot3-{tag}"]

    def test_next_links_walk_everything_once_in_order(self, found_in: Fhir, tag: str) -> None:
        address: str | None = f"Observation?patient=ann-{tag}&code=8867-4&_sort=-date&_count=5"
        walked: list[str] = []
        pages = 0
        while address:
            bundle = found_in.search(address)
            pages += 1
            walked += [entry["resource"]["id"] for entry in bundle["entry"]]
            address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        assert walked == [f"obs{n:02}-{tag}" for n in range(12, 0, -1)]
        assert pages == 3

    def test_counts_without_sending(self, found_in: Fhir, tag: str) -> None:
        bundle = found_in.search(f"Observation?patient=ann-{tag}&code=8867-4&_summary=count")
        assert (bundle["total"], bundle.get("entry", [])) == (12, [])

    def test_an_empty_result_is_a_bundle_without_matches(self, found_in: Fhir, tag: str) -> None:
        assert entries(found_in.search(f"Patient?family=nobody{tag}"), "match") == []


class TestIncludes:
    def test_brings_the_practitioner_of_a_role(self, found_in: Fhir, tag: str) -> None:
        bundle = found_in.search(f"PractitionerRole?specialty=skin{tag}&_include=PractitionerRole:practitioner")
        assert [e["resource"]["id"] for e in entries(bundle, "match")] == [f"role-doc-{tag}"]
        assert [e["resource"]["id"] for e in entries(bundle, "include")] == [f"doc-{tag}"]

    def test_brings_the_people_of_an_appointment_once(self, found_in: Fhir, tag: str) -> None:
        bundle = found_in.search(
            f"Appointment?patient=ann-{tag}&practitioner=doc-{tag}"
            "&_include=Appointment:practitioner&_include=Appointment:patient"
        )
        assert len(entries(bundle, "match")) == 3
        assert sorted(e["resource"]["id"] for e in entries(bundle, "include")) == [f"ann-{tag}", f"doc-{tag}"]

    def test_follows_a_slot_to_its_schedule_and_on_to_the_doctor(self, found_in: Fhir, tag: str) -> None:
        bundle = found_in.search(
            f"Slot?_id=slot1-{tag}&_include=Slot:schedule&_include:iterate=Schedule:actor:Practitioner"
        )
        assert sorted(e["resource"]["id"] for e in entries(bundle, "include")) == [f"doc-{tag}", f"of-doc-{tag}"]

    def test_brings_what_refers_to_a_match(self, found_in: Fhir, tag: str) -> None:
        bundle = found_in.search(f"Patient?_id=ben-{tag}&_revinclude=Appointment:patient")
        assert [e["resource"]["id"] for e in entries(bundle, "include")] == [f"bens-{tag}"]


class TestLastUpdated:
    """What event intake by polling stands on."""

    def test_a_change_is_seen_by_who_asks_since_before_it(self, found_in: Fhir, tag: str) -> None:
        before = found_in.call("GET", f"Encounter/inside-{tag}").json()
        seen = before["meta"]["lastUpdated"]
        changed = {**before, "status": "finished"}
        assert found_in.put(changed).status_code == 200
        try:
            query = f"Encounter?patient=ann-{tag}&_lastUpdated=gt{quote(seen)}&_sort=_lastUpdated"
            assert found_in.ids(query)[-1] == f"inside-{tag}"
            after = found_in.call("GET", f"Encounter/inside-{tag}").json()["meta"]["lastUpdated"]
            assert found_in.ids(f"Encounter?patient=ann-{tag}&_lastUpdated=gt{quote(after)}") == []
            assert f"inside-{tag}" in found_in.ids(f"Encounter?patient=ann-{tag}&_lastUpdated=ge{quote(after)}")
        finally:
            found_in.put(before)


def test_a_parameter_nobody_knows_is_not_silently_ignored(found_in: Fhir, tag: str) -> None:
    """With `Prefer: handling=strict`: a misspelt filter must not return every patient."""
    answer = found_in.call("GET", f"Patient?_id=ann-{tag}&shoesize=9", Prefer="handling=strict")
    assert answer.status_code == 400


def test_a_search_may_be_posted(found_in: Fhir, tag: str) -> None:
    """Names and birth dates stay out of the address, and so out of access logs."""
    answer = found_in.post_search("Patient", family=f"Probe{tag}", birthdate="1980-03-04")
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [f"ann-{tag}"]
