"""The rows of the staff inbox: opened once for each problem, raised, taken, climbing, resolved.

Everything here works inside the caller's transaction, so that an escalation exists exactly when its cause does.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic, Severity
from carethread.escalation.audit import PLATFORM, record
from carethread.escalation.errors import Held, Missing, Resolved
from carethread.escalation.ladder import (
    HISTORY,
    Standing,
    State,
    climbed,
    displayed,
    more_serious,
    reported_again,
    with_report,
)
from carethread.storage.announce import announce
from carethread.storage.models import Conversation, Escalation, Staff


async def open_escalation(
    session: AsyncSession,
    clinic: Clinic,
    *,
    conversation_id: uuid.UUID,
    key: str,
    severity: Severity,
    reason: str,
    now: datetime,
    rule: str | None = None,
    source: str | None = None,
    details: Mapping[str, Any] | None = None,
    patient_id: str | None = None,
    inbox_id: int | None = None,
) -> Escalation:
    """Make sure that a human will look at this. One unresolved row for each conversation and reason.

    `key` names the cause (like `inbox:12:red_flag`): the same key gives the same row and changes nothing. Another
    key of the same conversation and reason is added to the unresolved row, which it may raise and never lowers.
    `details` the inbox knows: `name` (a verified patient's), `summary` or `why` (one line for staff), `span` (the
    characters of the message that alarmed); any other key is shown as it is. Raises `Missing` for a conversation of
    another tenant.
    """
    await _lock_conversation(session, conversation_id)
    if known := await _reported(session, conversation_id, key):
        return known
    report = {
        "key": key,
        "at": now.isoformat(),
        "severity": severity,
        "rule": rule,
        "source": source,
        "inbox_id": inbox_id,
        "details": dict(details or {}),
    }
    row = await session.scalar(
        select(Escalation)
        .where(
            Escalation.conversation_id == conversation_id,
            Escalation.reason == reason,
            Escalation.state != "resolved",
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        team = clinic.team_for(reason)
        row = Escalation(
            id=uuid.uuid4(),
            conversation_id=conversation_id,
            key=key,
            severity=severity,
            reason=reason,
            team=team,
            rule=rule,
            source=source,
            details=with_report({}, report, outranks=True),
            patient_id=patient_id,
            inbox_id=inbox_id,
            state="open",
            opened_at=now,
            deadline=now + clinic.deadline(team, severity),
            climbs=0,
        )
        session.add(row)
    else:
        _add_report(clinic, row, report, patient_id, now)
    await session.flush()
    announce(session, clinic.id, conversation_id)
    return row


async def take(
    session: AsyncSession,
    clinic: Clinic,
    escalation_id: uuid.UUID,
    staff: Staff,
    now: datetime,
    *,
    instead_of: uuid.UUID | None = None,
) -> Escalation:
    """`staff` owns it now. The first wins: raises `Held` for the second, unless they said to relieve that very holder
    (`instead_of`). Raises `Resolved`, `Missing`.
    """
    row = await _lock(session, escalation_id)
    if row.state == "resolved":
        raise await _resolved(session, row)
    if row.owner_id == staff.id:
        return row
    if row.owner_id is not None and row.owner_id != instead_of:
        raise await _held(session, row)
    record(session, staff, "escalation.take", f"escalation:{row.id}", now, relieved=_text(row.owner_id))
    row.state, row.owner_id, row.taken_at = "taken", staff.id, now
    announce(session, clinic.id, row.conversation_id)
    return row


async def release(
    session: AsyncSession, clinic: Clinic, escalation_id: uuid.UUID, staff: Staff, now: datetime
) -> Escalation:
    """Back to the team, with the team's full time on the clock. Only its owner can: raises `Held`, `Resolved`."""
    row = await _lock(session, escalation_id)
    if row.state == "resolved":
        raise await _resolved(session, row)
    if row.owner_id is None:
        return row
    if row.owner_id != staff.id:
        raise await _held(session, row)
    row.state, row.owner_id, row.taken_at = "open", None, None
    row.deadline = now + clinic.deadline(row.team, displayed(row.severity, row.climbs))
    record(session, staff, "escalation.release", f"escalation:{row.id}", now)
    announce(session, clinic.id, row.conversation_id)
    return row


