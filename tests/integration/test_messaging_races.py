"""Workers that meet at one conversation: nobody waits for ever, nobody overtakes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from carethread.clinic import Clinic, Clinics, load_clinic
from carethread.config import PROJECT
from carethread.dialogue.content import ContentStore
from carethread.dialogue.engine import Reply, Request, Turn
from carethread.messaging.intake import Intake
from carethread.messaging.outbound import Outbound
from carethread.messaging.pipeline import Patience, Pipeline
from carethread.messaging.screens import Screens, load_screens
from carethread.messaging.types import Channels, InboundMessage, OutboundMessage, SendFailed, Sent
from carethread.programs.library import Programs
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Escalation, Inbox, Outbox
from carethread.sweeper import Sweeper

pytestmark = pytest.mark.server

PATIENT = "+12175550142"


@dataclass
class Engine:
    """Says the same to everything, after as long as the test wants."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)
    takes: float = 0.0

    async def turn(self, request: Request) -> Turn:
        self.seen.append(request.text)
        await self.gate.wait()
        await asyncio.sleep(self.takes)
        return Turn((Reply("utter_greet", {}),), "greet", 0.9)


@dataclass
class Provider:
    """Takes messages as slowly as the test wants; a text can be refused once."""

    taken: list[int] = field(default_factory=list)
    slow_first: float = 0.0
    refuse: set[int] = field(default_factory=set)

    async def send(self, message: OutboundMessage) -> Sent:
        if not self.taken and self.slow_first:
            await asyncio.sleep(self.slow_first)
        if message.outbox_id in self.refuse:
            self.refuse.discard(message.outbox_id)
            raise SendFailed("busy")
        self.taken.append(message.outbox_id)
        return Sent(f"P{message.outbox_id}")

    async def lookup(self, message: OutboundMessage) -> Sent | None:
        return Sent(f"P{message.outbox_id}") if message.outbox_id in self.taken else None


@dataclass
class Desk:
    """A tenant, two workers' pipelines and a provider."""

    database: Database
    clinic: Clinic
    engine: Engine
    workers: list[Pipeline]
    provider: Provider
    outbound: Outbound
    count: int = 0

    async def receive(self, text: str) -> uuid.UUID:
        self.count += 1
        message = InboundMessage("sms", "+13125550150", PATIENT, f"SM{self.count}", text=text)
        return (await Intake(self.database).receive(self.clinic, message)).conversation_id

    async def inbox(self) -> list[Inbox]:
        async with self.database.begin(self.clinic.id) as session:
            return list(await session.scalars(select(Inbox).order_by(Inbox.id)))

    async def outbox(self) -> list[Outbox]:
        async with self.database.begin(self.clinic.id) as session:
            return list(await session.scalars(select(Outbox).order_by(Outbox.id)))

    async def conversation(self) -> Conversation:
        async with self.database.begin(self.clinic.id) as session:
            return (await session.scalars(select(Conversation))).one()


@pytest.fixture(scope="module")
def screens() -> Screens:
    return load_screens(PROJECT / "content" / "safety")


@pytest.fixture
def desk(database: Database, tenant: str, screens: Screens) -> Desk:
    clinic = load_clinic(PROJECT / "clinics" / "riverbend" / "clinic.yml").model_copy(update={"id": tenant})
    clinics, engine, provider = Clinics({tenant: clinic}), Engine(), Provider()
    content = ContentStore(Path(PROJECT / "content"), facts=sorted(clinic.facts))
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
    patience = Patience(5.0, 30.0, 600.0)
    workers = [Pipeline(database, clinics, content, screens, engine, patience, clock) for _ in range(2)]
    channels: Mapping[str, Channels] = {"sms": provider}
    return Desk(database, clinic, engine, workers, provider, Outbound(database, clinics, channels, clock))


async def test_a_message_that_another_worker_is_reading_is_left_to_it(desk: Desk) -> None:
    """The other worker holds the message's row and waits for the conversation that we hold: we must let go first."""
    conversation_id = await desk.receive("hello")
    ours = asyncio.create_task(desk.workers[0].work(desk.clinic.id, conversation_id))
    while not desk.engine.seen:
        await asyncio.sleep(0.01)
    await desk.receive("and another thing")
    async with desk.database.begin(desk.clinic.id) as other:
        await other.scalars(select(Inbox).where(Inbox.screened_at.is_(None)).with_for_update())
        desk.engine.gate.set()
        await asyncio.wait_for(ours, 5)
        assert (await desk.conversation()).lease_until is None
    await desk.workers[1].work(desk.clinic.id, conversation_id)
    assert [row.outcome for row in await desk.inbox()] == ["answered", "answered"]


