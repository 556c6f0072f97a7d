"""What a patient's record says that changes how urgent a complaint is: age, pregnancy, medicines, illnesses, vitals.

Which codes mean what stands in `chart.yml`. What the EHR does not say, or not in time, is unknown and never an error.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import structlog

from carethread.ehr.client import Ehr, Json, Params, Record
from carethread.ehr.errors import EhrError
from carethread.yamls import parse

log = structlog.get_logger()

WAIT_S = 2.0  # for the whole chart
VITALS_AGE = timedelta(hours=24)
YEAR_DAYS = 365.25
# Nobody outside these ages is asked whether they are pregnant (years; CDC reports births from 10 to 54).
FERTILE = (10, 55)
SHORT = 4  # letters

_SEARCHES: Mapping[str, Params] = {
    "Condition": {},
    "Procedure": {},
    "MedicationRequest": {"status": "active"},
    "MedicationStatement": {"status": "active"},
    "Encounter": {},
}
_GONE = frozenset({"entered-in-error", "refuted", "not-done", "cancelled", "preparation"})
_PASSED = frozenset({"resolved", "inactive", "remission"})
_WHEN = (
    "performedPeriod",
    "period",
    "onsetDateTime",
    "performedDateTime",
    "effectiveDateTime",
    "recordedDate",
    "issued",
)


@dataclass(frozen=True, slots=True)
class Vital:
    """One measured value in the unit of `chart.yml` (temperature in °F) and when it was taken."""

    value: float = field(repr=False)
    taken: datetime


@dataclass(frozen=True, slots=True)
class ChartFacts:
    """What is known. A flag that is missing is unknown; `names` are the record's words for those that are true."""

    age_years: float | None = field(repr=False, default=None)  # with a fraction: a baby of six weeks is 0.12
    sex: str | None = None  # FHIR's administrative gender
    flags: Mapping[str, bool] = field(repr=False, default_factory=dict)
    names: Mapping[str, str] = field(repr=False, default_factory=dict)
    vitals: Mapping[str, Vital] = field(repr=False, default_factory=dict)

    def flag(self, name: str) -> bool | None:
        """Whether `name` holds, such as `blood_thinner`; None when nobody knows."""
        return self.flags.get(name)


NOTHING = ChartFacts()

# As content/safety/combinations names what a chart can add to a sign.
_SCREENED: Mapping[str, str] = {
    "pregnant": "pregnant-in-chart",
    "recent_birth": "pregnant-in-chart",
    "recent_surgery": "recent-surgery",
    "blood_thinner": "anticoagulant",
    "immune_weak": "immune-compromised",
}
_YOUNG_INFANT = 0.25  # years: fever below three months is an emergency


def screening_facts(facts: ChartFacts) -> list[str]:
    """The facts that count in screening, by the names that the safety tables give them."""
    found = {name for flag, name in _SCREENED.items() if facts.flag(flag)}
    if facts.age_years is not None and facts.age_years < _YOUNG_INFANT:
        found.add("infant-under-3-months")
    return sorted(found)


async def chart_facts(ehr: Ehr, patient_id: str, now: datetime, *, wait_s: float = WAIT_S) -> ChartFacts:
    """Everything of `chart.yml` about a patient, in at most `wait_s` seconds; what did not come by then is unknown.

    Ask only for a patient who is verified.
    """
    tasks = {
        "Patient": asyncio.create_task(_patient(ehr, patient_id)),
        "Observation": asyncio.create_task(_observations(ehr, patient_id, now)),
    } | {kind: asyncio.create_task(_search(ehr, kind, patient_id, more)) for kind, more in _SEARCHES.items()}
    await asyncio.wait(tasks.values(), timeout=wait_s)
    found: dict[str, list[Record] | None] = {}
    for kind, task in tasks.items():
        if task.done():
            found[kind] = task.result()
        else:
            task.cancel()
            found[kind] = None
    if missing := sorted(kind for kind, records in found.items() if records is None):
        log.info("ehr.chart_incomplete", missing=missing)
    return facts_of({kind: None if r is None else [x.raw for x in r] for kind, r in found.items()}, now)


