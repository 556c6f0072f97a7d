"""What patients have behind them: what their kind has for certain, and a history borrowed from one much like them."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.clinic import charts
from sandbox.clinic.people import Person
from sandbox.clinic.tables import Resource, at, table

CLOCK = "10:20"  # of records whose hour does not matter
ADULT_DAYS = 18 * 365
LENDERS = 3  # how many of the nearest in age a history is drawn from
# A problem with such a word is borrowed only by patients of that kind.
ONLY_OF_KIND = {
    "diabet": "diabetes",
    "heart": "heart",
    "fibrillation": "heart",
    "pulmonary": "lungs",
    "pregnan": "pregnancy",
}
# These kinds take nothing but what their table says; the rest take what their lender takes.
OWN_MEDICINES = {"hypertension", "diabetes", "heart", "lungs", "pregnancy"}


def of(person: Person, today: date, seed: int) -> Iterator[Resource]:
    """Everything on the chart before `today`, and before the patient's death."""
    ended = today - timedelta(days=person.row.get("died_days_ago", 0))
    certain = list(_certain(person, today))
    known = {_code(resource) for resource in certain}
    borrowed = (r for r in _borrowed(person, today, seed) if _code(r) not in known)
    for resource in (*certain, *borrowed):
        if person.birth_date <= when(resource) < ended:
            yield resource


def when(resource: Resource) -> date:
    """The day a chart entry is about."""
    for element in ("occurrenceDateTime", "effectiveDateTime", "authoredOn", "onsetDateTime", "recordedDate"):
        if element in resource:
            return datetime.fromisoformat(resource[element]).date()
    return datetime.fromisoformat(resource["period"]["start"]).date()


def _code(resource: Resource) -> tuple[str, str] | None:
    if resource["resourceType"] == "Encounter":
        return None
    coded = next(resource[k] for k in ("code", "vaccineCode", "medicationCodeableConcept") if k in resource)
    return resource["resourceType"], coded["coding"][0]["code"]


def _certain(person: Person, today: date) -> Iterator[Resource]:
    content = table("content")
    for part in (content["kinds"][person.kind], content["extras"].get(person.key, {})):
        for row in part.get("conditions", []):
            onset = today - timedelta(days=int(365 * row["years_ago"]))
            yield charts.condition(person, f"{person.patient_id}-{row['code']}", row["code"], row["display"], onset)
        for name in part.get("medicines", []):
            ordered = today - timedelta(days=200)
            yield charts.medicine(person, f"{person.patient_id}-{name}", content["medicines"][name], ordered)
        for row in part.get("allergies", []):
            yield charts.allergy(person, row, today - timedelta(days=3000))
        for row in part.get("results", []):
            for days, value in zip(row["days_ago"], row["values"], strict=True):
                taken = at(today - timedelta(days=days), CLOCK)
                record_id = f"{person.patient_id}-{row['of']}-{days}"
                yield charts.measurement(person, record_id, row["of"], value, taken)


@dataclass(frozen=True, slots=True)
class _Borrower:
    """A patient with the history they borrow; days before the lender's day become days before theirs."""

    person: Person
    today: date
    history: dict[str, Any]

    def day(self, days: int) -> date:
        """A child's record is moved to the same age, an adult's to as long ago."""
        if self.history["age_days"] < ADULT_DAYS:
            return self.person.birth_date + timedelta(days=self.history["age_days"] - days)
        return self.today - timedelta(days=days)

    def record_id(self, kind: str, number: int) -> str:
        """Readable, and the same for the same seed."""
        return f"{self.person.patient_id}-{kind}-{number}"


def _borrowed(person: Person, today: date, seed: int) -> Iterator[Resource]:
    b = _Borrower(person, today, _lender(person, today, seed))
    for n, (code, display, began, ended) in enumerate(b.history["problems"], start=1):
        if any(word in display.lower() and person.kind != kind for word, kind in ONLY_OF_KIND.items()):
            continue
        abated = b.day(ended) if ended is not None and b.day(ended) < today else None
        yield charts.condition(person, b.record_id("problem", n), code, display, b.day(began), abated)
    if person.kind not in OWN_MEDICINES:
        for n, (code, display, ordered) in enumerate(b.history["medicines"], start=1):
            row = {"code": code, "display": display, "take": "Take as directed"}
            yield charts.medicine(person, b.record_id("medicine", n), row, b.day(ordered))
    for n, (name, taken, value) in enumerate(b.history["measures"], start=1):
        yield charts.measurement(person, b.record_id(name, n), name, value, at(b.day(taken), CLOCK))
    for n, (code, display, given) in enumerate(b.history["vaccines"], start=1):
        yield charts.vaccination(person, b.record_id("vaccine", n), code, display, b.day(given))
    for n, (code, display, days) in enumerate(b.history["visits"], start=1):
        yield charts.visit(person, b.record_id("visit", n), code, display, at(b.day(days), CLOCK))


@cache
def _lenders() -> list[dict[str, Any]]:
    packed = Path(__file__).with_name("histories.json.gz").read_bytes()
    histories: list[dict[str, Any]] = json.loads(gzip.decompress(packed))
    return histories


def _lender(person: Person, today: date, seed: int) -> dict[str, Any]:
    age_days = (today - person.birth_date).days
    alike = [
        h for h in _lenders() if h["sex"] == person.sex and (h["age_days"] < ADULT_DAYS) == (age_days < ADULT_DAYS)
    ]
    nearest = sorted(alike, key=lambda h: abs(h["age_days"] - age_days))[:LENDERS]
    if person.kind == "healthy":
        return min(nearest, key=lambda h: sum(problem[3] is None for problem in h["problems"]))
    if age_days < ADULT_DAYS:
        return nearest[0]
    return random.Random(f"history/{seed}/{person.patient_id}").choice(nearest)
