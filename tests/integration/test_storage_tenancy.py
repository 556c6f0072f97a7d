"""One tenant can never read or write another's rows, whatever the application asks for."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from carethread.storage.database import Database
from carethread.storage.models import Conversation
from sandbox.postgres import EmbeddedPostgres

pytestmark = pytest.mark.server


def _conversation(**values: str) -> Conversation:
    return Conversation(channel="sms", account="+13125550150", address="+13125550101", **values)


async def test_a_tenant_sees_its_own_rows_only(database: Database, tenant: str) -> None:
    other = tenant + "x"
    for name in (tenant, other):
        async with database.begin(name) as session:
            session.add(_conversation())
    async with database.begin(tenant) as session:
        rows = (await session.scalars(select(Conversation))).all()
    assert [row.tenant_id for row in rows] == [tenant]


async def test_without_a_tenant_nothing_is_seen(database: Database, tenant: str) -> None:
    async with database.begin(tenant) as session:
        session.add(_conversation())
    async with database.begin("") as session:
        assert (await session.scalars(select(Conversation))).all() == []


async def test_a_row_of_another_tenant_cannot_be_written(database: Database, tenant: str) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.begin(tenant) as session:
            session.add(_conversation(tenant_id="somebody-else"))


async def test_the_tenant_ends_with_its_transaction(database: Database, tenant: str) -> None:
    async with database.begin(tenant) as session:
        session.add(_conversation())
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("select count(*) from conversation"))).scalar() == 0


async def test_every_table_is_isolated(database: Database) -> None:
    """A later migration that forgets row-level security fails here."""
    query = text("""
        select n.nspname || '.' || c.relname as name, c.relrowsecurity and c.relforcerowsecurity as secured,
               exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') as owned
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and n.nspname in ('public', 'engine') and c.relname <> 'alembic_version'
    """)
    async with database.engine.connect() as connection:
        rows = (await connection.execute(query)).all()
    assert len(rows) > 10
    assert [row.name for row in rows if not (row.secured and row.owned)] == []


async def test_the_application_role_cannot_bypass(database: Database) -> None:
    async with database.engine.connect() as connection:
        row = (
            await connection.execute(
                text("select rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = current_user")
            )
        ).one()
        assert tuple(row) == (False, False, False)
        with pytest.raises(DBAPIError, match="permission denied|must be owner"):
            await connection.execute(text("alter table conversation disable row level security"))


async def test_the_audit_trail_only_grows(database: Database, tenant: str) -> None:
    async with database.begin(tenant) as session:
        await session.execute(text("insert into audit (actor, action, subject, details) values ('a', 'b', 'c', '{}')"))
    for statement in ("update audit set actor = 'x'", "delete from audit"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.begin(tenant) as session:
                await session.execute(text(statement))


async def test_jobs_hold_ids_only(postgres: EmbeddedPostgres, database: Database) -> None:
    """The queue's tables have no tenant column: what is in them must not need one."""
    async with database.engine.connect() as connection:
        tables = (
            await connection.execute(text("select count(*) from information_schema.tables where table_schema = 'jobs'"))
        ).scalar()
    assert tables