async def test_two_workers_in_a_stream_of_messages_answer_each_once_in_order(desk: Desk) -> None:
    desk.engine.gate.set()
    desk.engine.takes = 0.005
    working: list[asyncio.Task[None]] = []
    for number in range(60):
        conversation_id = await desk.receive(f"message {number}")
        working += [asyncio.create_task(worker.work(desk.clinic.id, conversation_id)) for worker in desk.workers]
        await asyncio.sleep(0.003 * (number % 5))
    await asyncio.wait_for(asyncio.gather(*working), 60)
    # Nobody comes by any more: the last to let go must have seen everything.
    assert [row.outcome for row in await desk.inbox()] == ["answered"] * 60
    assert desk.engine.seen == [f"message {number}" for number in range(60)]


async def test_reading_a_long_message_stops_nobody_else(desk: Desk) -> None:
    """A message that takes seconds to screen must not stop the worker's other conversations."""
    desk.engine.gate.set()
    conversation_id = await desk.receive("chest pain no " * 400)
    reading = asyncio.create_task(desk.workers[0].work(desk.clinic.id, conversation_id))
    loop = asyncio.get_running_loop()
    longest, last = 0.0, loop.time()
    while not reading.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, loop.time() - last), loop.time()
    await reading
    assert longest < 0.5
    assert [row.done_at is not None for row in await desk.inbox()] == [True]


async def test_senders_that_meet_do_not_overtake(desk: Desk) -> None:
    """Two jobs for one conversation: the second must not send the second message while the first is on its way."""
    desk.engine.gate.set()
    for text in ("one", "two", "three"):
        conversation_id = await desk.receive(text)
    await desk.workers[0].work(desk.clinic.id, conversation_id)
    rows = [row.id for row in await desk.outbox()]
    assert len(rows) == 4
    desk.provider.slow_first = 0.3
    await asyncio.gather(*(desk.outbound.work(desk.clinic.id, conversation_id) for _ in range(8)))
    assert desk.provider.taken == rows


async def test_a_sender_waits_for_the_row_that_another_is_claiming(desk: Desk) -> None:
    desk.engine.gate.set()
    conversation_id = await desk.receive("hello")
    await desk.workers[0].work(desk.clinic.id, conversation_id)
    first = (await desk.outbox())[0]
    async with desk.database.begin(desk.clinic.id) as other:
        await other.get(Outbox, first.id, with_for_update=True)
        sending = asyncio.create_task(desk.outbound.work(desk.clinic.id, conversation_id))
        await asyncio.sleep(0.3)
        assert desk.provider.taken == []
    await asyncio.wait_for(sending, 5)
    assert desk.provider.taken == [row.id for row in await desk.outbox()]


async def test_a_provider_that_does_not_answer_delays_no_deadline(desk: Desk) -> None:
    """Sends whose outcome is unknown are asked about beside the watch over escalations, not before it."""
    desk.engine.gate.set()
    conversation_id = await desk.receive("my chest hurts and I can't breathe")
    await desk.workers[0].work(desk.clinic.id, conversation_id)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    async with desk.database.begin(desk.clinic.id) as session:
        await session.execute(update(Outbox).values(state="unknown", not_before=long_ago))
        await session.execute(update(Escalation).values(deadline=long_ago))
    answers = asyncio.Event()

    async def lookup(_message: OutboundMessage) -> Sent | None:
        await answers.wait()
        return Sent("found")

    desk.provider.lookup = lookup  # type: ignore[method-assign]
    settling = asyncio.create_task(sweeper(desk).sweep_sends(desk.clinic.id))
    await asyncio.wait_for(sweeper(desk).sweep(desk.clinic.id), 5)
    async with desk.database.begin(desk.clinic.id) as session:
        assert [row.climbs for row in await session.scalars(select(Escalation))] == [1]
    answers.set()
    await settling
    assert [(row.state, row.provider_id) for row in await desk.outbox()] == [("sent", "found")]


async def test_one_send_that_cannot_be_settled_keeps_no_other_from_it(desk: Desk) -> None:
    desk.engine.gate.set()
    for text in ("one", "two"):
        conversation_id = await desk.receive(text)
    await desk.workers[0].work(desk.clinic.id, conversation_id)
    async with desk.database.begin(desk.clinic.id) as session:
        await session.execute(update(Outbox).values(state="unknown", not_before=datetime.now(UTC) - timedelta(hours=1)))
    first, *others = [row.id for row in await desk.outbox()]

    async def lookup(message: OutboundMessage) -> Sent | None:
        if message.outbox_id == first:
            raise RuntimeError("a fault of ours")
        return Sent(f"P{message.outbox_id}")

    desk.provider.lookup = lookup  # type: ignore[method-assign]
    await sweeper(desk).sweep_sends(desk.clinic.id)
    assert [row.state for row in await desk.outbox()] == ["unknown", *["sent"] * len(others)]


def sweeper(desk: Desk) -> Sweeper:
    """Without an EHR: messages and deadlines need none."""
    return Sweeper(
        desk.database, Clinics({desk.clinic.id: desk.clinic}), desk.workers[0], desk.outbound, {},
        Programs(), desk.workers[0]._content, lambda: datetime.now(UTC),
    )  # fmt: skip
