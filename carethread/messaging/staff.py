"""What a person of the clinic says to a patient: only who has the conversation may, and each word once."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic
from carethread.escalation.audit import record
from carethread.escalation.errors import Held
from carethread.escalation.ownership import lock
from carethread.messaging.consent import opted_out
from carethread.messaging.intake import clean
from carethread.messaging.wakeups import Wakeup, wake
from carethread.storage.announce import announce
from carethread.storage.models import Conversation, Outbox, Staff

CONTENT_KEY: Final = "staff_message"
# A person's words have no reviewed version.
CONTENT_VERSION: Final = "staff"
# Characters that one message may have. Providers refuse longer ones.
MAX_TEXT: Final = {"sms": 1600, "whatsapp": 1600, "web": 4000}


class NotYours(Exception):
    """Nobody of the staff has the conversation: take it over before replying."""


class OptedOut(Exception):
    """The patient said stop on this channel: nothing but a START of theirs lets messages out again."""


class Unsendable(ValueError):
    """The text is empty (`length` 0) or longer than the channel takes (`limit`)."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"a text of {length} characters cannot be sent; 1 to {limit} can")
        self.length = length
        self.limit = limit


async def say_as_staff(
    session: AsyncSession,
    clinic: Clinic,
    conversation: Conversation,
    staff: Staff,
    text: str,
    key: str,
    *,
    now: datetime,
) -> Outbox:
    """Queue `text` from `staff`, in the caller's transaction; the same `key` (a form's nonce) gives the same row.

    Raises `Held` when a colleague has the conversation, `NotYours` when nobody has, `OptedOut`, `Unsendable`.
    """
    # Under a lock: a colleague may be taking over at this moment.
    await lock(session, conversation)
    if known := await session.scalar(select(Outbox).where(Outbox.key == key)):
        return known
    if conversation.owner_staff_id is None:
        raise NotYours
    if conversation.owner_staff_id != staff.id:
        holder = await session.get_one(Staff, conversation.owner_staff_id)
        raise Held("conversation", holder.id, holder.name, None)
    text = clean(text.replace("\r\n", "\n")).strip()
    limit = MAX_TEXT[conversation.channel]
    if not 0 < len(text) <= limit:
        raise Unsendable(len(text), limit)
    if conversation.channel != "web" and await opted_out(session, conversation.channel, conversation.address):
        raise OptedOut
    row = Outbox(
        conversation_id=conversation.id,
        key=key,
        author="staff",
        staff_id=staff.id,
        content_key=CONTENT_KEY,
        content_version=CONTENT_VERSION,
        language=conversation.language,
        text=text,
        state="queued",
    )
    session.add(row)
    conversation.last_outbound_at = now
    await session.flush()
    record(session, staff, "conversation.reply", f"conversation:{conversation.id}", now, outbox=row.id)
    await wake(session, Wakeup("outbound", clinic.id, str(conversation.id)))
    announce(session, clinic.id, conversation.id)
    return row
