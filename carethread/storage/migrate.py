"""Bring a database to the current schema, with the roles and the row-level security it needs."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from carethread.storage.database import async_url

# Any number that nothing else here locks on: two processes that start together migrate once.
_LOCK = 4_173_210


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Upgrade over an open connection whose role may create tables and roles."""
    connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
    try:
        command.upgrade(alembic_config(connection), "head")
        connection.commit()
    finally:
        connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
        connection.commit()


async def migrate(admin_url: str) -> None:
    """Upgrade the database at `admin_url` (a role that may create tables and roles) to the newest schema."""
    engine = create_async_engine(async_url(admin_url), hide_parameters=True)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()
