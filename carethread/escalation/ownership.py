"""Who speaks to the patient: the assistant, a person, or nobody until a person comes.

Everything here works inside the caller's transaction. `conversation` is read again under a lock, so what the
caller held before may be older.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import DateTime, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic
from carethread.escalation.audit import record
from carethread.escalation.errors import Held
from carethread.escalation.escalations import open_escalation
from carethread.storage.announce import announce
from carethread.storage.models import Conversation, Escalation, Inbox, Outbox, Staff


async def take_over(
    session: AsyncSession,
    conversation: Conversation,
    staff: Staff,
    now: datetime,
    *,
    instead_of: uuid.UUID | None = None,
) -> None:
    """`staff` speaks now and the assistant is silent. The first wins: raises `Held` for the second, unless they said
    to relieve that very holder (`instead_of`).
    """
    await lock(session, conversation)
    if conversation.owner_staff_id == staff.id:
        return
    await _refuse_if_held(session, conversation, staff, instead_of)
    relieved = conversation.owner_staff_id
    conversation.owner, conversation.owner_staff_id = "human", staff.id
    record(
        session, staff, "conversation.take_over", f"conversation:{conversation.id}", now,
        relieved=str(relieved) if relieved else None,
    )  # fmt: skip
    announce(session, conversation.tenant_id, conversation.id)


async def hand_back(session: AsyncSession, conversation: Conversation, staff: Staff, now: datetime) -> None:
    """The assistant speaks again. Raises `Held` when a colleague has the conversation."""
    await lock(session, conversation)
    if conversation.owner == "assistant":
        return
    await _refuse_if_held(session, conversation, staff, None)
    before = conversation.owner
    conversation.owner, conversation.owner_staff_id = "assistant", None
    record(session, staff, "conversation.hand_back", f"conversation:{conversation.id}", now, owner=before)
    announce(session, conversation.tenant_id, conversation.id)


async def pause_for_human(session: AsyncSession, conversation: Conversation) -> None:
    """The patient wants a person: silent until somebody takes over or hands back. A stronger pause stays."""
    await _pause(session, conversation, "human", over=("assistant",))


async def pause_for_emergency(session: AsyncSession, conversation: Conversation) -> None:
    """A red flag: silent until a person hands back. Who has the conversation already keeps it."""
    await _pause(session, conversation, "emergency", over=("assistant", "human"))


async def watch_waiting(session: AsyncSession, clinic: Clinic, now: datetime, *, limit: int = 200) -> list[Escalation]:
    """Open a line for each patient who wrote to staff and got no answer in the time that `soon` allows.

    A person who took over and left, or resolved without handing back, would otherwise leave the patient in
    silence: the assistant does not speak, and no clock runs. Called by the worker's sweep.
    """
    allowed = clinic.deadline(clinic.team_for("waiting"), "soon")
    answered = (
        select(func.max(Outbox.created_at))
        .where(Outbox.conversation_id == Conversation.id, Outbox.author == "staff")
        .scalar_subquery()
    )
    closed = (
        select(func.max(Escalation.resolved_at)).where(Escalation.conversation_id == Conversation.id).scalar_subquery()
    )
    never = literal("-infinity").cast(DateTime(timezone=True))
    running = (
        select(Escalation.id).where(Escalation.conversation_id == Conversation.id, Escalation.state == "open").exists()
    )
    unanswered = await session.execute(
        select(Conversation.id, func.min(Inbox.id))
        .join(Inbox, Inbox.conversation_id == Conversation.id)
        .where(
            Conversation.owner != "assistant",
            Inbox.kind != "event",
            Inbox.outcome == "to_human",
            Inbox.received_at > func.coalesce(func.greatest(answered, closed), never),
            ~running,
        )
        .group_by(Conversation.id)
        .having(func.min(Inbox.received_at) <= now - allowed)
        .limit(limit)
    )
    return [
        await open_escalation(
            session,
            clinic,
            conversation_id=conversation_id,
            key=f"waiting:{inbox_id}",
            severity="soon",
            reason="waiting",
            now=now,
            inbox_id=inbox_id,
        )
        for conversation_id, inbox_id in unanswered.all()
    ]


async def _pause(session: AsyncSession, conversation: Conversation, owner: str, *, over: tuple[str, ...]) -> None:
    await lock(session, conversation)
    if conversation.owner_staff_id is None and conversation.owner in over:
        conversation.owner = owner
        announce(session, conversation.tenant_id, conversation.id)


async def lock(session: AsyncSession, conversation: Conversation) -> None:
    """Read it as it is now and keep it so until the transaction ends. Lets messages go on arriving."""
    await session.flush()  # what the caller changed is not written yet, and refreshing would forget it
    await session.refresh(conversation, with_for_update={"key_share": True})


async def _refuse_if_held(
    session: AsyncSession, conversation: Conversation, staff: Staff, instead_of: uuid.UUID | None
) -> None:
    holder_id = conversation.owner_staff_id
    if holder_id in (None, staff.id, instead_of):
        return
    holder = await session.get_one(Staff, holder_id)
    raise Held("conversation", holder.id, holder.name, None)
