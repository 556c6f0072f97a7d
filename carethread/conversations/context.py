"""One turn as a conversation sees it: what was said, what is known, and what to say back."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Channel, Clinic, Clinics, Severity
from carethread.dialogue.content import ContentStore
from carethread.ehr.client import Ehr
from carethread.ehr.patients import Patient
from carethread.escalation import open_escalation, pause_for_emergency, pause_for_human
from carethread.messaging.outbox import Say, is_verified
from carethread.programs.library import Programs
from carethread.programs.links import Links
from carethread.questionnaires.outcomes import Second
from carethread.questionnaires.readings import Option
from carethread.safety.triage import TriageTable
from carethread.storage.database import Database
from carethread.storage.models import ActionOnce, Conversation, Outbox

# Said by the platform while the assistant did not have the conversation.
_NOT_OF_A_FORM = frozenset(
    {
        "utter_taken_over", "utter_handed_back", "utter_checkin_open", "utter_gave_up",
        "utter_safety_emergency", "utter_safety_crisis", "utter_safety_waiting",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """What conversations work with, put together by `bootstrap`."""

    database: Database
    clinics: Clinics
    ehrs: Mapping[str, Ehr]  # by tenant
    programs: Programs
    triage: TriageTable
    content: ContentStore
    links: Links
    clock: Callable[[], datetime]
    meaning: Second | None = None  # reads answers that grammar does not; None: it could not be loaded


@dataclass(slots=True)
class Context:
    """One turn. `slots` are Rasa's; what a step changes there goes back to Rasa, what it says to the patient."""

    parts: Parts
    clinic: Clinic
    conversation: Conversation  # as it was at the start of the turn
    message_id: str
    language: str
    text: str
    intent: str
    confidence: float
    now: datetime  # in the clinic's zone
    slots: dict[str, Any]
    event: Mapping[str, Any] = field(default_factory=dict)
    entities: frozenset[str] = frozenset()  # kinds of thing that the message names
    says: list[Say] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    # Patients found by the phone that this conversation is with, once asked for.
    phone_patients: list[Patient] | None = None

    @property
    def tenant(self) -> str:
        return self.clinic.id

    @property
    def channel(self) -> Channel:
        return cast(Channel, self.conversation.channel)

    @property
    def ehr(self) -> Ehr:
        return self.parts.ehrs[self.tenant]

    @property
    def patient_id(self) -> str | None:
        """FHIR id of the patient, when proven on this channel."""
        return self.conversation.patient_id if is_verified(self.conversation, self.clinic, self.now) else None

    def key(self, what: str) -> str:
        """An idempotency key for a side effect: the same message asks for the same thing once."""
        return f"in:{self.message_id}:{what}"

    def say(self, key: str, **parameters: Any) -> None:
        self.says.append(Say(key, parameters))

    def options(self, key: str) -> tuple[Option, ...]:
        """What the patient may answer to the question `key`, with the words people use for it."""
        return self.parts.content.current.options(key, self.language)

    def get(self, slot: str) -> Any:
        return self.slots.get(slot)

    def set(self, slot: str, value: Any) -> None:
        self.slots[slot] = value
        self.changed.add(slot)

    def intends(self, *intents: str, least: float) -> bool:
        """Whether the classifier takes the message for one of `intents`, at least that surely."""
        return self.intent in intents and self.confidence >= least

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction of this tenant's."""
        async with self.parts.database.begin(self.tenant) as session:
            yield session

    async def once(self, what: str) -> bool:
        """True the first time this message comes here; False when its turn is taken again after a failure."""
        async with self.begin() as session:
            row = await session.scalar(
                insert(ActionOnce)
                .values(key=self.key(what), result={})
                .on_conflict_do_nothing()
                .returning(ActionOnce.key)
            )
        return row is not None

    async def interrupted(self) -> bool:
        """Whether somebody else spoke last: a nurse, or the guidance after a red flag. What a form asked is past."""
        async with self.begin() as session:
            last = await session.scalar(
                select(Outbox).where(Outbox.conversation_id == self.conversation.id).order_by(Outbox.id.desc()).limit(1)
            )
        return last is not None and (last.author == "staff" or last.content_key in _NOT_OF_A_FORM)

    async def forget_patient(self) -> None:
        """Whoever was verified on this channel is so no longer."""
        async with self.begin() as session:
            conversation = await session.get_one(Conversation, self.conversation.id, with_for_update=True)
            conversation.patient_id = conversation.patient_name = conversation.verified_at = (
                conversation.verified_by
            ) = None
            conversation.chart_facts = []
            self.conversation = conversation
        self.set("verified", None)

    async def escalate(
        self,
        reason: str,
        severity: Severity,
        *,
        pause: str | None = None,
        rule: str | None = None,
        source: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell a human, once a message; `pause` ("human" or "emergency") silences the assistant."""
        async with self.begin() as session:
            await open_escalation(
                session,
                self.clinic,
                conversation_id=self.conversation.id,
                key=self.key(reason),
                severity=severity,
                reason=reason,
                now=self.now,
                rule=rule,
                source=source,
                details=dict(details or {}),
                patient_id=self.conversation.patient_id,
                inbox_id=int(self.message_id) if self.message_id.isdigit() else None,
            )
            if pause:
                conversation = await session.get_one(Conversation, self.conversation.id)
                await (pause_for_emergency if pause == "emergency" else pause_for_human)(session, conversation)


async def load_conversation(database: Database, tenant: str, conversation_id: uuid.UUID) -> Conversation:
    """The conversation of a turn; raises when the tenant has none of that id."""
    async with database.begin(tenant) as session:
        return await session.get_one(Conversation, conversation_id)
