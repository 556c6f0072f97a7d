"""What a message reads and writes on its way through: the few statements that all of them need, written out.

Each turn runs about twenty. As mapped objects they took two thirds of a worker's time (`python -m benchmarks turns`);
the rest of the platform, which runs less often, uses the models in `storage/models.py`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from carethread.messaging.types import InboundMessage
from carethread.safety.levels import Level
from carethread.storage.database import raw

_THREAD = (
    "id, channel, account, address, language, owner, owner_staff_id, introduced_at, last_inbound_at, last_outbound_at, "
    "patient_id, verified_at, lease_token"
)
_STOPPED = "exists (select from consent where channel = $2 and address = $3 and state = 'opted_out') as opted_out"


class Addressee(Protocol):
    """Whom a text is for: a `Thread`, or a `storage.models.Conversation`."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def channel(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def patient_id(self) -> str | None: ...
    @property
    def verified_at(self) -> datetime | None: ...

    last_outbound_at: datetime | None


@dataclass(slots=True)
class Thread:
    """A conversation, locked by this transaction. What is changed here is written by `save`."""

    id: uuid.UUID
    channel: str
    account: str
    address: str
    language: str
    owner: str
    owner_staff_id: uuid.UUID | None
    introduced_at: datetime | None
    last_inbound_at: datetime | None
    last_outbound_at: datetime | None
    patient_id: str | None
    verified_at: datetime | None
    lease_token: int
    _written: tuple[object, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._written = self._state()

    @property
    def unsaved(self) -> bool:
        """Whether something was changed that others read. When the patient last wrote is told by the message too."""
        return self._written != self._state()

    def _state(self) -> tuple[object, ...]:
        return self.language, self.introduced_at, self.last_outbound_at

    async def save(self, session: AsyncSession, *, release: bool) -> None:
        """Write language, introduction and last messages; with `release`, let the conversation go."""
        await raw(session).execute(
            "update conversation set language = $2, introduced_at = $3, last_inbound_at = $4, last_outbound_at = $5, "
            "lease_until = case when $6 then null else lease_until end where id = $1",
            self.id, self.language, self.introduced_at, self.last_inbound_at, self.last_outbound_at, release,
        )  # fmt: skip
        self._written = self._state()


@dataclass(frozen=True, slots=True)
class Arrived:
    """An inbox row: a message or an event that came in."""

    id: int
    conversation_id: uuid.UUID
    kind: str  # text | media | event
    text: str
    event: Mapping[str, Any] | None
    received_at: datetime
    screened_at: datetime | None
    retry_at: datetime | None
    attempts: int
    held_at: datetime | None
    done_at: datetime | None
    level: Level
    rule: str | None


_ARRIVED = ", ".join(column.name for column in fields(Arrived))


@dataclass(frozen=True, slots=True)
class Unsent:
    """An outbox row to be."""

    key: str
    content_key: str
    content_version: str
    language: str
    parameters: Mapping[str, Any]
    text: str
    quick_replies: list[dict[str, str]]


async def take(session: AsyncSession, conversation_id: uuid.UUID, lease: timedelta) -> Thread | None:
    """Take the lease on a conversation, which locks its row; None while another worker's has not run out."""
    row = await raw(session).fetchrow(
        "update conversation set lease_token = lease_token + 1, lease_until = clock_timestamp() + $2 "
        "where id = $1 and (lease_until is null or lease_until < clock_timestamp()) "
        f"returning {_THREAD}",
        conversation_id, lease,
    )  # fmt: skip
    return Thread(*row) if row else None


async def keep(session: AsyncSession, conversation_id: uuid.UUID, token: int, lease: timedelta) -> None:
    """Renew the lease, if `token` still holds it."""
    await raw(session).execute(
        "update conversation set lease_until = clock_timestamp() + $3 where id = $1 and lease_token = $2",
        conversation_id, token, lease,
    )  # fmt: skip


async def lock(session: AsyncSession, conversation_id: uuid.UUID) -> Thread | None:
    """Read a conversation and keep it as it is; messages to it arrive after this transaction."""
    row = await raw(session).fetchrow(f"select {_THREAD} from conversation where id = $1 for update", conversation_id)
    return Thread(*row) if row else None


async def add_arrived(
    session: AsyncSession, provider_id: str, message: InboundMessage, text: str
) -> tuple[int, uuid.UUID] | None:
    """Insert a message that came in; returns its id and its conversation's.

    None when there is no conversation with this address yet, or when the provider's id is known already.
    """
    row = await raw(session).fetchrow(
        "insert into inbox (conversation_id, provider_id, kind, text, media, event, level, attempts) "
        "select id, $4, $5, $6, $7::jsonb, $8::jsonb, 'none', 0 from conversation "
        "where channel = $1 and account = $2 and address = $3 "
        "on conflict (tenant_id, provider_id) do nothing returning id, conversation_id",
        message.channel, message.account, message.address, provider_id, message.kind, text,
        json.dumps([dict(item) for item in message.media]),
        json.dumps(dict(message.event)) if message.event else None,
    )  # fmt: skip
    return (row["id"], row["conversation_id"]) if row else None


async def unscreened(session: AsyncSession, conversation_id: uuid.UUID) -> list[Arrived]:
    """Messages that nobody has read for red flags, oldest first; leaves out what another worker is reading."""
    return await _arrived(
        session, "where conversation_id = $1 and screened_at is null order by id for update skip locked",
        conversation_id,
    )  # fmt: skip


async def mark_screened(
    session: AsyncSession, inbox_ids: Iterable[int], now: datetime, level: str = "none", rule: str | None = None
) -> None:
    await raw(session).execute(
        "update inbox set screened_at = $2, level = $3, rule = $4 where id = any($1)", list(inbox_ids), now, level, rule
    )


async def oldest_open(session: AsyncSession, thread: Thread) -> tuple[Arrived, bool] | None:
    """The first message that is not answered yet, and whether its sender has said stop."""
    row = await raw(session).fetchrow(
        f"select {_ARRIVED}, {_STOPPED} from inbox where conversation_id = $1 and done_at is null order by id limit 1",
        thread.id, thread.channel, thread.address,
    )  # fmt: skip
    return (Arrived(*row[:-1]), row[-1]) if row else None


async def earlier_texts(session: AsyncSession, row: Arrived, within: timedelta, most: int) -> list[str]:
    """What the patient wrote shortly before `row`, latest first."""
    found = await raw(session).fetch(
        "select text from inbox where conversation_id = $1 and id < $2 and kind = 'text' and received_at > $3 "
        "order by id desc limit $4",
        row.conversation_id, row.id, row.received_at - within, most,
    )  # fmt: skip
    return [record["text"] for record in found]


async def chart_facts(session: AsyncSession, conversation_id: uuid.UUID) -> list[str]:
    """What the proven patient's chart adds to a sign; nothing while nobody has proven who they are."""
    found: list[str] | None = await raw(session).fetchval(
        "select chart_facts from conversation where id = $1 and patient_id is not null", conversation_id
    )
    return found or []


async def said_since(session: AsyncSession, conversation_id: uuid.UUID, content_key: str, since: datetime) -> bool:
    """Whether the patient was told this since then."""
    said = await raw(session).fetchval(
        "select exists (select from outbox where conversation_id = $1 and content_key = $2 and created_at > $3)",
        conversation_id, content_key, since,
    )  # fmt: skip
    return bool(said)


async def close(
    session: AsyncSession,
    inbox_id: int,
    outcome: str,
    now: datetime,
    *,
    language: str,
    intent: str | None = None,
    confidence: float | None = None,
) -> bool:
    """The message is dealt with; False when it was so already."""
    closed = await raw(session).fetchval(
        "update inbox set done_at = $2, outcome = $3, language = $4, intent = $5, confidence = $6 "
        "where id = $1 and done_at is null returning true",
        inbox_id, now, outcome, language, intent, confidence,
    )  # fmt: skip
    return bool(closed)


async def hold(session: AsyncSession, inbox_id: int, now: datetime) -> bool:
    """The patient is told that this answer takes longer; False when they were told, or have it meanwhile."""
    held = await raw(session).fetchval(
        "update inbox set held_at = $2 where id = $1 and held_at is null and done_at is null returning true",
        inbox_id, now,
    )  # fmt: skip
    return bool(held)


async def put_off(session: AsyncSession, inbox_id: int, until: datetime) -> None:
    """A try has failed; the next is at `until`."""
    await raw(session).execute("update inbox set attempts = attempts + 1, retry_at = $2 where id = $1", inbox_id, until)


async def add_unsent(
    session: AsyncSession,
    conversation_id: uuid.UUID,
    inbox_id: int | None,
    rows: Iterable[Unsent],
    not_before: datetime | None,
) -> int:
    """Insert rows for the sender; a key that is known adds nothing. Returns how many are new."""
    added = 0
    for row in rows:
        done = await raw(session).fetchval(
            "insert into outbox (conversation_id, inbox_id, key, author, content_key, content_version, language, "
            "parameters, text, quick_replies, state, attempts, not_before) "
            "values ($1, $2, $3, 'assistant', $4, $5, $6, $7, $8, $9, 'queued', 0, $10) "
            "on conflict (tenant_id, key) do nothing returning id",
            conversation_id, inbox_id, row.key, row.content_key, row.content_version, row.language,
            json.dumps(dict(row.parameters)), row.text, json.dumps(row.quick_replies), not_before,
        )  # fmt: skip
        added += done is not None
    return added


@dataclass(frozen=True, slots=True)
class Waiting:
    """The outbox row that is a conversation's next, with whom it goes to."""

    id: int
    state: str
    not_before: datetime | None
    content_key: str
    text: str
    language: str
    quick_replies: list[dict[str, str]]
    channel: str
    account: str
    address: str
    opted_out: bool


async def first_unsent(session: AsyncSession, conversation_id: uuid.UUID) -> Waiting | None:
    """The oldest row that is not sent, locked. Waits for another sender's claim: skipping its row would overtake it."""
    row = await raw(session).fetchrow(
        "select o.id, o.state, o.not_before, o.content_key, o.text, o.language, o.quick_replies, c.channel, c.account, "
        "c.address, coalesce(consent.state = 'opted_out', false) as opted_out from outbox o "
        "join conversation c on c.id = o.conversation_id "
        "left join consent on consent.channel = c.channel and consent.address = c.address "
        "where o.conversation_id = $1 and o.state in ('queued', 'sending', 'unknown') "
        "order by o.id limit 1 for update of o",
        conversation_id,
    )
    return Waiting(**row) if row else None


async def mark_sending(session: AsyncSession, outbox_id: int, now: datetime) -> None:
    await raw(session).execute(
        "update outbox set state = 'sending', not_before = $2, attempts = attempts + 1 where id = $1", outbox_id, now
    )


async def mark_sent(session: AsyncSession, outbox_id: int, provider_id: str, now: datetime) -> None:
    """A status report may have been quicker than the send's answer: never goes back from `delivered`."""
    await raw(session).execute(
        "update outbox set provider_id = $2, sent_at = $3, "
        "state = case when state in ('sending', 'unknown') then 'sent' else state end where id = $1",
        outbox_id, provider_id, now,
    )  # fmt: skip


async def not_before(session: AsyncSession, outbox_id: int, then: datetime) -> None:
    await raw(session).execute("update outbox set not_before = $2 where id = $1", outbox_id, then)


async def give_up(session: AsyncSession, outbox_id: int, state: str, why: str) -> None:
    """This row will not be sent."""
    await raw(session).execute("update outbox set state = $2, error = $3 where id = $1", outbox_id, state, why)


async def reserve(
    session: AsyncSession, channel: str, account: str, now: datetime, gap: timedelta, latest: datetime
) -> datetime | None:
    """Take a sender's next slot, unless that lies after `latest`; returns when the one after it begins.

    One statement, so that processes never share a slot.
    """
    found: datetime | None = await raw(session).fetchval(
        "insert into sender (channel, account, next_at) values ($1, $2, $3::timestamptz + $4::interval) "
        "on conflict (tenant_id, channel, account) "
        "do update set next_at = greatest(sender.next_at, $3) + $4 where sender.next_at <= $5 returning next_at",
        channel, account, now, gap, latest,
    )  # fmt: skip
    return found


async def _arrived(session: AsyncSession, where: str, *parameters: object) -> list[Arrived]:
    records = await raw(session).fetch(f"select {_ARRIVED} from inbox {where}", *parameters)
    return [Arrived(**record) for record in records]
