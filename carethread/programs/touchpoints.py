"""What programs do when it is due: an event into the patient's conversation, at a decent hour, one at a time."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import cast

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Channel, Clinic
from carethread.ehr.client import Ehr, Record
from carethread.ehr.patients import Patient, for_forms, patient_of
from carethread.messaging.consent import opted_out
from carethread.messaging.intake import conversation_of, receive
from carethread.messaging.types import WHATSAPP_WINDOW, InboundMessage
from carethread.programs import runs
from carethread.programs.library import Programs, TouchpointPlan
from carethread.programs.quiet import next_allowed
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Enrolment, QuestionnaireRun, Touchpoint

log = structlog.get_logger()

_PHONES: tuple[Channel, ...] = ("sms", "whatsapp")
# A conversation that the patient is in the middle of is not interrupted.
_TALKING = timedelta(minutes=10)
_LATER = timedelta(minutes=15)
_BATCH = 50
# The Rasa intent of a check-in that is due.
EVENT = "EXTERNAL_checkin_due"


async def start_due(database: Database, ehr: Ehr, clinic: Clinic, programs: Programs, *, now: datetime) -> int:
    """Start every touchpoint that is due; returns how many were. Workers that do this at once share the rows."""

    async def start(session: AsyncSession, touchpoint: Touchpoint) -> bool:
        return await _start_or_put_off(session, ehr, clinic, programs, touchpoint, now)

    due = (
        select(Touchpoint.id)
        .where(Touchpoint.state == "scheduled", Touchpoint.due_at <= now)
        .order_by(Touchpoint.due_at)
        .limit(_BATCH)
    )
    return await database.each_alone(clinic.id, due, Touchpoint, start)


async def _start_or_put_off(
    session: AsyncSession, ehr: Ehr, clinic: Clinic, programs: Programs, touchpoint: Touchpoint, now: datetime
) -> bool:
    if touchpoint.state != "scheduled":
        return False
    enrolment = await session.get_one(Enrolment, touchpoint.enrolment_id)
    plan = programs[enrolment.program].touchpoint(touchpoint.step)
    if (later := next_allowed(now.astimezone(clinic.zone), clinic.quiet_hours)) > now:
        touchpoint.due_at = later
        return False
    record = await ehr.read("Patient", enrolment.patient_id)
    why_not = _why_not(patient_of(record) if record else None, touchpoint, plan, now)
    if why_not or record is None:
        _skip(touchpoint, why_not or "gone", now)
        return False
    return await _start(session, clinic, programs, touchpoint, enrolment, record, now)


async def start_now(
    database: Database, ehr: Ehr, clinic: Clinic, programs: Programs, patient_id: str, *, now: datetime
) -> bool:
    """Start a patient's next touchpoint at a person's wish, quiet hours or not. False when none waits."""
    async with database.begin(clinic.id) as session:
        touchpoint = await session.scalar(
            select(Touchpoint)
            .join(Enrolment, Enrolment.id == Touchpoint.enrolment_id)
            .where(Enrolment.patient_id == patient_id, Touchpoint.state == "scheduled")
            .order_by(Touchpoint.due_at)
            .limit(1)
            .with_for_update(of=Touchpoint, skip_locked=True)
        )
        if touchpoint is None:
            return False
        touchpoint.due_at = min(touchpoint.due_at, now)
        enrolment = await session.get_one(Enrolment, touchpoint.enrolment_id)
        plan = programs[enrolment.program].touchpoint(touchpoint.step)
        record = await ehr.read("Patient", patient_id)
        if record is None or _why_not(patient_of(record), touchpoint, plan, now):
            return False
        return await _start(session, clinic, programs, touchpoint, enrolment, record, now)


async def last_started(database: Database, clinic: Clinic, patient_id: str) -> datetime | None:
    """When the patient's latest touchpoint was started; None when none was."""
    async with database.begin(clinic.id) as session:
        return await session.scalar(
            select(Touchpoint.started_at)
            .join(Enrolment, Enrolment.id == Touchpoint.enrolment_id)
            .where(Enrolment.patient_id == patient_id, Touchpoint.started_at.is_not(None))
            .order_by(Touchpoint.started_at.desc())
            .limit(1)
        )


