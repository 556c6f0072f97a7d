"""One worker at a time per conversation: a lease that runs out, with a token that fences a late worker off."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Update, func, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.database import Database
from carethread.storage.models import Conversation

log = structlog.get_logger()


class Fenced(Exception):
    """Another worker has taken the conversation since: nothing may be committed."""


@dataclass(frozen=True, slots=True)
class Lease:
    tenant: str
    conversation_id: uuid.UUID
    token: int

    async def guard(self, session: AsyncSession) -> Conversation:
        """Lock the conversation in `session`'s transaction; raises `Fenced` when the lease is no longer ours."""
        row = await session.get(Conversation, self.conversation_id, with_for_update=True, populate_existing=True)
        if row is None or row.lease_token != self.token:
            raise Fenced(str(self.conversation_id))
        return row


@asynccontextmanager
async def leased(
    database: Database, tenant: str, conversation_id: uuid.UUID, *, seconds: float
) -> AsyncIterator[Lease | None]:
    """Hold the conversation, renewing in the background; yields None when another worker holds it."""
    token = await _acquire(database, tenant, conversation_id, seconds)
    if token is None:
        yield None
        return
    lease = Lease(tenant, conversation_id, token)
    heartbeat = asyncio.create_task(_renew(database, lease, seconds))
    try:
        yield lease
    finally:
        heartbeat.cancel()
        with suppress(asyncio.CancelledError):
            await heartbeat
        with suppress(DBAPIError, OSError):
            async with database.begin(tenant) as session:
                await session.execute(_mine(lease).values(lease_until=None))


async def _acquire(database: Database, tenant: str, conversation_id: uuid.UUID, seconds: float) -> int | None:
    async with database.begin(tenant) as session:
        return await session.scalar(
            update(Conversation)
            .where(
                Conversation.id == conversation_id,
                (Conversation.lease_until.is_(None)) | (Conversation.lease_until < func.clock_timestamp()),
            )
            .values(lease_token=Conversation.lease_token + 1, lease_until=_until(seconds))
            .returning(Conversation.lease_token)
        )


async def _renew(database: Database, lease: Lease, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        try:
            async with database.begin(lease.tenant) as session:
                await session.execute(_mine(lease).values(lease_until=_until(seconds)))
        except (DBAPIError, OSError) as error:
            log.warning("lease_not_renewed", error=type(error).__name__)


def _mine(lease: Lease) -> Update:
    return update(Conversation).where(Conversation.id == lease.conversation_id, Conversation.lease_token == lease.token)


def _until(seconds: float) -> ColumnElement[datetime]:
    return func.clock_timestamp() + timedelta(seconds=seconds)
