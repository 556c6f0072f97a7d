"""Booking, cancelling, moving and confirming against a real EHR, judged by what the EHR holds afterwards."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from carethread.ehr import writes
from carethread.ehr.client import Ehr, Record
from carethread.scheduling import booking
from carethread.scheduling.appointments import find, upcoming
from carethread.scheduling.slots import SlotOffer, offer
from carethread.storage.database import Database
from sandbox.ehr.testing import running_sandbox

pytestmark = pytest.mark.server

CHICAGO = ZoneInfo("America/Chicago")
_keys = (f"message-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_sandbox(tmp_path_factory.mktemp("ehr")) as url:
        yield url


@pytest.fixture
async def ehr(sandbox_url: str) -> AsyncIterator[Ehr]:
    ehr = Ehr(sandbox_url, zone=CHICAGO)
    yield ehr
    await ehr.close()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


class Clinic:
    """The four verbs with everything but their point filled in."""

    def __init__(self, database: Database, ehr: Ehr, tenant: str, now: datetime) -> None:
        self.database, self.ehr, self.tenant, self.now = database, ehr, tenant, now

    async def free(self, specialty: str = "cardiology", count: int = 3) -> list[SlotOffer]:
        found = await offer(self.ehr, specialty=specialty, now=self.now, count=count)
        assert len(found) == count
        return found

    async def book(
        self, slot_id: str, patient_id: str, *, key: str | None = None, reason: str = "chest check"
    ) -> object:
        return await booking.book(
            self.database,
            self.ehr,
            self.tenant,
            key=key or next(_keys),
            slot_id=slot_id,
            patient_id=patient_id,
            reason=reason,
            conversation_id=None,
            now=self.now,
        )

    async def cancel(self, appointment_id: str, patient_id: str, *, key: str | None = None, reason: str = "") -> object:
        return await booking.cancel(
            self.database,
            self.ehr,
            self.tenant,
            key=key or next(_keys),
            appointment_id=appointment_id,
            patient_id=patient_id,
            reason=reason,
            conversation_id=None,
            now=self.now,
        )

    async def reschedule(self, appointment_id: str, slot_id: str, patient_id: str, *, key: str | None = None) -> object:
        return await booking.reschedule(
            self.database,
            self.ehr,
            self.tenant,
            key=key or next(_keys),
            appointment_id=appointment_id,
            slot_id=slot_id,
            patient_id=patient_id,
            conversation_id=None,
            now=self.now,
        )

    async def confirm(self, appointment_id: str, patient_id: str, *, key: str | None = None) -> object:
        return await booking.confirm(
            self.database,
            self.ehr,
            self.tenant,
            key=key or next(_keys),
            appointment_id=appointment_id,
            patient_id=patient_id,
            conversation_id=None,
            now=self.now,
        )

    async def slot(self, slot_id: str) -> Record:
        found = await self.ehr.read("Slot", slot_id)
        assert found is not None
        return found

    async def appointments_in(self, slot_id: str) -> list[Record]:
        return await self.ehr.search("Appointment", {"slot": f"Slot/{slot_id}", "status": "booked,pending"})


@pytest.fixture
def clinic(database: Database, ehr: Ehr, tenant: str, now: datetime) -> Clinic:
    return Clinic(database, ehr, tenant, now)


async def test_booking_makes_the_appointment_and_takes_the_slot(clinic: Clinic) -> None:
    wanted = (await clinic.free())[0]
    booked = await clinic.book(wanted.slot_id, "kevin-murphy", reason="palpitations at night")
    assert isinstance(booked, booking.Booked)
    slot = await clinic.slot(wanted.slot_id)
    assert slot.raw["status"] == "busy"
    raw = booked.visit.raw
    assert raw["status"] == "booked"
    assert raw["reasonCode"] == [{"text": "palpitations at night"}]
    assert booked.visit.start == wanted.start
    assert booked.visit.practitioner == wanted.practitioner.name
    assert booked.visit.specialty == "cardiology"
    assert booked.visit.location == wanted.location
    assert [visit.id for visit in await upcoming(clinic.ehr, "kevin-murphy", clinic.now)] == [booked.appointment_id]


async def test_the_same_key_books_once(clinic: Clinic) -> None:
    first, second, _ = await clinic.free()
    one = await clinic.book(first.slot_id, "omar-farouk", key="same")
    again = await clinic.book(first.slot_id, "omar-farouk", key="same")
    assert isinstance(one, booking.Booked)
    assert again == one
    # Even when the repeat asks for something else: what the first one asked for stands.
    other = await clinic.book(second.slot_id, "omar-farouk", key="same")
    assert other == one
    assert (await clinic.slot(second.slot_id)).raw["status"] == "free"
    assert len(await clinic.appointments_in(first.slot_id)) == 1


async def test_the_same_key_at_once_books_once(clinic: Clinic) -> None:
    wanted = (await clinic.free())[0]
    found = await asyncio.gather(*(clinic.book(wanted.slot_id, "omar-farouk", key="twins") for _ in range(6)))
    assert {getattr(one, "appointment_id", None) for one in found} == {found[0].appointment_id}  # type: ignore[attr-defined]
    assert len(await clinic.appointments_in(wanted.slot_id)) == 1


async def test_twenty_at_once_and_one_gets_the_slot(clinic: Clinic) -> None:
    wanted = (await clinic.free("dermatology"))[0]
    people = [
        f"{name}" for name in ("kevin-murphy", "omar-farouk", "fatima-diallo", "robert-hughes", "luis-herrera")
    ] * 4
    found = await asyncio.gather(*(clinic.book(wanted.slot_id, person) for person in people))
    won = [one for one in found if isinstance(one, booking.Booked)]
    lost = [one for one in found if isinstance(one, booking.SlotTaken)]
    assert (len(won), len(lost)) == (1, 19)
    held = await clinic.appointments_in(wanted.slot_id)
    assert [record.id for record in held] == [won[0].appointment_id]
    assert len((await clinic.slot(wanted.slot_id)).raw["identifier"]) == 1


async def test_a_slot_taken_meanwhile_is_said_and_stays_said(clinic: Clinic) -> None:
    wanted = (await clinic.free())[0]
    assert isinstance(await clinic.book(wanted.slot_id, "kevin-murphy"), booking.Booked)
    lost = await clinic.book(wanted.slot_id, "omar-farouk", key="late")
    assert lost == booking.SlotTaken(wanted.slot_id)
    assert await clinic.book(wanted.slot_id, "omar-farouk", key="late") == lost


async def test_what_the_ehr_refuses_gives_the_slot_back(clinic: Clinic) -> None:
    wanted = (await clinic.free())[0]
    refused = await clinic.book(wanted.slot_id, "nobody-of-that-name")
    assert isinstance(refused, writes.Refused)
    slot = await clinic.slot(wanted.slot_id)
    assert slot.raw["status"] == "free"
    assert "identifier" not in slot.raw
    assert isinstance(await clinic.book(wanted.slot_id, "kevin-murphy"), booking.Booked)


async def test_cancelling_keeps_the_reason_and_frees_the_slot(clinic: Clinic) -> None:
    wanted = (await clinic.free())[0]
    booked = await clinic.book(wanted.slot_id, "kevin-murphy")
    assert isinstance(booked, booking.Booked)
    off = await clinic.cancel(booked.appointment_id, "kevin-murphy", key="off", reason="I have no ride that day")
    assert isinstance(off, booking.Cancelled)
    raw = off.visit.raw
    assert raw["status"] == "cancelled"
    assert raw["cancelationReason"]["text"] == "I have no ride that day"
    assert raw["cancelationReason"]["coding"][0]["code"] == "pat"
    slot = await clinic.slot(wanted.slot_id)
    assert slot.raw["status"] == "free"
    assert "identifier" not in slot.raw
    assert await clinic.cancel(booked.appointment_id, "kevin-murphy", key="off") == off
    assert await clinic.cancel(booked.appointment_id, "kevin-murphy") == booking.Gone(booked.appointment_id)


async def test_a_visit_the_clinic_booked_itself_can_be_cancelled(clinic: Clinic) -> None:
    before = await find(clinic.ehr, "grace-skin")
    assert before is not None
    assert before.slot_id is not None
    assert isinstance(await clinic.cancel("grace-skin", "grace-kowalski", reason="feeling fine"), booking.Cancelled)
    assert (await clinic.slot(before.slot_id)).raw["status"] == "free"


async def test_a_freed_slot_that_somebody_took_is_not_freed_again(clinic: Clinic) -> None:
    wanted = (await clinic.free())[0]
    first = await clinic.book(wanted.slot_id, "kevin-murphy")
    assert isinstance(first, booking.Booked)
    assert isinstance(await clinic.cancel(first.appointment_id, "kevin-murphy", key="c"), booking.Cancelled)
    second = await clinic.book(wanted.slot_id, "omar-farouk")
    assert isinstance(second, booking.Booked)
    # As if the process that cancelled had died just before it closed its row.
    row = await writes.load(clinic.database, clinic.tenant, "c")
    assert row is not None
    row.state = "pending"
    row.progress = {}
    await booking.resume(clinic.database, clinic.ehr, clinic.tenant, row, now=clinic.now)
    assert (await clinic.slot(wanted.slot_id)).raw["status"] == "busy"
    assert [r.id for r in await clinic.appointments_in(wanted.slot_id)] == [second.appointment_id]


async def test_nobody_changes_somebody_elses_visit(clinic: Clinic) -> None:
    wanted, other, _ = await clinic.free()
    booked = await clinic.book(wanted.slot_id, "kevin-murphy")
    assert isinstance(booked, booking.Booked)
    gone = booking.Gone(booked.appointment_id)
    assert await clinic.cancel(booked.appointment_id, "omar-farouk") == gone
    assert await clinic.confirm(booked.appointment_id, "omar-farouk") == gone
    assert await clinic.reschedule(booked.appointment_id, other.slot_id, "omar-farouk") == gone
    assert (await clinic.slot(other.slot_id)).raw["status"] == "free"
    assert await find(clinic.ehr, booked.appointment_id) == booked.visit


async def test_moving_takes_the_new_slot_and_frees_the_old(clinic: Clinic) -> None:
    wanted = (await clinic.free())[0]
    booked = await clinic.book(wanted.slot_id, "kevin-murphy")
    assert isinstance(booked, booking.Booked)
    assert isinstance(await clinic.confirm(booked.appointment_id, "kevin-murphy"), booking.Confirmed)
    target = next(one for one in await clinic.free(count=12) if one.practitioner.id != wanted.practitioner.id)
    moved = await clinic.reschedule(booked.appointment_id, target.slot_id, "kevin-murphy", key="move")
    assert isinstance(moved, booking.Moved)
    assert moved.visit.start == target.start
    assert moved.visit.practitioner == target.practitioner.name
    assert moved.visit.slot_ids == (target.slot_id,)
    assert moved.visit.confirmed_at is None, "a new time is not the one that was confirmed"
    assert moved.visit.reason == booked.visit.reason
    assert (await clinic.slot(wanted.slot_id)).raw["status"] == "free"
    assert (await clinic.slot(target.slot_id)).raw["status"] == "busy"
    assert await clinic.reschedule(booked.appointment_id, target.slot_id, "kevin-murphy", key="move") == moved
    # And it can be called off afterwards, which frees the new slot.
    assert isinstance(await clinic.cancel(booked.appointment_id, "kevin-murphy"), booking.Cancelled)
    assert (await clinic.slot(target.slot_id)).raw["status"] == "free"


async def test_moving_to_a_slot_that_is_taken_leaves_everything(clinic: Clinic) -> None:
    mine, theirs, _ = await clinic.free()
    booked = await clinic.book(mine.slot_id, "kevin-murphy")
    assert isinstance(booked, booking.Booked)
    assert isinstance(await clinic.book(theirs.slot_id, "omar-farouk"), booking.Booked)
    assert await clinic.reschedule(booked.appointment_id, theirs.slot_id, "kevin-murphy") == booking.SlotTaken(
        theirs.slot_id
    )
    assert await find(clinic.ehr, booked.appointment_id) == booked.visit


async def test_a_video_visit_stays_one_when_moved(clinic: Clinic) -> None:
    before = await find(clinic.ehr, "teresa-video")
    assert before is not None
    assert before.video_url
    target = (await clinic.free("endocrinology"))[0]
    moved = await clinic.reschedule("teresa-video", target.slot_id, "teresa-aguilar")
    assert isinstance(moved, booking.Moved)
    assert moved.visit.virtual
    assert moved.visit.video_url == before.video_url
    assert moved.visit.location == ""


async def test_confirming_is_kept_once(clinic: Clinic) -> None:
    confirmed = await clinic.confirm("minh-blood-pressure", "minh-nguyen")
    assert isinstance(confirmed, booking.Confirmed)
    assert confirmed.visit.confirmed_at == clinic.now.replace(microsecond=0)
    later = Clinic(clinic.database, clinic.ehr, clinic.tenant, clinic.now + timedelta(hours=1))
    again = await later.confirm("minh-blood-pressure", "minh-nguyen")
    assert isinstance(again, booking.Confirmed)
    assert again.visit.confirmed_at == confirmed.visit.confirmed_at
    assert again.visit.version == confirmed.visit.version


async def test_a_change_of_somebody_elses_meanwhile_is_kept(clinic: Clinic) -> None:
    """The front desk edits the appointment between our read and our write: both changes stand."""
    stale = await clinic.ehr.read("Appointment", "mabel-check-up")
    assert stale is not None
    read = clinic.ehr.read
    edited = False

    async def read_then_edit(kind: str, resource_id: str) -> Record | None:
        nonlocal edited
        found = await read(kind, resource_id)
        if not edited and kind == "Appointment" and found is not None:
            edited = True
            await clinic.ehr.patch(found.raw, [{"op": "add", "path": "/comment", "value": "bring the walker"}])
        return found

    clinic.ehr.read = read_then_edit  # type: ignore[method-assign]
    confirmed = await clinic.confirm("mabel-check-up", "mabel-thornton")
    assert isinstance(confirmed, booking.Confirmed)
    assert confirmed.visit.raw["comment"] == "bring the walker"
    assert confirmed.visit.confirmed_at is not None


async def test_what_has_begun_or_is_over_is_not_changed(clinic: Clinic) -> None:
    late = Clinic(clinic.database, clinic.ehr, clinic.tenant, clinic.now + timedelta(days=60))
    assert await late.cancel("helen-blood-pressure", "helen-ostrowski") == booking.Gone("helen-blood-pressure")
    assert await clinic.confirm("kevin-missed-1", "kevin-murphy") == booking.Gone("kevin-missed-1")
    assert await clinic.cancel("no-such-visit", "kevin-murphy") == booking.Gone("no-such-visit")
