"""Finds work in the ledger that no job woke: a worker died, the queue was away, a time has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import or_, select

from carethread.clinic import Clinics
from carethread.conversations.outcomes import tell_finished
from carethread.dialogue.content import ContentStore
from carethread.ehr import writes
from carethread.ehr.client import Ehr
from carethread.ehr.errors import EhrError
from carethread.escalation import climb_overdue, watch_waiting
from carethread.messaging.outbound import Outbound
from carethread.messaging.pipeline import Pipeline
from carethread.messaging.wakeups import Wakeup, wake
from carethread.programs.enrolment import enrol_discharged
from carethread.programs.library import Programs
from carethread.programs.reminders import remind
from carethread.programs.touchpoints import start_due
from carethread.scheduling import booking
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox, Outbox

log = structlog.get_logger()

# A row younger than this still has its own wake-up on the way.
_GRACE = timedelta(seconds=3)
_MOST = 200  # conversations woken in one sweep
_LOOKUPS = 8  # sends looked up at the provider at once
# How often the EHR is asked who was discharged.
_POLL_EHR = timedelta(seconds=30)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Sweeper:
    """One pass over a tenant's ledger. Any number of workers may sweep at once."""

    database: Database
    clinics: Clinics
    pipeline: Pipeline
    outbound: Outbound
    ehrs: Mapping[str, Ehr]
    programs: Programs
    content: ContentStore
    clock: Callable[[], datetime]
    _polled: dict[str, datetime] = field(default_factory=dict)

    async def sweep(self, tenant: str) -> None:
        """Messages and deadlines: they wait for nobody else's server."""
        now = self.clock()
        await self._wake_forgotten(tenant, now)
        async with self.database.begin(tenant) as session:
            await climb_overdue(session, self.clinics[tenant], now)
            await watch_waiting(session, self.clinics[tenant], now)
        await remind(self.database, self.clinics[tenant], self.programs, self.content.current, now=now)

    async def sweep_sends(self, tenant: str) -> None:
        """Sends of unknown outcome, several at once: a provider that does not answer takes its time for each."""
        some = asyncio.Semaphore(_LOOKUPS)

        async def settle(outbox_id: int) -> None:
            async with some:
                await self.outbound.reconcile(tenant, outbox_id)

        done = await asyncio.gather(*map(settle, await self.outbound.stuck(tenant)), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                log.warning("send_not_settled", tenant=tenant, error=type(error).__name__)

    async def sweep_ehr(self, tenant: str) -> None:
        """What needs the EHR: writes on their way, who was discharged, touchpoints that are due."""
        now, clinic, ehr = self.clock(), self.clinics[tenant], self.ehrs[tenant]
        for row in await writes.pending(self.database, tenant, now=now):
            if row.kind in booking.KINDS:
                await booking.resume(self.database, ehr, tenant, row, now=now)
            else:
                await writes.deliver(self.database, ehr, tenant, row, now)
        try:
            await tell_finished(self.database, ehr, clinic, self.content.current, now)
            if now - self._polled.get(tenant, _NEVER) >= _POLL_EHR:
                self._polled[tenant] = now
                await enrol_discharged(self.database, ehr, clinic, self.programs, now=now)
            await start_due(self.database, ehr, clinic, self.programs, now=now)
        except EhrError as error:
            log.warning("ehr_sweep_failed", tenant=tenant, error=type(error).__name__)

    async def _wake_forgotten(self, tenant: str, now: datetime) -> None:
        inbound = (
            select(Inbox.conversation_id)
            .join(Conversation, Conversation.id == Inbox.conversation_id)
            .where(
                Inbox.done_at.is_(None),
                Inbox.received_at < now - _GRACE,
                or_(Inbox.retry_at.is_(None), Inbox.retry_at < now - _GRACE, Inbox.screened_at.is_(None)),
                or_(Conversation.lease_until.is_(None), Conversation.lease_until < now, Inbox.screened_at.is_(None)),
            )
            .distinct()
            .limit(_MOST)
        )
        outbound = (
            select(Outbox.conversation_id)
            .where(
                Outbox.state == "queued",
                Outbox.created_at < now - _GRACE,
                or_(Outbox.not_before.is_(None), Outbox.not_before < now - _GRACE),
            )
            .distinct()
            .limit(_MOST)
        )
        async with self.database.begin(tenant) as session:
            for conversation_id in (await session.scalars(inbound)).all():
                await wake(session, Wakeup("inbound", tenant, str(conversation_id)))
            for conversation_id in (await session.scalars(outbound)).all():
                await wake(session, Wakeup("outbound", tenant, str(conversation_id)))
