"""What a patient's page sees of the ledger: what is new or changed since the cursor it holds."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.models import Conversation, Inbox, Outbox

# Earlier entries that are looked at again for changes, and for rows that committed out of the order of their ids.
WINDOW = 50
# Most entries of each side in one answer; `Change.more` says that there are others.
PAGE = 200
# How long an unanswered message shows the assistant as writing. Dots that run for an hour would be a lie.
_TYPING = timedelta(minutes=2)
# Messages that have been released to the patient. Queued ones may wait for a reason.
_VISIBLE = ("sent", "delivered", "read")
# Outcomes after which something has read a message; one for a human waits to be read.
_READ = ("answered", "red_flag", "keyword")
_CURSOR = re.compile(r"(\d{1,18})\.(\d{1,18})\.([0-9a-f]{0,16})\.([0-9a-f]{0,16})")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a page has read: the last ids of both sides, and digests of what it saw up to there."""

    inbox: int = 0
    outbox: int = 0
    entries: str = ""
    state: str = ""

    def __str__(self) -> str:
        return f"{self.inbox}.{self.outbox}.{self.entries}.{self.state}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor `text` stands for. Anything else means the start: that repeats something, but loses nothing."""
        match = _CURSOR.fullmatch(text)
        return cls(int(match[1]), int(match[2]), match[3], match[4]) if match else cls()

    @property
    def fresh(self) -> bool:
        return not self.inbox and not self.outbox


@dataclass(frozen=True, slots=True)
class State:
    """Who answers, whether they are writing, and in which language (empty before the first message).

    `level` says what the `emergency` is that paused the assistant: `emergency` or `crisis`.
    """

    typing: bool = False
    owner: str = "assistant"
    language: str = ""
    level: str = ""

    def json(self) -> Json:
        return {"typing": self.typing, "owner": self.owner, "language": self.language, "level": self.level}


@dataclass(frozen=True, slots=True)
class Change:
    """What a page has to show now that it did not show at its cursor."""

    conversation_id: uuid.UUID | None
    entries: tuple[Json, ...]
    cursor: Cursor
    state: State
    more: bool
    changed: bool


async def changes(session: AsyncSession, account: str, address: str, cursor: Cursor, *, now: datetime) -> Change:
    """What happened in the conversation with `address` after `cursor`, and to the entries just before it."""
    conversation = await session.scalar(
        select(Conversation).where(
            Conversation.channel == "web", Conversation.account == account, Conversation.address == address
        )
    )
    if conversation is None:
        state = State()
        after = Cursor(state=_digest([str(state)]))
        return Change(None, (), after, state, more=False, changed=after != cursor)
    said = await _inbound(session, conversation.id, cursor)
    told = await _outbound(session, conversation.id, cursor)
    state = await _state(session, conversation, now)
    after = Cursor(
        inbox=max((row.id for row in said), default=cursor.inbox),
        outbox=max((row.id for row in told), default=cursor.outbox),
        entries=_seen(said, told),
        state=_digest([str(state)]),
    )
    # The same cursor at the same place with another digest: something before it changed.
    earlier_changed = cursor.fresh or _seen(*_before(said, told, cursor)) != cursor.entries
    if not earlier_changed:
        said = [row for row in said if row.id > cursor.inbox]
        told = [row for row in told if row.id > cursor.outbox]
    more = not cursor.fresh and (_new(said, cursor.inbox) >= PAGE or _new(told, cursor.outbox) >= PAGE)
    entries = [_said(row, f"web:{address}:") for row in said] + [_told(row) for row in told]
    entries.sort(key=lambda entry: (entry["at"], entry["author"] != "patient", int(entry["id"][1:])))
    return Change(conversation.id, tuple(entries), after, state, more=more, changed=after != cursor)


async def unread(
    session: AsyncSession, account: str, address: str, ids: Sequence[int], states: Sequence[str]
) -> list[int]:
    """Which of `ids` are messages of this visitor's own conversation that are in one of `states`."""
    return list(
        await session.scalars(
            select(Outbox.id)
            .join(Conversation, Conversation.id == Outbox.conversation_id)
            .where(Conversation.channel == "web", Conversation.account == account, Conversation.address == address)
            .where(Outbox.id.in_(ids), Outbox.state.in_(states))
            .order_by(Outbox.id)
        )
    )


