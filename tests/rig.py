"""An installation to break: its processes can be killed, frozen and starved, and what became of messages is counted.

The EHR and the phones run beside it with faults allowed; everything else under its supervisor, which starts dead
processes again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from sqlalchemy import select
from twilio.request_validator import RequestValidator

from carethread.channels.twilio.accounts import credentials
from carethread.clinic import Channel
from carethread.config import PROJECT
from carethread.ehr.client import Ehr
from carethread.storage.models import Conversation, Escalation, Inbox, Outbox
from sandbox.ehr.testing import Sandbox, start_sandbox
from sandbox.phones.testing import Phones, start_phones
from sandbox.talk import Patient, Said
from tests.stack import Stack, free_ports, running_stack
from tests.world import Somebody, World

T = TypeVar("T")

OURS = frozenset({"actions", "engine", "gateway", "worker"})
# Short, so that a test need not wait for minutes; ordered as in production.
WAITS = {"ehr_timeout": 3.0, "action_timeout": 8.0, "turn_timeout": 10.0, "lease_seconds": 4.0, "holding_after": 3.0}
# A busy machine starts Rasa in half a minute.
PATIENCE = 120.0
OUT = ("sent", "delivered", "read")
# Questions whose answers are told apart by their key, and need nobody to be verified.
QUESTIONS = {
    "where do I park?": "utter_faq_parking",
    "what are your opening hours?": "utter_faq_hours",
    "do you take my insurance?": "utter_faq_insurance",
    "how do I get a copy of my medical records?": "utter_faq_records",
    "what is your phone number?": "utter_faq_phone",
    "what is the address of the clinic?": "utter_faq_location",
}
# Said once a conversation, or while an answer takes long.
_BESIDES = ("utter_introduction", "utter_holding")


@dataclass(slots=True)
class Rig:
    """A running installation, and hands to break it."""

    stack: Stack
    ehr_data: Path
    ehr_server: Sandbox
    phones_data: Path
    phones: Phones
    world: World
    http: aiohttp.ClientSession
    patients: list[Patient] = field(default_factory=list)

    # --- breaking -------------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        process = self.stack.supervisor.processes[name]
        assert process.popen is not None
        return process.popen.pid

    def kill(self, name: str) -> int:
        """SIGKILL, as a crash or the kernel would; returns the pid that is gone."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def freeze(self, name: str) -> None:
        """The process is there and takes connections, but does nothing."""
        os.kill(self.pid(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGCONT)

    async def kill_database(self) -> None:
        """SIGKILL for the postmaster; its children follow, and the supervisor starts it again."""
        assert self.stack.supervisor.postgres is not None
        pid = self.stack.supervisor.postgres.postmaster_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await self.stack.database.engine.dispose()  # what we look through; the product's own stay as they are

    async def second_worker(self) -> subprocess.Popen[bytes]:
        """One more worker beside the supervised one; the caller ends it."""
        supervisor = self.stack.supervisor
        with (self.stack.data / "logs" / "worker2.log").open("ab") as log:
            process = subprocess.Popen(
                supervisor.processes["worker"].command,
                cwd=PROJECT,
                env=supervisor.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        await asyncio.sleep(3)
        assert process.poll() is None
        return process

    async def ehr_fault(self, **fault: Any) -> None:
        """See `sandbox/ehr/faults.py`."""
        async with self.http.post(f"{self.ehr_server.root_url}/_sandbox/faults", json=fault) as answer:
            assert answer.status == 200, await answer.text()

    async def ehr_well(self) -> None:
        async with self.http.delete(f"{self.ehr_server.root_url}/_sandbox/faults") as answer:
            assert answer.status == 200

    async def ehr_faults_left(self) -> int:
        async with self.http.get(f"{self.ehr_server.root_url}/_sandbox/faults") as answer:
            return len((await answer.json())["faults"])

    def kill_ehr(self) -> None:
        self.ehr_server.kill()

    async def start_ehr(self) -> None:
        port = self.stack.settings.sandbox_ehr_port
        self.ehr_server = await asyncio.to_thread(start_sandbox, self.ehr_data, faults=True, port=port)

    def kill_phones(self) -> None:
        self.phones.kill()

    async def start_phones(self) -> None:
        self.phones = await asyncio.to_thread(
            start_phones,
            self.phones_data,
            self.stack.gateway_url,
            faults=True,
            port=self.stack.settings.phones_port,
        )

    async def phone_faults(self, **switches: Any) -> None:
        await asyncio.to_thread(self.phones.faults, **switches)

    async def whole(self, *, timeout: float = PATIENCE) -> None:
        """Put everything right that a test broke, and wait until every process is healthy."""
        processes = self.stack.supervisor.processes
        for process in processes.values():
            if process.running and process.popen:
                os.kill(process.popen.pid, signal.SIGCONT)
            process.backoff = 0.5
        if self.ehr_server.process.poll() is not None:
            await self.start_ehr()
        if self.phones.process.poll() is not None:
            await self.start_phones()
        await self.ehr_well()
        await self.phone_faults()
        await self.until(self._all_healthy, timeout=timeout, what="every process to be healthy")

    async def healthy(self, name: str) -> bool:
        """Whether a process answers that it can work."""
        process = self.stack.supervisor.processes[name]
        if not process.running:
            return False
        if process.health is None:
            return time.monotonic() - process.started_at > 3
        try:
            async with self.http.get(process.health, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _all_healthy(self) -> bool:
        return all([await self.healthy(name) for name in OURS])

    async def until(
        self, check: Callable[[], Awaitable[T]], *, timeout: float = 60.0, what: str = "it", every: float = 0.05
    ) -> T:
        """Wait until `check` gives something true, and return it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := await check():
                return found
            await asyncio.sleep(every)
        raise AssertionError(f"waited {timeout:.0f} s for {what}; the supervisor said {self.stack.said[-5:]}")

    # --- talking --------------------------------------------------------------------------------------------------

    async def talk(self, channel: Channel = "sms", who: Somebody | None = None) -> Patient:
        """Somebody who writes: `who` of the EHR, or a number that nobody knows."""
        phone = None if channel == "web" else (who or self.world.nobody()).phone
        patient = await self.stack.patient(channel, phone=phone).__aenter__()
        self.patients.append(patient)
        return patient

    async def post(
        self,
        channel: Channel,
        form: dict[str, str],
        *,
        verb: str = "inbound",
        query: str = "",
        signature: str | None = None,
        **options: Any,
    ) -> tuple[int, str]:
        """One of Twilio's webhooks, straight to the gateway and rightly signed unless `signature` is given."""
        account = self.stack.clinic.first_account(channel)
        assert account is not None
        url = f"{self.stack.gateway_url}/channels/{channel}/{verb}{query}"
        if signature is None:
            token = credentials(account, self.stack.settings).auth_token
            signature = RequestValidator(token).compute_signature(url, form)
        headers = {"X-Twilio-Signature": signature}
        async with self.http.post(url, data=form, headers=headers, **options) as answer:
            return answer.status, await answer.text()

    def form(self, phone: str, text: str, channel: Channel = "sms", **more: str) -> dict[str, str]:
        """What Twilio posts for a message."""
        account = self.stack.clinic.first_account(channel)
        assert account is not None
        assert account.account_sid is not None
        prefix = "whatsapp:" if channel == "whatsapp" else ""
        return {
            "AccountSid": account.account_sid,
            "MessageSid": f"SM{uuid.uuid4().hex}",
            "From": prefix + phone,
            "To": prefix + account.address,
            "Body": text,
            "NumMedia": "0",
            **more,
        }

    async def say_words(self, patient: Patient, *texts: str) -> list[Said]:
        """Say one after the other; returns what came back for the last."""
        heard: list[Said] = []
        for text in texts:
            heard = await patient.say(text, timeout=PATIENCE)
        return heard

    async def to_the_offers(self, patient: Patient, who: Somebody) -> list[Said]:
        """Book up to the point where three times are offered and one is to be picked."""
        heard = await self.say_words(
            patient, "I need to see a skin doctor", who.fact("birth date", "en"), "a mole", "any time next week"
        )
        assert heard[-1].key in ("utter_offer_slots", "utter_offer_nearest"), [said.key for said in heard]
        return heard

    # --- looking --------------------------------------------------------------------------------------------------

    async def conversation(self, patient: Patient) -> Conversation:
        found = await patient.conversation()
        assert found is not None
        return found

    async def conversation_at(self, phone: str, channel: Channel = "sms") -> Conversation | None:
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            found: Conversation | None = await session.scalar(
                select(Conversation).where(Conversation.channel == channel, Conversation.address == phone)
            )
            return found

    async def inbox(self, conversation_id: uuid.UUID) -> list[Inbox]:
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            rows = select(Inbox).where(Inbox.conversation_id == conversation_id).order_by(Inbox.id)
            return list(await session.scalars(rows))

    async def outbox(self, conversation_id: uuid.UUID) -> list[Outbox]:
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            rows = select(Outbox).where(Outbox.conversation_id == conversation_id).order_by(Outbox.id)
            return list(await session.scalars(rows))

    async def keys(self, conversation_id: uuid.UUID) -> list[str]:
        return [row.content_key for row in await self.outbox(conversation_id)]

    async def escalations(self, conversation_id: uuid.UUID) -> list[Escalation]:
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            rows = select(Escalation).where(Escalation.conversation_id == conversation_id)
            return list(await session.scalars(rows.order_by(Escalation.opened_at)))

    async def in_the_engine(self, conversation_id: uuid.UUID, *, timeout: float = 20.0) -> None:
        """Wait until a worker holds the conversation: it is asking the engine."""

        async def held() -> bool:
            async with self.stack.database.begin(self.stack.clinic.id) as session:
                row = await session.get_one(Conversation, conversation_id)
                return row.lease_until is not None

        await self.until(held, timeout=timeout, what="a worker to ask the engine")

    async def settled(self, conversation_id: uuid.UUID, messages: int, *, timeout: float = PATIENCE) -> None:
        """Wait until so many messages have arrived, every one is closed, and every reply has left."""

        async def done() -> bool:
            received = await self.inbox(conversation_id)
            if len(received) < messages or any(row.done_at is None for row in received):
                return False
            return all(row.state not in ("queued", "sending", "unknown") for row in await self.outbox(conversation_id))

        await self.until(done, timeout=timeout, what="the conversation to be settled", every=0.2)

    async def on_the_phone(self, phone: str, channel: Channel = "sms") -> list[str]:
        """The texts that really arrived, in the order in which the provider took them."""
        found = await asyncio.to_thread(self.phones.messages, phone, channel, direction="to_patient")
        return [message["text"] for message in found]

    async def answered_once(self, conversation_id: uuid.UUID, expected: Sequence[str] | None = None) -> None:
        """No message lost, none answered twice, in order, and the phone got exactly what the ledger says it sent."""
        received, said = await self.inbox(conversation_id), await self.outbox(conversation_id)
        assert [row.id for row in received if row.done_at is None] == []
        answers = [row for row in said if row.content_key not in _BESIDES and row.inbox_id is not None]
        order = [row.inbox_id for row in answers]
        assert order == sorted(order), "answers out of order"
        assert len({row.key for row in said}) == len(said)
        if expected is not None:
            assert [row.content_key for row in answers] == list(expected)
            assert order == [row.id for row in received]
        assert sum(row.content_key == "utter_introduction" for row in said) <= 1
        conversation = await self._conversation(conversation_id)
        if conversation.channel != "web":
            sent = [row.text for row in said if row.state in OUT]
            assert await self.on_the_phone(conversation.address, conversation.channel) == sent  # type: ignore[arg-type]
        assert [row.content_key for row in said if row.state not in OUT] == []

    async def _conversation(self, conversation_id: uuid.UUID) -> Conversation:
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            return await session.get_one(Conversation, conversation_id)

    async def booked_once(self, who: Somebody) -> dict[str, Any]:
        """The patient has exactly one live appointment, and its slot is theirs."""
        found = [one for one in await self.world.appointments(who) if one["status"] in ("booked", "pending")]
        assert len(found) == 1, f"{len(found)} appointments"
        assert await self.world.slot_status(found[0]) == "busy"
        slot = found[0]["slot"][0]["reference"]
        holders = await self.world.ehr.search("Appointment", {"slot": slot, "status": "booked,pending"})
        assert len([one for one in holders if one.type == "Appointment"]) == 1
        return found[0]


@asynccontextmanager
async def running_rig(home: Path, **waits: float) -> AsyncIterator[Rig]:
    """Start the EHR, the phones and an installation on them."""
    ports = dict(zip(("port", "sandbox_ehr_port", "phones_port"), free_ports(3), strict=True))
    gateway = f"http://127.0.0.1:{ports['port']}"
    ehr_data, phones_data = home / "ehr", home / "phones"
    ehr_server = await asyncio.to_thread(start_sandbox, ehr_data, faults=True, port=ports["sandbox_ehr_port"])
    phones = await asyncio.to_thread(start_phones, phones_data, gateway, faults=True, port=ports["phones_port"])
    rig: Rig | None = None
    try:
        async with (
            running_stack(only=OURS, public_url=gateway, **ports, **{**WAITS, **waits}) as stack,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http,
        ):
            stack.ehr = Ehr(ehr_server.base_url, zone=stack.clinic.zone)
            rig = Rig(stack, ehr_data, ehr_server, phones_data, phones, World(stack), http)
            yield rig
    finally:
        (rig.ehr_server if rig else ehr_server).stop()
        (rig.phones if rig else phones).stop()