def _why_not(patient: Patient | None, touchpoint: Touchpoint, plan: TouchpointPlan, now: datetime) -> str | None:
    """Why this must not go out at all."""
    if patient is None or not patient.active:
        return "no active record"
    if patient.deceased:
        return "deceased"
    if not patient.phones:
        return "no phone"
    if now - touchpoint.due_at > plan.expires:
        return "expired"
    return None


def _skip(touchpoint: Touchpoint, why: str, now: datetime) -> None:
    touchpoint.state, touchpoint.outcome, touchpoint.ended_at = "skipped", why, now
    log.info("touchpoint_skipped", touchpoint=str(touchpoint.id), why=why)


async def _start(
    session: AsyncSession,
    clinic: Clinic,
    programs: Programs,
    touchpoint: Touchpoint,
    enrolment: Enrolment,
    record: Record,
    now: datetime,
) -> bool:
    """Put the check-in into the patient's conversation, unless now is not the moment."""
    program, patient = programs[enrolment.program], patient_of(record)
    plan = program.touchpoint(touchpoint.step)
    reached = await _where(session, clinic, patient.phones[0], now)
    if isinstance(reached, str):
        _skip(touchpoint, reached, now)
        return False
    conversation = reached
    if await _busy(session, conversation, now):
        touchpoint.due_at = now + _LATER
        return False
    if conversation.last_inbound_at is None and patient.language in clinic.languages:
        conversation.language = str(patient.language)
    run = QuestionnaireRun(
        id=uuid.uuid4(),
        conversation_id=conversation.id,
        touchpoint_id=touchpoint.id,
        program=enrolment.program,
        patient_id=patient.id,
        questionnaire=plan.questionnaire,
        launch=for_forms(record) if program.questionnaires[plan.questionnaire].has_expressions else None,
        look_at=runs.remind_at(plan, conversation.channel, now),
    )
    session.add(run)
    await session.flush()
    message = InboundMessage(
        cast(Channel, conversation.channel), conversation.account, conversation.address,
        f"touchpoint-{touchpoint.id}", kind="event",
        event={"name": EVENT, "run": str(run.id)},
    )  # fmt: skip
    await receive(session, clinic, message)
    touchpoint.state, touchpoint.started_at, touchpoint.conversation_id = "started", now, conversation.id
    return True


async def _where(session: AsyncSession, clinic: Clinic, phone: str, now: datetime) -> Conversation | str:
    """The conversation to write in: WhatsApp where the patient wrote there last and it still lets us, else SMS.

    A text instead of a conversation says why there is none.
    """
    accounts = [account for channel in _PHONES if (account := clinic.first_account(channel)) is not None]
    if not accounts:
        return "the clinic has no number to write from"
    open_to_us = [a for a in accounts if not await opted_out(session, a.channel, phone)]
    if not open_to_us:
        return "the patient has said stop"
    known = {
        account.channel: await session.scalar(
            select(Conversation).where(
                Conversation.channel == account.channel,
                Conversation.account == account.address,
                Conversation.address == phone,
            )
        )
        for account in open_to_us
    }
    wrote = {channel: found.last_inbound_at for channel, found in known.items() if found and found.last_inbound_at}
    whatsapp, sms = wrote.get("whatsapp"), wrote.get("sms")
    if whatsapp and now - whatsapp < WHATSAPP_WINDOW and (sms is None or sms < whatsapp):
        return cast(Conversation, known["whatsapp"])
    account = next((account for account in open_to_us if account.channel == "sms"), None)
    if account is None:
        return "the patient has said stop"
    return await conversation_of(session, clinic, "sms", account.address, phone)


async def _busy(session: AsyncSession, conversation: Conversation, now: datetime) -> bool:
    if conversation.owner != "assistant":
        return True
    if conversation.last_inbound_at and now - conversation.last_inbound_at < _TALKING:
        return True
    open_run = await session.scalar(
        select(QuestionnaireRun.id).where(
            QuestionnaireRun.conversation_id == conversation.id,
            QuestionnaireRun.state.in_(("waiting", "running")),
        )
    )
    return open_run is not None
