"""Connections and sessions. A session belongs to one tenant; the database lets it see nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, SessionTransaction


class TenantSession(Session):
    """Sets `app.tenant` at the start of each transaction, for that transaction only."""


@event.listens_for(TenantSession, "after_begin")
def _set_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    if tenant := session.info.get("tenant"):
        connection.execute(text("select set_config('app.tenant', :tenant, true)"), {"tenant": tenant})


def async_url(url: str) -> str:
    """`postgresql://…` for asyncpg."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


class Database:
    """A pool of connections under the application's role, and sessions bound to a tenant."""

    def __init__(self, url: str, *, pool: int = 8) -> None:
        # Parameters hold what patients wrote: they never appear in an error text or a log.
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            async_url(url), pool_size=pool, max_overflow=pool, pool_pre_ping=False, hide_parameters=True
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, sync_session_class=TenantSession)

    def session(self, tenant: str) -> AsyncSession:
        """A session that sees `tenant`'s rows only."""
        return self._sessions(info={"tenant": tenant})

    @asynccontextmanager
    async def begin(self, tenant: str) -> AsyncIterator[AsyncSession]:
        """One transaction in a session of `tenant`: commits at the end, rolls back on an exception."""
        async with self.session(tenant) as session, session.begin():
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


async def driver_connection(session: AsyncSession) -> Any:
    """The asyncpg connection under `session`'s transaction, for NOTIFY and job inserts in the same commit."""
    connection: AsyncConnection = await session.connection()
    return (await connection.get_raw_connection()).driver_connection


async def notify(session: AsyncSession, channel: str, payload: str) -> None:
    """NOTIFY when `session`'s transaction commits."""
    await session.execute(text("select pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})
