"""Conversations in PostgreSQL: one row each, under row-level security, bounded, and never half remembered."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.conversation import Dialogue
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event
from rasa.shared.core.slots import Slot
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import RasaException
from rasa.shared.utils.common import all_subclasses

from carethread_engine.compaction import LAST_TURNS, compact
from carethread_engine.faults import StoreFailed

T = TypeVar("T")

CONNECT_SECONDS = 3
STATEMENT_MILLISECONDS = 5_000

# Both run as one implicit transaction in one round trip: the tenant is set for it and forgotten with it.
READ = """
select set_config('app.tenant', %(tenant)s, true);
select events, version from engine.tracker where sender_id = %(sender)s
"""
WRITE = """
select set_config('app.tenant', %(tenant)s, true);
insert into engine.tracker as kept (sender_id, tenant_id, events, version, updated_at)
values (%(sender)s, %(tenant)s, %(events)s, 1, now())
on conflict (sender_id) do update
set events = excluded.events, version = kept.version + 1, updated_at = now()
where kept.version = %(version)s
returning version
"""


class StoredTracker(DialogueStateTracker):
    """A tracker that knows which version of its row it was read from; 0 for a conversation without a row."""

    def __init__(self, sender_id: str, slots: Iterable[Slot] | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(sender_id, slots, *args, **kwargs)
        self.version = 0


class CarethreadTrackerStore(TrackerStore):
    """Every failure is raised as `StoreFailed`: a conversation that cannot be read is not a new one.

    `url` is libpq's, `postgresql://user@/database?host=/socket/folder` included. The tenant is what stands before the
    slash in a sender id. The table is made by the platform's migrations.
    """

    def __init__(
        self,
        domain: Domain | None,
        event_broker: EventBroker | None = None,
        *,
        url: str,
        connections: int = 8,
        last_turns: int = LAST_TURNS,
    ) -> None:
        super().__init__(domain, event_broker)
        self._url = url
        self._last_turns = last_turns
        self._threads = ThreadPoolExecutor(max_workers=connections, thread_name_prefix="tracker")
        self._local = threading.local()  # a connection for each thread of the pool

    def init_tracker(self, sender_id: str) -> StoredTracker:
        return StoredTracker(sender_id, self.domain.slots)

    async def get_or_create_tracker(
        self, sender_id: str, max_event_history: int | None = None, append_action_listen: bool = True
    ) -> DialogueStateTracker:
        """As Rasa's, except that a new conversation is written when its first turn is kept, not before."""
        tracker = await self.retrieve(sender_id)
        if tracker is None:
            tracker = self.init_tracker(sender_id)
            if append_action_listen:
                tracker.update(ActionExecuted(ACTION_LISTEN_NAME))
        return tracker

    async def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        parameters = {"tenant": tenant_of(sender_id), "sender": sender_id}
        row = await self._in_thread(lambda connection: _one(connection, READ, parameters))
        if row is None:
            return None
        tracker = self.init_tracker(sender_id)
        tracker.recreate_from_dialogue(Dialogue(sender_id, events_of(row[0])))
        tracker.version = row[1]
        return tracker

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Raises `StoreFailed` as well when somebody else has written the conversation since it was read."""
        await self.stream_events(tracker)
        version = getattr(tracker, "version", 0)
        kept = compact(list(tracker.events), self.domain.slots, self._last_turns)
        parameters = {
            "tenant": tenant_of(tracker.sender_id),
            "sender": tracker.sender_id,
            "events": _dump(kept),
            "version": version,
        }
        row = await self._in_thread(lambda connection: _one(connection, WRITE, parameters))
        if row is None:
            raise StoreFailed("the conversation was written by somebody else meanwhile")
        if isinstance(tracker, StoredTracker):
            tracker.version = row[0]

    async def keys(self) -> Iterable[str]:
        raise RasaException("conversations belong to tenants; there is no list of all of them")

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[psycopg2.extensions.connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._work, work)
        except psycopg2.Error as error:
            # The class name says what kind of trouble; the message could quote values.
            raise StoreFailed(f"tracker store: {type(error).__name__}") from None

    def _work(self, work: Callable[[psycopg2.extensions.connection], T]) -> T:
        connection: psycopg2.extensions.connection | None = getattr(self._local, "connection", None)
        if connection is not None and not connection.closed:
            try:
                return work(connection)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                # The server may have restarted since this connection was last used; a new one decides. Reading twice
                # does no harm, and writing twice is caught by the version.
                connection.close()
        self._local.connection = connection = self._connect()
        try:
            return work(connection)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            connection.close()
            raise

    def _connect(self) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(
            self._url,
            connect_timeout=CONNECT_SECONDS,
            application_name="carethread-engine",
            options=f"-c statement_timeout={STATEMENT_MILLISECONDS}",
        )
        connection.autocommit = True
        return connection


@lru_cache(maxsize=1)
def event_types() -> dict[str, type[Event]]:
    """Rasa's event classes by the name they are stored under; Rasa searches its class tree for each event."""
    return {kind.type_name: kind for kind in all_subclasses(Event)}


def events_of(stored: Iterable[dict[str, Any]]) -> list[Event]:
    kinds = event_types()
    return [event for item in stored if (event := kinds[item["event"]]._from_parameters(item)) is not None]


def tenant_of(sender_id: str) -> str:
    tenant, slash, _ = sender_id.partition("/")
    if not (tenant and slash):
        raise StoreFailed("a sender id is <tenant>/<conversation id>")
    return tenant


def _one(
    connection: psycopg2.extensions.connection, statement: str, parameters: dict[str, Any]
) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def _dump(events: Iterable[Event]) -> str:
    return json.dumps([event.as_dict() for event in events], separators=(",", ":"))
