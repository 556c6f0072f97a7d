"""Wakes whoever watches a conversation or a tenant's inbox, on any process, when a transaction commits."""

from __future__ import annotations

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.database import notify

CHANNEL = "carethread_updates"


async def announce(session: AsyncSession, tenant: str, conversation_id: uuid.UUID) -> None:
    """Say that this conversation changed, once a transaction; carries ids, never content."""
    said: set[uuid.UUID] = session.info.setdefault("announced", set())
    if conversation_id in said:
        return
    said.add(conversation_id)
    await notify(session, CHANNEL, f"{tenant}/{conversation_id}")
