"""Talking to a running installation as a patient: for the terminal and for tests that go the whole way.

Messages go through the real gateway (signed by the phone simulator, or over the web channel); what comes back is
waited for in the ledger, which alone knows when a message is answered for good.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp
from sqlalchemy import select

from carethread.clinic import Channel, Clinic
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox, Outbox

_POLL = 0.03  # seconds
_OPEN = ("queued", "sending", "unknown")


class NotAnswered(Exception):
    """No answer within the time given; the text says what the ledger holds."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the assistant's or of staff."""

    key: str
    text: str
    language: str
    state: str
    author: str
    quick_replies: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Patient:
    """Somebody at a phone or a web page. `phone` is E.164; on the web a session is opened at the first message."""

    database: Database
    clinic: Clinic
    channel: Channel
    phone: str | None
    gateway_url: str
    phones_url: str
    heard: int = 0  # outbox id up to which everything was handed out
    address: str | None = None
    _token: str | None = None
    _http: aiohttp.ClientSession | None = None
    inbox_ids: list[int] = field(default_factory=list)

    async def __aenter__(self) -> Patient:
        try:
            return await self._open()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise

    async def _open(self) -> Patient:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        if self.channel == "web":
            account = self.clinic.first_account("web")
            assert account is not None
            async with self._http.post(f"{self.gateway_url}/web/{account.address}/session") as response:
                response.raise_for_status()
                self._token = (await response.json())["token"]
        else:
            assert self.phone is not None
            self.address = self.phone
            self.heard = await self._last()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._http:
            await self._http.close()

    async def say(self, text: str, *, timeout: float = 30.0) -> list[Said]:
        """Send `text` and return what comes back for it; an empty list when a human has the conversation."""
        provider_id = await self.send(text)
        return await self.answer(provider_id, timeout=timeout)

    async def send(self, text: str) -> str:
        """Send without waiting; returns the inbox's provider id."""
        assert self._http is not None
        if self.channel == "web":
            message_id = str(uuid.uuid4())
            headers = {"Authorization": f"Bearer {self._token}"}
            body: dict[str, Any] = {"id": message_id, "text": text}
            async with self._http.post(f"{self.gateway_url}/web/messages", json=body, headers=headers) as response:
                response.raise_for_status()
            return f"%:{message_id}"
        url = f"{self.phones_url}/api/phones/{(self.phone or '').replace('+', '%2B')}/messages"
        account = self.clinic.first_account(self.channel)
        body = {"channel": self.channel, "text": text, "clinic": account.address if account else None}
        async with self._http.post(url, json=body) as response:
            response.raise_for_status()
            return f"{self.channel}:{(await response.json())['sid']}"

    async def answer(self, provider_id: str, *, timeout: float = 30.0) -> list[Said]:
        """Wait until the message is closed and its replies are out; raises `NotAnswered`."""
        deadline = time.monotonic() + timeout
        row: Inbox | None = None
        while time.monotonic() < deadline:
            async with self.database.begin(self.clinic.id) as session:
                row = await session.scalar(select(Inbox).where(Inbox.provider_id.like(provider_id)))
                if row is not None and row.done_at is not None:
                    waiting = await session.scalar(
                        select(Outbox.id)
                        .where(Outbox.conversation_id == row.conversation_id, Outbox.state.in_(_OPEN))
                        .limit(1)
                    )
                    if waiting is None:
                        self.inbox_ids.append(row.id)
                        return await self._new(session, row.conversation_id)
            await asyncio.sleep(_POLL)
        what = "is not in the ledger" if row is None else f"has outcome {row.outcome}, attempts {row.attempts}"
        raise NotAnswered(f"no answer within {timeout:.0f} s: the message {what}")

    async def wait_for_news(self, *, timeout: float = 30.0) -> list[Said]:
        """Wait for something that was not asked for: a check-in, a nurse's answer."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            async with self.database.begin(self.clinic.id) as session:
                conversation = await self._conversation(session)
                if conversation is not None:
                    news = await self._new(session, conversation.id, only_out=True)
                    if news:
                        return news
            await asyncio.sleep(_POLL)
        raise NotAnswered(f"nothing new within {timeout:.0f} s")

    async def conversation(self) -> Conversation | None:
        async with self.database.begin(self.clinic.id) as session:
            return await self._conversation(session)

    async def _conversation(self, session: Any) -> Conversation | None:
        found = select(Conversation).where(Conversation.channel == self.channel)
        if self.channel == "web":
            if not self.inbox_ids:
                return None
            found = found.join(Inbox, Inbox.conversation_id == Conversation.id).where(Inbox.id == self.inbox_ids[0])
        else:
            account = self.clinic.first_account(self.channel)
            assert account is not None
            found = found.where(Conversation.address == self.address, Conversation.account == account.address)
        result: Conversation | None = await session.scalar(found)
        return result

    async def _new(self, session: Any, conversation_id: uuid.UUID, *, only_out: bool = False) -> list[Said]:
        rows = (
            await session.scalars(
                select(Outbox)
                .where(Outbox.conversation_id == conversation_id, Outbox.id > self.heard)
                .order_by(Outbox.id)
            )
        ).all()
        if only_out and any(row.state in _OPEN for row in rows):
            return []
        if rows:
            self.heard = rows[-1].id
        return [
            Said(
                row.content_key,
                row.text,
                row.language,
                row.state,
                row.author,
                tuple(str(item["title"]) for item in row.quick_replies),
                row.parameters,
            )
            for row in rows
        ]

    async def _last(self) -> int:
        """The newest outbox row there is, so that only later ones are heard."""
        async with self.database.begin(self.clinic.id) as session:
            conversation = await self._conversation(session)
            if conversation is None:
                return 0
            last = await session.scalar(
                select(Outbox.id).where(Outbox.conversation_id == conversation.id).order_by(Outbox.id.desc()).limit(1)
            )
            return last or 0
