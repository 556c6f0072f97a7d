"""The way out: outbox rows to their provider, in order, at the sender's rate, each exactly once.

A row is `sending` from just before the provider is called. One that stays so (the process died, or the call's
outcome is unknown) is looked up at the provider before it is sent again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import cast

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Account, Channel, Clinic, Clinics
from carethread.escalation import open_escalation
from carethread.messaging import ledger
from carethread.messaging.ledger import Waiting
from carethread.messaging.types import Channels, OutboundMessage, QuickReply, SendFailed
from carethread.messaging.wakeups import Wakeup, wake
from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Outbox, Sender

log = structlog.get_logger()

_BACKOFF = (1, 2, 5, 15, 60, 300)  # seconds before the n-th retry; the last one repeats
_GIVE_UP = timedelta(hours=6)
_STUCK = timedelta(seconds=30)  # a row `sending` for longer lost its worker
_UNSETTLED = ("sending", "unknown")
_MAX_NAP = 2.0  # seconds to wait in place for the sender's turn; longer waits become a later job
_NO_SENDER = "the clinic no longer has this sender"
# Said even to a patient who has stopped: the law asks for the confirmation, and an emergency is one.
_ALWAYS = ("utter_stopped", "utter_safety_emergency", "utter_safety_crisis")


class Outbound:
    """Sends what is queued."""

    def __init__(
        self,
        database: Database,
        clinics: Clinics,
        channels: Mapping[str, Channels],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._clinics = clinics
        self._channels = channels
        self._clock = clock

    async def work(self, tenant: str, conversation_id: uuid.UUID) -> None:
        """Send what is due in this conversation, oldest first; stops at the first that has to wait."""
        clinic = self._clinics[tenant]
        async with self._database.begin(tenant) as session:
            claimed = await self._claim(session, clinic, conversation_id)
        while claimed is not None:
            message, wait = claimed
            if wait > 0:
                await asyncio.sleep(wait)
            claimed = await self._send(clinic, message)

    async def reconcile(self, tenant: str, outbox_id: int) -> None:
        """Settle a send of unknown outcome: found at the provider, or sent again.

        The row is taken by moving its clock, so that no connection is held while the provider is asked.
        """
        clinic, now = self._clinics[tenant], self._clock()
        async with self._database.begin(tenant) as session:
            row = await session.get(Outbox, outbox_id, with_for_update={"skip_locked": True})
            if row is None or row.state not in _UNSETTLED or (row.not_before or now) > now - _STUCK:
                return
            row.not_before = now
            conversation = await session.get_one(Conversation, row.conversation_id)
            account = clinic.account(cast(Channel, conversation.channel), conversation.account)
            if account is None:
                row.state, row.error = "failed", _NO_SENDER
                return
            message = _message(clinic, row.conversation_id, account, conversation.address, row)
        try:
            found = await self._channels[message.account.channel].lookup(message)
        except SendFailed as error:
            log.warning("lookup_failed", outbox=outbox_id, error=error.reason)
            return
        async with self._database.begin(tenant) as session:
            row = await session.get_one(Outbox, outbox_id, with_for_update=True)
            if row.state not in _UNSETTLED:
                return  # a status report settled it meanwhile
            if found:
                row.state, row.provider_id, row.sent_at = "sent", found.provider_id, self._clock()
                announce(session, tenant, row.conversation_id)
            else:
                row.state = "queued"
            await wake(session, Wakeup("outbound", tenant, str(row.conversation_id)))

    async def stuck(self, tenant: str) -> list[int]:
        """Rows whose send may have been cut short."""
        async with self._database.begin(tenant) as session:
            rows = await session.scalars(
                select(Outbox.id).where(Outbox.state.in_(_UNSETTLED), Outbox.not_before < self._clock() - _STUCK)
            )
            return list(rows)

    async def _claim(
        self, session: AsyncSession, clinic: Clinic, conversation_id: uuid.UUID
    ) -> tuple[OutboundMessage, float] | None:
        """Mark the conversation's oldest unsent row as `sending`, if it is due and no other is under way.

        Comes with the seconds to wait for the sender's turn.
        """
        now = self._clock()
        while (found := await ledger.first_unsent(session, conversation_id)) is not None:
            if found.state != "queued" or (found.not_before and found.not_before > now):
                return None
            always = found.content_key in _ALWAYS
            if found.opted_out and found.channel != "web" and not always:
                await ledger.give_up(session, found.id, "blocked", "the patient has said stop")
                announce(session, clinic.id, conversation_id)
                continue
            account = clinic.account(cast(Channel, found.channel), found.account)
            if account is None:
                await ledger.give_up(session, found.id, "failed", _NO_SENDER)
                continue
            # What must be said is said at once: the provider queues the few that come above the rate.
            wait = 0.0 if always else await _reserve(session, account, now)
            if wait > _MAX_NAP:
                await ledger.not_before(session, found.id, now + timedelta(seconds=wait))
                await wake(session, _wakeup(clinic, conversation_id), after=timedelta(seconds=wait))
                return None
            await ledger.mark_sending(session, found.id, now)
            return _message(clinic, conversation_id, account, found.address, found), wait
        return None

    async def _send(self, clinic: Clinic, message: OutboundMessage) -> tuple[OutboundMessage, float] | None:
        """Hand one message over, record what came of it, and claim the next, unless this one has to wait."""
        try:
            sent = await self._channels[message.account.channel].send(message)
        except SendFailed as error:
            async with self._database.begin(clinic.id) as session:
                if not await self._failed(session, clinic, message, error):
                    return None
                return await self._claim(session, clinic, message.conversation_id)
        now = self._clock()
        async with self._database.begin(clinic.id) as session:
            await ledger.mark_sent(session, message.outbox_id, sent.provider_id, now)
            announce(session, clinic.id, message.conversation_id)
            return await self._claim(session, clinic, message.conversation_id)

    async def _failed(self, session: AsyncSession, clinic: Clinic, message: OutboundMessage, error: SendFailed) -> bool:
        """Record a send that did not work; True when later messages need not wait for it."""
        now = self._clock()
        row = await session.get_one(Outbox, message.outbox_id, with_for_update=True)
        row.error = error.reason
        log.warning("send_failed", outbox=row.id, error=error.reason, permanent=error.permanent)
        if row.state != "sending":
            return True  # a status report was quicker and knows better
        if error.unknown:
            row.state = "unknown"
            return False
        if error.permanent or now - row.created_at > _GIVE_UP:
            row.state = "failed"
            await open_escalation(
                session, clinic, conversation_id=row.conversation_id, key=f"out:{row.id}:failed",
                severity="soon", reason="technical", now=now, details={"undelivered": row.content_key},
            )  # fmt: skip
            announce(session, clinic.id, row.conversation_id)
            await session.flush()
            return True
        wait = timedelta(seconds=_BACKOFF[min(row.attempts - 1, len(_BACKOFF) - 1)])
        row.state, row.not_before = "queued", now + wait
        await wake(session, _wakeup(clinic, row.conversation_id), after=wait)
        return False


def _wakeup(clinic: Clinic, conversation_id: uuid.UUID) -> Wakeup:
    return Wakeup("outbound", clinic.id, str(conversation_id))


def _message(
    clinic: Clinic, conversation_id: uuid.UUID, account: Account, address: str, row: Outbox | Waiting
) -> OutboundMessage:
    return OutboundMessage(
        outbox_id=row.id,
        tenant=clinic.id,
        conversation_id=conversation_id,
        account=account,
        address=address,
        text=row.text,
        language=row.language,
        quick_replies=tuple(QuickReply(item["title"], item["value"]) for item in row.quick_replies),
    )


async def _reserve(session: AsyncSession, account: Account, now: datetime) -> float:
    """Take the sender's next slot; returns the seconds until it. One UPDATE, so processes never share one.

    A slot further off than `_MAX_NAP` is not taken: whoever has to come back later must not burn it for the others.
    """
    if account.channel == "web":
        return 0.0
    gap = timedelta(seconds=1 / account.rate)
    latest = now + timedelta(seconds=_MAX_NAP)
    next_at = await ledger.reserve(session, account.channel, account.address, now, gap, latest)
    if next_at is not None:
        return max(0.0, (next_at - gap - now).total_seconds())
    taken_until = await session.scalar(
        select(Sender.next_at).where(Sender.channel == account.channel, Sender.account == account.address)
    )
    return max(_MAX_NAP + 0.1, ((taken_until or now) - now).total_seconds())
