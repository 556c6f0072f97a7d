"""Who speaks to the patient: one at a time, a red flag's pause holds, and nobody is left in silence."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import select

from carethread.clinic import Clinic, load_clinic
from carethread.escalation.errors import Held
from carethread.escalation.escalations import resolve
from carethread.escalation.ownership import hand_back, pause_for_emergency, pause_for_human, take_over, watch_waiting
from carethread.storage.announce import CHANNEL
from carethread.storage.database import Database
from carethread.storage.models import Audit, Conversation, Escalation, Inbox, Outbox, Staff
from sandbox.postgres import EmbeddedPostgres

pytestmark = pytest.mark.server

NOW = datetime.now(UTC)


@pytest.fixture
def clinic(tenant: str) -> Clinic:
    base = load_clinic(Path(__file__).parents[2] / "clinics/riverbend/clinic.yml")
    return base.model_copy(update={"id": tenant})


@pytest.fixture
async def conversation(database: Database, tenant: str) -> Conversation:
    async with database.begin(tenant) as session:
        row = Conversation(channel="sms", account="+13125550150", address="+13125550101")
        session.add(row)
        await session.flush()
        return row


@pytest.fixture
async def nurses(database: Database, tenant: str) -> tuple[Staff, Staff]:
    async with database.begin(tenant) as session:
        rows = [Staff(email=f"{name}@example.test", name=name, password_hash="-", teams=[]) for name in ("Ana", "Sam")]
        session.add_all(rows)
        await session.flush()
        return rows[0], rows[1]


async def _owner(database: Database, conversation: Conversation) -> tuple[str, object]:
    async with database.begin(conversation.tenant_id) as session:
        row = await session.get_one(Conversation, conversation.id)
        return row.owner, row.owner_staff_id


async def test_taking_over_and_handing_back(
    database: Database, conversation: Conversation, nurses: tuple[Staff, Staff]
) -> None:
    ana, sam = nurses
    async with database.begin(conversation.tenant_id) as session:
        row = await session.get_one(Conversation, conversation.id)
        await take_over(session, row, ana, NOW)
        await take_over(session, row, ana, NOW)
    assert await _owner(database, conversation) == ("human", ana.id)
    async with database.begin(conversation.tenant_id) as session:
        row = await session.get_one(Conversation, conversation.id)
        with pytest.raises(Held):
            await hand_back(session, row, sam, NOW)
        await hand_back(session, row, ana, NOW)
        await hand_back(session, row, ana, NOW)
    assert await _owner(database, conversation) == ("assistant", None)
    async with database.begin(conversation.tenant_id) as session:
        trail = (await session.scalars(select(Audit).order_by(Audit.id))).all()
    assert [(entry.actor, entry.action) for entry in trail] == [
        (f"staff:{ana.id}", "conversation.take_over"),
        (f"staff:{ana.id}", "conversation.hand_back"),
    ]


async def test_of_two_nurses_one_takes_over(
    database: Database, conversation: Conversation, nurses: tuple[Staff, Staff]
) -> None:
    async def try_(staff: Staff) -> str | None:
        try:
            async with database.begin(conversation.tenant_id) as session:
                # Both read it unowned before either writes.
                row = await session.get_one(Conversation, conversation.id)
                await asyncio.sleep(0.05)
                await take_over(session, row, staff, NOW)
        except Held as held:
            return held.holder
        return None

    outcomes = await asyncio.gather(*(try_(staff) for staff in nurses))
    winner = nurses[outcomes.index(None)]
    assert [outcome for outcome in outcomes if outcome] == [winner.name]
    assert await _owner(database, conversation) == ("human", winner.id)


async def test_a_colleague_is_relieved_by_name_only(
    database: Database, conversation: Conversation, nurses: tuple[Staff, Staff]
) -> None:
    ana, sam = nurses
    async with database.begin(conversation.tenant_id) as session:
        row = await session.get_one(Conversation, conversation.id)
        await take_over(session, row, ana, NOW)
        with pytest.raises(Held):
            await take_over(session, row, sam, NOW)
        await take_over(session, row, sam, NOW, instead_of=ana.id)
    assert await _owner(database, conversation) == ("human", sam.id)


@pytest.mark.parametrize(
    ("before", "staffed", "pause", "after"),
    [
        ("assistant", False, pause_for_human, "human"),
        ("assistant", False, pause_for_emergency, "emergency"),
        ("human", False, pause_for_emergency, "emergency"),
        ("emergency", False, pause_for_human, "emergency"),
        ("human", True, pause_for_emergency, "human"),
        ("human", True, pause_for_human, "human"),
    ],
)
async def test_the_stronger_pause_stays(
    database: Database,
    conversation: Conversation,
    nurses: tuple[Staff, Staff],
    before: str,
    staffed: bool,
    pause: object,
    after: str,
) -> None:
    staff_id = nurses[0].id if staffed else None
    async with database.begin(conversation.tenant_id) as session:
        row = await session.get_one(Conversation, conversation.id)
        row.owner, row.owner_staff_id = before, staff_id
        await pause(session, row)  # type: ignore[operator]
    assert await _owner(database, conversation) == (after, staff_id)


async def test_every_change_is_announced(
    postgres: EmbeddedPostgres, database: Database, conversation: Conversation, nurses: tuple[Staff, Staff]
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(database.url)
    await listener.add_listener(CHANNEL, lambda *args: heard.put_nowait(str(args[-1])))
    topic = f"{conversation.tenant_id}/{conversation.id}"
    try:
        for deed in (
            lambda session, row: pause_for_human(session, row),
            lambda session, row: take_over(session, row, nurses[0], NOW),
            lambda session, row: hand_back(session, row, nurses[0], NOW),
            lambda session, row: pause_for_emergency(session, row),
        ):
            async with database.begin(conversation.tenant_id) as session:
                await deed(session, await session.get_one(Conversation, conversation.id))
            while await asyncio.wait_for(heard.get(), 5) != topic:
                pass
    finally:
        await listener.close()


async def _wrote(database: Database, conversation: Conversation, at: datetime, outcome: str = "to_human") -> int:
    async with database.begin(conversation.tenant_id) as session:
        row = Inbox(
            conversation_id=conversation.id, provider_id=f"sms:{at.timestamp()}", kind="text", text="hello?",
            received_at=at, done_at=at, outcome=outcome,
        )  # fmt: skip
        session.add(row)
        await session.flush()
        return row.id


async def _watch(database: Database, clinic: Clinic, now: datetime) -> list[Escalation]:
    async with database.begin(clinic.id) as session:
        return await watch_waiting(session, clinic, now)


async def test_a_patient_left_waiting_by_staff_gets_a_line(
    database: Database, clinic: Clinic, conversation: Conversation, nurses: tuple[Staff, Staff]
) -> None:
    async with database.begin(clinic.id) as session:
        await take_over(session, await session.get_one(Conversation, conversation.id), nurses[0], NOW)
    inbox_id = await _wrote(database, conversation, NOW)
    await _wrote(database, conversation, NOW + timedelta(minutes=100))  # writing again does not reset the wait
    assert await _watch(database, clinic, NOW + timedelta(minutes=119)) == []
    (line,) = await _watch(database, clinic, NOW + timedelta(minutes=120))
    assert (line.reason, line.severity, line.inbox_id, line.state) == ("waiting", "soon", inbox_id, "open")
    assert await _watch(database, clinic, NOW + timedelta(minutes=125)) == []


async def test_who_was_answered_or_called_is_not_waiting(
    database: Database, clinic: Clinic, conversation: Conversation, nurses: tuple[Staff, Staff]
) -> None:
    ana = nurses[0]
    async with database.begin(clinic.id) as session:
        await take_over(session, await session.get_one(Conversation, conversation.id), ana, NOW)
    late = NOW + timedelta(days=1)
    await _wrote(database, conversation, NOW - timedelta(minutes=10))
    await _wrote(database, conversation, NOW + timedelta(hours=3), outcome="answered")
    async with database.begin(clinic.id) as session:
        session.add(
            Outbox(
                conversation_id=conversation.id, key="s1", author="staff", staff_id=ana.id, text="Hello",
                content_key="staff_message", content_version="1", language="en", created_at=NOW,
            )
        )  # fmt: skip
    assert await _watch(database, clinic, late) == []
    await _wrote(database, conversation, NOW + timedelta(hours=1))
    (line,) = await _watch(database, clinic, late)
    async with database.begin(clinic.id) as session:
        await resolve(session, clinic, line.id, ana, late, "Called the patient")
    assert await _watch(database, clinic, late + timedelta(days=1)) == []


async def test_the_assistants_conversations_are_not_watched(
    database: Database, clinic: Clinic, conversation: Conversation
) -> None:
    await _wrote(database, conversation, NOW)
    assert await _watch(database, clinic, NOW + timedelta(days=1)) == []
