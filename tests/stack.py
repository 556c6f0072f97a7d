"""The whole installation for tests: `carethread up` on free ports with data of its own, and patients in it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carethread.clinic import Channel, Clinic, load_clinics
from carethread.config import PROJECT, Settings
from carethread.ehr.client import Ehr
from carethread.storage.database import Database
from carethread.supervisor import Supervisor
from sandbox.clinic import CastMember, cast
from sandbox.talk import Patient


@dataclass(slots=True)
class Stack:
    """A running installation."""

    settings: Settings
    supervisor: Supervisor
    database: Database
    clinic: Clinic
    ehr: Ehr
    data: Path
    said: list[str] = field(default_factory=list)

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def phones_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.phones_port}"

    def person(self, key: str) -> CastMember:
        return cast()[key]

    def patient(self, channel: Channel, key: str | None = None, *, phone: str | None = None) -> Patient:
        """Somebody of the synthetic clinic, or an unknown number, on `channel`."""
        number = phone or (self.person(key).phone if key and channel != "web" else None)
        return Patient(self.database, self.clinic, channel, number, self.gateway_url, self.phones_url)

    def log(self, name: str) -> str:
        return (self.data / "logs" / f"{name}.log").read_text(errors="replace")


@asynccontextmanager
async def running_stack(*, only: frozenset[str] | None = None, **changes: Any) -> AsyncIterator[Stack]:
    """Start everything, or `only` some lines of the Procfile; about twenty seconds, most of it Rasa."""
    home = Path(tempfile.mkdtemp(prefix="carethread-stack-"))
    home.chmod(0o755)
    ports = free_ports(5)
    values: dict[str, Any] = {
        "env": "test",
        "data_dir": home,
        "port": ports[0],
        "public_url": f"http://127.0.0.1:{ports[0]}",
        "actions_port": ports[1],
        "engine_port": ports[2],
        "sandbox_ehr_port": ports[3],
        "phones_port": ports[4],
        **changes,
    }
    values.setdefault("clinics_dir", _clinics_that_wait(home / "clinics"))
    settings = Settings(**values)
    said: list[str] = []
    supervisor = Supervisor(settings, say=said.append, only=only)
    before = dict(os.environ)
    _export(settings)
    database: Database | None = None
    try:
        await supervisor.start()
        database = Database(supervisor.environment["CARETHREAD_DATABASE_URL"], pool=4)
        clinic = load_clinics(settings.clinics_dir)["riverbend"]
        ehr = Ehr(f"http://127.0.0.1:{settings.sandbox_ehr_port}/fhir", zone=clinic.zone)
        stop = asyncio.Event()
        watching = asyncio.create_task(supervisor.watch(stop))
        yield Stack(settings, supervisor, database, clinic, ehr, home, said)
        stop.set()
        await watching
    finally:
        if database:
            await database.close()
        await supervisor.stop()
        os.environ.clear()
        os.environ.update(before)
        if supervisor.postgres:
            shutil.rmtree(supervisor.postgres.home, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def _clinics_that_wait(folder: Path) -> Path:
    """The clinics with quiet hours around the clock: no check-in of the synthetic people comes in between."""
    shutil.copytree(PROJECT / "clinics", folder)
    for path in folder.glob("*/clinic.yml"):
        text, changed = re.subn(
            r"(?m)^quiet_hours: .*$", 'quiet_hours: {start: "00:00", end: "23:59"}', path.read_text("utf-8")
        )
        assert changed == 1, f"{path} has no quiet_hours"
        path.write_text(text, "utf-8")
    return folder


def _export(settings: Settings) -> None:
    """What the supervisor passes on only from the environment."""
    waits = ("lease_seconds", "holding_after", "give_up_after", "ehr_timeout", "action_timeout", "turn_timeout")
    for name in (*waits, "clinics_dir", "programs_dir", "content_dir", "log_level"):
        os.environ[f"CARETHREAD_{name.upper()}"] = str(getattr(settings, name))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
