"""A conversation as pages show it: both sides, in the order they were said."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.messaging.types import QuickReply, ThreadEntry
from carethread.storage.models import Inbox, Outbox

# What a patient may not see: a text that was never released.
_HIDDEN = ("blocked",)


async def thread(
    session: AsyncSession, conversation_id: uuid.UUID, *, limit: int = 200, hidden: bool = False
) -> list[ThreadEntry]:
    """The last `limit` entries, oldest first.

    With `hidden` (for staff) also what the patient never saw here: what was held back, and answers on the web page.
    """
    inbound = await session.scalars(
        select(Inbox)
        .where(Inbox.conversation_id == conversation_id, Inbox.kind.not_in(("event",) if hidden else ("event", "page")))
        .order_by(Inbox.id.desc())
        .limit(limit)
    )
    outbound = await session.scalars(
        select(Outbox)
        .where(Outbox.conversation_id == conversation_id, Outbox.state.not_in(() if hidden else _HIDDEN))
        .order_by(Outbox.id.desc())
        .limit(limit)
    )
    entries = [(row.received_at, 0, row.id, _inbound(row)) for row in inbound]
    entries += [(row.created_at, 1, row.id, _outbound(row)) for row in outbound]
    return [entry for *_, entry in sorted(entries, key=lambda item: item[:3])][-limit:]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _inbound(row: Inbox) -> ThreadEntry:
    details = {
        "level": row.level,
        "rule": row.rule,
        "intent": row.intent,
        "media": len(row.media),
        "key": row.provider_id,
        "kind": row.kind,
    }
    return ThreadEntry(f"i{row.id}", "patient", row.text, _iso(row.received_at), row.outcome or "received", (), details)


def _outbound(row: Outbox) -> ThreadEntry:
    replies = tuple(QuickReply(item["title"], item["value"]) for item in row.quick_replies)
    details = {
        "content_key": row.content_key,
        "content_version": row.content_version,
        "language": row.language,
        "error": row.error,
        "staff_id": row.staff_id,
    }
    author: Literal["staff", "assistant"] = "staff" if row.author == "staff" else "assistant"
    return ThreadEntry(f"o{row.id}", author, row.text, _iso(row.created_at), row.state, replies, details)
