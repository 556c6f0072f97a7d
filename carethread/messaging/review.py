"""Messages that the assistant was not sure of, or that needed mending: what `carethread nlu review` shows.

Every look and every decision is a row of the audit, and a message that was decided on does not come again: the audit
remembers it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.escalation.audit import record
from carethread.storage.models import Staff

LOOKED, DECIDED = "review_messages", "review_message"  # as the audit calls them
UNSURE = 0.5  # a confidence below it is worth a look
_FOLLOWS = timedelta(minutes=15)  # within it, what is written after a fallback says the same in other words


@dataclass(frozen=True, slots=True)
class Message:
    """A message worth labelling, and what it was taken for. `why` is unsure, corrected or staff."""

    id: int
    text: str
    language: str
    intent: str | None
    confidence: float | None
    outcome: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Candidate(Message):
    """One as it was written, with who wrote it."""

    address: str
    patient_id: str | None
    patient_name: str | None


_CANDIDATES = text("""
with message as (
  select i.*, lag(i.intent) over w as intent_before, lag(i.received_at) over w as before_at
  from inbox i where i.kind = 'text' window w as (partition by i.conversation_id order by i.id)
)
select m.id, m.text, coalesce(m.language, c.language) as language, m.intent, m.confidence, m.outcome, c.address,
  c.patient_id, c.patient_name,
  case when exists (select 1 from escalation e where e.inbox_id = m.id and e.reason = 'not_understood') then 'staff'
       when m.intent_before = 'nlu_fallback' and m.received_at - m.before_at < :follows then 'corrected'
       else 'unsure' end as why
from message m join conversation c on c.id = m.conversation_id
where m.done_at is not null and m.level = 'none' and m.text <> '' and m.outcome in ('answered', 'to_human', 'gave_up')
  and (m.confidence < :unsure or m.intent = 'nlu_fallback'
       or (m.intent_before = 'nlu_fallback' and m.received_at - m.before_at < :follows)
       or exists (select 1 from escalation e where e.inbox_id = m.id and e.reason = 'not_understood'))
  and not exists (select 1 from audit a where a.action = :decided and a.subject = 'inbox:' || m.id)
order by m.id desc limit :most
""")


async def candidates(session: AsyncSession, *, most: int, unsure: float = UNSURE) -> list[Candidate]:
    """The newest messages of the session's tenant that nobody decided on yet."""
    rows = await session.execute(_CANDIDATES, {"most": most, "unsure": unsure, "follows": _FOLLOWS, "decided": DECIDED})
    return [Candidate(**row) for row in rows.mappings()]


async def staff_of(session: AsyncSession, email: str) -> Staff | None:
    """Who has this e-mail and may still log in."""
    found: Staff | None = await session.scalar(
        select(Staff).where(Staff.email == email.strip().lower(), Staff.active.is_(True))
    )
    return found


async def staff_names(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(Staff.name)))


def note_look(session: AsyncSession, staff: Staff, ids: Sequence[int], now: datetime) -> None:
    """That these messages were shown, without what they say."""
    record(session, staff, LOOKED, f"review:{uuid.uuid4()}", now, messages=list(ids))


def note_decision(session: AsyncSession, staff: Staff, message: int, decision: str, now: datetime) -> None:
    """What was decided on a message: the intent that it was taught as, or `skip`."""
    record(session, staff, DECIDED, f"inbox:{message}", now, decision=decision)
