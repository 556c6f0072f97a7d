"""Conversations in PostgreSQL. Needs CARETHREAD_TEST_DATABASE_URL (see conftest)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from carethread_engine.faults import StoreFailed
from carethread_engine.tracker_store import CarethreadTrackerStore, StoredTracker, tenant_of
from carethread_engine.turns import TurnRequest
from conftest import Database, FakeActions, make_agent
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import UserUttered


@pytest.fixture
async def store(database: Database) -> AsyncIterator[CarethreadTrackerStore]:
    store = CarethreadTrackerStore(Domain.empty(), url=database.url, connections=2)
    yield store
    await store.close()


@pytest.fixture
def sender() -> str:
    return f"riverbend/{uuid.uuid4()}"


def rows(database: Database, statement: str, *parameters: Any) -> list[Any]:
    connection = psycopg2.connect(database.admin)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


async def test_a_conversation_outlives_the_process(
    model: Path, actions: FakeActions, database: Database, sender: str
) -> None:
    for number, text in enumerate(["I need an appointment", "with the heart doctor", "next tuesday"]):
        store = CarethreadTrackerStore(None, url=database.url)
        agent = make_agent(model, actions.url, store)  # a new one each time, as after a restart
        turn = await agent.turn(TurnRequest(sender, f"m{number}", "sms", text, language="es"))
        await store.close()
    assert [message["key"] for message in turn.messages] == ["utter_ask_reason"]
    ((tenant, version, events),) = rows(
        database, "select tenant_id, version, events from engine.tracker where sender_id = %s", sender
    )
    assert (tenant, version) == ("riverbend", 3)
    assert [event["text"] for event in events if event["event"] == "user"][-1] == "next tuesday"


async def test_a_repeated_message_gets_its_turn_from_another_process(
    model: Path, actions: FakeActions, database: Database, sender: str
) -> None:
    request = TurnRequest(sender, "m1", "sms", "say that again")
    turns = []
    for _ in range(2):
        store = CarethreadTrackerStore(None, url=database.url)
        turns.append(await make_agent(model, actions.url, store).turn(request))
        await store.close()
    assert turns[0] == turns[1]
    assert turns[0].messages[0]["parameters"] == {"count": 1}
    assert len(actions.calls) == 1


async def test_a_row_stays_small_however_long_the_conversation(
    model: Path, actions: FakeActions, database: Database, sender: str, store: CarethreadTrackerStore
) -> None:
    agent = make_agent(model, actions.url, store)
    sizes = []
    for number in range(120):
        text = ["when are you open", "where can I park", "thank you", "order a pizza"][number % 4]
        await agent.turn(TurnRequest(sender, f"m{number}", "web", text))
        ((size,),) = rows(database, "select length(events::text) from engine.tracker where sender_id = %s", sender)
        sizes.append(size)
    assert max(sizes[60:]) <= 1.1 * max(sizes[:60])
    assert max(sizes) < 60_000


async def test_tenants_are_kept_apart_by_the_database(
    model: Path, actions: FakeActions, database: Database, store: CarethreadTrackerStore
) -> None:
    agent = make_agent(model, actions.url, store)
    mine, theirs = f"riverbend/{uuid.uuid4()}", f"otherclinic/{uuid.uuid4()}"
    for sender in (mine, theirs):
        await agent.turn(TurnRequest(sender, "m1", "web", "hello"))
    connection = psycopg2.connect(database.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from engine.tracker")
        assert cursor.fetchone() == (0,), "without a tenant nothing is seen"
        cursor.execute("select set_config('app.tenant', 'otherclinic', true)")
        cursor.execute("select sender_id from engine.tracker where sender_id in (%s, %s)", (mine, theirs))
        assert cursor.fetchall() == [(theirs,)]
        cursor.execute("update engine.tracker set version = 99 where sender_id = %s", (mine,))
        assert cursor.rowcount == 0
    connection.close()


async def test_no_connection_remembers_a_tenant(store: CarethreadTrackerStore, sender: str) -> None:
    await store.retrieve(sender)

    def tenant(connection: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("select current_setting('app.tenant', true)")
            return cursor.fetchone()[0]

    assert not await store._in_thread(tenant)


async def test_of_two_writers_one_is_refused(store: CarethreadTrackerStore, sender: str) -> None:
    first, second = store.init_tracker(sender), store.init_tracker(sender)
    await store.save(first)
    with pytest.raises(StoreFailed, match="somebody else"):
        await store.save(second)
    again = await store.retrieve(sender)
    assert isinstance(again, StoredTracker)
    await store.save(again)
    with pytest.raises(StoreFailed):
        await store.save(first)


async def test_a_turn_whose_conversation_changed_meanwhile_is_not_kept_and_can_be_taken_again(
    model: Path, actions: FakeActions, database: Database, store: CarethreadTrackerStore, sender: str
) -> None:
    agent = make_agent(model, actions.url, store)
    await agent.turn(TurnRequest(sender, "m0", "web", "hello"))
    plain = actions.answer

    def meddling(call: dict[str, Any]) -> Any:
        rows(database, "update engine.tracker set version = version + 1 where sender_id = %s", sender)
        return plain(call)

    actions.answer = meddling
    with pytest.raises(StoreFailed):
        await agent.turn(TurnRequest(sender, "m1", "web", "say that again"))
    actions.answer = plain
    turn = await agent.turn(TurnRequest(sender, "m1", "web", "say that again"))
    assert turn.messages[0]["parameters"] == {"count": 1}, "nothing of the lost turn was kept"


async def test_a_database_that_is_not_there_is_an_error_not_a_new_conversation() -> None:
    store = CarethreadTrackerStore(Domain.empty(), url="postgresql://nobody@/none?host=/nowhere")
    with pytest.raises(StoreFailed, match="OperationalError"):
        await store.get_or_create_tracker("riverbend/1")
    with pytest.raises(StoreFailed, match="OperationalError"):
        await store.save(store.init_tracker("riverbend/1"))
    await store.close()


async def test_connections_that_the_server_closed_are_replaced(
    database: Database, store: CarethreadTrackerStore, sender: str
) -> None:
    await store.save(store.init_tracker(sender))
    rows(
        database,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'carethread-engine'",
    )
    await asyncio.sleep(0.1)
    assert await store.retrieve(sender) is not None


@pytest.mark.parametrize("sender_id", ["default", "", "/x", "no-slash"])
async def test_a_sender_without_a_tenant_is_refused(sender_id: str) -> None:
    with pytest.raises(StoreFailed):
        tenant_of(sender_id)


async def test_texts_of_every_script_come_back_as_they_were(
    model: Path, actions: FakeActions, store: CarethreadTrackerStore, sender: str
) -> None:
    text = "¿Mañana a las 10? \u202e 明日 👩🏽‍⚕️ \\u0000 'quoted' \"twice\" %s"
    await make_agent(model, actions.url, store).turn(TurnRequest(sender, "m1", "web", text))
    tracker = await store.retrieve(sender)
    assert tracker is not None
    assert [event.text for event in tracker.events if isinstance(event, UserUttered)] == [text]
