"""Who somebody is: names as people type them, phones as clerks type them, and who may speak for whom."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from carethread.ehr.client import Record
from carethread.ehr.identity import Matched, NoMatch, Several, match_identity, second_fact, tell_apart
from carethread.ehr.patients import (
    Patient,
    may_speak_for,
    name_matches,
    normal_phone,
    patient_of,
    phone_spellings,
)


def patient(given: str, family: str, **more: Any) -> Patient:
    facts: dict[str, Any] = {
        "id": "p1",
        "birth_date": date(1971, 2, 14),
        "phones": ("+13125550134",),
        "language": "es",
        "postal_code": "60639",
        "mrn": "RB100101",
        "deceased": False,
        "active": True,
        **more,
    }
    return Patient(given=given, family=family, full_name=f"{given} {family}", names=(f"{given} {family}",), **facts)


@pytest.mark.parametrize(
    ("said", "given", "family", "fits"),
    [
        ("Miguel Peña", "Miguel Ángel", "Peña Núñez", True),
        ("miguel angel pena nunez", "Miguel Ángel", "Peña Núñez", True),
        ("NUÑEZ, MIGUEL", "Miguel Ángel", "Peña Núñez", True),
        ("Peña Miguel A.", "Miguel Ángel", "Peña Núñez", True),
        ("Miguel", "Miguel Ángel", "Peña Núñez", False),
        ("Peña Núñez", "Miguel Ángel", "Peña Núñez", False),
        ("Miguel Ángel", "Miguel Ángel", "Peña Núñez", False),
        ("Miguel Garcia", "Miguel Ángel", "Peña Núñez", False),
        ("Miguel Peña Garcia", "Miguel Ángel", "Peña Núñez", False),
        ("Maria de la Cruz", "María", "de la Cruz", True),
        ("maria cruz", "María", "de la Cruz", True),
        ("Dorothy Jenkns", "Dorothy", "Jenkins", True),
        ("Dorothy Jackson", "Dorothy", "Jenkins", False),
        ("fiona oneill", "Fiona", "O'Neill", True),
        ("Fiona O'Neill", "Fiona", "ONeill", True),
        ("Linh Nguyen", "Minh", "Nguyen", False),
        ("Ana Ruiz", "Ana", "Ruis", False),
        ("John James", "James", "John", True),
        ("James James", "James", "Carter", False),
        ("J Carter", "James", "Carter", False),
        ("Jim Carter", "James", "Carter", True),
        ("Pepe Luis Vargas", "José Luis", "Vargas", True),
        ("Jim Carter", "Robert", "Carter", False),
        ("Bob Bob", "Robert", "Carter", False),
        ("", "James", "Carter", False),
    ],
)
def test_a_name_as_typed(said: str, given: str, family: str, fits: bool) -> None:
    assert name_matches(said, patient(given, family)) is fits


def test_a_maiden_name_on_file_counts() -> None:
    married = patient("Rosa", "Delgado")
    known = Patient(**{**_fields(married), "names": ("Rosa Delgado", "Rosa Montero")})
    assert name_matches("rosa montero", known)
    assert not name_matches("rosa montero", married)


def _fields(one: Patient) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def test_nobody_is_named_by_a_repr() -> None:
    shown = repr(patient("Miguel", "Peña"))
    for secret in ("Miguel", "Peña", "1971", "5550134", "60639", "RB100101"):
        assert secret not in shown


@pytest.mark.parametrize(
    "stored",
    [
        "+13125550134",
        "(312) 555-0134",
        "312-555-0134",
        "312.555.0134",
        "312 555 0134",
        "3125550134",
        "13125550134",
        "1-312-555-0134",
        "+1 312-555-0134",
        "+1 (312) 555-0134",
        "1 (312) 555-0134",
        "(312)555-0134",
        "+1-312-555-0134",
        "+1.312.555.0134",
        "1.312.555.0134",
    ],
)
def test_every_way_of_writing_a_phone_is_asked_for_and_read(stored: str) -> None:
    assert stored in phone_spellings("+13125550134")
    assert normal_phone(stored) == "+13125550134"


@pytest.mark.parametrize("text", ["", "hello", "123", "ext. 5", "+", "0000"])
def test_what_is_no_phone(text: str) -> None:
    assert normal_phone(text) is None


def test_a_patient_as_the_ehr_has_them() -> None:
    raw = {
        "resourceType": "Patient",
        "id": "p9",
        "name": [
            {"use": "old", "family": "Before", "given": ["Ana"]},
            {"use": "official", "family": "After", "given": ["Ana", "Belén"]},
        ],
        "telecom": [
            {"system": "phone", "value": "312-555-0101", "use": "old"},
            {"system": "phone", "value": "312-555-0102", "period": {"end": "2020-01-01"}},
            {"system": "phone", "value": "(312) 555-0103 x5"},
            {"system": "email", "value": "ana@example.org"},
        ],
        "birthDate": "1980-03-04",
        "communication": [
            {"language": {"coding": [{"code": "en"}]}},
            {"language": {"coding": [{"code": "es-MX"}]}, "preferred": True},
        ],
        "address": [{"use": "old", "postalCode": "60000"}, {"postalCode": "60601-1234"}],
        "identifier": [
            {"value": "not-this", "type": {"coding": [{"code": "SS"}]}},
            {"value": "RB77", "type": {"coding": [{"code": "MR"}]}},
        ],
        "deceasedDateTime": "2026-01-01",
    }
    seen = patient_of(Record(raw))
    assert (seen.given, seen.family, seen.full_name) == ("Ana Belén", "After", "Ana Belén After")
    assert seen.phones == ("+13125550103",)
    assert seen.birth_date == date(1980, 3, 4)
    assert seen.language == "es"
    assert seen.postal_code == "60601-1234"
    assert seen.mrn == "RB77"
    assert seen.deceased
    assert seen.active


def test_a_year_alone_is_no_birth_date_and_a_replaced_record_is_not_in_use() -> None:
    raw = {
        "resourceType": "Patient",
        "id": "p9",
        "birthDate": "1980",
        "link": [{"other": {"reference": "Patient/p10"}, "type": "replaced-by"}],
    }
    seen = patient_of(Record(raw))
    assert seen.birth_date is None
    assert not seen.active
    assert (seen.full_name, seen.phones, seen.language) == ("", (), None)


@pytest.mark.parametrize(
    ("relationship", "age", "may"),
    [
        (["MTH"], 7, True),
        (["MTH"], 17, True),
        (["MTH"], 18, False),
        (["MTH"], None, False),
        (["GUARD"], 84, True),
        (["HPOWATT"], 84, True),
        (["SPS"], 40, False),
        (["CHILD"], 84, False),
        (["C", "N"], 7, False),
        ([], 7, False),
        (["NBOR", "FTH"], 3, True),
    ],
)
def test_who_may_speak_for_whom(relationship: list[str], age: int | None, may: bool) -> None:
    assert may_speak_for(relationship, age) is may


def test_age_turns_on_the_birthday() -> None:
    assert patient("A", "B").age(date(2026, 2, 13)) == 54
    assert patient("A", "B").age(date(2026, 2, 14)) == 55
    assert patient("A", "B", birth_date=None).age(date(2026, 2, 14)) is None


def test_matching_by_birth_date() -> None:
    linh = patient("Linh", "Nguyen", id="linh", birth_date=date(1979, 5, 14))
    minh = patient("Minh", "Nguyen", id="minh", birth_date=date(1976, 10, 9))
    twin = patient("Mai", "Nguyen", id="mai", birth_date=date(1976, 10, 9))
    assert match_identity([linh, minh], {date(1979, 5, 14)}) == Matched(linh)
    assert match_identity([linh, minh], {date(1979, 5, 15)}) == NoMatch()
    assert match_identity([minh, twin], {date(1976, 10, 9)}) == Several((minh, twin))
    # 10/9 may be read two ways; only one of them is anybody's.
    assert match_identity([linh, minh], {date(1976, 10, 9), date(1976, 9, 10)}) == Matched(minh)
    assert match_identity([linh, linh], {date(1979, 5, 14)}) == Matched(linh)
    assert match_identity([linh], set()) == NoMatch()


@pytest.mark.parametrize("state", [{"deceased": True}, {"active": False}, {"birth_date": None}])
def test_who_cannot_be_identified(state: dict[str, Any]) -> None:
    assert match_identity([patient("A", "B", **state)], {date(1971, 2, 14)}) == NoMatch()


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("60639", "postal_code"),
        ("my zip is 60639.", "postal_code"),
        ("60639-1234", "postal_code"),
        ("60640", None),
        ("60638 or 60639", None),
        ("0134", "phone"),
        ("los últimos cuatro son 0134", "phone"),
        ("312-555-0134", "phone"),
        ("+1 (312) 555-0134", "phone"),
        ("0135", None),
        ("0134 0135 0136", None),
        ("RB100101", "mrn"),
        ("rb 100101", "mrn"),
        ("mrn: RB-100101", "mrn"),
        ("100101", None),
        ("RB100101 RB100102", None),
        ("RB1001011", None),
        ("", None),
        ("I don't know", None),
    ],
)
def test_a_second_fact(said: str, fact: str | None) -> None:
    assert second_fact(patient("Miguel", "Peña"), said) == fact


def test_a_second_fact_that_is_not_on_file_proves_nothing() -> None:
    unknown = patient("A", "B", phones=(), postal_code=None, mrn=None)
    for said in ("60639", "0134", "RB100101", "0", "none"):
        assert second_fact(unknown, said) is None


def test_a_second_fact_tells_two_apart() -> None:
    here, there = patient("A", "B", id="1"), patient("A", "B", id="2", postal_code="60610")
    assert tell_apart([here, there], "60610") == Matched(there)
    assert tell_apart([here, there], "0134") == Several((here, there))
    assert tell_apart([here, there], "99999") == NoMatch()
