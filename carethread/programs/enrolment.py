"""Who enters a program: events of the EHR become enrolments with their touchpoints, once per event."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic
from carethread.ehr.client import Ehr
from carethread.ehr.discharges import Discharge, recent_discharges
from carethread.programs.library import Program, Programs, TouchpointPlan
from carethread.storage.database import Database
from carethread.storage.models import Enrolment, Touchpoint

log = structlog.get_logger()


def due(plan: TouchpointPlan, event_at: datetime, zone: ZoneInfo) -> datetime:
    """The first `plan.at` of the patient's day that is at least `plan.after` past the event."""
    earliest = (event_at + plan.after).astimezone(zone)
    at = earliest.replace(hour=plan.at.hour, minute=plan.at.minute, second=0, microsecond=0)
    return at if at >= earliest else at + timedelta(days=1)


async def enrol_discharged(database: Database, ehr: Ehr, clinic: Clinic, programs: Programs, *, now: datetime) -> int:
    """Enrol everybody who went home lately in the programs that follow a discharge. Returns how many are new."""
    new = 0
    for name in clinic.programs:
        program = programs[name]
        if program.definition.status != "published" or program.definition.trigger.kind != "discharge":
            continue
        since = now - program.definition.trigger.within
        for discharge in await recent_discharges(ehr, since, now):
            if not discharge.went_home:
                continue
            async with database.begin(clinic.id) as session:
                new += await _enrol(session, clinic, program, discharge)
    return new


async def _enrol(session: AsyncSession, clinic: Clinic, program: Program, discharge: Discharge) -> bool:
    enrolment_id = await session.scalar(
        insert(Enrolment)
        .values(
            id=uuid.uuid4(),
            program=program.name,
            version=program.definition.version,
            patient_id=discharge.patient_id,
            trigger_key=f"Encounter/{discharge.encounter_id}",
            state="active",
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "program", "trigger_key"])
        .returning(Enrolment.id)
    )
    if enrolment_id is None:
        return False
    for plan in program.definition.touchpoints:
        session.add(
            Touchpoint(
                enrolment_id=enrolment_id,
                step=plan.step,
                due_at=due(plan, discharge.discharged_at, clinic.zone),
            )
        )
    log.info("enrolled", tenant=clinic.id, program=program.name, enrolment=str(enrolment_id))
    return True
