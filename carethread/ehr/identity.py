"""Whether somebody is who they say: decisions over what the EHR has and what was said. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from carethread.ehr.patients import Patient

Fact = Literal["postal_code", "phone", "mrn"]


@dataclass(frozen=True, slots=True)
class Matched:
    """Exactly one patient fits."""

    patient: Patient


@dataclass(frozen=True, slots=True)
class Several:
    """More than one patient fits: another fact must tell them apart."""

    patients: tuple[Patient, ...]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Nobody fits."""


def match_identity(candidates: Sequence[Patient], birth_dates: Collection[date]) -> Matched | Several | NoMatch:
    """Which of `candidates` was born on one of `birth_dates` (several when what was said can be read in two ways).

    A patient without a date of birth on file, a record no longer in use, or a patient who has died fits nothing.
    """
    fitting = {
        patient.id: patient
        for patient in candidates
        if patient.active and not patient.deceased and patient.birth_date and patient.birth_date in birth_dates
    }
    match tuple(fitting.values()):
        case ():
            return NoMatch()
        case (patient,):
            return Matched(patient)
        case several:
            return Several(several)


def second_fact(patient: Patient, said: str) -> Fact | None:
    """Which fact on file `said` gives: postal code, last four digits of a phone, or medical record number.

    One guess a message: text with two different postal codes, or two different groups of four digits, proves nothing.
    """
    if patient.mrn and _mrn_in(said, patient.mrn):
        return "mrn"
    groups = [re.sub(r"\D", "", group) for group in re.findall(r"\d[\d \-.()]*\d|\d", said)]
    whole = re.findall(r"\d+", said)
    if patient.postal_code and _one_guess(_postal_codes(said), _postal(patient.postal_code)):
        return "postal_code"
    # "5550123 is my number" shows the last four as well as "0123" does.
    fours = {digits[-4:] for digits in (*groups, *whole) if len(digits) in (4, 7, 10, 11)}
    if len(fours) == 1 and any(number.endswith(next(iter(fours))) for number in patient.phones):
        return "phone"
    return None


def tell_apart(patients: Sequence[Patient], said: str) -> Matched | Several | NoMatch:
    """Which of several fitting patients a second fact points to."""
    fitting = tuple(patient for patient in patients if second_fact(patient, said))
    if len(fitting) == 1:
        return Matched(fitting[0])
    return Several(fitting) if fitting else NoMatch()


def _postal_codes(said: str) -> set[str]:
    """Codes of five digits, a ZIP+4 counting as its first five."""
    return {code[:5] for code in re.findall(r"(?<!\d)\d{5}(?:-?\d{4})?(?!\d)", said)}


def _postal(code: str) -> str:
    return re.sub(r"\s", "", code)[:5]


def _one_guess(guesses: set[str], right: str) -> bool:
    return len(guesses) == 1 and right in guesses


def _mrn_in(said: str, mrn: str) -> bool:
    """The number as a word of its own, its letters in any case, its separators as anybody types them."""
    parts = re.findall(r"[A-Za-z]+|\d+", mrn)
    if not parts or not any(part.isdigit() and len(part) >= 4 for part in parts):
        return False  # too short to prove anything
    pattern = r"[\s\-./#:]*".join(re.escape(part) for part in parts)
    numbers = set(re.findall(r"\d{4,}", said))
    return (
        len(numbers) <= 1 and re.search(rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])", said, re.IGNORECASE) is not None
    )
