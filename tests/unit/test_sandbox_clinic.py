"""The synthetic clinic holds what the product's stories need, whatever day it is loaded."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fhirclient.models.fhirelementfactory import FHIRElementFactory

from carethread.clinic import load_clinic
from sandbox.clinic import CastMember, build, cast
from sandbox.ehr.validation import problems

Resource = dict[str, Any]

TODAY = date(2026, 11, 22)  # a Sunday
BEFORE_SPRING_CHANGE = date(2027, 2, 25)  # US clocks go forward on 14 March 2027
BEFORE_AUTUMN_CHANGE = date(2026, 10, 20)  # and went back on 1 November 2026
LEAP_DAY = date(2028, 2, 29)
NEW_YEAR = date(2027, 1, 1)
DAYS = [TODAY, BEFORE_SPRING_CHANGE, BEFORE_AUTUMN_CHANGE, LEAP_DAY, NEW_YEAR]
CHICAGO = ZoneInfo("America/Chicago")
FLU = {"88", "135", "140", "141", "150", "158", "161", "168", "171", "185", "186", "197", "205"}
TENANT = Path(__file__).parents[2] / "clinics/riverbend/clinic.yml"


class Clinic:
    """A built clinic, to ask."""

    def __init__(self, today: date, seed: int = 7) -> None:
        self.today = today
        self.resources = build(today, seed)
        self.people: dict[str, CastMember] = cast(today)
        self._by_kind: dict[str, dict[str, Resource]] = defaultdict(dict)
        for resource in self.resources:
            self._by_kind[resource["resourceType"]][resource["id"]] = resource

    def of(self, kind: str) -> list[Resource]:
        return list(self._by_kind[kind].values())

    def get(self, reference: str) -> Resource:
        kind, _, resource_id = reference.partition("/")
        return self._by_kind[kind][resource_id]

    def about(self, kind: str, key: str) -> list[Resource]:
        """Resources of a kind about a member of the cast."""
        reference = f"Patient/{self.people[key].patient_id}"
        return [r for r in self.of(kind) if reference in _patients(r)]


def _patients(resource: Resource) -> list[str]:
    actors = [p["actor"]["reference"] for p in resource.get("participant", []) if "actor" in p]
    subjects = [resource[e]["reference"] for e in ("subject", "patient") if e in resource]
    return actors + subjects


def _start(resource: Resource) -> datetime:
    return datetime.fromisoformat(resource["start"])


@cache
def _clinic(today: date) -> Clinic:
    return Clinic(today)


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    return _clinic(TODAY)


@pytest.fixture(scope="module", params=DAYS, ids=str)
def any_day(request: pytest.FixtureRequest) -> Clinic:
    return _clinic(request.param)


class TestAsData:
    def test_is_valid_r4_and_every_reference_resolves(self, any_day: Clinic) -> None:
        known = {(r["resourceType"], r["id"]) for r in any_day.resources}
        assert len(known) == len(any_day.resources)
        assert [(r["id"], p) for r in any_day.resources for p in problems(r, lambda kind, i: (kind, i) in known)] == []

    def test_fhirclient_reads_it(self, clinic: Clinic) -> None:
        one_of_each = {r["resourceType"]: r for r in clinic.resources}
        for kind, resource in one_of_each.items():
            assert FHIRElementFactory.instantiate(kind, resource).as_json()["id"] == resource["id"]

    def test_is_the_same_for_the_same_seed_and_another_for_another(self, clinic: Clinic) -> None:
        assert build(TODAY, 7) == clinic.resources
        other = Clinic(TODAY, seed=8)
        assert other.resources != clinic.resources
        assert other.people == clinic.people

    def test_moves_with_the_day(self, clinic: Clinic) -> None:
        week_later = Clinic(TODAY + timedelta(days=7))
        assert [r["id"] for r in week_later.of("Patient")] == [r["id"] for r in clinic.of("Patient")]
        for appointment in clinic.of("Appointment"):
            moved = week_later.get(f"Appointment/{appointment['id']}")
            assert _start(moved).date() - _start(appointment).date() == timedelta(days=7)

    def test_nothing_in_a_chart_is_from_the_future_or_from_before_birth(self, any_day: Clinic) -> None:
        born = {f"Patient/{p['id']}": p["birthDate"] for p in any_day.of("Patient")}
        tomorrow = (any_day.today + timedelta(days=1)).isoformat()
        for kind, element in (
            ("Observation", "effectiveDateTime"),
            ("Immunization", "occurrenceDateTime"),
            ("Condition", "onsetDateTime"),
            ("MedicationRequest", "authoredOn"),
        ):
            for resource in any_day.of(kind):
                assert born[_patients(resource)[0]] <= resource[element] < tomorrow


class TestPatients:
    def test_are_many_and_various(self, any_day: Clinic) -> None:
        patients = any_day.of("Patient")
        ages = [(any_day.today - date.fromisoformat(p["birthDate"])).days / 365.25 for p in patients]
        languages = Counter(p["communication"][0]["language"]["coding"][0]["code"] for p in patients)
        assert len(patients) >= 60
        assert min(ages) < 1.2
        assert 95 <= max(ages) < 98
        assert {sex: n > 20 for sex, n in Counter(p["gender"] for p in patients).items()} == {
            "female": True,
            "male": True,
        }
        assert 0.2 <= languages["es"] / len(patients) <= 0.3
        assert all(p["communication"][0]["preferred"] for p in patients)

    def test_have_fictional_numbers_and_addresses_and_an_mrn(self, clinic: Clinic) -> None:
        senders = {account.address for account in load_clinic(TENANT).accounts}
        for resource in [*clinic.of("Patient"), *clinic.of("RelatedPerson")]:
            for contact in resource["telecom"]:
                if contact["system"] == "phone":
                    digits = re.sub(r"\D", "", contact["value"])
                    assert re.fullmatch(r"1?31255501\d\d", digits)
                    assert f"+1{digits[-10:]}" not in senders
                else:
                    assert contact["value"].endswith("@example.org")
        patients = clinic.of("Patient")
        assert len({p["identifier"][0]["value"] for p in patients}) == len(patients)
        assert all(re.fullmatch(r"\d{5}", p["address"][0]["postalCode"]) for p in patients)

    def test_some_numbers_are_written_as_clerks_write_them(self, clinic: Clinic) -> None:
        written = {key: _phones(clinic.get(f"Patient/{clinic.people[key].patient_id}")) for key in ("grace", "omar")}
        assert written == {"grace": ["(312) 555-0123"], "omar": ["312.555.0124"]}
        assert clinic.people["grace"].phone == "+13125550123"

    def test_have_histories(self, clinic: Clinic) -> None:
        for kind in ("Condition", "Observation", "Immunization", "Encounter"):
            with_some = {_patients(r)[0] for r in clinic.of(kind)}
            assert len(with_some) > 0.8 * len(clinic.of("Patient"))
        assert len({_patients(r)[0] for r in clinic.of("MedicationRequest")}) > 25


class TestCast:
    def test_agrees_with_the_records(self, any_day: Clinic) -> None:
        for member in any_day.people.values():
            patient = any_day.get(f"Patient/{member.patient_id}")
            assert patient["birthDate"] == member.birth_date.isoformat()
            assert patient["name"][0]["text"] == member.name
            assert patient["identifier"][0]["value"] == member.mrn
            assert patient["address"][0]["postalCode"] == member.postal_code
            assert patient["communication"][0]["language"]["coding"][0]["code"] == member.language

    def test_three_of_a_household_share_a_phone_and_an_address(self, clinic: Clinic) -> None:
        sharing = [p for p in clinic.of("Patient") if "+13125550110" in _phones(p)]
        assert {p["id"] for p in sharing} == {"linh-nguyen", "minh-nguyen", "hoa-nguyen"}
        assert len({p["birthDate"] for p in sharing}) == 3
        assert len({str(p["address"]) for p in sharing}) == 1

    def test_two_have_one_name(self, clinic: Clinic) -> None:
        same = [p for p in clinic.of("Patient") if p["name"][0]["text"] == "John Smith"]
        assert len({p["birthDate"] for p in same}) == len({str(_phones(p)) for p in same}) == 2

    def test_names_are_otherwise_unique(self, clinic: Clinic) -> None:
        counts = Counter(p["name"][0]["text"] for p in clinic.of("Patient"))
        assert {name for name, n in counts.items() if n > 1} == {"John Smith"}

    @pytest.mark.parametrize("key", ["sofia", "mateo", "noah", "zoe"])
    def test_minors_have_a_guardian_with_the_phone(self, any_day: Clinic, key: str) -> None:
        child = any_day.people[key]
        [guardian] = any_day.about("RelatedPerson", key)
        assert (any_day.today - child.birth_date).days < 18 * 365
        assert _phones(any_day.get(f"Patient/{child.patient_id}")) == []
        digits = re.sub(r"\D", "", _phones(guardian)[0])
        assert child.phone is not None
        assert child.phone.endswith(digits)

    def test_children_keep_their_age_and_adults_their_birth_date(self) -> None:
        ages = {day: (day - cast(day)["sofia"].birth_date).days // 365.25 for day in DAYS}
        assert set(ages.values()) == {7}
        assert {cast(day)["maria"].birth_date for day in DAYS} == {date(1968, 4, 12)}

    def test_one_has_died_and_has_nothing_after(self, clinic: Clinic) -> None:
        [dead] = [p for p in clinic.of("Patient") if "deceasedDateTime" in p]
        assert dead["id"] == clinic.people["harold"].patient_id
        assert clinic.about("Appointment", "harold") == []
        taken = [o["effectiveDateTime"] for o in clinic.about("Observation", "harold")]
        assert taken
        assert max(taken) < dead["deceasedDateTime"]

    def test_one_has_no_phone(self, clinic: Clinic) -> None:
        assert _phones(clinic.get("Patient/agnes-lund")) == []
        assert clinic.people["agnes"].phone is None


def _phones(resource: Resource) -> list[str]:
    return [c["value"] for c in resource["telecom"] if c["system"] == "phone"]


class TestDirectory:
    def test_six_specialties_some_with_several_doctors(self, clinic: Clinic) -> None:
        doctors = Counter(role["specialty"][0]["text"] for role in clinic.of("PractitionerRole"))
        assert set(doctors) == {
            "Family medicine",
            "Cardiology",
            "Orthopedics",
            "Endocrinology",
            "Obstetrics and gynecology",
            "Dermatology",
        }
        assert sum(doctors.values()) >= 12
        assert max(doctors.values()) >= 2

    def test_specialties_are_those_of_the_tenant(self, clinic: Clinic) -> None:
        ours = {role["specialty"][0]["coding"][0]["code"] for role in clinic.of("PractitionerRole")}
        assert ours == {s.code for s in load_clinic(TENANT).specialties}

    def test_each_doctor_has_one_schedule(self, clinic: Clinic) -> None:
        actors = [s["actor"][0]["reference"] for s in clinic.of("Schedule")]
        assert sorted(actors) == sorted(f"Practitioner/{p['id']}" for p in clinic.of("Practitioner"))


class TestSlots:
    def test_are_half_hours_of_the_clinics_weekdays_by_its_own_clock(self, any_day: Clinic) -> None:
        for slot in any_day.of("Slot"):
            start, end = _start(slot), datetime.fromisoformat(slot["end"])
            here = start.astimezone(CHICAGO)
            assert here.weekday() < 5
            assert "08:00" <= f"{here:%H:%M}" <= "16:30"
            assert here.utcoffset() == start.utcoffset()  # written with the offset of that very day
            assert end - start == timedelta(minutes=30)

    @pytest.mark.parametrize(
        ("today", "before", "after"),
        [(BEFORE_SPRING_CHANGE, "-06:00", "-05:00"), (BEFORE_AUTUMN_CHANGE, "-05:00", "-06:00")],
    )
    def test_the_offset_changes_when_the_clocks_do(self, today: date, before: str, after: str) -> None:
        starts = sorted(s["start"] for s in _clinic(today).of("Slot"))
        assert starts[0].endswith(before)
        assert starts[-1].endswith(after)
        assert {s[11:16] for s in starts if s.endswith(before)} == {s[11:16] for s in starts if s.endswith(after)}

    def test_reach_four_weeks_and_are_mostly_free(self, any_day: Clinic) -> None:
        slots = any_day.of("Slot")
        days = {_start(s).date() for s in slots}
        assert min(days) >= any_day.today
        assert (max(days) - any_day.today).days in range(24, 28)
        assert 0.55 <= sum(s["status"] == "free" for s in slots) / len(slots) <= 0.65

    def test_every_specialty_has_free_ones_every_week(self, any_day: Clinic) -> None:
        weeks: dict[str, set[int]] = defaultdict(set)
        for slot in any_day.of("Slot"):
            if slot["status"] == "free":
                weeks[slot["specialty"][0]["text"]].add((_start(slot).date() - any_day.today).days // 7)
        assert set(map(frozenset, weeks.values())) == {frozenset(range(4))}

    def test_no_doctor_is_in_two_places_at_once(self, clinic: Clinic) -> None:
        taken = Counter((s["schedule"]["reference"], s["start"]) for s in clinic.of("Slot"))
        assert set(taken.values()) == {1}


class TestAppointments:
    def test_booked_ones_hold_a_busy_slot_of_their_doctor_alone(self, any_day: Clinic) -> None:
        held: list[str] = []
        booked = [a for a in any_day.of("Appointment") if a["status"] == "booked"]
        for appointment in booked:
            [reference] = [s["reference"] for s in appointment["slot"]]
            slot = any_day.get(reference)
            doctor = next(p for p in _patients(appointment) if p.startswith("Practitioner/"))
            assert slot["status"] == "busy"
            assert _start(slot) == _start(appointment)
            assert slot["schedule"]["reference"].rpartition("/")[2] == doctor.rpartition("/")[2]
            assert _start(appointment).date() > any_day.today
            held.append(reference)
        assert len(booked) >= 35
        assert len(held) == len(set(held))

    def test_in_person_ones_say_where_and_video_ones_have_a_link(self, clinic: Clinic) -> None:
        video = 0
        for appointment in clinic.of("Appointment"):
            kinds = Counter(reference.partition("/")[0] for reference in _patients(appointment))
            link = _video_link(appointment)
            assert kinds == {"Patient": 1, "Practitioner": 1, **({} if link else {"Location": 1})}
            video += link is not None
            assert link is None or link == f"https://video.example.org/visit/{appointment['id']}"
        assert video >= 4

    def test_preparation_is_in_the_patients_language(self, clinic: Clinic) -> None:
        [marias] = [a for a in clinic.about("Appointment", "maria") if a["id"] == "maria-endocrinology"]
        [hoas] = clinic.about("Appointment", "hoa")
        assert marias["patientInstruction"].startswith("No coma ni beba")
        assert hoas["patientInstruction"].startswith("Do not eat or drink")

    def test_some_are_past(self, clinic: Clinic) -> None:
        past = Counter(a["status"] for a in clinic.of("Appointment") if _start(a).date() < TODAY)
        assert past == {"fulfilled": 2, "noshow": 2, "cancelled": 1}

    def test_the_cast_has_what_its_table_says(self, clinic: Clinic) -> None:
        booked = {
            key: len([a for a in clinic.about("Appointment", key) if a["status"] == "booked"]) for key in clinic.people
        }
        assert booked["chloe"] == 3
        assert booked["kevin"] == 0
        assert min(booked[key] for key in ("maria", "aisha", "minh", "hoa", "john_elder", "john_younger", "grace")) == 1
        assert _video_link(clinic.about("Appointment", "aisha")[0])
        assert _video_link(clinic.about("Appointment", "teresa")[0])


def _video_link(appointment: Resource) -> str | None:
    for extension in appointment.get("extension", []):
        if extension["url"].endswith("extension-Appointment.virtualService"):
            return next(str(part["valueUrl"]) for part in extension["extension"] if part["url"] == "address")
    return None


class TestDischarges:
    def test_six_went_home_in_the_last_two_days_two_of_them_speak_spanish(self, any_day: Clinic) -> None:
        recent = [
            e
            for e in any_day.of("Encounter")
            if e["class"]["code"] == "IMP"
            and e["status"] == "finished"
            and e["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "home"
            and (any_day.today - datetime.fromisoformat(e["period"]["end"]).date()).days in (1, 2)
        ]
        speaks = {f"Patient/{m.patient_id}": m.language for m in any_day.people.values()}
        assert len(recent) == 6
        assert len({e["reasonCode"][0]["text"] for e in recent}) == 6
        assert [speaks[e["subject"]["reference"]] for e in recent].count("es") == 2

    def test_one_went_elsewhere_and_one_is_still_there(self, clinic: Clinic) -> None:
        [george] = [e for e in clinic.about("Encounter", "george") if e["class"]["code"] == "IMP"]
        [sandra] = [e for e in clinic.about("Encounter", "sandra") if e["class"]["code"] == "IMP"]
        assert george["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "snf"
        assert (sandra["status"], sandra["period"].get("end")) == ("in-progress", None)

    def test_those_sent_home_have_medicines_from_that_stay(self, clinic: Clinic) -> None:
        ordered = {m["encounter"]["reference"] for m in clinic.of("MedicationRequest") if "encounter" in m}
        finished = {f"Encounter/{e['id']}" for e in clinic.of("Encounter") if "hospitalization" in e}
        assert ordered == finished


class TestDueServices:
    @pytest.mark.parametrize(("key", "code"), [("fatima", "24623002"), ("robert", "275978004"), ("luis", "4548-4")])
    def test_are_requests_whose_day_has_passed(self, any_day: Clinic, key: str, code: str) -> None:
        [request] = any_day.about("ServiceRequest", key)
        assert (request["status"], request["code"]["coding"][0]["code"]) == ("active", code)
        assert request["occurrenceDateTime"] < any_day.today.isoformat()

    def test_luis_had_an_a1c_but_not_lately(self, any_day: Clinic) -> None:
        taken = [
            datetime.fromisoformat(o["effectiveDateTime"]).date()
            for o in any_day.about("Observation", "luis")
            if o["code"]["coding"][0]["code"] == "4548-4"
        ]
        assert taken
        assert (any_day.today - max(taken)).days > 180

    def test_helen_lacks_this_seasons_flu_shot_which_others_have(self, any_day: Clinic) -> None:
        def this_season(key: str) -> bool:
            since = (any_day.today - timedelta(days=330)).isoformat()
            shots = any_day.about("Immunization", key)
            return any(s["vaccineCode"]["coding"][0]["code"] in FLU and s["occurrenceDateTime"] > since for s in shots)

        assert not this_season("helen")
        assert any(this_season(key) for key in any_day.people)
