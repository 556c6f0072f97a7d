"""Fixtures that every kind of test shares. What needs a server starts one of its own on free ports."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from carethread.storage.database import Database
from carethread.storage.migrate import migrate
from carethread.storage.security import APP_ROLE
from sandbox.postgres import EmbeddedPostgres

os.environ.setdefault("CARETHREAD_ENV", "test")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this test run's own."""
    home = Path(tempfile.mkdtemp(prefix="carethread-pg-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home / "pg")
    server.start()
    asyncio.run(migrate(server.admin_url))
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The application's own view of the database: a role that cannot bypass row-level security."""
    database = Database(postgres.url(APP_ROLE), pool=4)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def tenant() -> str:
    """A tenant no other test knows."""
    return f"t-{uuid.uuid4().hex[:12]}"