async def resolve(
    session: AsyncSession,
    clinic: Clinic,
    escalation_id: uuid.UUID,
    staff: Staff,
    now: datetime,
    resolution: str,
) -> Escalation:
    """Close it with a word on what was done; an escalation nobody has is taken with it.

    The same word from its owner twice is one. Raises `ValueError` without a word, `Held`, `Resolved`, `Missing`.
    """
    resolution = resolution.strip()
    if not resolution:
        raise ValueError("a resolution says what was done; it cannot be empty")
    row = await _lock(session, escalation_id)
    if row.state == "resolved":
        if row.owner_id == staff.id and row.resolution == resolution:
            return row
        raise await _resolved(session, row)
    if row.owner_id is not None and row.owner_id != staff.id:
        raise await _held(session, row)
    row.state, row.owner_id, row.taken_at = "resolved", staff.id, row.taken_at or now
    row.resolved_at, row.resolution = now, resolution
    record(session, staff, "escalation.resolve", f"escalation:{row.id}", now)
    announce(session, clinic.id, row.conversation_id)
    return row


async def climb_overdue(session: AsyncSession, clinic: Clinic, now: datetime, *, limit: int = 200) -> list[Escalation]:
    """Every escalation whose deadline passed with nobody taking it goes one step up; several workers may call this."""
    rows = (
        await session.scalars(
            select(Escalation)
            .where(Escalation.state == "open", Escalation.deadline <= now)
            .order_by(Escalation.deadline)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
    ).all()
    for row in rows:
        after = climbed(_standing(row), clinic, row.team, now)
        row.climbs, row.deadline = after.climbs, after.deadline
        record(session, PLATFORM, "escalation.climb", f"escalation:{row.id}", now, climbs=row.climbs)
    for conversation_id in {row.conversation_id for row in rows}:
        announce(session, clinic.id, conversation_id)
    return list(rows)


def _add_report(clinic: Clinic, row: Escalation, report: dict[str, Any], patient_id: str | None, now: datetime) -> None:
    """The same problem, reported again: kept in full, and raised where it got worse."""
    severity = cast(Severity, report["severity"])
    raised = more_serious(severity, row.severity)
    if row.state == "taken" and raised:
        report = {**report, "taken_from": _text(row.owner_id)}
    outranks = not more_serious(row.severity, severity)
    after = reported_again(_standing(row), severity, clinic.deadline(row.team, severity), now)
    row.severity, row.deadline = after.severity, after.deadline
    if after.state != row.state:
        row.state, row.owner_id, row.taken_at = after.state, None, None
    row.details = with_report(row.details, report, outranks=outranks)
    row.patient_id = row.patient_id or patient_id
    for name in ("rule", "source", "inbox_id"):
        if report[name] is not None and (raised or getattr(row, name) is None):
            setattr(row, name, report[name])


def _standing(row: Escalation) -> Standing:
    return Standing(cast(Severity, row.severity), cast(State, row.state), row.deadline, row.climbs)


async def _lock_conversation(session: AsyncSession, conversation_id: uuid.UUID) -> None:
    """Two reports about one conversation come one after the other. Lets messages go on arriving."""
    found = await session.scalar(
        select(Conversation.id).where(Conversation.id == conversation_id).with_for_update(key_share=True)
    )
    if found is None:
        raise Missing(f"conversation {conversation_id}")


async def _reported(session: AsyncSession, conversation_id: uuid.UUID, key: str) -> Escalation | None:
    """The escalation that `key` opened, or was put into."""
    put_into = (Escalation.conversation_id == conversation_id) & Escalation.details[HISTORY].contains([{"key": key}])
    return await session.scalar(select(Escalation).where(or_(Escalation.key == key, put_into)).limit(1))


async def _lock(session: AsyncSession, escalation_id: uuid.UUID) -> Escalation:
    row = await session.get(Escalation, escalation_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise Missing(f"escalation {escalation_id}")
    return row


async def _held(session: AsyncSession, row: Escalation) -> Held:
    assert row.owner_id is not None
    holder = await session.get_one(Staff, row.owner_id)
    return Held("escalation", holder.id, holder.name, row.taken_at)


async def _resolved(session: AsyncSession, row: Escalation) -> Resolved:
    holder = await session.get(Staff, row.owner_id) if row.owner_id else None
    return Resolved(holder.name if holder else None, row.resolved_at)


def _text(value: uuid.UUID | None) -> str | None:
    return str(value) if value else None
