"""What channels and the ledger exchange: messages in, messages out, and what became of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, Protocol

from carethread.clinic import Account, Channel

Kind = Literal["text", "media", "event"]
DeliveryState = Literal["sent", "delivered", "read", "failed"]

# A message longer than this is kept whole in the ledger, and read by the assistant up to here.
MAX_TEXT = 10_000  # characters
# WhatsApp delivers free words only so long after the patient's last message.
WHATSAPP_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """Something a patient sent, or an event of the platform's own, parsed at the edge."""

    channel: Channel
    account: str  # the clinic's address that it was sent to
    address: str  # the patient's address: E.164, or the web session's id
    provider_id: str  # unique within the channel; a repeated one is the same message
    kind: Kind = "text"
    text: str = ""
    media: tuple[Mapping[str, Any], ...] = ()
    event: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a received message: its row, and whether it was there already."""

    inbox_id: int
    conversation_id: uuid.UUID
    duplicate: bool


@dataclass(frozen=True, slots=True)
class QuickReply:
    """A button, or a numbered line where a channel has no buttons. Pressing it says `value`."""

    title: str
    value: str


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A rendered message on its way to a provider."""

    outbox_id: int
    tenant: str
    conversation_id: uuid.UUID
    account: Account
    address: str
    text: str
    language: str
    quick_replies: tuple[QuickReply, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """A provider took the message, under its own id."""

    provider_id: str


class SendFailed(Exception):
    """A send did not work. `permanent`: trying again cannot help. `unknown`: it may have gone out."""

    def __init__(self, reason: str, *, permanent: bool = False, unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.unknown = unknown


class Channels(Protocol):
    """The three verbs of a channel, as the outbox needs them."""

    async def send(self, message: OutboundMessage) -> Sent:
        """Hand the message to the provider; raises `SendFailed`."""
        ...

    async def lookup(self, message: OutboundMessage) -> Sent | None:
        """Find out whether a send of unknown outcome arrived; None when it did not."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryUpdate:
    """A provider's word on a message it took. Either id finds the row."""

    state: DeliveryState
    outbox_id: int | None = None
    provider_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """One line of a conversation as a page shows it, oldest first by (`at`, `id`)."""

    id: str  # `i<inbox id>` or `o<outbox id>`
    author: Literal["patient", "assistant", "staff"]
    text: str
    at: str  # ISO 8601, UTC
    state: str  # what became of it: received | answered … | queued | sent | delivered | read | failed
    quick_replies: tuple[QuickReply, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
