"""A questionnaire being answered: its session in the ledger, alarms at once, the response to the EHR at the end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic
from carethread.ehr import writes
from carethread.escalation import open_escalation
from carethread.messaging.types import WHATSAPP_WINDOW
from carethread.programs.library import Program, Programs, Rule, TouchpointPlan
from carethread.questionnaires import (
    Input,
    Misunderstood,
    Questionnaire,
    Session,
    Step,
    answer,
    current_question,
    resume,
    start,
    summary,
    to_observations,
    to_response,
)
from carethread.questionnaires.outcomes import Second
from carethread.storage.models import Enrolment, QuestionnaireRun, Touchpoint

_SHOWN = 5  # runs of a conversation that staff see
_TO_SPARE = timedelta(hours=2)  # before WhatsApp's window closes


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after a message: the step, and the rules that its answers meet."""

    step: Step
    alarms: tuple[Rule, ...]


async def waiting(session: AsyncSession, conversation_id: uuid.UUID, *, alone: bool = False) -> QuestionnaireRun | None:
    """The run that this conversation has to answer next: the one under way, else the oldest that waits.

    `alone` holds it until the transaction ends: the patient may be answering on the web page at the same time.
    """
    query = (
        select(QuestionnaireRun)
        .where(
            QuestionnaireRun.conversation_id == conversation_id,
            QuestionnaireRun.state.in_(("running", "waiting")),
        )
        .order_by(QuestionnaireRun.state, QuestionnaireRun.created_at)
        .limit(1)
    )
    found = await session.scalars(query.with_for_update() if alone else query)
    return found.first()


async def taken_up(session: AsyncSession, conversation_id: uuid.UUID, patient_id: str) -> QuestionnaireRun | None:
    """An open run that waits for this patient in another of their conversations: from now on it is in this one."""
    found = await session.scalar(
        select(QuestionnaireRun)
        .where(QuestionnaireRun.patient_id == patient_id, QuestionnaireRun.state.in_(("running", "waiting")))
        .order_by(QuestionnaireRun.state, QuestionnaireRun.created_at)
        .limit(1)
        .with_for_update()
    )
    if found is not None:
        found.conversation_id = conversation_id
    return found


def questionnaire_of(programs: Programs, run: QuestionnaireRun) -> tuple[Program, Questionnaire]:
    """The program and the questionnaire of a run; raises `KeyError` when the installation no longer has them."""
    program = programs[run.program or ""]
    return program, program.questionnaires[run.questionnaire]


def opened(
    program: Program, questionnaire: Questionnaire, run: QuestionnaireRun, *, language: str, now: datetime
) -> Step:
    """The first question, or the one where the patient left off."""
    if run.state == "waiting" or not run.session:
        launch = {"patient": run.launch or {"resourceType": "Patient", "id": run.patient_id}}
        confirm = program.plan_of(run.questionnaire).confirm
        return start(questionnaire, language=language, now=now, launch=launch, confirm=confirm)
    return resume(questionnaire, Session.from_json(run.session), language=language, now=now)


def take(questionnaire: Questionnaire, run: QuestionnaireRun, message: Input, *, meaning: Second | None = None) -> Step:
    """What a message is to the waiting question. Nothing is kept yet."""
    return answer(questionnaire, Session.from_json(run.session), message, meaning=meaning)


def lost(step: Step) -> bool:
    """Whether the message was no answer at all, so that it may have been something else."""
    return any(isinstance(event, Misunderstood) for event in step.events)


async def keep(
    session: AsyncSession,
    clinic: Clinic,
    program: Program,
    questionnaire: Questionnaire,
    run: QuestionnaireRun,
    step: Step,
    *,
    now: datetime,
    inbox_id: int | None,
    channel: str,
    on: str = "chat",
) -> Progress:
    """Keep a step with its message in one transaction: session, alarms, and at the end the write to the EHR.

    An alarm is raised by the first answer that meets its rule, not only at the end. `channel` is the conversation's,
    `on` where the next question is put: "chat" or "page".
    """
    run.session = step.session.to_json()
    run.asked_on = on
    run.last_message_id = step.session.last_message
    run.state = {"completed": "completed", "needs-human": "stopped"}.get(step.status, "running")
    response = _response(questionnaire, run, step.session)
    alarms = tuple(program.alarms(response))
    for rule in alarms:
        await _alarm(session, clinic, run, rule, response, now=now, inbox_id=inbox_id)
    if run.state == "completed":
        await writes.record(
            session, f"run:{run.id}", writes.CREATE, {"resource": response}, now=now,
            conversation_id=run.conversation_id,
        )  # fmt: skip
        for number, observation in enumerate(to_observations(questionnaire, step.session, subject=_patient(run)), 1):
            await writes.record(
                session, f"run:{run.id}:observation:{number}", writes.CREATE, {"resource": observation}, now=now,
                conversation_id=run.conversation_id,
            )  # fmt: skip
    if run.state in ("completed", "stopped"):
        await _close(session, run, now)
    run.look_at = remind_at(program.plan_of(run.questionnaire), channel, now)
    return Progress(step, alarms)


