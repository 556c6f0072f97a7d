"""What a patient is told when the EHR was slow and the worker finished a change after the conversation moved on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic
from carethread.conversations.appointments import WAITING_TOLD, line
from carethread.dialogue.content import Content
from carethread.ehr.client import Ehr
from carethread.ehr.writes import Waiting
from carethread.escalation import open_escalation
from carethread.messaging.outbox import Say, queue
from carethread.scheduling.appointments import Visit
from carethread.scheduling.booking import Booked, Cancelled, Confirmed, Moved, Outcome, SlotTaken, resume
from carethread.storage.database import Database
from carethread.storage.models import Conversation, EhrWrite, Inbox, Outbox

# In a row's progress: the patient was told what came of it.
OUTCOME_TOLD = "outcome_told"


async def tell_finished(database: Database, ehr: Ehr, clinic: Clinic, content: Content, now: datetime) -> None:
    """Tell every patient who was asked to wait what became of their change; the row and the words commit together."""
    async with database.begin(clinic.id) as session:
        rows = (
            await session.scalars(
                select(EhrWrite).where(
                    EhrWrite.state != "pending",
                    EhrWrite.progress.has_key(WAITING_TOLD),
                    ~EhrWrite.progress.has_key(OUTCOME_TOLD),
                )
            )
        ).all()
    for row in rows:
        outcome = await resume(database, ehr, clinic.id, row, now=now)
        if not isinstance(outcome, Waiting) and row.conversation_id is not None:
            await _tell(database, clinic, content, row.id, outcome, now)


async def _tell(
    database: Database, clinic: Clinic, content: Content, row_id: int, outcome: Outcome, now: datetime
) -> None:
    async with database.begin(clinic.id) as session:
        row = await session.get_one(EhrWrite, row_id, with_for_update=True)
        if OUTCOME_TOLD in row.progress:
            return
        say = _words(outcome)
        turn = await session.get(Inbox, inbox_id) if (inbox_id := _message(row)) else None
        if turn is not None and turn.done_at is None:
            return  # that turn is being taken again, and may say it itself
        row.progress = {**row.progress, OUTCOME_TOLD: True}
        if turn is not None and await _said(session, turn.id, say.key):
            return
        conversation = await session.get_one(Conversation, row.conversation_id)
        await queue(session, clinic, content, conversation, [say], key=f"write:{row.id}", now=now)
        if not isinstance(outcome, (Booked, Moved, Cancelled, Confirmed, SlotTaken)):
            await open_escalation(
                session,
                clinic,
                conversation_id=conversation.id,
                key=f"write:{row.id}",
                severity="soon",
                reason="scheduling",
                now=now,
                details={"why": "a change could not be made in the EHR"},
                patient_id=conversation.patient_id,
            )


def _message(row: EhrWrite) -> int | None:
    """The message that asked for the change: its id stands in the key (`Context.key`)."""
    match row.key.split(":"):
        case ["in", number, _] if number.isdigit():
            return int(number)
    return None


async def _said(session: AsyncSession, inbox_id: int, key: str) -> bool:
    """Whether the answer to that message told the outcome already, in these words or in shorter ones."""
    told = select(Outbox.id).where(Outbox.inbox_id == inbox_id, Outbox.content_key.in_((key, f"{key}_plain")))
    return await session.scalar(told.limit(1)) is not None


def _words(outcome: Outcome) -> Say:
    match outcome:
        case Booked(visit=visit):
            return Say("utter_booked", _values(visit))
        case Moved(visit=visit):
            return Say("utter_rescheduled", _values(visit))
        case Confirmed(visit=visit):
            return Say("utter_confirmed", _values(visit))
        case Cancelled(visit=visit):
            return Say("utter_cancelled", {"start": visit.start.isoformat(), "practitioner": visit.practitioner})
        case SlotTaken():
            return Say("utter_slot_taken_later", {})
        case _:
            return Say("utter_booking_refused", {})


def _values(visit: Visit) -> dict[str, object]:
    return {**line(visit, 1), "preparation": visit.preparation}