async def _inbound(session: AsyncSession, conversation_id: uuid.UUID, cursor: Cursor) -> list[Inbox]:
    rows = select(Inbox).where(Inbox.conversation_id == conversation_id, Inbox.kind != "event")
    last_first = rows.order_by(Inbox.id.desc())
    if cursor.fresh:
        return list(reversed((await session.scalars(last_first.limit(PAGE))).all()))
    earlier = await session.scalars(last_first.where(Inbox.id <= cursor.inbox).limit(WINDOW))
    later = await session.scalars(rows.where(Inbox.id > cursor.inbox).order_by(Inbox.id).limit(PAGE))
    return [*reversed(earlier.all()), *later]


async def _outbound(session: AsyncSession, conversation_id: uuid.UUID, cursor: Cursor) -> list[Outbox]:
    """Oldest release first: one that waited for the morning is among the last, whatever its id."""
    rows = select(Outbox).where(Outbox.conversation_id == conversation_id, Outbox.state.in_(_VISIBLE))
    last_first = rows.order_by(func.greatest(Outbox.sent_at, Outbox.created_at).desc(), Outbox.id.desc())
    if cursor.fresh:
        return list(reversed((await session.scalars(last_first.limit(PAGE))).all()))
    earlier = await session.scalars(last_first.where(Outbox.id <= cursor.outbox).limit(WINDOW))
    later = await session.scalars(rows.where(Outbox.id > cursor.outbox).order_by(Outbox.id).limit(PAGE))
    return sorted([*earlier, *later], key=lambda row: (_released(row), row.id))


async def _state(session: AsyncSession, conversation: Conversation, now: datetime) -> State:
    if conversation.owner == "emergency":
        flags = select(Inbox.level).where(Inbox.conversation_id == conversation.id, Inbox.level != "none")
        level = await session.scalar(flags.order_by(Inbox.id.desc()).limit(1))
        return State(False, conversation.owner, conversation.language, level or "emergency")
    if conversation.owner != "assistant":
        return State(False, conversation.owner, conversation.language)
    since = now - _TYPING
    unanswered = exists().where(
        Inbox.conversation_id == conversation.id,
        Inbox.done_at.is_(None),
        Inbox.held_at.is_(None),
        Inbox.received_at > since,
    )
    on_its_way = exists().where(
        Outbox.conversation_id == conversation.id,
        Outbox.state.in_(("queued", "sending")),
        Outbox.author == "assistant",
        Outbox.created_at > since,
        or_(Outbox.not_before.is_(None), Outbox.not_before <= now),
    )
    typing = bool(await session.scalar(select(or_(unanswered, on_its_way))))
    return State(typing, conversation.owner, conversation.language)


def _new(rows: Sequence[Inbox] | Sequence[Outbox], after: int) -> int:
    return sum(row.id > after for row in rows)


def _before(said: list[Inbox], told: list[Outbox], cursor: Cursor) -> tuple[list[Inbox], list[Outbox]]:
    return [row for row in said if row.id <= cursor.inbox], [row for row in told if row.id <= cursor.outbox]


def _seen(said: list[Inbox], told: list[Outbox]) -> str:
    """Digest of the last `WINDOW` entries of each side. The state of ours is left out: the page itself reports it."""
    ours = sorted(row.id for row in told[-WINDOW:])
    theirs = [f"{row.id}{inbound_state(row.done_at, row.outcome)}" for row in said[-WINDOW:]]
    return _digest([*theirs, "|", *map(str, ours)])


def _digest(parts: list[str]) -> str:
    return hashlib.blake2s(" ".join(parts).encode(), digest_size=6).hexdigest()


def inbound_state(done_at: datetime | None, outcome: str | None) -> str:
    """What became of a patient's own message, in the words of a delivery receipt: sent, delivered or read."""
    if done_at is None:
        return "sent"
    return "read" if outcome in _READ else "delivered"


def _released(row: Outbox) -> datetime:
    # Never before it was written: a worker's clock may be behind the database's, and a reply must follow its question.
    return max(row.sent_at or row.created_at, row.created_at)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _said(row: Inbox, prefix: str) -> Json:
    return {
        "id": f"i{row.id}",
        "author": "patient",
        "text": row.text,
        "at": _iso(row.received_at),
        "state": inbound_state(row.done_at, row.outcome),
        "client_id": row.provider_id.removeprefix(prefix),
    }


def _told(row: Outbox) -> Json:
    return {
        "id": f"o{row.id}",
        "author": "staff" if row.author == "staff" else "assistant",
        "text": row.text,
        # A message that waited belongs where it came out, not where it was written.
        "at": _iso(_released(row)),
        "state": row.state,
        "language": row.language,
        "quick_replies": [{"title": reply["title"], "value": reply["value"]} for reply in row.quick_replies],
    }
