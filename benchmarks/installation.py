"""A running installation to measure, with a provider that takes every message and a way to hear of each commit."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
from aiohttp import web
from twilio.request_validator import RequestValidator

from carethread.channels.twilio.accounts import credentials
from carethread.clinic import Clinic, load_clinics
from carethread.config import Settings
from carethread.storage.announce import CHANNEL
from carethread.supervisor import Supervisor

# What patients often write, in both languages: each is answered by the engine without an action.
TEXTS = (
    "hello", "what are your hours?", "where are you located", "do you take medicare", "thank you so much",
    "are you a robot", "what can you do", "is there parking", "hola", "donde puedo estacionarme", "a que hora abren",
    "gracias", "is this private", "i need directions to the clinic", "can i pay my bill online",
    "how do i get my records", "good morning", "hey there", "que seguros aceptan", "cual es su telefono",
)  # fmt: skip


@dataclass(slots=True)
class Installation:
    """Gateway, worker, engine, actions and PostgreSQL, as `carethread up` runs them."""

    settings: Settings
    supervisor: Supervisor
    ledger: asyncpg.Pool
    clinic: Clinic
    http: aiohttp.ClientSession
    heard: dict[str, asyncio.Queue[float]] = field(default_factory=lambda: defaultdict(asyncio.Queue))

    async def turn(self, phone: str, text: str) -> float:
        """Seconds from the webhook's start to the commit of the reply row."""
        account = self.clinic.first_account("sms")
        assert account is not None
        who = credentials(account, self.settings)
        url = f"http://127.0.0.1:{self.settings.port}/channels/sms/inbound"
        sid = "SM" + uuid.uuid4().hex
        form = {
            "MessageSid": sid, "AccountSid": who.account_sid, "From": phone, "To": account.address, "Body": text,
            "NumMedia": "0",
        }  # fmt: skip
        signature = RequestValidator(who.auth_token).compute_signature(url, form)
        queue = self.heard[await self._conversation(phone)] if phone in self._known else None
        while queue is not None and not queue.empty():
            queue.get_nowait()
        began = time.perf_counter()
        async with self.http.post(url, data=form, headers={"X-Twilio-Signature": signature}) as response:
            response.raise_for_status()
        if queue is None:
            self._known.add(phone)
            queue = self.heard[await self._conversation(phone)]
        while True:
            at = await asyncio.wait_for(queue.get(), 60)
            if await self._answered(sid):
                return at - began

    _known: set[str] = field(default_factory=set)
    _ids: dict[str, str] = field(default_factory=dict)

    async def _conversation(self, phone: str) -> str:
        if phone not in self._ids:
            found = await self.ledger.fetchval("select id from conversation where address = $1", phone)
            self._ids[phone] = f"{self.clinic.id}/{found}"
        return self._ids[phone]

    async def _answered(self, sid: str) -> bool:
        done = "select true from inbox where provider_id = $1 and done_at is not null"
        return bool(await self.ledger.fetchval(done, f"sms:{sid}"))


@asynccontextmanager
async def installation(*, only: frozenset[str] | None = None) -> AsyncIterator[Installation]:
    """Start one on free ports with data of its own."""
    home = Path(tempfile.mkdtemp(prefix="carethread-bench-"))
    home.chmod(0o755)
    provider, provider_port = await _provider()
    ports = free_ports(4)
    settings = Settings(
        env="test", data_dir=home, port=ports[0], public_url=f"http://127.0.0.1:{ports[0]}",
        actions_port=ports[1], engine_port=ports[2], sandbox_ehr_port=ports[3], phones_port=provider_port,
    )  # fmt: skip
    names = only or frozenset({"actions", "engine", "gateway", "worker"})
    supervisor = Supervisor(settings, say=lambda _text: None, only=names)
    await supervisor.start()
    clinic = load_clinics(settings.clinics_dir)["riverbend"]
    # What we look through shares the machine with what we measure, so it is as light as can be.
    ledger = await asyncpg.create_pool(
        supervisor.environment["CARETHREAD_DATABASE_URL"], min_size=1, server_settings={"app.tenant": clinic.id},
        reset=_as_it_is,
    )  # fmt: skip
    listener = await asyncpg.connect(supervisor.environment["CARETHREAD_DATABASE_URL"])
    connector = aiohttp.TCPConnector(limit=64)
    try:
        async with aiohttp.ClientSession(connector=connector) as http:
            found = Installation(settings, supervisor, ledger, clinic, http)

            def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
                found.heard[str(payload)].put_nowait(time.perf_counter())

            await listener.add_listener(CHANNEL, heard)
            yield found
    finally:
        await listener.close()
        await ledger.close()
        await supervisor.stop()
        await provider.cleanup()
        if supervisor.postgres:
            shutil.rmtree(supervisor.postgres.home, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


async def _as_it_is(_connection: asyncpg.Connection) -> None:
    """Nothing is set on these connections, so nothing has to be set back."""


async def _provider() -> tuple[web.AppRunner, int]:
    """A stand-in for the provider: takes each message, reports nothing."""

    async def take(_request: web.Request) -> web.Response:
        return web.json_response({"sid": "SM" + uuid.uuid4().hex, "status": "queued"}, status=201)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    return runner, port


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
