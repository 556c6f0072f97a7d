"""Queue messages to a patient in the caller's transaction: rendered, guarded, each exactly once by its key."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Channel, Clinic
from carethread.dialogue.content import Content, ContentError, Rendered
from carethread.escalation import open_escalation
from carethread.messaging.ledger import Addressee, Unsent, add_unsent
from carethread.messaging.wakeups import Wakeup, wake
from carethread.safety.guard import check_outbound
from carethread.storage.announce import announce

log = structlog.get_logger()

# Said instead of a text that must not leave: always true, always safe.
FALLBACK = "utter_fallback_safe"
# Characters that a channel takes at once. Twilio refuses more than 1,600.
LONGEST: dict[Channel, int] = {"sms": 1600, "whatsapp": 1600, "web": 8000}


@dataclass(frozen=True, slots=True)
class Say:
    """Something to say: a content key and its parameters."""

    key: str
    parameters: Mapping[str, Any]


async def queue(
    session: AsyncSession,
    clinic: Clinic,
    content: Content,
    conversation: Addressee,
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
    rows: list[Unsent] = []
    held_back: list[tuple[int, str, str]] = []
    for number, say in enumerate(says):
        rendered, why_not = render_guarded(content, clinic, conversation, say, language or conversation.language, now)
        rows.append(_row(f"{key}:{number}", rendered, say))
        held_back += [(number, say.key, why_not)] if why_not else []
    if not rows:
        return 0
    added = await add_unsent(session, conversation.id, inbox_id, rows, not_before)
    if added:
        conversation.last_outbound_at = now
        await wake(session, Wakeup("outbound", clinic.id, str(conversation.id)))
        announce(session, clinic.id, conversation.id)
    for number, name, why in held_back:
        await open_escalation(
            session, clinic, conversation_id=conversation.id, key=f"{key}:{number}:held_back", severity="routine",
            reason="held_back", now=now, details={"why": why, "text": name}, patient_id=conversation.patient_id,
            inbox_id=inbox_id,
        )  # fmt: skip
    return added


def _row(key: str, rendered: Rendered, say: Say) -> Unsent:
    return Unsent(
        key=key,
        content_key=rendered.key,
        content_version=rendered.version,
        language=rendered.language,
        parameters=say.parameters,
        text=rendered.text,
        quick_replies=[{"title": title, "value": value} for title, value in rendered.quick_replies],
    )


def is_verified(conversation: Addressee, clinic: Clinic, now: datetime) -> bool:
    """Whether the patient has proven who they are on this channel, recently enough."""
    if conversation.patient_id is None or conversation.verified_at is None:
        return False
    hours = clinic.verified_for_hours[cast(Channel, conversation.channel)]
    return (now - conversation.verified_at).total_seconds() < hours * 3600


def render_guarded(
    content: Content, clinic: Clinic, conversation: Addressee, say: Say, language: str, now: datetime
) -> tuple[Rendered, str | None]:
    """The words for `say`; or the safe fallback, and why these may not leave.

    They may not where nobody wrote them, where they tell of care before the patient is verified, or where the filled
    text says what only a clinician may (`content/safety/guard.yml`) or does not fit the channel.
    """
    channel = cast(Channel, conversation.channel)
    verified = is_verified(conversation, clinic, now)
    try:
        rendered = content.render(say.key, say.parameters, clinic=clinic, language=language, channel=channel)
        findings = check_outbound(
            rendered.text, channel=channel, verified=verified, care_detail=rendered.care,
            max_length=LONGEST[channel], guard=content.guard,
        )  # fmt: skip
        if not findings:
            return rendered, None
        why = "; ".join(sorted({f"{finding.rule}: {finding.detail}" for finding in findings}))
    except ContentError as error:
        why = str(error)
    log.error("outbound_blocked", key=say.key, why=why)
    return content.render(FALLBACK, {}, clinic=clinic, language=language, channel=channel), why


def sender_id(tenant: str, conversation_id: uuid.UUID) -> str:
    """How the engine knows a conversation."""
    return f"{tenant}/{conversation_id}"
