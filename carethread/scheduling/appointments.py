"""A patient's visits: what is coming, and which one somebody means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from carethread.clinic import Specialty
from carethread.ehr.client import Ehr, Json, Record
from carethread.ehr.elements import best_name, codes, label, moment, reference_id, written
from carethread.scheduling.lay import names_person, plain, specialties_in, table
from carethread.scheduling.when import TimePreference

# A visit that can still be kept, moved or called off.
LIVE = ("proposed", "pending", "booked", "waitlist")
# Also one that has begun: its video link may be asked for a few minutes late.
COMING = ("pending", "booked", "arrived", "checked-in")
LONGEST_VISIT = timedelta(hours=4)
WEEKS_AHEAD = 26  # how far "the one on Tuesday" reaches
# R4's form of R5's Appointment.virtualService.
VIRTUAL_SERVICE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService"
# When the patient said that they will come; R4 has no element for it. valueDateTime.
CONFIRMED = "urn:carethread:appointment-confirmed"
_VIRTUAL_LOCATION = "vi"  # http://terminology.hl7.org/CodeSystem/location-physical-type


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment as its patient needs to know it. Times are in the clinic's zone."""

    id: str
    patient_id: str
    status: str
    start: datetime
    end: datetime
    practitioner: str  # as patients call them: Dr. Grace Chen
    practitioner_id: str | None
    specialty: str | None  # code
    specialty_codes: tuple[str, ...]
    specialty_label: str  # the EHR's own words; the clinic's are in clinic.yml
    location: str
    address: str
    virtual: bool
    video_url: str | None = field(repr=False)
    preparation: str = field(repr=False)
    reason: str = field(repr=False)
    slot_ids: tuple[str, ...]
    confirmed_at: datetime | None
    raw: Json = field(repr=False, compare=False)

    @property
    def slot_id(self) -> str | None:
        return self.slot_ids[0] if self.slot_ids else None

    @property
    def version(self) -> str | None:
        return Record(self.raw).version

    @property
    def changeable(self) -> bool:
        """Whether the patient may still confirm, move or cancel it, but for the clock."""
        return self.status in LIVE


@dataclass(frozen=True, slots=True)
class Named:
    """Which visits somebody's words point to; `said` is False when the words say nothing of any visit."""

    visits: tuple[Visit, ...]
    said: bool


async def upcoming(ehr: Ehr, patient_id: str, now: datetime) -> list[Visit]:
    """The patient's visits that are not over, soonest first."""
    since = (now - LONGEST_VISIT).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    records = await ehr.search(
        "Appointment",
        {"patient": patient_id, "status": ",".join(COMING), "date": f"ge{since}", "_include": "Appointment:actor"},
    )
    around = {record.reference: record for record in records}
    visits = [visit for record in records if (visit := visit_of(record, ehr.zone, around)) is not None]
    mine = [visit for visit in visits if visit.patient_id == patient_id and visit.end > now]
    return sorted(mine, key=lambda visit: (visit.start, visit.id))


async def find(ehr: Ehr, appointment_id: str) -> Visit | None:
    """One visit by its FHIR id, with its place and its practitioner's name."""
    records = await ehr.search("Appointment", {"_id": appointment_id, "_include": "Appointment:actor"})
    around = {record.reference: record for record in records}
    record = around.get(f"Appointment/{appointment_id}")
    return visit_of(record, ehr.zone, around) if record else None


def visit_of(record: Record, zone: ZoneInfo, around: dict[str, Record] | None = None) -> Visit | None:
    """The view of an Appointment; None for another resource, or one without a patient or a time.

    `around` holds what the search included, by reference; what is missing there falls back to displays.
    """
    if record.type != "Appointment":
        return None
    model, around = record.model, around or {}
    actors = [participant.actor for participant in model.participant if participant.actor is not None]
    patient_id = _first(reference_id(actor, "Patient") for actor in actors)
    start, end = moment(model.start, zone), moment(model.end, zone)
    if patient_id is None or start is None or end is None:
        return None
    practitioner_id = _first(reference_id(actor, "Practitioner") for actor in actors)
    location = _included(actors, "Location", around)
    url, is_virtual = _virtual(record.raw, location)
    specialty_codes = codes(model.specialty)
    return Visit(
        id=record.id,
        patient_id=patient_id,
        status=str(model.status),
        start=start,
        end=end,
        practitioner=_practitioner(actors, around),
        practitioner_id=practitioner_id,
        specialty=specialty_codes[0] if specialty_codes else None,
        specialty_codes=specialty_codes,
        specialty_label=label(model.specialty),
        location=str(location.model.name or "") if location else _display(actors, "Location"),
        address=address_of(location.model.address) if location else "",
        virtual=is_virtual,
        video_url=url,
        preparation=str(model.patientInstruction or ""),
        reason=label(model.reasonCode),
        slot_ids=tuple(found for slot in model.slot or () if (found := reference_id(slot, "Slot"))),
        confirmed_at=_confirmed(record.raw, zone),
        raw=record.raw,
    )


