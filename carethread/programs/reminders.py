"""Questionnaires that were left unfinished: a reminder at a decent hour, and at last an end, with what was answered."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic
from carethread.dialogue.content import Content
from carethread.messaging.consent import opted_out
from carethread.messaging.outbox import Say, queue
from carethread.messaging.types import WHATSAPP_WINDOW
from carethread.programs import runs
from carethread.programs.library import Programs
from carethread.programs.quiet import next_allowed
from carethread.storage.database import Database
from carethread.storage.models import Conversation, QuestionnaireRun

log = structlog.get_logger()

REMINDER = "utter_checkin_open"
# While a human has the conversation it is looked at again after so long.
_LATER = timedelta(hours=1)
_WITHOUT_PROGRAM = timedelta(days=1)
_BATCH = 50


async def remind(database: Database, clinic: Clinic, programs: Programs, content: Content, *, now: datetime) -> int:
    """Remind of every run that lies too long, or end it; returns how many. Any number of workers may do it at once."""

    async def look_at(session: AsyncSession, run: QuestionnaireRun) -> bool:
        return await _look_at(session, clinic, programs, content, run, now)

    lying = (
        select(QuestionnaireRun.id)
        .where(QuestionnaireRun.state.in_(("waiting", "running")), QuestionnaireRun.look_at <= now)
        .order_by(QuestionnaireRun.look_at)
        .limit(_BATCH)
    )
    return await database.each_alone(clinic.id, lying, QuestionnaireRun, look_at)


async def _look_at(
    session: AsyncSession, clinic: Clinic, programs: Programs, content: Content, run: QuestionnaireRun, now: datetime
) -> bool:
    """Remind, end, or put off; True when the patient or the EHR hears of it."""
    if run.state not in ("waiting", "running"):
        return False
    try:
        program, questionnaire = runs.questionnaire_of(programs, run)
    except KeyError:
        # Its program may come back; until then nobody can be asked, and others must not wait behind it.
        log.error("run_without_program", tenant=clinic.id, run=str(run.id), program=run.program)
        run.look_at = now + _WITHOUT_PROGRAM
        return False
    plan = program.plan_of(run.questionnaire)
    ends = run.created_at + plan.expires
    if now >= ends:
        await runs.lapse(session, questionnaire, run, now=now)
        return True
    conversation = await session.get_one(Conversation, run.conversation_id)
    if conversation.owner != "assistant":
        run.look_at = now + _LATER
    elif run.reminders >= plan.reminders or not await _reachable(session, conversation, now):
        run.look_at = ends
    elif (later := next_allowed(now.astimezone(clinic.zone), clinic.quiet_hours)) > now:
        run.look_at = later
    else:
        run.reminders += 1
        run.look_at = min(runs.remind_at(plan, conversation.channel, now), ends)
        says = [Say(REMINDER, {})]
        await queue(session, clinic, content, conversation, says, key=f"run:{run.id}:reminder:{run.reminders}", now=now)
        log.info("reminded", tenant=clinic.id, run=str(run.id), reminders=run.reminders)
        return True
    return False


async def _reachable(session: AsyncSession, conversation: Conversation, now: datetime) -> bool:
    """Whether a reminder may go out here: nobody is called to a web page, and nobody is written to after STOP."""
    if conversation.channel == "web" or await opted_out(session, conversation.channel, conversation.address):
        return False
    if conversation.channel != "whatsapp":
        return True
    return conversation.last_inbound_at is not None and now - conversation.last_inbound_at < WHATSAPP_WINDOW
