"""Booking, cancelling, moving and confirming visits: a ledger row first, then steps that any process can go on with.

A step is decided on what the EHR says now, and what is ours there carries our mark, so a step done twice changes
nothing: a process killed anywhere leaves a row that `resume` finishes. The key comes from the patient's message; the
same key never does anything twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from carethread.ehr import writes
from carethread.ehr.client import Ehr, Json, Record, query
from carethread.ehr.errors import EhrConflict, EhrNotFound, EhrRefused, EhrUnavailable
from carethread.ehr.writes import Refused, Waiting
from carethread.scheduling import changes, holding
from carethread.scheduling.appointments import LIVE, Visit, find
from carethread.storage.database import Database
from carethread.storage.models import EhrWrite

log = structlog.get_logger()

# After so long without an answer from the EHR a wish is no longer acted on: by then a human has taken it over.
STANDS = timedelta(minutes=30)
TRIES = 5
TOO_LATE = "the EHR did not answer in time"


@dataclass(frozen=True, slots=True)
class Booked:
    """The patient has the appointment."""

    appointment_id: str
    visit: Visit = field(repr=False)


@dataclass(frozen=True, slots=True)
class SlotTaken:
    """Somebody else got the slot in the meantime; nothing was changed."""

    slot_id: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The appointment is off and its slot is free for others."""

    appointment_id: str
    visit: Visit = field(repr=False)


@dataclass(frozen=True, slots=True)
class Moved:
    """The appointment is at its new time and the old slot is free for others."""

    appointment_id: str
    visit: Visit = field(repr=False)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The patient will come."""

    appointment_id: str
    visit: Visit = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gone:
    """The appointment is not there to be changed: called off, over, begun, or not this patient's."""

    appointment_id: str


# `Refused`: the EHR says no for good, nothing was changed, a human must look. `Waiting`: the EHR does not answer and
# the worker goes on; what comes of it is the outcome of `resume`.
Outcome = Booked | Cancelled | Moved | Confirmed | SlotTaken | Gone | Refused | Waiting


async def book(
    database: Database,
    ehr: Ehr,
    tenant: str,
    *,
    key: str,
    slot_id: str,
    patient_id: str,
    reason: str,
    conversation_id: UUID | None,
    now: datetime,
) -> Booked | SlotTaken | Refused | Waiting:
    """Take the slot, then make the appointment."""
    payload = {"slot": slot_id, "patient": patient_id, "reason": reason}
    return await _begin(database, ehr, tenant, key, "book", payload, conversation_id, now)  # type: ignore[return-value]


async def cancel(
    database: Database,
    ehr: Ehr,
    tenant: str,
    *,
    key: str,
    appointment_id: str,
    patient_id: str,
    reason: str,
    conversation_id: UUID | None,
    now: datetime,
) -> Cancelled | Gone | Refused | Waiting:
    """Call the appointment off with the reason, then free its slot."""
    payload = {"appointment": appointment_id, "patient": patient_id, "reason": reason}
    return await _begin(database, ehr, tenant, key, "cancel", payload, conversation_id, now)  # type: ignore[return-value]


async def reschedule(
    database: Database,
    ehr: Ehr,
    tenant: str,
    *,
    key: str,
    appointment_id: str,
    slot_id: str,
    patient_id: str,
    conversation_id: UUID | None,
    now: datetime,
) -> Moved | SlotTaken | Gone | Refused | Waiting:
    """Take the new slot, then move the appointment there, then free the old slot."""
    payload = {"appointment": appointment_id, "patient": patient_id, "slot": slot_id}
    return await _begin(database, ehr, tenant, key, "reschedule", payload, conversation_id, now)  # type: ignore[return-value]


async def confirm(
    database: Database,
    ehr: Ehr,
    tenant: str,
    *,
    key: str,
    appointment_id: str,
    patient_id: str,
    conversation_id: UUID | None,
    now: datetime,
) -> Confirmed | Gone | Refused | Waiting:
    """Record that the patient will come; see `changes` for how R4 says so."""
    payload = {"appointment": appointment_id, "patient": patient_id}
    return await _begin(database, ehr, tenant, key, "confirm", payload, conversation_id, now)  # type: ignore[return-value]


async def resume(database: Database, ehr: Ehr, tenant: str, row: EhrWrite, *, now: datetime) -> Outcome:
    """Go on with a row of any of these kinds, wherever it stopped, or say again what became of it.

    Raises `EhrUnavailable` only for a row that is closed, when what became of it cannot be read just now.
    """
    if row.state != "pending":
        return await _again(ehr, row)
    work = _Work(database, ehr, tenant, row, now)
    try:
        outcome = await _STEPS[row.kind](work)
        return await _close(work, outcome)
    except (EhrUnavailable, EhrConflict) as error:
        await writes.postpone(database, tenant, row, now=now, error=error)
        return Waiting(row.key)
    except (EhrRefused, EhrNotFound) as error:
        return await _close(work, Refused(error.reason()))


KINDS = ("book", "cancel", "reschedule", "confirm")


