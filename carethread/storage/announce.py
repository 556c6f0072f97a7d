"""Wakes whoever watches a conversation or a tenant's inbox, on any process, when a transaction commits."""

from __future__ import annotations

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.database import notify

CHANNEL = "carethread_updates"


def announce(session: AsyncSession, tenant: str, conversation_id: uuid.UUID) -> None:
    """Say that this conversation changed, once the transaction commits; carries ids, never content."""
    notify(session, CHANNEL, f"{tenant}/{conversation_id}")
