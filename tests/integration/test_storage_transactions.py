"""A transaction is whole or not at all, belongs to one tenant, and hands its connection back fit for the next."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from carethread.storage.database import UNAVAILABLE, Database, StatementFailed, raw
from carethread.storage.models import Conversation
from sandbox.postgres import EmbeddedPostgres

pytestmark = pytest.mark.server


@pytest.fixture
async def narrow(postgres: EmbeddedPostgres, database: Database) -> Database:
    """One connection at most: what one transaction leaves behind, the next one finds."""
    return Database(database.url, pool=1)


def conversation(address: str) -> Conversation:
    return Conversation(id=uuid.uuid4(), channel="sms", account="+13125550100", address=address, language="en")


async def count(database: Database, tenant: str) -> int:
    async with database.begin(tenant) as session:
        return await raw(session).fetchval("select count(*) from conversation")


async def test_objects_and_written_sql_share_a_transaction(database: Database, tenant: str) -> None:
    async with database.begin(tenant) as session:
        row = conversation("+12175550101")
        session.add(row)
        await session.flush()
        await raw(session).execute("update conversation set language = 'es' where id = $1", row.id)
    async with database.begin(tenant) as session:
        assert (await session.get_one(Conversation, row.id)).language == "es"


async def test_what_was_changed_without_a_flush_is_kept(database: Database, tenant: str) -> None:
    async with database.begin(tenant) as session:
        session.add(row := conversation("+12175550101"))
    async with database.begin(tenant) as session:
        (await session.get_one(Conversation, row.id)).language = "es"
    async with database.begin(tenant) as session:
        assert await session.scalar(select(Conversation.language)) == "es"


async def test_an_exception_leaves_nothing_behind(narrow: Database, tenant: str) -> None:
    with pytest.raises(RuntimeError, match="no"):
        async with narrow.begin(tenant) as session:
            session.add(conversation("+12175550101"))
            await session.flush()
            raise RuntimeError("no")
    assert await count(narrow, tenant) == 0


async def test_a_cancelled_transaction_leaves_nothing_behind(narrow: Database, tenant: str) -> None:
    begun = asyncio.Event()

    async def long() -> None:
        async with narrow.begin(tenant) as session:
            session.add(conversation("+12175550101"))
            await session.flush()
            begun.set()
            await raw(session).execute("select pg_sleep(30)")

    task = asyncio.create_task(long())
    await begun.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(narrow, tenant) == 0


async def test_the_next_transaction_on_a_connection_is_of_its_own_tenant(narrow: Database, tenant: str) -> None:
    async with narrow.begin(tenant) as session:
        session.add(conversation("+12175550101"))
    assert await count(narrow, tenant) == 1
    assert await count(narrow, "somebody-else") == 0
    async with narrow.engine.connect() as connection:
        assert (await connection.execute(text("select current_setting('app.tenant', true)"))).scalar() in (None, "")


@pytest.mark.parametrize("odd", ["o'brien", "back\\slash", "x', false); drop table outbox; --", "é"])
async def test_a_tenants_name_is_only_a_name(database: Database, odd: str) -> None:
    async with database.begin(odd) as session:
        assert await raw(session).fetchval("select current_setting('app.tenant')") == odd


async def test_a_refused_statement_quotes_no_patient(database: Database, tenant: str) -> None:
    insert = "insert into conversation (id, channel, account, address, language, owner, verification_failures, "
    insert += "lease_token) values ($1, 'sms', 'a', $2, 'en', 'assistant', 0, 0)"
    with pytest.raises(StatementFailed) as refused:
        async with database.begin(tenant) as session:
            for _ in range(2):
                await raw(session).execute(insert, uuid.uuid4(), "+12175550101")
    shown = f"{refused.value} {refused.value!r} {refused.value.__cause__}"
    assert "UniqueViolation" in shown
    assert "217555" not in shown
    assert isinstance(refused.value, UNAVAILABLE)


async def test_connections_that_the_server_cut_are_replaced(
    postgres: EmbeddedPostgres, database: Database, tenant: str
) -> None:
    pooled = Database(database.url, pool=3)
    gate = asyncio.Event()

    async def hold() -> None:
        async with pooled.begin(tenant) as session:
            await raw(session).execute("select 1")
            await gate.wait()

    holding = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(0.2)
    gate.set()
    await asyncio.gather(*holding)
    await _cut_all_others(postgres)
    assert await asyncio.gather(*(count(pooled, tenant) for _ in range(3))) == [0, 0, 0]
    await pooled.close()


async def test_a_connection_cut_in_the_middle_fails_that_transaction_only(
    postgres: EmbeddedPostgres, narrow: Database, tenant: str
) -> None:
    with pytest.raises((StatementFailed, DBAPIError)):
        async with narrow.begin(tenant) as session:
            session.add(conversation("+12175550101"))
            await session.flush()
            await _cut_all_others(postgres)
            await raw(session).execute("select 1")
    assert await count(narrow, tenant) == 0


async def _cut_all_others(postgres: EmbeddedPostgres) -> None:
    admin = Database(postgres.admin_url, pool=1)
    async with admin.engine.connect() as connection:
        cut = (
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and state is not null"
        )
        await connection.execute(text(cut))
    await admin.close()
    await asyncio.sleep(0.2)