@dataclass(slots=True)
class _Work:
    """One row being worked on."""

    database: Database
    ehr: Ehr
    tenant: str
    row: EhrWrite
    now: datetime

    @property
    def mark(self) -> Json:
        return writes.identifier(self.tenant, self.row.key)

    def marked(self, record: Record) -> bool:
        """Whether this very write has changed the record: now, before a crash, or in a process beside this one."""
        return self.mark["value"] in writes.written_ids(record.raw)

    @property
    def expired(self) -> bool:
        return self.now - self.row.created_at > STANDS

    def asked(self, name: str) -> str:
        return str(self.row.payload[name])

    async def note(self, **steps: Any) -> None:
        await writes.note(self.database, self.tenant, self.row, **steps)


async def _begin(
    database: Database,
    ehr: Ehr,
    tenant: str,
    key: str,
    kind: str,
    payload: Json,
    conversation_id: UUID | None,
    now: datetime,
) -> Outcome:
    async with database.begin(tenant) as session:
        await writes.record(
            session, key, kind, payload, now=now, conversation_id=conversation_id, retry_at=now + writes.TURN
        )
    row = await writes.load(database, tenant, key)
    if row is None or row.kind != kind:
        raise ValueError(f"the key of a '{kind}' belongs to another write; derive keys from message id and kind")
    return await resume(database, ehr, tenant, row, now=now)


async def _book(work: _Work) -> Outcome:
    """The appointment is looked for first: an earlier try may have made it, and a human may have cancelled it since."""
    ehr, slot_id, patient_id = work.ehr, work.asked("slot"), work.asked("patient")
    if work.row.attempts or work.row.progress:
        made = await writes.find_written(ehr, "Appointment", work.tenant, work.row.key)
        if made is not None:
            return await _booked(ehr, made.id)
    undo = work.row.progress.get("undo")
    if undo or work.expired:
        await _give_back(work, slot_id, {work.mark["value"]})
        return Refused(undo or TOO_LATE)
    await work.note(tried=True)
    slot = await holding.take(ehr, slot_id, work.mark)
    if slot is None:
        return SlotTaken(slot_id)
    try:
        resource = changes.appointment(
            slot.raw, await _schedule(ehr, slot.raw), patient_id, work.asked("reason"), work.mark, work.now
        )
        if wrong := writes.problems(resource):
            raise EhrRefused(f"not valid FHIR R4: {'; '.join(wrong)}")
        made = await ehr.create(resource, if_none_exist=query(writes.made_by("Appointment", work.tenant, work.row.key)))
    except (EhrRefused, EhrNotFound) as error:
        await work.note(undo=error.reason())
        await _give_back(work, slot_id, {work.mark["value"]})
        return Refused(error.reason())
    return await _booked(ehr, made.id)


async def _cancel(work: _Work) -> Outcome:
    ehr, appointment_id = work.ehr, work.asked("appointment")
    record = await _mine(work)
    if record is None:
        return Gone(appointment_id)
    if not work.marked(record):
        if not _changeable(record, work):
            return Gone(appointment_id)
        if work.expired:
            return Refused(TOO_LATE)
        patched = await _patch(work, record, lambda raw: changes.cancelling(raw, work.asked("reason"), work.mark))
        if patched is None:
            return Gone(appointment_id)
        record = patched
    await _free(work, changes.slots_in(record.raw), record)
    return Cancelled(appointment_id, await _visit(ehr, appointment_id))


async def _reschedule(work: _Work) -> Outcome:
    ehr, appointment_id, slot_id = work.ehr, work.asked("appointment"), work.asked("slot")
    ours = {work.mark["value"]}
    record = await _mine(work)
    if record is None:
        return Gone(appointment_id)
    if not work.marked(record):
        undo = work.row.progress.get("undo")
        if undo or work.expired or not _changeable(record, work):
            await _give_back(work, slot_id, ours)
            if undo or work.expired:
                return Refused(undo or TOO_LATE)
            return Gone(appointment_id)
        await work.note(old_slots=changes.slots_in(record.raw))
        slot = await holding.take(ehr, slot_id, work.mark)
        if slot is None:
            return SlotTaken(slot_id)
        try:
            schedule = await _schedule(ehr, slot.raw)
            patched = await _patch(work, record, lambda raw: changes.moving(raw, slot.raw, schedule, work.mark))
        except (EhrRefused, EhrNotFound) as error:
            await work.note(undo=error.reason())
            await _give_back(work, slot_id, ours)
            return Refused(error.reason())
        if patched is None:
            await _give_back(work, slot_id, ours)
            return Gone(appointment_id)
        record = patched
    now_in = changes.slots_in(record.raw)
    await _free(work, [old for old in work.row.progress.get("old_slots", ()) if old not in now_in], record)
    return Moved(appointment_id, await _visit(ehr, appointment_id))


