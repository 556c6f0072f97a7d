"""The way in: a message becomes a committed inbox row and a wake-up before its provider hears 2xx."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Channel, Clinic
from carethread.messaging import ledger
from carethread.messaging.types import DeliveryUpdate, InboundMessage, Receipt
from carethread.messaging.wakeups import Wakeup, wake
from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox, Outbox

# Line breaks, and the joiners that emoji, Persian and Hindi need.
_KEPT = "\n\t\u200c\u200d\ufe0f"

# A state may only be followed by a later one: providers report out of order.
_ORDER = {"queued": 0, "sending": 1, "unknown": 1, "sent": 2, "delivered": 3, "read": 4, "failed": 5}


def clean(text: str) -> str:
    """`text` without the characters that a database or a screen cannot hold (NUL, other control characters).

    White space of any kind stays white space, so that words never run together ("call\\u00a0911").
    """
    return "".join(
        char if char in _KEPT or char.isprintable() else " " if char.isspace() else ""
        for char in text.replace("\r\n", "\n")
    )


class Intake:
    """What every channel calls for what arrives."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, clinic: Clinic, message: InboundMessage) -> Receipt:
        """Commit `message` with its wake-up; a provider id seen before returns the first one's row."""
        async with self._database.begin(clinic.id) as session:
            return await receive(session, clinic, message)

    async def delivered(self, clinic: Clinic, update_: DeliveryUpdate, *, now: datetime) -> bool:
        """Note a provider's word on a message sent. Never goes back; False when no such message exists."""
        async with self._database.begin(clinic.id) as session:
            found = Outbox.id == update_.outbox_id if update_.outbox_id else Outbox.provider_id == update_.provider_id
            row = await session.scalar(select(Outbox).where(found).with_for_update())
            if row is None:
                return False
            if _ORDER.get(update_.state, 0) > _ORDER.get(row.state, 0) and row.state != "failed":
                row.state = update_.state
                row.provider_id = row.provider_id or update_.provider_id
                row.error = update_.error
                if update_.state in ("delivered", "read"):
                    row.delivered_at = row.delivered_at or now
                announce(session, clinic.id, row.conversation_id)
            return True


async def conversation_of(
    session: AsyncSession, clinic: Clinic, channel: Channel, account: str, address: str
) -> Conversation:
    """The conversation with `address`, made if this is the first contact."""
    known = select(Conversation).where(
        Conversation.channel == channel, Conversation.account == account, Conversation.address == address
    )
    if (row := await session.scalar(known)) is not None:
        return row
    await session.execute(
        insert(Conversation)
        .values(
            id=uuid.uuid4(),
            channel=channel,
            account=account,
            address=address,
            language=clinic.languages[0],
            owner="assistant",
            verification_failures=0,
            lease_token=0,
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "channel", "account", "address"])
    )
    return (await session.execute(known)).scalar_one()


async def receive(session: AsyncSession, clinic: Clinic, message: InboundMessage) -> Receipt:
    """`Intake.receive` in a transaction that is already open."""
    provider_id = f"{message.channel}:{message.provider_id}"
    text = clean(message.text)
    added = await ledger.add_arrived(session, provider_id, message, text)
    if added is None:
        known = await session.scalar(select(Inbox).where(Inbox.provider_id == provider_id))
        if known is not None:
            return Receipt(known.id, known.conversation_id, duplicate=True)
        await conversation_of(session, clinic, message.channel, message.account, message.address)
        added = await ledger.add_arrived(session, provider_id, message, text)
        if added is None:  # the same message, at the same moment
            known = (await session.scalars(select(Inbox).where(Inbox.provider_id == provider_id))).one()
            return Receipt(known.id, known.conversation_id, duplicate=True)
    inbox_id, conversation_id = added
    await wake(session, Wakeup("inbound", clinic.id, str(conversation_id)))
    announce(session, clinic.id, conversation_id)
    return Receipt(inbox_id, conversation_id, duplicate=False)
