"""One worker at a time per conversation: a lease that runs out, with a token that fences a late worker off."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.messaging import ledger
from carethread.messaging.ledger import Thread
from carethread.storage.database import UNAVAILABLE, Database

log = structlog.get_logger()


class Fenced(Exception):
    """Another worker has taken the conversation since: nothing may be committed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Proof of holding a conversation until `seconds` after the last renewal."""

    tenant: str
    conversation_id: uuid.UUID
    token: int
    seconds: float

    async def guard(self, session: AsyncSession) -> Thread:
        """Lock the conversation in `session`'s transaction; raises `Fenced` when the lease is no longer ours."""
        thread = await ledger.lock(session, self.conversation_id)
        if thread is None or thread.lease_token != self.token:
            raise Fenced(str(self.conversation_id))
        return thread

    @asynccontextmanager
    async def renewed(self, database: Database) -> AsyncIterator[None]:
        """Keep the lease while something slow goes on outside a transaction."""
        heartbeat = asyncio.create_task(self._renew(database))
        try:
            yield
        finally:
            heartbeat.cancel()
            with suppress(asyncio.CancelledError):
                await heartbeat

    async def _renew(self, database: Database) -> None:
        while True:
            await asyncio.sleep(self.seconds / 3)
            try:
                async with database.begin(self.tenant) as session:
                    await ledger.keep(session, self.conversation_id, self.token, timedelta(seconds=self.seconds))
            except UNAVAILABLE as error:
                log.warning("lease_not_renewed", error=type(error).__name__)


async def acquire(
    session: AsyncSession, tenant: str, conversation_id: uuid.UUID, *, seconds: float
) -> tuple[Lease, Thread] | None:
    """Take the conversation in the caller's transaction, which locks its row; None when another worker holds it."""
    thread = await ledger.take(session, conversation_id, timedelta(seconds=seconds))
    return (Lease(tenant, conversation_id, thread.lease_token, seconds), thread) if thread else None