def name_match(
    visits: Sequence[Visit], text: str, when: TimePreference | None = None, specialties: Sequence[Specialty] = ()
) -> Named:
    """The visits that `text` (and `when`, what it says of the time) points to: all that is said must fit.

    Understands a doctor's name, a specialty in lay words, by video or in person, and first, second, next, last.
    """
    said = plain(text)
    fitting = list(visits)
    spoke = False
    people = [visit for visit in visits if visit.practitioner and names_person(said, visit.practitioner)]
    wanted = specialties_in(text, specialties) if specialties else ()
    if people:
        spoke, fitting = True, [visit for visit in fitting if visit in people]
    elif wanted:
        spoke, fitting = True, [v for v in fitting if any(code in v.specialty_codes for code in wanted)]
    for kind, virtual in (("video", True), ("in_person", False)):
        if _says(said, table()["visits"][kind]):
            spoke, fitting = True, [visit for visit in fitting if visit.virtual is virtual]
    if when is not None and when.understood and not when.anytime:
        spoke, fitting = True, _at_that_time(fitting, when, said)
    place = _place_in_line(said)
    if place is not None and fitting:
        spoke = True
        fitting = [fitting[place]] if -len(fitting) <= place < len(fitting) else []
    return Named(tuple(fitting) if spoke else (), spoke)


def address_of(address: Any) -> str:
    """One line: `200 River Street, Chicago, IL 60601`."""
    if address is None:
        return ""
    if address.text:
        return str(address.text)
    region = " ".join(part for part in (address.state, address.postalCode) if part)
    return ", ".join(part for part in (*(address.line or ()), address.city, region) if part)


def _at_that_time(visits: Sequence[Visit], when: TimePreference, said: str) -> list[Visit]:
    """Visits at the time said. "Tuesday" is the coming one first, else any Tuesday on which there is a visit."""
    fitting = [visit for visit in visits if when.matches(visit.start)]
    if fitting or not _says(said, table()["visits"]["weekdays"]):
        return fitting
    weeks = [timedelta(weeks=number) for number in range(1, WEEKS_AHEAD + 1)]
    return [visit for visit in visits if any(when.matches(visit.start - week) for week in weeks)]


def _place_in_line(said: str) -> int | None:
    for index, phrases in table()["visits"]["order"].items():
        if _says(said, phrases):
            return int(index)
    return None


def _says(said: str, phrases: Iterable[str]) -> bool:
    return any(re.search(rf"\b{re.escape(plain(phrase))}\b", said) for phrase in phrases)


def _included(actors: Sequence[Any], kind: str, around: dict[str, Record]) -> Record | None:
    for actor in actors:
        found = reference_id(actor, kind)
        if found and (record := around.get(f"{kind}/{found}")):
            return record
    return None


def _practitioner(actors: Sequence[Any], around: dict[str, Record]) -> str:
    shown = _display(actors, "Practitioner")
    if shown:
        return shown
    record = _included(actors, "Practitioner", around)
    return called(record.model.name) if record else ""


def called(names: Any) -> str:
    """A practitioner's name with its title."""
    name = best_name(names)
    if name is None:
        return ""
    if name.text:
        return str(name.text)
    return " ".join([*(name.prefix or ())[:1], written(name)])


def _display(actors: Sequence[Any], kind: str) -> str:
    return next((str(a.display) for a in actors if reference_id(a, kind) and a.display), "")


def _virtual(raw: Json, location: Record | None) -> tuple[str | None, bool]:
    """The link of a visit by video, and whether it is one."""
    for extension in raw.get("extension") or ():
        if extension.get("url") != VIRTUAL_SERVICE:
            continue
        for part in extension.get("extension") or ():
            if part.get("url", "").startswith("address"):
                return _address_value(part), True
        return None, True
    is_virtual = location is not None and _VIRTUAL_LOCATION in codes(location.model.physicalType)
    return None, is_virtual


def _address_value(part: Json) -> str | None:
    point = part.get("valueContactPoint")
    value = part.get("valueUrl") or part.get("valueString") or (point or {}).get("value")
    # Only a link that a browser opens safely is handed on.
    return value if isinstance(value, str) and value.startswith("https://") else None


def _confirmed(raw: Json, zone: ZoneInfo) -> datetime | None:
    for extension in raw.get("extension") or ():
        if extension.get("url") == CONFIRMED and isinstance(extension.get("valueDateTime"), str):
            found = datetime.fromisoformat(extension["valueDateTime"])
            return found.astimezone(zone)
    return None


def _first(found: Iterable[str | None]) -> str | None:
    return next((one for one in found if one), None)