async def _confirm(work: _Work) -> Outcome:
    appointment_id, patient_id = work.asked("appointment"), work.asked("patient")
    record = await _mine(work)
    if record is None or not _changeable(record, work):
        return Gone(appointment_id)
    if work.expired and changes.confirming(record.raw, patient_id, work.now):
        return Refused(TOO_LATE)
    if await _patch(work, record, lambda raw: changes.confirming(raw, patient_id, work.now)) is None:
        return Gone(appointment_id)
    return Confirmed(appointment_id, await _visit(work.ehr, appointment_id))


_STEPS: dict[str, Callable[[_Work], Awaitable[Outcome]]] = {
    "book": _book,
    "cancel": _cancel,
    "reschedule": _reschedule,
    "confirm": _confirm,
}


async def _give_back(work: _Work, slot_id: str, ours: Collection[str], **more: Any) -> None:
    """Free a slot. An EHR that will not have it freed costs the patient nothing, but somebody must do it by hand."""
    try:
        await holding.give_back(work.ehr, slot_id, ours, **more)
    except (EhrRefused, EhrNotFound) as error:
        await work.note(not_freed=[*work.row.progress.get("not_freed", []), slot_id], not_freed_why=error.reason())
        log.error("scheduling.slot_not_freed", kind=work.row.kind, status=error.status)


async def _free(work: _Work, slots: Sequence[str], appointment: Record) -> None:
    """Free what the appointment had, once each: what was freed may be somebody else's by now."""
    for slot_id in slots:
        freed = work.row.progress.get("freed", [])
        if slot_id not in freed:
            held = writes.written_ids(appointment.raw)
            await _give_back(work, slot_id, held, appointment_id=appointment.id, unmarked=True)
            await work.note(freed=[*freed, slot_id])


async def _mine(work: _Work) -> Record | None:
    """The appointment, if it is there and the patient's own."""
    record = await work.ehr.read("Appointment", work.asked("appointment"))
    if record is None or changes.patient_in(record.raw) != work.asked("patient"):
        return None
    return record


def _changeable(record: Record, work: _Work) -> bool:
    start = record.raw.get("start")
    return record.raw["status"] in LIVE and (start is None or datetime.fromisoformat(start) > work.now)


async def _patch(work: _Work, record: Record, change: Callable[[Json], list[Json]]) -> Record | None:
    """Make the change on the newest version; None when the appointment stopped being changeable meanwhile."""
    for _ in range(TRIES):
        operations = change(record.raw)
        if not operations:
            return record
        try:
            return await work.ehr.patch(record.raw, operations)
        except EhrConflict:
            newer = await _mine(work)
            if newer is not None and work.marked(newer):
                return newer
            if newer is None or not _changeable(newer, work):
                return None
            record = newer
    raise EhrUnavailable("PATCH Appointment: changed under us each time")


async def _schedule(ehr: Ehr, slot: Json) -> Json:
    kind, _, schedule_id = str(slot["schedule"]["reference"]).rpartition("/")
    record = await ehr.read("Schedule", schedule_id) if kind.endswith("Schedule") else None
    return record.raw if record else {}


async def _booked(ehr: Ehr, appointment_id: str) -> Outcome:
    return Booked(appointment_id, await _visit(ehr, appointment_id))


async def _visit(ehr: Ehr, appointment_id: str) -> Visit:
    visit = await find(ehr, appointment_id)
    if visit is None:
        raise EhrUnavailable("GET Appointment: written, but not to be read yet")
    return visit


async def _close(work: _Work, outcome: Outcome) -> Outcome:
    """Put the outcome into the row, once: if another process was first, its outcome is the one."""
    name = type(outcome).__name__
    appointment_id = getattr(outcome, "appointment_id", None)
    refused = outcome.reason if isinstance(outcome, Refused) else None
    good = isinstance(outcome, Booked | Cancelled | Moved | Confirmed)
    first = await writes.settle(
        work.database,
        work.tenant,
        work.row,
        state="done" if good else "refused",
        now=work.now,
        resource=("Appointment", appointment_id) if good and appointment_id else None,
        error=refused,
        outcome={"kind": name},
    )
    if not first:
        closed = await writes.load(work.database, work.tenant, work.row.key)
        if closed is not None and closed.state != "pending":
            return await _again(work.ehr, closed)
    log.info("scheduling.settled", kind=work.row.kind, outcome=name, attempts=work.row.attempts)
    return outcome


_DONE: dict[str, Callable[[str, Visit], Outcome]] = {
    "Booked": Booked,
    "Cancelled": Cancelled,
    "Moved": Moved,
    "Confirmed": Confirmed,
}


async def _again(ehr: Ehr, row: EhrWrite) -> Outcome:
    """The outcome of a closed row."""
    kind = row.progress.get("outcome", {}).get("kind")
    match kind:
        case "SlotTaken":
            return SlotTaken(str(row.payload["slot"]))
        case "Gone":
            return Gone(str(row.payload["appointment"]))
        case "Booked" | "Cancelled" | "Moved" | "Confirmed":
            appointment_id = str(row.resource_id)
            visit = await _visit(ehr, appointment_id)
            return _DONE[kind](appointment_id, visit)
        case _:
            return Refused(row.error or "")
