"""A gateway with the web chat, as a process that tests can kill and start again, and words put into its ledger."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sqlalchemy import select, update

from carethread.channels.web import Limits, blueprint
from carethread.channels.web.limits import Rate
from carethread.clinic import Clinics, load_clinics
from carethread.config import Settings
from carethread.messaging.intake import Intake
from carethread.messaging.updates import Updates
from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox, Outbox
from sandbox import portal

TENANT = "riverbend"
ACCOUNT = "riverbend-web"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Gateway:
    """The process. `kill` is the power cord; `start` uses the same port again."""

    database_url: str
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, self.database_url, str(self.port), *self.arguments],
            cwd=Path(__file__).parent.parent,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended with {self.process.returncode} while starting")
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2):  # noqa: S310
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the gateway did not become healthy within 30 s")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            finally:
                self.kill()


@dataclass(frozen=True, slots=True)
class Ledger:
    """What workers and staff would write."""

    database: Database

    async def conversation(self, address: str) -> Conversation:
        async with self.database.begin(TENANT) as session:
            return (await session.execute(select(Conversation).where(Conversation.address == address))).scalar_one()

    async def latest(self) -> Conversation:
        """The conversation that was made last."""
        async with self.database.begin(TENANT) as session:
            newest = select(Conversation).order_by(Conversation.created_at.desc()).limit(1)
            return (await session.execute(newest)).scalar_one()

    async def said(self, conversation: Conversation) -> list[Inbox]:
        async with self.database.begin(TENANT) as session:
            rows = select(Inbox).where(Inbox.conversation_id == conversation.id).order_by(Inbox.id)
            return list(await session.scalars(rows))

    async def told(self, conversation: Conversation) -> list[Outbox]:
        async with self.database.begin(TENANT) as session:
            rows = select(Outbox).where(Outbox.conversation_id == conversation.id).order_by(Outbox.id)
            return list(await session.scalars(rows))

    async def say(
        self,
        conversation: Conversation,
        text: str,
        *,
        replies: tuple[tuple[str, str], ...] = (),
        author: str = "assistant",
        state: str = "sent",
        language: str = "en",
        close: bool = True,
    ) -> int:
        """Put a message to the patient into the ledger, and close what it answers."""
        async with self.database.begin(TENANT) as session:
            row = Outbox(
                conversation_id=conversation.id,
                key=f"test:{uuid.uuid4()}",
                author=author,
                content_key="utter_test",
                content_version="1",
                language=language,
                parameters={},
                text=text,
                quick_replies=[{"title": title, "value": value} for title, value in replies],
                state=state,
                attempts=0,
                sent_at=datetime.now(UTC) if state == "sent" else None,
            )
            session.add(row)
            if close:
                await session.execute(
                    update(Inbox)
                    .where(Inbox.conversation_id == conversation.id, Inbox.done_at.is_(None))
                    .values(done_at=datetime.now(UTC), outcome="answered")
                )
            await session.flush()
            announce(session, TENANT, conversation.id)
            return row.id

    async def release(self, conversation: Conversation, outbox_id: int) -> None:
        """Send a message that waited."""
        async with self.database.begin(TENANT) as session:
            await session.execute(
                update(Outbox).where(Outbox.id == outbox_id).values(state="sent", sent_at=datetime.now(UTC))
            )
            announce(session, TENANT, conversation.id)

    async def change(self, conversation: Conversation, **values: object) -> None:
        """Change the conversation: its owner, its language."""
        async with self.database.begin(TENANT) as session:
            await session.execute(update(Conversation).where(Conversation.id == conversation.id).values(**values))
            announce(session, TENANT, conversation.id)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the platform that the web chat needs, and no other."""

    settings: Settings
    clinics: Clinics
    database: Database
    updates: Updates
    intake: Intake


def serve(database_url: str, port: int, *, sockets: bool, strict: bool) -> None:
    """Run in a process of its own. `sockets=False`: a network that lets no WebSocket through."""
    url = f"http://127.0.0.1:{port}"
    settings = Settings(env="test", database_url=database_url, port=port, public_url=url)
    database = Database(database_url, pool=4)
    parts = Parts(settings, load_clinics(settings.clinics_dir), database, Updates(database_url), Intake(database))
    app: Sanic[Any, Any] = Sanic(f"test-web-gateway-{port}", configure_logging=False)
    app.config.FALLBACK_ERROR_FORMAT = "json"
    limits = Limits() if strict else Limits(sessions=Rate(1000, 60), messages=Rate(1000, 10))
    app.blueprint(blueprint(parts, lambda: datetime.now(UTC), limits=limits))
    app.blueprint(portal.blueprint(parts))

    @app.before_server_start
    async def start(_app: Sanic[Any, Any]) -> None:
        parts.updates.start()

    @app.after_server_stop
    async def stop(_app: Sanic[Any, Any]) -> None:
        await parts.updates.stop()
        await database.close()

    @app.get("/healthz")
    async def healthz(_request: Request) -> HTTPResponse:
        return HTTPResponse("ok")

    @app.on_request
    async def block(request: Request) -> HTTPResponse | None:
        return HTTPResponse(status=502) if request.path == "/web/ws" and not sockets else None

    app.run("127.0.0.1", port, single_process=True, access_log=False, motd=False)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("database_url")
    options.add_argument("port", type=int)
    options.add_argument("--no-sockets", action="store_true")
    options.add_argument("--strict", action="store_true")
    given = options.parse_args()
    serve(given.database_url, given.port, sockets=not given.no_sockets, strict=given.strict)
