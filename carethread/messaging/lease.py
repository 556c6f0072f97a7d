"""One worker at a time per conversation: a lease that runs out, with a token that fences a late worker off."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, func, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.database import Database
from carethread.storage.models import Conversation

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

    async def guard(self, session: AsyncSession) -> Conversation:
        """Lock the conversation in `session`'s transaction; raises `Fenced` when the lease is no longer ours."""
        row = await session.get(Conversation, self.conversation_id, with_for_update=True, populate_existing=True)
        if row is None or row.lease_token != self.token:
            raise Fenced(str(self.conversation_id))
        return row

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
                    await session.execute(
                        update(Conversation)
                        .where(Conversation.id == self.conversation_id, Conversation.lease_token == self.token)
                        .values(lease_until=_until(self.seconds))
                    )
            except (DBAPIError, OSError) as error:
                log.warning("lease_not_renewed", error=type(error).__name__)


async def acquire(
    session: AsyncSession, tenant: str, conversation_id: uuid.UUID, *, seconds: float
) -> tuple[Lease, Conversation] | None:
    """Take the conversation in the caller's transaction, which locks its row; None when another worker holds it."""
    row = await session.scalar(
        update(Conversation)
        .where(
            Conversation.id == conversation_id,
            (Conversation.lease_until.is_(None)) | (Conversation.lease_until < func.clock_timestamp()),
        )
        .values(lease_token=Conversation.lease_token + 1, lease_until=_until(seconds))
        .returning(Conversation)
        .execution_options(populate_existing=True)
    )
    return (Lease(tenant, conversation_id, row.lease_token, seconds), row) if row else None


def release(conversation: Conversation) -> None:
    """Let the conversation go when the caller's transaction commits."""
    conversation.lease_until = None


def _until(seconds: float) -> ColumnElement[datetime]:
    return func.clock_timestamp() + timedelta(seconds=seconds)