def remind_at(plan: TouchpointPlan, channel: str, now: datetime) -> datetime:
    """When to remind of a run that lies from now on. WhatsApp lets us write for a day after the patient did."""
    wait = min(plan.remind_after, WHATSAPP_WINDOW - _TO_SPARE) if channel == "whatsapp" else plan.remind_after
    return now + wait


async def lapse(session: AsyncSession, questionnaire: Questionnaire, run: QuestionnaireRun, *, now: datetime) -> None:
    """End a run that the patient left: what was answered goes to the EHR as a response that was stopped."""
    run.state = "lapsed"
    kept = Session.from_json(run.session) if run.session else None
    if kept is not None and kept.answers:
        response = _response(questionnaire, run, kept) | {"status": "stopped"}
        await writes.record(
            session, f"run:{run.id}", writes.CREATE, {"resource": response}, now=now,
            conversation_id=run.conversation_id,
        )  # fmt: skip
    await _close(session, run, now)


@dataclass(frozen=True, slots=True)
class SoFar:
    """What staff see of a run: how far it is, and each question with its answer, in one language."""

    title: str
    state: str
    asked_on: str
    started_at: datetime
    answers: tuple[tuple[str, str], ...]
    done: int
    total: int


async def so_far(session: AsyncSession, programs: Programs, conversation_id: uuid.UUID, language: str) -> list[SoFar]:
    """The runs of a conversation, the newest first. One whose program is gone is left out."""
    rows = await session.scalars(
        select(QuestionnaireRun)
        .where(QuestionnaireRun.conversation_id == conversation_id)
        .order_by(QuestionnaireRun.created_at.desc())
        .limit(_SHOWN)
    )
    known = ((programs.get(run.program or ""), run) for run in rows)
    return [
        _so_far(program.questionnaires[run.questionnaire], run, language)
        for program, run in known
        if program is not None and run.questionnaire in program.questionnaires
    ]


def _so_far(questionnaire: Questionnaire, run: QuestionnaireRun, language: str) -> SoFar:
    answers: tuple[tuple[str, str], ...] = ()
    done = total = 0
    if run.session:
        kept = Session.from_json(run.session)
        waiting_now = current_question(questionnaire, kept, language=language)
        lines = summary(questionnaire, replace(kept, language=language))
        answers = tuple((line.text, ", ".join(one.label or one.key for one in line.answers)) for line in lines)
        done, total = (waiting_now.done, waiting_now.total) if waiting_now else (len(lines), len(lines))
    title = questionnaire.title.in_language(language)
    return SoFar(title, run.state, run.asked_on, run.created_at, answers, done, total)


def response_of(questionnaire: Questionnaire, run: QuestionnaireRun) -> dict[str, Any]:
    """The QuestionnaireResponse of what is answered so far."""
    return _response(questionnaire, run, Session.from_json(run.session))


def _response(questionnaire: Questionnaire, run: QuestionnaireRun, session: Session) -> dict[str, Any]:
    return to_response(questionnaire, session, subject=_patient(run), source=_patient(run))


def _patient(run: QuestionnaireRun) -> str:
    return f"Patient/{run.patient_id}"


async def _alarm(
    session: AsyncSession,
    clinic: Clinic,
    run: QuestionnaireRun,
    rule: Rule,
    response: Mapping[str, Any],
    *,
    now: datetime,
    inbox_id: int | None,
) -> None:
    await open_escalation(
        session,
        clinic,
        conversation_id=run.conversation_id,
        key=f"run:{run.id}:{rule.id}",
        severity=rule.severity,
        reason="checkin",
        now=now,
        rule=f"{run.program}:{rule.id}",
        source=rule.source,
        details={"why": rule.why, "program": run.program},
        patient_id=run.patient_id,
        inbox_id=inbox_id,
    )


async def _close(session: AsyncSession, run: QuestionnaireRun, now: datetime) -> None:
    if run.touchpoint_id is None:
        return
    touchpoint = await session.get_one(Touchpoint, run.touchpoint_id)
    touchpoint.state, touchpoint.outcome, touchpoint.ended_at = "completed", run.state, now
    open_steps = await session.scalar(
        select(Touchpoint.id)
        .where(Touchpoint.enrolment_id == touchpoint.enrolment_id, Touchpoint.state.in_(("scheduled", "started")))
        .limit(1)
    )
    if open_steps is None:
        enrolment = await session.get_one(Enrolment, touchpoint.enrolment_id)
        enrolment.state, enrolment.ended_at = "completed", now
