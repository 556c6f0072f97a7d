"""Patients as a conversation needs them, and how to find them by phone or by name and date of birth."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import phonenumbers
from rapidfuzz.distance import DamerauLevenshtein

from carethread.ehr.client import Ehr, Json, Record, escaped
from carethread.ehr.elements import best_name, codes, day, ended, reference_id, written
from carethread.ehr.errors import EhrRefused
from carethread.yamls import parse

# Numbers without a country code are read as this clinic's country's.
REGION = "US"
MRN = "MR"  # http://terminology.hl7.org/CodeSystem/v2-0203
# Longer than this, two spellings of a name may differ by one letter and still be the same name.
FORGIVING_LENGTH = 4
_FOR_FORMS = frozenset({
    "resourceType", "id", "name", "birthDate", "gender", "telecom", "address", "communication", "maritalStatus",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Patient:
    """What the conversation may know of a patient. Its repr names nobody, so that no log can."""

    id: str
    given: str = field(repr=False)
    family: str = field(repr=False)
    full_name: str = field(repr=False)
    birth_date: date | None = field(repr=False)
    phones: tuple[str, ...] = field(repr=False)  # E.164
    language: str | None  # en, es, …
    postal_code: str | None = field(repr=False)
    mrn: str | None = field(repr=False)
    deceased: bool
    active: bool
    # Every name on file, maiden names included: what a patient may say.
    names: tuple[str, ...] = field(repr=False, default=())
    # Found by the phone of somebody who may speak for them.
    via_guardian: bool = False
    guardian_name: str | None = field(repr=False, default=None)

    def age(self, today: date) -> int | None:
        """In whole years."""
        if self.birth_date is None:
            return None
        before = (today.month, today.day) < (self.birth_date.month, self.birth_date.day)
        return today.year - self.birth_date.year - before


def patient_of(record: Record) -> Patient:
    """The view of a Patient resource."""
    model = record.model
    name = best_name(model.name)
    return Patient(
        id=record.id,
        given=" ".join(name.given or ()) if name else "",
        family=str(name.family or "") if name else "",
        full_name=written(name),
        birth_date=day(model.birthDate),
        phones=phones_of(model.telecom),
        language=_language(model),
        postal_code=next((a.postalCode for a in model.address or () if a.postalCode and a.use != "old"), None),
        mrn=_mrn(model),
        deceased=bool(model.deceasedBoolean or model.deceasedDateTime),
        active=model.active is not False and not any(link.type == "replaced-by" for link in model.link or ()),
        names=tuple(text for n in model.name or () if (text := written(n))),
    )


async def get(ehr: Ehr, patient_id: str) -> Patient | None:
    """The patient with that FHIR id."""
    record = await ehr.read("Patient", patient_id)
    return patient_of(record) if record else None


def for_forms(record: Record) -> Json:
    """The part of a Patient resource that questionnaires fill answers in from: who it is, and nothing bulky."""
    return {name: value for name, value in record.raw.items() if name in _FOR_FORMS}


async def find_by_phone(ehr: Ehr, e164: str, *, today: date) -> list[Patient]:
    """Active patients with that phone, then those whose guardian has it (`via_guardian`). The dead are among them.

    EHRs keep a number as a clerk typed it, and phone search is exact, so every usual way of writing it is asked for
    and what comes back is compared as a number.
    """
    number = normal_phone(e164)
    if number is None:
        return []
    spellings = ",".join(escaped(text) for text in phone_spellings(number))
    own, related = await asyncio.gather(
        ehr.search("Patient", {"phone": spellings}),
        ehr.search("RelatedPerson", {"phone": spellings, "_include": "RelatedPerson:patient"}),
    )
    found = {
        patient.id: patient
        for record in own
        if record.type == "Patient" and number in (patient := patient_of(record)).phones
    }
    wards = {record.id: patient_of(record) for record in related if record.type == "Patient"}
    for record in related:
        if record.type != "RelatedPerson" or number not in phones_of(record.model.telecom):
            continue
        ward_id = reference_id(record.model.patient, "Patient")
        if ward_id is None or record.model.active is False or ended(record.model.period, today):
            continue
        ward = wards.get(ward_id) or found.get(ward_id) or await get(ehr, ward_id)
        if ward is not None and may_speak_for(codes(record.model.relationship), ward.age(today)):
            guardian = written(best_name(record.model.name)) or None
            found[ward.id] = replace(ward, via_guardian=True, guardian_name=guardian)
    return sorted((p for p in found.values() if p.active), key=lambda p: (p.via_guardian, p.full_name, p.id))


async def find_by_name_and_birth_date(ehr: Ehr, name: str, birth_dates: Collection[date]) -> list[Patient]:
    """Active patients born on one of `birth_dates` whose name is what somebody typed as `name`.

    The server is asked for the exact date only: how names are compared differs too much between EHRs.
    """
    if not birth_dates or not words(name):
        return []
    dates = ",".join(sorted(day.isoformat() for day in birth_dates))
    try:
        records = await ehr.search("Patient", {"birthdate": dates})
    except EhrRefused:  # some servers want a name beside the date
        tries = [ehr.search("Patient", {"birthdate": dates, "family": escaped(w)}) for w in words(name)[:4]]
        records = [record for found in await asyncio.gather(*tries) for record in found]
    found = {patient.id: patient for record in records if record.type == "Patient" for patient in [patient_of(record)]}
    matching = [
        patient
        for patient in found.values()
        if patient.active and patient.birth_date in birth_dates and name_matches(name, patient)
    ]
    return sorted(matching, key=lambda p: (p.full_name, p.id))


# Names


def words(text: str) -> list[str]:
    """Lower case, without accents, split at anything that is no letter; apostrophes join (O'Neill → oneill)."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("'", "").replace("’", "").replace("`", ""))
    return re.findall(r"[^\W\d_]+", "".join(c for c in plain if not unicodedata.combining(c)))


def name_matches(said: str, patient: Patient) -> bool:
    """Whether `said` names `patient`: a given and a family name, in any order and case, with or without accents.

    Every word said must be in the patient's name; middle names may be missing or initials, a given name may be the
    everyday form of it (Bob), and a long name may differ by one letter (a typo). A given name alone, or a family name
    alone, is not enough.
    """
    spoken = [word for word in words(said) if word not in _PARTICLES]
    if len(spoken) < 2:
        return False
    return any(_is_name(spoken, *parts) for parts in _name_parts(patient))


# Parts of names that people leave out or write anyhow.
_PARTICLES = frozenset({"de", "del", "la", "las", "los", "y", "van", "von", "der", "den", "da", "dos", "el", "al"})


def _name_parts(patient: Patient) -> list[tuple[list[str], list[str]]]:
    family = [word for word in words(patient.family) if word not in _PARTICLES]
    given = [word for word in words(patient.given) if word not in _PARTICLES]
    parts = [(given, family)]
    for name in patient.names:
        every = [word for word in words(name) if word not in _PARTICLES]
        # A name given as text only: the last word is taken for the family name.
        if every and not set(every) <= {*given, *family}:
            parts.append((every[:-1], every[-1:]))
    return parts


def _is_name(spoken: Sequence[str], given: Sequence[str], family: Sequence[str]) -> bool:
    called = {other: _nicknames().get(other, []) for other in given}

    def is_given(word: str) -> bool:
        return any(_same(word, other) or word in called[other] for other in given)

    if not all(
        is_given(word) or any(_same(word, other) or _initial(word, other) for other in (*given, *family))
        for word in spoken
    ):
        return False
    as_given = {i for i, word in enumerate(spoken) if is_given(word)}
    as_family = {i for i, word in enumerate(spoken) if any(_same(word, other) for other in family)}
    return any(i != j for i in as_given for j in as_family)


@cache
def _nicknames() -> dict[str, list[str]]:
    table = parse(files("carethread.ehr").joinpath("nicknames.yml").read_text("utf-8"))
    return dict(table["names"])


def _same(word: str, other: str) -> bool:
    if word == other:
        return True
    if min(len(word), len(other)) <= FORGIVING_LENGTH:
        return False
    return DamerauLevenshtein.distance(word, other, score_cutoff=1) <= 1


def _initial(word: str, other: str) -> bool:
    return len(word) == 1 and other.startswith(word)


# Phones


def normal_phone(text: str, region: str = REGION) -> str | None:
    """E.164, or None when `text` is no phone number. An extension is dropped."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_spellings(e164: str) -> tuple[str, ...]:
    """The usual ways in which a record may hold the number `e164`, E.164 first."""
    number = phonenumbers.parse(e164)
    formats = phonenumbers.PhoneNumberFormat
    national = phonenumbers.format_number(number, formats.NATIONAL)
    international = phonenumbers.format_number(number, formats.INTERNATIONAL)
    digits = phonenumbers.national_significant_number(number)
    code = str(number.country_code)
    dashed = re.sub(r"\D+", "-", national).strip("-")
    ways = [
        e164,
        e164.removeprefix("+"),
        digits,
        national,
        dashed,
        dashed.replace("-", "."),
        dashed.replace("-", " "),
        international,
        re.sub(r"\D+", "-", international).strip("-"),
        f"+{code} {national}",
        f"{code} {national}",
        f"+{code}-{dashed}",
        f"+{code}.{dashed.replace('-', '.')}",
        f"{code}.{dashed.replace('-', '.')}",
        f"{code} {dashed}",
        national.replace(") ", ")"),
    ]
    return tuple(dict.fromkeys(ways))


def phones_of(telecom: Any) -> tuple[str, ...]:
    """The phone numbers in use, in E.164; a number somebody no longer has must not lead to them."""
    found = [
        number
        for point in telecom or ()
        if point.system in ("phone", "sms") and point.use != "old" and not ended(point.period)
        if point.value and (number := normal_phone(point.value))
    ]
    return tuple(dict.fromkeys(found))


# Who may speak for whom


@cache
def _guardians() -> tuple[dict[str, str], int]:
    table = parse(files("carethread.ehr").joinpath("guardians.yml").read_text("utf-8"))
    return dict(table["relationships"]), int(table["adult_at"])


def may_speak_for(relationship: Collection[str], age: int | None) -> bool:
    """Whether a person of that relationship (codes) may act for a patient of `age`; an unknown age is an adult's."""
    table, adult_at = _guardians()
    allowed = {table[code] for code in relationship if code in table}
    return "anyone" in allowed or ("minor" in allowed and age is not None and age < adult_at)


def _language(model: Any) -> str | None:
    spoken = sorted(model.communication or (), key=lambda entry: not entry.preferred)
    for entry in spoken:
        for code in codes(entry.language):
            return code.split("-")[0].lower()
    return None


def _mrn(model: Any) -> str | None:
    usable = [i for i in model.identifier or () if i.value and i.use != "old" and not ended(i.period)]
    return next((str(i.value) for i in usable if MRN in codes(i.type)), None)
