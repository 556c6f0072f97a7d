"""The clinic's side of a scene: patients, visits and hospital stays that somebody else puts into the EHR."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
from babel.dates import format_date, format_datetime

from carethread.ehr.client import Ehr, Json, Record
from carethread.ehr.errors import EhrConflict
from sandbox.clinic import cast
from tests.stack import Stack
from tests.staff_site import StaffSite, TestClock, Visitor

VIRTUAL_SERVICE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
# Area codes of made-up numbers: 555-0100 to 555-0199 is nobody's in any of them.
_AREA_CODES = ("773", "708", "630", "847", "815", "618", "217", "309")
_NAMES = {
    "en": (("Alma", "Reed"), ("Victor", "Stone"), ("Ruth", "Hale"), ("Leon", "Marsh"), ("Nadia", "Frost")),
    "es": (("Rosario", "Vega"), ("Julián", "Ortiz"), ("Carmen", "Núñez"), ("Andrés", "Salas"), ("Lucía", "Peña")),
}
_LOCALES = {"en": "en_US", "es": "es_US"}


@dataclass(frozen=True, slots=True)
class Somebody:
    """A patient with what they know of themselves."""

    id: str
    given: str
    family: str
    birth_date: date
    phone: str  # E.164, what they write from
    postal_code: str
    mrn: str
    language: str
    second_fact: str = "zip"  # what they give for it on the web

    def fact(self, name: str, language: str) -> str:
        """How the patient writes it."""
        match name:
            case "name":
                return f"{self.given} {self.family}"
            case "given":
                return self.given
            case "birth date":
                pattern = {"en": "M/d/yyyy", "es": "d 'de' MMMM 'de' yyyy"}[language]
                return format_date(self.birth_date, pattern, locale=_LOCALES[language])
            case "zip":
                return self.postal_code
            case "last four":
                return self.phone[-4:]
            case "mrn":
                return self.mrn
            case "fact":
                return self.fact(self.second_fact, language)
        raise KeyError(f"nobody knows their <{name}>")


@dataclass(slots=True)
class World:
    """Writes to the EHR as the clinic's own staff would, and reads what it holds."""

    stack: Stack
    numbers: Iterator[int] = field(default_factory=itertools.count)
    desk: asyncio.Lock = field(default_factory=asyncio.Lock)
    calendar: asyncio.Lock = field(default_factory=asyncio.Lock)  # who holds it may give away free slots
    _nurse: Visitor | None = None
    doctors: dict[str, str] = field(default_factory=dict)  # schedule by the name patients read

    @property
    def ehr(self) -> Ehr:
        return self.stack.ehr

    def now(self) -> datetime:
        return datetime.now(UTC)

    def today(self) -> date:
        return datetime.now(self.stack.clinic.zone).date()

    # --- people ---------------------------------------------------------------------------------------------------

    def of_the_cast(self, key: str) -> Somebody:
        one = cast()[key]
        given, phone = one.given, one.phone or ""
        return Somebody(
            one.patient_id, given, one.family, one.birth_date, phone, one.postal_code, one.mrn, one.language
        )

    def nobody(self) -> Somebody:
        """Facts that fit nobody in the EHR."""
        number = next(self.numbers)
        given, family = _NAMES["en"][number % len(_NAMES["en"])]
        born = date(1950, 1, 1) + timedelta(days=37 * number % 20000)
        zip_code, mrn = f"6{number % 10000:04d}", f"SC{700000 + number}"
        return Somebody(f"nobody-{number}", given, family, born, _phone(number), zip_code, mrn, "en")

    async def patient(self, language: str, **changes: Any) -> Somebody:
        """A new patient. `changes` are elements of the resource that differ; empty ones are left out."""
        who = self.nobody()
        number = int(who.id.removeprefix("nobody-"))
        given, family = _NAMES[language][number % len(_NAMES[language])]
        resource = {
            "resourceType": "Patient",
            "active": True,
            "identifier": [{"type": _concept("v2-0203", "MR"), "system": "urn:riverbend:mrn", "value": who.mrn}],
            "name": [{"use": "official", "family": family, "given": [given]}],
            "birthDate": who.birth_date.isoformat(),
            "telecom": [{"system": "phone", "use": "mobile", "value": who.phone}],
            "address": [{"use": "home", "postalCode": who.postal_code, "country": "US"}],
            "communication": [
                {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]}, "preferred": True}
            ],
            **changes,
        }
        made = await self.ehr.create({name: value for name, value in resource.items() if value})
        born = date.fromisoformat(str(resource["birthDate"]))
        facts = ("zip", "last four", "mrn")
        return Somebody(
            made.id, given, family, born, who.phone, who.postal_code, who.mrn, language,
            facts[number % len(facts)],
        )  # fmt: skip

    async def child(self, language: str, *, born: date, **changes: Any) -> Somebody:
        """A new child whose mother has the phone."""
        child = await self.patient(language, birthDate=born.isoformat(), telecom=[], **changes)
        mother = {
            "resourceType": "RelatedPerson",
            "active": True,
            "patient": {"reference": f"Patient/{child.id}"},
            "relationship": [_concept("v3-RoleCode", "MTH"), _concept("v3-RoleCode", "GUARD")],
            "name": [{"family": child.family, "given": ["Elisa"]}],
            "telecom": [{"system": "phone", "use": "mobile", "value": child.phone}],
        }
        await self.ehr.create(mother)
        return child

    # --- staff ----------------------------------------------------------------------------------------------------

    async def nurse(self) -> Visitor:
        """A browser in which a nurse is logged in to the staff inbox."""
        async with self.desk:
            if self._nurse is None:
                site = StaffSite(self.stack.gateway_url, self.stack.database, self.stack.clinic, TestClock())
                name = f"nurse-{uuid.uuid4().hex[:6]}"
                await site.person(name, "nurse-line", "front-desk", "care-coordination")
                self._nurse = Visitor(site, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
                answer = await self._nurse.log_in(name)
                assert answer.status == 303, answer.words
        return self._nurse

    async def does(self, conversation_id: uuid.UUID, deed: str, **form: str) -> None:
        """The nurse presses that button on the page of a conversation."""
        answer = await (await self.nurse()).post(f"conversations/{conversation_id}/{deed}", **form)
        assert answer.status == 303, answer.words

    async def close(self) -> None:
        if self._nurse is not None:
            await self._nurse.http.close()

    # --- visits ---------------------------------------------------------------------------------------------------

    async def visit(
        self,
        who: Somebody,
        practitioner: str,
        *,
        days: int = 7,
        reason: str = "Check-up",
        prepare: str = "",
        video: bool = False,
    ) -> Json:
        """Book `who` into that practitioner's first free slot at least `days` from now."""
        async with self.calendar:
            slot = await self.free_slot(practitioner, days=days)
            await self.take_slot(slot["id"])
        schedule = await self._read("Schedule", practitioner)
        actors = [
            {"reference": f"Patient/{who.id}"},
            {"reference": f"Practitioner/{practitioner}", "display": schedule["actor"][0].get("display", "")},
        ]
        if not video:
            actors.append({"reference": "Location/riverbend-main"})
        resource: Json = {
            "resourceType": "Appointment",
            "status": "booked",
            "specialty": slot.get("specialty", []),
            "reasonCode": [{"text": reason}],
            "start": slot["start"],
            "end": slot["end"],
            "slot": [{"reference": f"Slot/{slot['id']}"}],
            "participant": [{"actor": actor, "status": "accepted"} for actor in actors],
        }
        if prepare:
            resource["patientInstruction"] = prepare
        if video:
            address = {"url": "address", "valueUrl": f"https://video.example.org/visit/{slot['id']}"}
            resource["extension"] = [{"url": VIRTUAL_SERVICE, "extension": [address]}]
        return (await self.ehr.create(resource)).raw

    async def free_slot(self, practitioner: str, *, days: int) -> Json:
        start = (self.now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = await self.ehr.search(
            "Slot",
            {
                "schedule": f"Schedule/{practitioner}",
                "status": "free",
                "start": f"ge{start}",
                "_sort": "start",
                "_count": "1",
            },
            pages=1,
        )
        return found[0].raw

    async def slot_of(self, offer: Mapping[str, Any]) -> str:
        """The id of the slot that a patient was offered as a doctor's name and a time."""
        if not self.doctors:
            found = await self.ehr.search("Schedule", {"active": "true"})
            self.doctors = {one.raw["actor"][0]["display"]: one.id for one in found if one.type == "Schedule"}
        start = datetime.fromisoformat(offer["start"]).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        schedule = self.doctors[offer["practitioner"]]
        slots = await self.ehr.search("Slot", {"schedule": f"Schedule/{schedule}", "start": start})
        assert len(slots) == 1, f"{len(slots)} slots at {start}"
        return slots[0].id

    async def take_slot(self, slot_id: str) -> None:
        """Somebody else gets that slot."""
        slot = await self._read("Slot", slot_id)
        if slot["status"] == "free":
            with suppress(EhrConflict):  # another scene took it for somebody meanwhile
                await self.ehr.patch(slot, [{"op": "replace", "path": "/status", "value": "busy"}])

    async def appointments(self, who: Somebody) -> list[Json]:
        """Every appointment of theirs, whatever its status, by when it begins."""
        found = await self.ehr.search("Appointment", {"patient": who.id})
        return sorted((record.raw for record in found if record.type == "Appointment"), key=lambda raw: raw["start"])

    async def appointment(self, who: Somebody) -> Json:
        """The only one."""
        found = await self.appointments(who)
        assert len(found) == 1, f"{len(found)} appointments: {[raw['status'] for raw in found]}"
        return found[0]

    async def slot_status(self, appointment: Json) -> str:
        slot_id = appointment["slot"][0]["reference"].removeprefix("Slot/")
        return str((await self._read("Slot", slot_id))["status"])

    async def reread(self, appointment: Json) -> Json:
        """The appointment as the EHR has it now."""
        return await self._read("Appointment", appointment["id"])

    async def call_off(self, appointment: Json) -> None:
        """The clinic cancels it."""
        now = await self.reread(appointment)
        await self.ehr.patch(now, [{"op": "replace", "path": "/status", "value": "cancelled"}])

    def day_of(self, appointment: Json, language: str) -> str:
        """Its date as a patient writes it."""
        start = datetime.fromisoformat(appointment["start"]).astimezone(self.stack.clinic.zone)
        return self.written(start, {"en": "MMMM d", "es": "d 'de' MMMM"}[language], language)

    @staticmethod
    def words_of(concept: Json) -> str:
        """All that a CodeableConcept says in words."""
        shown = [coding.get("display", "") for coding in concept.get("coding", ())]
        return " ".join([concept.get("text", ""), *shown])

    def specialty_of(self, appointment: Json) -> str | None:
        codes = [coding["code"] for one in appointment.get("specialty", ()) for coding in one.get("coding", ())]
        known = {specialty.code for specialty in self.stack.clinic.specialties}
        return next((code for code in codes if code in known), None)

    def practitioner_of(self, appointment: Json) -> str | None:
        actors = [participant["actor"]["reference"] for participant in appointment["participant"]]
        return next((a.removeprefix("Practitioner/") for a in actors if a.startswith("Practitioner/")), None)

    async def doctor_without_free_slots(self) -> str:
        """The name of a doctor all of whose times are given away."""
        found = await self.ehr.search("Slot", {"schedule": "Schedule/dr-lindqvist", "status": "free"})
        await asyncio.gather(*(self.take_slot(slot.id) for slot in found))
        return "Dr. Lindqvist"

    # --- hospital stays -------------------------------------------------------------------------------------------

    async def discharge(self, who: Somebody) -> Json:
        """They went home from hospital an hour ago."""
        start, end = self.now() - timedelta(days=3), self.now() - timedelta(hours=1)
        resource = {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "IMP"},
            "subject": {"reference": f"Patient/{who.id}"},
            "period": {"start": _instant(start), "end": _instant(end)},
            "hospitalization": {"dischargeDisposition": _concept("discharge-disposition", "home")},
        }
        return (await self.ehr.create(resource)).raw

    async def responses(self, who: Somebody) -> list[Json]:
        found = await self.ehr.search("QuestionnaireResponse", {"subject": f"Patient/{who.id}"})
        return [record.raw for record in found if record.type == "QuestionnaireResponse"]

    # --- words ----------------------------------------------------------------------------------------------------

    def written(self, moment: datetime, pattern: str, language: str) -> str:
        text = format_datetime(moment.replace(tzinfo=None), pattern, locale=_LOCALES[language])
        return text.replace("\u202f", " ").replace("\xa0", " ")

    async def _read(self, kind: str, resource_id: str) -> Json:
        record: Record | None = await self.ehr.read(kind, resource_id)
        assert record is not None, f"the EHR has no {kind}/{resource_id}"
        return record.raw


def _phone(number: int) -> str:
    return f"+1{_AREA_CODES[number // 100 % len(_AREA_CODES)]}55501{number % 100:02d}"


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": f"{_TERMINOLOGY}/{system}", "code": code}]}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
