"""`carethread up`: the whole installation under one roof, for a demo, a test or a single machine.

PostgreSQL first (embedded, unless CARETHREAD_DATABASE_URL names a server), then every line of the Procfile. A process
that dies is started again; Ctrl-C or SIGTERM stops all of them, last started first.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from carethread.config import PROJECT, Settings
from carethread.storage.migrate import migrate
from carethread.storage.security import APP_ROLE, ENGINE_ROLE

if TYPE_CHECKING:
    from sandbox.postgres import EmbeddedPostgres

_LINE = re.compile(r"^([a-z]+):\s*(.+)$")
_STOP_WAIT = 10.0  # seconds between SIGTERM and SIGKILL
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.5, 15.0  # seconds before a dead process is started again
_STEADY = 20.0  # a process that ran for so long starts over with the first backoff


class CannotStart(Exception):
    """The installation cannot run here; the text says what is wrong and how to mend it."""


@dataclass(slots=True)
class Process:
    """One line of the Procfile, and the process that runs it now."""

    name: str
    command: tuple[str, ...]
    health: str | None
    log: Path
    popen: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    backoff: float = _FIRST_BACKOFF
    restarts: int = 0

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None


@dataclass(slots=True)
class Supervisor:
    """Starts, watches and stops an installation. `say` gets each step as a line for the person in front of it."""

    settings: Settings
    say: Callable[[str], None]
    only: frozenset[str] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    postgres: EmbeddedPostgres | None = None

    async def start(self, *, timeout: float = 180.0) -> None:
        """Start everything and wait until all are healthy; raises `CannotStart`."""
        data = self.settings.data_dir.resolve()
        for folder in (data, data / "logs", data / "run"):
            folder.mkdir(parents=True, exist_ok=True)
        self._end_leftovers(data / "run")
        self.environment = await self._environment(data)
        self._read_procfile(data)
        self._check_ports()
        for process in self.processes.values():
            self._spawn(process)
        await self._wait_until_healthy(timeout)

    async def watch(self, stop: asyncio.Event) -> None:
        """Start dead processes again until `stop` is set."""
        while not stop.is_set():
            for process in self.processes.values():
                if not process.running:
                    await self._restart(process)
            if self.postgres and not await asyncio.to_thread(self.postgres.running):
                self.say("PostgreSQL is gone: starting it again")
                await asyncio.to_thread(self.postgres.start)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)

    async def stop(self) -> None:
        """End everything, last started first; PostgreSQL at the end."""
        for process in reversed(list(self.processes.values())):
            if process.running and process.popen:
                process.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_WAIT
        for process in self.processes.values():
            while process.running and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            if process.running and process.popen:
                self.say(f"{process.name} does not stop: ending it")
                process.popen.kill()
            if process.popen:
                await asyncio.to_thread(process.popen.wait)
            _pid_file(self.settings.data_dir.resolve() / "run", process.name).unlink(missing_ok=True)
        if self.postgres:
            await asyncio.to_thread(self.postgres.stop)

    async def _environment(self, data: Path) -> dict[str, str]:
        """The variables every process gets: the ones set here win over defaults, never over what was set outside."""
        s = self.settings
        gateway = f"http://{s.host}:{s.port}"
        variables = {
            "CARETHREAD_ENV": s.env,
            "CARETHREAD_DATA_DIR": str(data),
            "CARETHREAD_PORT": str(s.port),
            "CARETHREAD_PUBLIC_URL": gateway if s.public_url == "http://127.0.0.1:8080" else s.public_url,
            "CARETHREAD_ACTIONS_PORT": str(s.actions_port),
            "CARETHREAD_ENGINE_PORT": str(s.engine_port),
            "CARETHREAD_ENGINE_URL": f"http://127.0.0.1:{s.engine_port}",
            "CARETHREAD_ENGINE_TOKEN": s.engine_token.get_secret_value(),
            "CARETHREAD_SANDBOX_EHR_PORT": str(s.sandbox_ehr_port),
            "CARETHREAD_PHONES_PORT": str(s.phones_port),
            "RASA_TELEMETRY_ENABLED": "false",
            "PYTHONUNBUFFERED": "1",
        }
        if not s.production:
            variables["CARETHREAD_EHR_URL"] = s.ehr_url or f"http://127.0.0.1:{s.sandbox_ehr_port}/fhir"
            variables["CARETHREAD_TWILIO_API_URL"] = f"http://127.0.0.1:{s.phones_port}"
        variables |= await self._database(data)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, **variables, "PATH": path}

    async def _database(self, data: Path) -> dict[str, str]:
        s = self.settings
        if s.database_url:
            if s.database_admin_url:
                self.say("Database: bringing it to the newest schema")
                await migrate(s.database_admin_url)
            engine = os.environ.get("CARETHREAD_ENGINE_DATABASE_URL")
            if not engine:
                raise CannotStart(
                    "CARETHREAD_DATABASE_URL is set but CARETHREAD_ENGINE_DATABASE_URL is not; "
                    f"set it to the same database with the role {ENGINE_ROLE}"
                )
            return {"CARETHREAD_DATABASE_URL": s.database_url, "CARETHREAD_ENGINE_DATABASE_URL": engine}
        if s.production:
            raise CannotStart("CARETHREAD_DATABASE_URL is not set; production needs a PostgreSQL server of its own")
        from sandbox.postgres import EmbeddedPostgres

        self.say("PostgreSQL (embedded)")
        self.postgres = EmbeddedPostgres(data / "postgres")
        await asyncio.to_thread(self.postgres.start)
        await migrate(self.postgres.admin_url)
        return {
            "CARETHREAD_DATABASE_URL": self.postgres.url(APP_ROLE),
            "CARETHREAD_ENGINE_DATABASE_URL": self.postgres.url(ENGINE_ROLE),
        }

    def _read_procfile(self, data: Path) -> None:
        health = {
            "ehr": f"http://127.0.0.1:{self.settings.sandbox_ehr_port}/health",
            "phones": f"http://127.0.0.1:{self.settings.phones_port}/health",
            "actions": f"http://127.0.0.1:{self.settings.actions_port}/health",
            "engine": f"http://127.0.0.1:{self.settings.engine_port}/webhooks/carethread/health",
            "gateway": f"http://{self.settings.host}:{self.settings.port}/healthz",
        }
        for name, command in read_procfile(PROJECT / "Procfile", self.environment).items():
            if self.only is None or name in self.only:
                log = data / "logs" / f"{name}.log"
                self.processes[name] = Process(name, command, health.get(name), log)

    def _check_ports(self) -> None:
        for process in self.processes.values():
            if process.health is None:
                continue
            host, port = process.health.split("/")[2].split(":")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, int(port)))
                except OSError as error:
                    variable = {"ehr": "SANDBOX_EHR_PORT", "gateway": "PORT"}.get(
                        process.name, f"{process.name.upper()}_PORT"
                    )
                    raise CannotStart(
                        f"port {port} ({process.name}) is taken by another program; end it, or set "
                        f"CARETHREAD_{variable} to a free port"
                    ) from error

    def _spawn(self, process: Process) -> None:
        with process.log.open("ab") as log:
            process.popen = subprocess.Popen(
                process.command,
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop the others in order
            )
        process.started_at = time.monotonic()
        run = self.settings.data_dir.resolve() / "run"
        _pid_file(run, process.name).write_text(f"{process.popen.pid}\n{process.command[-1]}\n")

    async def _restart(self, process: Process) -> None:
        code = process.popen.returncode if process.popen else None
        if time.monotonic() - process.started_at > _STEADY:
            process.backoff = _FIRST_BACKOFF
        self.say(f"{process.name} ended (exit {code}): starting it again; its log is {process.log}")
        await asyncio.sleep(process.backoff)
        process.backoff = min(process.backoff * 2, _LONGEST_BACKOFF)
        process.restarts += 1
        self._spawn(process)

    async def _wait_until_healthy(self, timeout: float) -> None:
        waiting = {name for name, process in self.processes.items()}
        deadline, began = time.monotonic() + timeout, time.monotonic()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while waiting:
                for name in sorted(waiting):
                    process = self.processes[name]
                    if not process.running:
                        raise CannotStart(f"{name} ended while starting\n{_tail(process.log)}")
                    if await _healthy(session, process):
                        waiting.discard(name)
                        self.say(f"{name} is up ({time.monotonic() - began:.0f} s)")
                if time.monotonic() > deadline:
                    late = sorted(waiting)
                    tail = _tail(self.processes[late[0]].log)
                    raise CannotStart(f"{', '.join(late)} not healthy after {timeout:.0f} s\n{tail}")
                await asyncio.sleep(0.1)

    def _end_leftovers(self, run: Path) -> None:
        """End processes of an earlier `up` that was killed before it could."""
        for file in run.glob("*.pid"):
            pid, _, last = file.read_text().partition("\n")
            shown = subprocess.run(
                ["ps", "-o", "command=", "-p", pid], capture_output=True, text=True, check=False
            ).stdout
            if last.strip() and last.strip() in shown:
                self.say(f"Ending {file.stem} of an earlier start (process {pid})")
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
                for _ in range(50):
                    if not _alive(int(pid)):
                        break
                    time.sleep(0.1)
                else:
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            file.unlink(missing_ok=True)


def read_procfile(path: Path, variables: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Commands by process name, `$NAME` filled in from `variables`; raises `CannotStart` for a line that is neither."""
    commands: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if not (match := _LINE.match(line)):
            raise CannotStart(f"{path}:{number}: not `name: command`")
        words = [re.sub(r"\$(\w+)", lambda m: variables.get(m[1], ""), word) for word in shlex.split(match[2])]
        commands[match[1]] = tuple(words)
    return commands


async def _healthy(session: aiohttp.ClientSession, process: Process) -> bool:
    if process.health is None:
        return time.monotonic() - process.started_at > 1.0
    try:
        async with session.get(process.health) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _pid_file(run: Path, name: str) -> Path:
    return run / f"{name}.pid"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _tail(log: Path, lines: int = 12) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
