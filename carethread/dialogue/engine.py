"""The engine's client: one message in, the assistant's replies out, as content keys with parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import aiohttp


class EngineUnavailable(Exception):
    """The turn was not taken, or it is unknown whether it was: take it again with the same message id."""


class EngineRefused(Exception):
    """The engine says that the request itself is wrong; trying again cannot help."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message of a conversation. `message_id` makes a repeated request return the turn already taken."""

    sender: str  # `<tenant>/<conversation id>`
    message_id: str
    channel: str
    language: str
    text: str = ""
    kind: Literal["text", "event"] = "text"
    event: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """Something to say: a content key and its parameters."""

    key: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the engine made of a message."""

    replies: tuple[Reply, ...]
    intent: str | None
    confidence: float | None


class Dialogue(Protocol):
    async def turn(self, request: Request) -> Turn:
        """Take a turn; raises `EngineUnavailable` or `EngineRefused`."""
        ...


class Engine:
    """The engine over HTTP, through Carethread's own Rasa channel."""

    def __init__(self, url: str, token: str, *, timeout: float, connections: int = 32) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=3)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def turn(self, request: Request) -> Turn:
        body = {
            "sender": request.sender,
            "message_id": request.message_id,
            "channel": request.channel,
            "language": request.language,
            "kind": request.kind,
            "text": request.text,
            "event": dict(request.event) if request.event else None,
        }
        url = f"{self._url}/webhooks/carethread/webhook"
        try:
            async with self._client().post(url, json=body, headers=self._headers) as response:
                if response.status >= 500:
                    raise EngineUnavailable(f"engine answered {response.status}")
                if response.status >= 400:
                    raise EngineRefused(f"engine answered {response.status}: see its log")
                return parse_turn(await response.json())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise EngineUnavailable(type(error).__name__) from error

    async def ready(self) -> bool:
        """Whether the engine has a model loaded."""
        try:
            async with self._client().get(f"{self._url}/webhooks/carethread/health") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, connector=aiohttp.TCPConnector(limit=self._connections)
            )
        return self._session


def parse_turn(body: Mapping[str, Any]) -> Turn:
    """The engine's answer as a `Turn`; raises `ValueError` for a reply that names no content."""
    replies = []
    for message in body.get("messages", ()):
        if not message.get("key"):
            raise ValueError("the engine replied with words that are not reviewed content")
        replies.append(Reply(message["key"], message.get("parameters") or {}))
    intent = body.get("intent") or {}
    return Turn(tuple(replies), intent.get("name"), intent.get("confidence"))
