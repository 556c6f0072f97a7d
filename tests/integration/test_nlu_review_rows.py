"""Which messages of the ledger are worth labelling, and that the audit remembers what was decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from carethread.messaging import review
from carethread.storage.database import Database
from carethread.storage.models import Audit, Conversation, Inbox, Staff

pytestmark = pytest.mark.server

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


async def filled(database: Database, tenant: str) -> Staff:
    async with database.begin(tenant) as session:
        thread = Conversation(channel="sms", account="+13125550150", address="+13125550101", language="es")
        nurse = Staff(email="ana@example.test", name="Ana Delgado", password_hash="-", teams=[])
        session.add_all([thread, nurse, Staff(email="x@example.test", name="X", password_hash="-", active=False)])
        await session.flush()

        def said(text: str, intent: str | None, confidence: float | None, minute: int, **values: Any) -> None:
            values = {"outcome": "answered", "done_at": NOW, **values}
            session.add(
                Inbox(
                    conversation_id=thread.id,
                    provider_id=f"sms:{minute}",
                    kind="text",
                    text=text,
                    intent=intent,
                    confidence=confidence,
                    received_at=NOW + timedelta(minutes=minute),
                    **values,
                )
            )

        said("clear", "faq_hours", 0.95, 1)
        said("unsure", "faq_hours", 0.45, 2)
        said("not understood", "nlu_fallback", 0.3, 3)
        said("said again", "faq_parking", 0.9, 4)
        said("much later", "faq_parking", 0.9, 60)
        said("a red flag", "nlu_fallback", 0.2, 61, level="emergency", outcome="red_flag")
        said("open", "nlu_fallback", 0.2, 90, done_at=None)
        return nurse


async def test_unsure_messages_and_those_said_again_are_worth_labelling(database: Database, tenant: str) -> None:
    await filled(database, tenant)
    async with database.begin(tenant) as session:
        found = await review.candidates(session, most=10)
    assert [(one.text, one.why, one.language) for one in found] == [
        ("said again", "corrected", "es"),
        ("not understood", "unsure", "es"),
        ("unsure", "unsure", "es"),
    ]
    async with database.begin("another") as session:
        assert await review.candidates(session, most=10) == [], "each clinic sees its own"


async def test_what_was_decided_does_not_come_again_and_the_audit_names_who(database: Database, tenant: str) -> None:
    await filled(database, tenant)
    async with database.begin(tenant) as session:
        nurse = await review.staff_of(session, "Ana@example.test ")
        assert nurse is not None
        assert await review.staff_of(session, "x@example.test") is None
        first = (await review.candidates(session, most=1))[0]
        review.note_look(session, nurse, [first.id], NOW)
        review.note_decision(session, nurse, first.id, "faq_parking", NOW)
    async with database.begin(tenant) as session:
        assert first.id not in [one.id for one in await review.candidates(session, most=10)]
        rows = list(await session.scalars(select(Audit).order_by(Audit.id)))
    assert [row.action for row in rows] == [review.LOOKED, review.DECIDED]
    assert {row.actor for row in rows} == {f"staff:{nurse.id}"}
    assert "said again" not in str([row.details for row in rows]), "the audit never holds what was said"
