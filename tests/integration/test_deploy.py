"""What runs around the containers, on a real PostgreSQL: the roles' script and the health probe."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import asyncpg
import pytest

from carethread.config import PROJECT
from carethread.storage.security import APP_ROLE, ENGINE_ROLE
from sandbox.postgres import EmbeddedPostgres

pytestmark = pytest.mark.server

AWKWARD = 'it\'s "long" \\ and $odd'


def run_roles(postgres: EmbeddedPostgres, **passwords: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("CARETHREAD_")}
    psql = postgres._binaries / "bin" / "psql"
    given = {f"CARETHREAD_DB_{name.upper()}_PASSWORD": value for name, value in passwords.items()}
    return subprocess.run(
        [str(psql), "--no-psqlrc", "-f", str(PROJECT / "deploy" / "roles.sql"), postgres.admin_url],
        env={**bare, **given},
        capture_output=True,
        text=True,
        check=False,
    )


async def stored(postgres: EmbeddedPostgres) -> dict[str, tuple[str, bool]]:
    """Role → (what is stored of its password, whether it could look past row-level security)."""
    connection = await asyncpg.connect(postgres.admin_url)
    try:
        rows = await connection.fetch(
            "select rolname, rolpassword, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as strong "
            "from pg_authid where rolname like 'carethread\\_%' and rolname <> current_user"
        )
    finally:
        await connection.close()
    return {row["rolname"]: (row["rolpassword"], row["strong"]) for row in rows}


async def quiet_roles(postgres: EmbeddedPostgres) -> set[str]:
    """Roles whose failing statements the server does not log."""
    connection = await asyncpg.connect(postgres.admin_url)
    try:
        rows = await connection.fetch(
            "select rolname from pg_roles"
            " where rolconfig @> array['log_min_error_statement=panic', 'log_error_verbosity=terse']"
        )
    finally:
        await connection.close()
    return {row["rolname"] for row in rows}


async def test_roles_get_their_passwords_and_no_power(postgres: EmbeddedPostgres) -> None:
    first = run_roles(postgres, app=AWKWARD, engine="two")
    assert (first.returncode, first.stderr) == (0, "")
    before = await stored(postgres)
    assert set(before) >= {APP_ROLE, ENGINE_ROLE}
    for password, strong in before.values():
        assert not strong
        assert password is None or password.startswith("SCRAM-SHA-256$")
    assert await quiet_roles(postgres) >= {APP_ROLE, ENGINE_ROLE}
    assert run_roles(postgres, app="another", engine="two").returncode == 0
    after = await stored(postgres)
    assert after[APP_ROLE] != before[APP_ROLE]


async def test_the_fhir_server_gets_a_database_only_where_asked(postgres: EmbeddedPostgres) -> None:
    for _ in range(2):
        done = run_roles(postgres, app="one", engine="two", fhir="three")
        assert (done.returncode, done.stderr) == (0, "")
    connection = await asyncpg.connect(postgres.admin_url)
    try:
        owner = await connection.fetchval("select pg_get_userbyid(datdba) from pg_database where datname = 'fhir'")
    finally:
        await connection.close()
    assert owner == "carethread_fhir"


async def test_without_passwords_nothing_is_done(postgres: EmbeddedPostgres) -> None:
    before = await stored(postgres)
    done = run_roles(postgres, app="only one")
    assert done.returncode != 0
    assert "set CARETHREAD_DB_APP_PASSWORD and CARETHREAD_DB_ENGINE_PASSWORD" in done.stderr
    assert await stored(postgres) == before


async def probe(*words: str, url: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROJECT / "deploy" / "probe.py"),
        *words,
        env={**os.environ, "CARETHREAD_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_worker_is_well_while_it_asks_for_work(postgres: EmbeddedPostgres) -> None:
    url = postgres.url(APP_ROLE)
    code, said = await probe("worker", url=url)
    assert code == 1
    assert "no worker here" in said
    someone = await asyncpg.connect(url)
    assert await someone.fetchval("select 1") == 1
    assert (await probe("worker", url=url))[0] == 1, "another process is no worker"
    worker = await asyncpg.connect(url, server_settings={"application_name": "carethread-worker"})
    await worker.execute("select 1")
    assert await probe("worker", url=url) == (0, "")
    for connection in (someone, worker):
        await connection.close()


async def test_a_database_that_is_away_is_said(postgres: EmbeddedPostgres) -> None:
    code, said = await probe("worker", url="postgresql://nobody@127.0.0.1:1/none")
    assert (code, said.startswith("database: ")) == (1, True)


@contextmanager
def answering(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/healthz"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 1), (503, 1)])
async def test_an_address_is_well_when_it_says_200(status: int, code: int) -> None:
    with answering(status) as url:
        assert (await probe(url))[0] == code


async def test_an_address_nobody_listens_on_is_waited_for_and_then_given_up() -> None:
    code, said = await probe("http://127.0.0.1:1/", "--wait", "3")
    assert (code, "URLError" in said) == (1, True)
