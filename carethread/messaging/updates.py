"""Tells open pages and sockets that a conversation changed, across processes, by PostgreSQL's NOTIFY."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import asyncpg
import structlog

from carethread.storage.announce import CHANNEL

log = structlog.get_logger()

_RECONNECT = 1.0  # seconds


class Updates:
    """One LISTEN connection a process; subscribers get an event that is set on each change.

    A notification carries no content and may be missed while the connection is away, so a subscriber always
    reads the ledger from where it was; after a reconnect every subscriber is woken.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="updates")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @contextmanager
    def conversation(self, tenant: str, conversation_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """An event set whenever this conversation changes."""
        with self._subscribe(f"{tenant}/{conversation_id}") as event:
            yield event

    @contextmanager
    def tenant(self, tenant: str) -> Iterator[asyncio.Event]:
        """An event set whenever any conversation of the tenant changes."""
        with self._subscribe(f"{tenant}/") as event:
            yield event

    @contextmanager
    def _subscribe(self, topic: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting[topic].add(event)
        try:
            yield event
        finally:
            self._waiting[topic].discard(event)
            if not self._waiting[topic]:
                del self._waiting[topic]

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        topic = str(payload)
        for name in (topic, topic.split("/", 1)[0] + "/"):
            for event in self._waiting.get(name, ()):
                event.set()

    async def _listen(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._url)
                closed = asyncio.Event()
                connection.add_termination_listener(lambda _connection, closed=closed: closed.set())
                await connection.add_listener(CHANNEL, self._notified)
                for events in list(self._waiting.values()):
                    for event in events:
                        event.set()
                try:
                    await closed.wait()
                finally:
                    await connection.close(timeout=2)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("updates_reconnect", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT)