def facts_of(found: Mapping[str, list[Json] | None], now: datetime) -> ChartFacts:
    """The facts in resources by type; None (or no entry) for a type that could not be read. Pure."""
    patients = found.get("Patient") or []
    patient: Json = patients[0] if patients else {}
    age, sex = _age(patient.get("birthDate"), now), patient.get("gender")
    flags: dict[str, bool] = {}
    names: dict[str, str] = {}
    for row in _table()["facts"]:
        held: str | None = None
        complete = True
        for origin in row["from"]:
            resources = found.get(origin["kind"])
            complete = complete and resources is not None
            held = held or next((_name(r) for r in resources or () if _means(origin, r, now)), None)
        if held is not None:
            flags[row["id"]], names[row["id"]] = True, held
        elif complete and row["absent"] == "no":
            flags[row["id"]] = False
    if sex == "male" or (age is not None and not FERTILE[0] <= age <= FERTILE[1]):
        for name in ("pregnant", "recent_birth"):
            flags[name] = False
            names.pop(name, None)
    return ChartFacts(age, str(sex) if sex else None, flags, names, _vitals(found.get("Observation") or (), now))


async def _patient(ehr: Ehr, patient_id: str) -> list[Record] | None:
    try:
        record = await ehr.read("Patient", patient_id)
    except EhrError:
        return None
    return [record] if record else []


async def _search(ehr: Ehr, kind: str, patient_id: str, more: Params) -> list[Record] | None:
    """All of the patient's; None when the EHR does not have the type, does not answer or does not let us."""
    try:
        found = await ehr.search(kind, {"patient": patient_id, **more}, pages=3)
    except EhrError:
        return None
    return [record for record in found if record.type == kind and _about(record.raw, patient_id)]


async def _observations(ehr: Ehr, patient_id: str, now: datetime) -> list[Record] | None:
    """Vitals of the last day, and what was noted of a pregnancy."""
    since = (now.astimezone(UTC) - VITALS_AGE).strftime("%Y-%m-%dT%H:%M:%SZ")
    noted = [code for row in _table()["facts"] for o in row["from"] for code in o["codes"].get("loinc", ())]
    recent, status = await asyncio.gather(
        _search(ehr, "Observation", patient_id, {"date": f"ge{since}"}),
        _search(ehr, "Observation", patient_id, {"code": ",".join(noted)}),
    )
    return None if recent is None or status is None else [*recent, *status]


def _about(raw: Json, patient_id: str) -> bool:
    """A server that ignores a parameter answers with everybody's."""
    subject = raw.get("subject") or raw.get("patient")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return isinstance(reference, str) and reference.split("/_history/")[0].rsplit("/", 1)[-1] == patient_id


def _means(origin: Mapping[str, Any], raw: Json, now: datetime) -> bool:
    """Whether a resource says what this row of the table is about, and is still true."""
    if raw.get("status") in _GONE or set(_codes(raw.get("verificationStatus"))) & _GONE:
        return False
    if not origin["any_status"] and set(_codes(raw.get("clinicalStatus"))) & _PASSED:
        return False
    if origin["within_days"] is not None and not _lately(raw, timedelta(days=origin["within_days"]), now):
        return False
    if origin["classes"]:
        held = raw.get("class")
        return isinstance(held, dict) and held.get("code") in origin["classes"]
    concepts = [raw.get(k) for k in ("code", "medicationCodeableConcept", "reasonCode", "category", "type")]
    if not any(_is_it(origin, concept) for listed in concepts for concept in _listed(listed)):
        return False
    return not origin["value_codes"] or bool(set(_codes(raw.get("valueCodeableConcept"))) & set(origin["value_codes"]))


def _is_it(origin: Mapping[str, Any], concept: Any) -> bool:
    if not isinstance(concept, dict):
        return False
    said = [str(concept.get("text") or "")]
    for coding in _listed(concept.get("coding")):
        if not isinstance(coding, dict):
            continue
        said.append(str(coding.get("display") or ""))
        system, code = coding.get("system"), str(coding.get("code") or "")
        for name, wanted in origin["codes"].items():
            if system == _table()["systems"][name] and any(_is_code(name, code, w) for w in wanted):
                return True
    named = [_plain(text) for text in said if text]
    if any(word in text for text in named for word in _table()["never"]):
        return False
    return any(_spelled(word).search(text) for text in named for word in origin["words"])


