"""A synthetic clinic in FHIR R4, for development and tests: nobody in it exists.

`build(today, seed)` gives every resource, dated around `today` and always the same for the same arguments;
`cast(today)` the patients that tests and the demo know by name (cast.yml says what each is there for).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sandbox.clinic import agenda, people, places, records
from sandbox.clinic.tables import TIME_ZONE, ZONE, Resource

__all__ = ["DEFAULT_SEED", "TIME_ZONE", "CastMember", "build", "cast"]

DEFAULT_SEED = 7


@dataclass(frozen=True, slots=True)
class CastMember:
    """A patient known by name, as a test wants to see them."""

    key: str
    patient_id: str
    name: str
    given: str
    family: str
    birth_date: date
    phone: str | None  # E.164; a minor's is the guardian's; None where the EHR has none
    language: str
    postal_code: str
    mrn: str
    notes: str


def build(today: date, seed: int = DEFAULT_SEED) -> list[Resource]:
    """Every resource of the clinic as of `today`, those referred to before those that refer."""
    everybody = people.people(today, seed)
    return [
        *places.resources(today),
        *people.resources(everybody, today),
        *agenda.resources(everybody, today, seed),
        *records.resources(everybody, today, seed),
    ]


def cast(today: date | None = None) -> dict[str, CastMember]:
    """The named patients by key; `today` (default: the real day at the clinic) gives children their birth dates."""
    day = today or datetime.now(ZONE).date()
    return {
        person.key: CastMember(
            key=person.key,
            patient_id=person.patient_id,
            name=person.name,
            given=" ".join(person.given),
            family=person.family,
            birth_date=person.birth_date,
            phone=person.phone,
            language=person.language,
            postal_code=person.postal_code,
            mrn=person.mrn,
            notes=person.row["why"],
        )
        for person in people.people(day, DEFAULT_SEED)
        if person.row
    }
