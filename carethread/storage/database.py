"""Transactions. Each belongs to one tenant; the database lets it see nothing else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar, cast

import asyncpg
from sqlalchemy import Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

# What a database that is away, slow to come up or broken off in the middle raises.
UNAVAILABLE = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class StatementFailed(SQLAlchemyError):
    """A statement of `raw` was refused. Names the kind of error only: PostgreSQL's text may quote a patient's row."""


def async_url(url: str) -> str:
    """`postgresql://…` for asyncpg."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


Row = TypeVar("Row")


class Database:
    """A pool of connections under the application's role, and transactions bound to a tenant."""

    def __init__(self, url: str, *, pool: int = 8) -> None:
        # Parameters hold what patients wrote: they never appear in an error text or a log.
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            async_url(url), pool_size=2 * pool, max_overflow=pool, pool_pre_ping=False, hide_parameters=True
        )
        self._most = 3 * pool
        # `begin` opens and ends the transactions, SQLAlchemy none: one round trip sets the tenant with the BEGIN, and
        # a transaction that needs no objects pays for none. Every message goes through five of them.
        self._plain = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._sessions = async_sessionmaker(expire_on_commit=False)

    @asynccontextmanager
    async def begin(self, tenant: str) -> AsyncIterator[AsyncSession]:
        """One transaction that sees `tenant`'s rows only: commits at the end, rolls back on an exception.

        The session is for objects and composed queries; `raw(session)` is the same transaction for written SQL.
        Raises `StatementFailed` or another of `UNAVAILABLE`.
        """
        connection, driver = await self._start(tenant)
        try:
            session = self._sessions(bind=connection, info={"driver": driver})
            try:
                yield session
                if session.new or session.dirty or session.deleted:
                    await session.flush()
                await driver.execute(_notifications(session) + "commit")
            except BaseException as error:
                # Shielded: a cancelled task must not hand a connection back in the middle of a transaction.
                await asyncio.shield(_roll_back(connection, driver))
                if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
                    raise StatementFailed(_kind(error)) from None
                raise
            finally:
                await session.close()
        finally:
            await connection.close()

    async def each_alone(
        self,
        tenant: str,
        ids: Select[uuid.UUID],
        model: type[Row],
        work: Callable[[AsyncSession, Row], Awaitable[bool]],
    ) -> int:
        """Work on each row that `ids` finds, alone with it and in a transaction of its own.

        Returns for how many `work` was true. What another process holds is left to it; what has changed since it was
        found is for `work` to see.
        """
        async with self.begin(tenant) as session:
            found = (await session.scalars(ids)).all()
        done = 0
        for key in found:
            async with self.begin(tenant) as session:
                row = await session.get(model, key, with_for_update={"skip_locked": True})
                done += row is not None and await work(session, row)
        return done

    async def _start(self, tenant: str) -> tuple[AsyncConnection, asyncpg.Connection]:
        """A connection in a transaction of `tenant`. Pooled ones that a restarted server has cut are thrown away."""
        begin = f"begin; select set_config('app.tenant', {_literal(tenant)}, true)"
        for last in (*[False] * self._most, True):
            connection = await self._plain.connect()
            try:
                driver = cast(asyncpg.Connection, (await connection.get_raw_connection()).driver_connection)
                await driver.execute(begin)
            except BaseException as error:
                with suppress(Exception):
                    await connection.invalidate()
                await connection.close()
                if last or not isinstance(error, asyncpg.InterfaceError | asyncpg.PostgresConnectionError | OSError):
                    raise
            else:
                return connection, driver
        raise AssertionError("unreachable")

    async def close(self) -> None:
        await self.engine.dispose()


def raw(session: AsyncSession) -> asyncpg.Connection:
    """The connection under `session`'s transaction, for the statements that every message needs.

    It knows nothing of objects in the session: flush before, and read them again after.
    """
    return cast(asyncpg.Connection, session.info["driver"])


async def _roll_back(connection: AsyncConnection, driver: asyncpg.Connection) -> None:
    try:
        await driver.execute("rollback")
    except Exception:
        await connection.invalidate()


def _literal(text: str) -> str:
    """`text` as an SQL literal; parameters are not to be had in a statement of two parts."""
    if "\0" in text:
        raise ValueError("a tenant's id cannot hold NUL")
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _kind(error: Exception) -> str:
    constraint = getattr(error, "constraint_name", None)
    return f"{type(error).__name__} ({constraint})" if constraint else type(error).__name__


def notify(session: AsyncSession, channel: str, payload: str) -> None:
    """NOTIFY when `session`'s transaction commits, however often it is asked for."""
    session.info.setdefault("notify", {})[channel, payload] = None


def _notifications(session: AsyncSession) -> str:
    return "".join(
        f"select pg_notify({_literal(channel)}, {_literal(payload)}); "
        for channel, payload in session.info.get("notify", ())
    )