@cache
def _spelled(word: str) -> re.Pattern[str]:
    """A word where words begin; a short one whole ("hiv" is not "hives"); one with a dash at the end of others."""
    if word.startswith("-"):
        return re.compile(rf"{re.escape(word[1:])}\b")
    return re.compile(rf"\b{re.escape(word)}" + (r"\b" if len(word) <= SHORT else ""))


def _is_code(system: str, code: str, wanted: str) -> bool:
    return code.startswith(wanted) if system == "icd10" else code == wanted


def _lately(raw: Json, within: timedelta, now: datetime) -> bool:
    """Whether it goes on, or ended no longer ago than `within`; without any date it does not count."""
    for name in _WHEN:
        value = raw.get(name)
        if isinstance(value, dict):
            value = value.get("end") or (now.isoformat() if raw.get("status") == "in-progress" else value.get("start"))
        at = _moment(value)
        if at is not None:
            return at <= now + timedelta(days=1) and now - at <= within
    return False


def _vitals(observations: Iterable[Json], now: datetime) -> dict[str, Vital]:
    newest: dict[str, Vital] = {}
    for raw in observations:
        taken = _moment(raw.get("effectiveDateTime") or raw.get("issued"))
        if taken is None or not timedelta(0) <= now - taken <= VITALS_AGE or raw.get("status") in _GONE:
            continue
        for part in (raw, *_listed(raw.get("component"))):
            for row in _table()["vitals"]:
                value = _measured(row, part)
                if value is not None and (row["id"] not in newest or newest[row["id"]].taken < taken):
                    newest[row["id"]] = Vital(value, taken)
    return newest


def _measured(row: Mapping[str, Any], part: Any) -> float | None:
    if not isinstance(part, dict) or not set(_codes(part.get("code"))) & set(row["codes"]):
        return None
    quantity = part.get("valueQuantity")
    if not isinstance(quantity, dict) or not isinstance(quantity.get("value"), int | float):
        return None
    factor = row["units"].get(quantity.get("code") or quantity.get("unit"))
    if factor is None:
        return None
    value = float(quantity["value"]) * factor
    if (quantity.get("code") or quantity.get("unit")) == "Cel":
        value = value * 9 / 5 + 32
    return round(value, 1) if row["low"] <= value <= row["high"] else None


def _age(birth_date: Any, now: datetime) -> float | None:
    """Years with a fraction. A year or a month alone is taken for its first day."""
    if not isinstance(birth_date, str) or not birth_date[:4].isdigit():
        return None
    try:
        born = date.fromisoformat((birth_date + "-01-01")[:10] if len(birth_date) == 4 else (birth_date + "-01")[:10])
    except ValueError:
        return None
    days = (now.date() - born).days
    return round(days / YEAR_DAYS, 3) if days >= 0 else None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        if len(value) == 10:
            return datetime.combine(date.fromisoformat(value), time(12), UTC)
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _name(raw: Json) -> str:
    """What the record calls it, for staff."""
    for key in ("code", "medicationCodeableConcept", "reasonCode", "type"):
        for concept in _listed(raw.get(key)):
            if isinstance(concept, dict):
                words = [concept.get("text"), *(c.get("display") for c in _listed(concept.get("coding")))]
                if said := next((str(word) for word in words if word), None):
                    return said
    return str(raw.get("resourceType", ""))


def _codes(concept: Any) -> list[str]:
    codings = [c for one in _listed(concept) if isinstance(one, dict) for c in _listed(one.get("coding"))]
    return [str(coding["code"]) for coding in codings if isinstance(coding, dict) and coding.get("code")]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.lower())
    return "".join(char for char in folded if not unicodedata.combining(char))


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = parse(files("carethread.ehr").joinpath("chart.yml").read_text("utf-8"))
    missing: dict[str, Any] = {
        "codes": {}, "words": [], "value_codes": [], "classes": [], "within_days": None, "any_status": None,
    }  # fmt: skip
    for row in table["facts"]:
        row["from"] = [missing | origin for origin in row["from"]]
    return table
