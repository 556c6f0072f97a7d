"""Who can be seen, and when: practitioners with a calendar, and free slots worth offering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from carethread.ehr.client import Ehr, Record
from carethread.ehr.elements import codes, label, moment, reference_id
from carethread.scheduling.appointments import VIRTUAL_SERVICE, Visit, address_of, called
from carethread.scheduling.lay import names_person, plain
from carethread.scheduling.when import TimePreference

SOONEST = timedelta(hours=1)  # nobody is offered a visit that begins sooner
HORIZON = timedelta(days=90)
DIRECTORY_STANDS_S = 300.0
PAGE = "500"
SCHEDULES_A_SEARCH = 20
# Offers keep at least so far apart where there is a choice; a narrower wish narrows it.
APART = (timedelta(hours=2), timedelta(hours=1), timedelta(minutes=30))
# Offers are spread over the days that follow the best one, not over the whole horizon.
SPREAD_OVER = timedelta(days=10)
_VIRTUAL = "VR"  # http://terminology.hl7.org/CodeSystem/v3-ActCode


@dataclass(frozen=True, slots=True)
class Practitioner:
    """Somebody with a calendar that patients can book."""

    id: str
    name: str  # Dr. Grace Chen
    specialty: str | None  # code
    specialty_codes: tuple[str, ...]
    specialty_label: str
    schedule_ids: tuple[str, ...]
    location: str
    location_id: str | None
    address: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlotOffer:
    """A slot that was free a moment ago."""

    slot_id: str
    start: datetime
    end: datetime
    practitioner: Practitioner = field(repr=False)
    location: str
    virtual: bool
    # Fits what the patient asked for; False for the nearest there is instead.
    matches_wish: bool


Rule = Callable[[SlotOffer, Sequence[SlotOffer]], bool]

_directory: WeakKeyDictionary[Ehr, tuple[float, list[Practitioner]]] = WeakKeyDictionary()


async def practitioners(ehr: Ehr) -> list[Practitioner]:
    """Everybody with an active schedule, by name; read anew every five minutes."""
    known = _directory.get(ehr)
    if known is not None and time.monotonic() - known[0] < DIRECTORY_STANDS_S:
        return known[1]
    roles, schedules = await asyncio.gather(
        ehr.search(
            "PractitionerRole",
            {"active": "true", "_include": ["PractitionerRole:practitioner", "PractitionerRole:location"]},
        ),
        ehr.search("Schedule", {"active": "true", "_include": "Schedule:actor"}),
    )
    found = _people(roles, schedules)
    _directory[ehr] = (time.monotonic(), found)
    return found


def find_practitioners(text: str, people: Sequence[Practitioner]) -> list[Practitioner]:
    """Those whom `text` names: "dr chen", "la doctora López", "Grace Chen". A full name beats a shared family name."""
    said = plain(text)
    named = [person for person in people if names_person(said, person.name)]
    if len(named) > 1:
        spoken = set(said.split())
        exact = [person for person in named if set(plain(person.name).split()[1:]) <= spoken]
        return exact or named
    return named


async def offer(
    ehr: Ehr,
    *,
    specialty: str | None = None,
    practitioner_id: str | None = None,
    preference: TimePreference | None = None,
    now: datetime,
    count: int = 3,
    exclude: Collection[str] = frozenset(),
    busy: Sequence[Visit] = (),
) -> list[SlotOffer]:
    """Up to `count` free slots, best first: those that fit the wish, then the nearest to it.

    At least an hour ahead, apart from each other, none in `exclude` (slot ids) and none during a visit in `busy`.
    """
    people = [
        person
        for person in await practitioners(ehr)
        if (practitioner_id is None or person.id == practitioner_id)
        and (specialty is None or specialty in person.specialty_codes)
    ]
    by_schedule = {schedule: person for person in people for schedule in person.schedule_ids}
    free = await _free(ehr, list(by_schedule), now)
    offers = [
        made
        for record in free
        if (made := _offer(record, by_schedule, ehr, preference)) is not None
        and made.start >= now + SOONEST
        and made.slot_id not in exclude
        and not any(visit.start < made.end and made.start < visit.end for visit in busy)
    ]
    return choose(offers, preference, count)


def choose(offers: Sequence[SlotOffer], preference: TimePreference | None, count: int) -> list[SlotOffer]:
    """The `count` to offer: fitting ones first, on different days where the wish allows, else at different times."""
    ranked = sorted(
        offers,
        key=lambda o: (not o.matches_wish, -preference.score(o.start) if preference else 0.0, o.start, o.slot_id),
    )
    chosen: list[SlotOffer] = []
    for fits in (True, False):
        chosen += _spread([o for o in ranked if o.matches_wish is fits], chosen, count - len(chosen), preference)
    return chosen


def _spread(
    ranked: Sequence[SlotOffer], already: Sequence[SlotOffer], count: int, preference: TimePreference | None
) -> list[SlotOffer]:
    """Up to `count` of `ranked`, in its order, by the first rule that leaves enough to choose from."""
    picked: list[SlotOffer] = []
    if not ranked:
        return picked
    near = ranked[0].start + SPREAD_OVER

    def others_day(candidate: SlotOffer, kept: Sequence[SlotOffer]) -> bool:
        return candidate.start <= near and all(candidate.start.date() != other.start.date() for other in kept)

    def others_half(candidate: SlotOffer, kept: Sequence[SlotOffer]) -> bool:
        halves = [other.start.hour < 12 for other in kept]
        return others_day(candidate, kept) and (len(set(halves)) != 1 or (candidate.start.hour < 12) is not halves[0])

    def apart(gap: timedelta) -> Rule:
        return lambda candidate, kept: all(abs(candidate.start - other.start) >= gap for other in kept)

    rules: list[Rule] = [*(apart(gap) for gap in APART), lambda candidate, kept: True]
    if preference is None:
        rules[:0] = [others_half, others_day]
    elif not preference.asap:
        rules[:0] = [others_day]
    for rule in rules:
        for candidate in ranked:
            if len(picked) == count:
                break
            if candidate not in picked and rule(candidate, [*already, *picked]):
                picked.append(candidate)
    return sorted(picked, key=ranked.index)


async def _free(ehr: Ehr, schedules: Sequence[str], now: datetime) -> list[Record]:
    groups = [schedules[i : i + SCHEDULES_A_SEARCH] for i in range(0, len(schedules), SCHEDULES_A_SEARCH)]
    found = await asyncio.gather(
        *(
            ehr.search(
                "Slot",
                {
                    "schedule": ",".join(f"Schedule/{schedule}" for schedule in group),
                    "status": "free",
                    "start": [f"ge{_instant(now + SOONEST)}", f"lt{_instant(now + HORIZON)}"],
                    "_sort": "start",
                    "_count": PAGE,
                },
            )
            for group in groups
        )
    )
    return [record for records in found for record in records if record.type == "Slot"]


def _offer(
    record: Record, by_schedule: dict[str, Practitioner], ehr: Ehr, preference: TimePreference | None
) -> SlotOffer | None:
    model = record.model
    person = by_schedule.get(reference_id(model.schedule, "Schedule") or "")
    start, end = moment(model.start, ehr.zone), moment(model.end, ehr.zone)
    if person is None or start is None or end is None or model.status != "free":
        return None
    return SlotOffer(
        record.id,
        start,
        end,
        person,
        person.location,
        is_virtual(record),
        preference is None or preference.matches(start),
    )


def is_virtual(slot: Record) -> bool:
    """Whether a visit in this slot is by video."""
    if any(extension.get("url") == VIRTUAL_SERVICE for extension in slot.raw.get("extension") or ()):
        return True
    model = slot.model
    kinds = (*codes(model.serviceCategory), *codes(model.serviceType), *codes(model.appointmentType))
    return _VIRTUAL in kinds


def _people(roles: Sequence[Record], schedules: Sequence[Record]) -> list[Practitioner]:
    around = {record.reference: record for record in (*roles, *schedules)}
    role_of: dict[str, Any] = {}
    for record in roles:
        if record.type == "PractitionerRole":
            held_by = reference_id(record.model.practitioner, "Practitioner")
            if held_by:
                role_of.setdefault(held_by, record.model)
    gathered: dict[str, list[Any]] = {}
    for record in schedules:
        if record.type == "Schedule" and (who := _whose(record.model, around)):
            gathered.setdefault(who, []).append(record.model)
    people = [_person(who, role_of.get(who), calendars, around) for who, calendars in gathered.items()]
    return sorted(people, key=lambda person: (person.name, person.id))


def _whose(schedule: Any, around: dict[str, Record]) -> str | None:
    for actor in schedule.actor:
        if found := reference_id(actor, "Practitioner"):
            return found
        if role := around.get(f"PractitionerRole/{reference_id(actor, 'PractitionerRole')}"):
            return reference_id(role.model.practitioner, "Practitioner")
    return None


def _person(who: str, role: Any, calendars: Sequence[Any], around: dict[str, Record]) -> Practitioner:
    record = around.get(f"Practitioner/{who}")
    actors = [actor for calendar in calendars for actor in calendar.actor]
    places = [*actors, *((role.location or ()) if role is not None else ())]
    location_id = next((found for place in places if (found := reference_id(place, "Location"))), None)
    location = around.get(f"Location/{location_id}")
    shown = next((str(a.display) for a in actors if reference_id(a, "Practitioner") and a.display), "")
    specialties = [
        *((role.specialty or ()) if role is not None else ()),
        *(s for c in calendars for s in c.specialty or ()),
    ]
    specialty_codes = tuple(dict.fromkeys(codes(specialties)))
    place_name = next((str(p.display) for p in places if reference_id(p, "Location") and p.display), "")
    return Practitioner(
        id=who,
        name=(called(record.model.name) if record else "") or shown,
        specialty=specialty_codes[0] if specialty_codes else None,
        specialty_codes=specialty_codes,
        specialty_label=label(specialties),
        schedule_ids=tuple(str(calendar.id) for calendar in calendars),
        location=str(location.model.name or "") if location else place_name,
        location_id=location_id,
        address=address_of(location.model.address) if location else "",
        languages=tuple(code.split("-")[0] for code in codes(record.model.communication)) if record else (),
    )


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
