"""The clinic's patients: the named cast, the crowd around them, and the guardians of the minors."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sandbox.clinic.places import doctor
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

CROWD = 32
CROWD_SPANISH = 9
CROWD_CHILDREN = 4
# Numbers 0150 and 0151 belong to the clinic's own senders.
CROWD_PHONES = [f"+131255501{n:02d}" for n in (*range(40, 50), *range(52, 90))]


@dataclass(frozen=True, slots=True)
class Person:
    """One patient, before being written as FHIR. `row` is the line of the table they come from."""

    key: str
    patient_id: str
    given: tuple[str, ...]
    family: str
    sex: str
    birth_date: date
    language: str
    phone: str | None  # E.164; a minor's is the guardian's
    stored_phone: str | None  # as this EHR writes it on the patient; None for a minor
    postal_code: str
    line: str
    mrn: str
    kind: str  # of history
    gp: str
    row: dict[str, Any]

    @property
    def name(self) -> str:
        """As one would say it."""
        return " ".join([*self.given, self.family])


def people(today: date, seed: int) -> list[Person]:
    """The cast in the order of its table, then the crowd of `seed`."""
    return [*_cast(today), *_crowd(today, seed)]


def resources(everybody: list[Person], today: date) -> Iterator[Resource]:
    """Patients, then the guardians' RelatedPersons."""
    for person in everybody:
        yield _patient(person, today)
        if "guardian" in person.row:
            yield _guardian(person, table("cast")["guardians"][person.row["guardian"]])


def birthday(rule: date | str, today: date, salt: int) -> date:
    """A fixed date, or from "7 years old" the birth date of somebody that old on `today` and some months more."""
    if isinstance(rule, date):
        return rule
    years = int(rule.split()[0])
    months_past = 3 + salt % 8
    month = today.month - months_past
    year = today.year - years
    return date(year, month, 12) if month >= 1 else date(year - 1, month + 12, 12)


def _cast(today: date) -> Iterator[Person]:
    cast = table("cast")
    for number, (key, row) in enumerate(cast["cast"].items()):
        guardian = cast["guardians"][row["guardian"]] if "guardian" in row else None
        phone = guardian["phone"] if guardian else row.get("phone")
        yield Person(
            key=key,
            patient_id=row["id"],
            given=tuple(row["given"]),
            family=row["family"],
            sex=row["sex"],
            birth_date=birthday(row["born"], today, number),
            language=row["language"],
            phone=phone,
            stored_phone=None if guardian else row.get("stored_phone", phone),
            postal_code=row["postal_code"],
            line=_address(row["family"], row["postal_code"]),
            mrn=f"RB{100101 + number}",
            kind=row["history"],
            gp=row["gp"],
            row=row,
        )


def _crowd(today: date, seed: int) -> Iterator[Person]:
    names = table("content")["crowd"]
    chance = random.Random(f"crowd/{seed}")
    family_doctors = [p["id"] for p in table("directory")["practitioners"] if p["specialty"] == "family-medicine"]
    taken = {row["id"] for row in table("cast")["cast"].values()}
    for number in range(CROWD):
        language = "es" if number < CROWD_SPANISH else "en"
        sex = ("female", "male")[number % 2]
        while True:
            given, family = chance.choice(names[language][sex]), chance.choice(names[language]["family"])
            patient_id = _slug(f"{given}-{family}")
            if patient_id not in taken:
                break
        taken.add(patient_id)
        child = number % (CROWD // CROWD_CHILDREN) == 0
        age = chance.randint(13, 17) if child else chance.randint(18, 92)
        born = date(2026 - age, chance.randint(1, 12), chance.randint(1, 28))
        postal_code = chance.choice(names["postal_codes"])
        yield Person(
            key=patient_id,
            patient_id=patient_id,
            given=(given,),
            family=family,
            sex=sex,
            birth_date=birthday(f"{age} years old", today, number) if child else born,
            language=language,
            phone=CROWD_PHONES[number],
            stored_phone=CROWD_PHONES[number],
            postal_code=postal_code,
            line=_address(family, postal_code),
            mrn=f"RB{200101 + number}",
            kind="child" if child else chance.choice(_kinds(age)),
            gp="dr-alvarez" if language == "es" else chance.choice(family_doctors),
            row={},
        )


def _kinds(age: int) -> list[str]:
    if age < 45:
        return ["healthy"] * 5 + ["hypertension"]
    return ["healthy", "healthy", "hypertension", "hypertension", "diabetes", "heart", "lungs"]


def _address(family: str, postal_code: str) -> str:
    # a household (same name, same postal code) lives at one address
    chance = random.Random(f"{family}/{postal_code}")
    return f"{chance.randint(100, 6900)} {chance.choice(table('content')['crowd']['streets'])}"


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return plain.lower().replace(" ", "-").replace("'", "")


def _telecom(phone: str | None, email: str) -> list[dict[str, Any]]:
    phones = [{"system": "phone", "use": "mobile", "value": phone, "rank": 1}] if phone else []
    return [*phones, {"system": "email", "value": email}]


def _patient(person: Person, today: date) -> Resource:
    patient: Resource = {
        "resourceType": "Patient",
        "id": person.patient_id,
        "active": True,
        "identifier": [
            {
                "use": "usual",
                "type": concept(f"{TERMINOLOGY}/v2-0203", "MR", "Medical record number"),
                "system": f"{SYSTEM}/mrn",
                "value": person.mrn,
            }
        ],
        "name": [human_name({"given": list(person.given), "family": person.family})],
        "gender": person.sex,
        "birthDate": person.birth_date.isoformat(),
        "telecom": _telecom(person.stored_phone, f"{person.patient_id}@example.org"),
        "address": [
            {
                "use": "home",
                "line": [person.line],
                "city": "Chicago",
                "state": "IL",
                "postalCode": person.postal_code,
                "country": "US",
            }
        ],
        "communication": [
            {
                "language": concept("urn:ietf:bcp:47", person.language, LANGUAGES[person.language]),
                "preferred": True,
            }
        ],
        "generalPractitioner": [doctor(by_id(table("directory")["practitioners"])[person.gp])],
        "managingOrganization": ref("Organization", "riverbend-clinic", "Riverbend Clinic"),
    }
    if "died_days_ago" in person.row:
        died = today - timedelta(days=person.row["died_days_ago"])
        patient["deceasedDateTime"] = at(died, "05:40").isoformat()
    return patient


def _guardian(child: Person, row: dict[str, Any]) -> Resource:
    name = human_name(row)
    email = f"{_slug(name['text'])}@example.org"
    return {
        "resourceType": "RelatedPerson",
        "id": f"{_slug(row['given'][0])}-of-{child.patient_id}",
        "active": True,
        "patient": ref("Patient", child.patient_id, child.name),
        "relationship": [
            concept(f"{TERMINOLOGY}/v3-RoleCode", row["relationship"], "mother"),
            concept(f"{TERMINOLOGY}/v3-RoleCode", "GUARD", "guardian"),
        ],
        "name": [name],
        "gender": row["sex"],
        "birthDate": row["born"].isoformat(),
        "telecom": _telecom(row.get("stored_phone", row["phone"]), email),
        "communication": [
            {
                "language": concept("urn:ietf:bcp:47", row["language"], LANGUAGES[row["language"]]),
                "preferred": True,
            }
        ],
    }
