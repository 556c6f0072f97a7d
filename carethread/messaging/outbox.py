"""Queue messages to a patient in the caller's transaction: rendered, guarded, each exactly once by its key."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Channel, Clinic
from carethread.dialogue.content import Content, ContentError, Rendered
from carethread.messaging.wakeups import Wakeup, wake
from carethread.storage.announce import announce
from carethread.storage.models import Conversation, Outbox

log = structlog.get_logger()

# Said instead of a text that must not leave: always true, always safe.
FALLBACK = "utter_fallback_safe"


@dataclass(frozen=True, slots=True)
class Say:
    """Something to say: a content key and its parameters."""

    key: str
    parameters: Mapping[str, Any]


async def queue(
    session: AsyncSession,
    clinic: Clinic,
    content: Content,
    conversation: Conversation,
    says: list[Say],
    *,
    key: str,
    now: datetime,
    inbox_id: int | None = None,
    language: str | None = None,
    not_before: datetime | None = None,
) -> int:
    """Insert `says` as outbox rows `<key>:<n>` and wake the sender. A repeated key adds nothing.

    Returns how many rows are new.
    """
    rows = [
        _row(render_guarded(content, clinic, conversation, say, language or conversation.language, now), say)
        | {
            "conversation_id": conversation.id,
            "inbox_id": inbox_id,
            "key": f"{key}:{number}",
            "not_before": not_before,
        }
        for number, say in enumerate(says)
    ]
    if not rows:
        return 0
    added = (
        await session.scalars(
            insert(Outbox).values(rows).on_conflict_do_nothing(index_elements=["tenant_id", "key"]).returning(Outbox.id)
        )
    ).all()
    if added:
        conversation.last_outbound_at = now
        await wake(session, Wakeup("outbound", clinic.id, str(conversation.id)))
        await announce(session, clinic.id, conversation.id)
    return len(added)


def _row(rendered: Rendered, say: Say) -> dict[str, Any]:
    return {
        "author": "assistant",
        "content_key": rendered.key,
        "content_version": rendered.version,
        "language": rendered.language,
        "parameters": dict(say.parameters),
        "text": rendered.text,
        "quick_replies": [{"title": title, "value": value} for title, value in rendered.quick_replies],
        "state": "queued",
        "attempts": 0,
    }


def is_verified(conversation: Conversation, clinic: Clinic, now: datetime) -> bool:
    """Whether the patient has proven who they are on this channel, recently enough."""
    if conversation.patient_id is None or conversation.verified_at is None:
        return False
    hours = clinic.verified_for_hours[cast(Channel, conversation.channel)]
    return (now - conversation.verified_at).total_seconds() < hours * 3600


def render_guarded(
    content: Content, clinic: Clinic, conversation: Conversation, say: Say, language: str, now: datetime
) -> Rendered:
    """The words for `say`, or the safe fallback where they may not leave: unknown content, or a detail of
    care before the patient is verified."""
    channel = cast(Channel, conversation.channel)
    try:
        rendered = content.render(say.key, say.parameters, clinic=clinic, language=language, channel=channel)
        if not rendered.care or is_verified(conversation, clinic, now):
            return rendered
        log.error("outbound_blocked", key=say.key, why="care detail before verification")
    except ContentError as error:
        log.error("outbound_blocked", key=say.key, why=str(error))
    return content.render(FALLBACK, {}, clinic=clinic, language=language, channel=channel)


def sender_id(tenant: str, conversation_id: uuid.UUID) -> str:
    """How the engine knows a conversation."""
    return f"{tenant}/{conversation_id}"
