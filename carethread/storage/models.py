"""The ledger: what was said, promised, asked and written. Every table carries `tenant_id` under row-level security."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = dict[str, Any]


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        datetime: DateTime(timezone=True),
        Json: JSONB,
        list[Json]: JSONB,
        str: Text,
    }


class Tenanted:
    """Mixin: the tenant a row belongs to, filled from the session's tenant by the database."""

    tenant_id: Mapped[str] = mapped_column(
        String(32), server_default=text("current_setting('app.tenant')"), nullable=False
    )


class Conversation(Tenanted, Base):
    """One patient address on one channel of one clinic."""

    __tablename__ = "conversation"
    __table_args__ = (UniqueConstraint("tenant_id", "channel", "account", "address"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    channel: Mapped[str]
    account: Mapped[str]
    address: Mapped[str]
    language: Mapped[str] = mapped_column(default="en")
    # Who speaks to the patient: `assistant`, `human` (a person asked for or took over),
    # `emergency` (paused by a red flag until a person hands back).
    owner: Mapped[str] = mapped_column(default="assistant")
    owner_staff_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("staff.id"))
    # Set when the patient was told that this is an automated assistant.
    introduced_at: Mapped[datetime | None]
    last_inbound_at: Mapped[datetime | None]
    last_outbound_at: Mapped[datetime | None]
    # Identity gate: FHIR Patient id, once proven on this channel.
    patient_id: Mapped[str | None]
    patient_name: Mapped[str | None]  # for staff; proven as `patient_id` is
    # Of the proven patient's chart: facts that raise a level together with a sign (`facts` in content/safety).
    chart_facts: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default=text("'[]'"))
    verified_at: Mapped[datetime | None]
    verified_by: Mapped[str | None]
    verification_failures: Mapped[int] = mapped_column(default=0)
    verification_locked_at: Mapped[datetime | None]
    # One worker at a time: a lease that runs out, and a token that a late worker no longer holds.
    lease_token: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Inbox(Tenanted, Base):
    """A message or event that arrived; open until `done_at`."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("tenant_id", "provider_id"),
        Index("ix_inbox_open", "conversation_id", "id", postgresql_where=text("done_at is null")),
        Index("ix_inbox_unscreened", "conversation_id", "id", postgresql_where=text("screened_at is null")),
        Index("ix_inbox_conversation", "conversation_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    conversation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("conversation.id"))
    # `<channel>:<provider's message id>`, or the key of an event of our own.
    provider_id: Mapped[str]
    kind: Mapped[str]  # text | media | event | page
    text: Mapped[str] = mapped_column(default="")
    media: Mapped[list[Json]] = mapped_column(default=list)
    event: Mapped[Json | None]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    screened_at: Mapped[datetime | None]
    level: Mapped[str] = mapped_column(default="none")  # none | emergency | crisis
    rule: Mapped[str | None]
    language: Mapped[str | None]
    intent: Mapped[str | None]
    confidence: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    # Set when the patient was told that the answer takes longer.
    held_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    # answered | red_flag | keyword | to_human | gave_up
    outcome: Mapped[str | None]


class Outbox(Tenanted, Base):
    """A message to a patient, as reviewed content: key, version, language, parameters, and the text it became."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index(
            "ix_outbox_unsent",
            "conversation_id",
            "id",
            postgresql_where=text("state in ('queued', 'sending')"),
        ),
        Index("ix_outbox_conversation", "conversation_id", "id"),
        Index("ix_outbox_provider", "provider_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    conversation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("conversation.id"))
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"))
    # Idempotency: a second insert for the same reply is refused by the database.
    key: Mapped[str]
    author: Mapped[str] = mapped_column(default="assistant")  # assistant | staff
    staff_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("staff.id"))
    content_key: Mapped[str]
    content_version: Mapped[str]
    language: Mapped[str]
    parameters: Mapped[Json] = mapped_column(default=dict)
    text: Mapped[str]
    quick_replies: Mapped[list[Json]] = mapped_column(default=list)
    # queued → sending → sent → delivered → read | failed | blocked (consent, guard) | unknown (being looked up)
    state: Mapped[str] = mapped_column(default="queued")
    provider_id: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class Sender(Tenanted, Base):
    """A sending address and the next moment its rate lets a message out."""

    __tablename__ = "sender"
    __table_args__ = (UniqueConstraint("tenant_id", "channel", "account"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    channel: Mapped[str]
    account: Mapped[str]
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Consent(Tenanted, Base):
    """Whether an address may be written to on a channel; no row means yes to replies."""

    __tablename__ = "consent"
    __table_args__ = (UniqueConstraint("tenant_id", "channel", "address"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    channel: Mapped[str]
    address: Mapped[str]
    state: Mapped[str]  # opted_in | opted_out
    changed_at: Mapped[datetime]
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"))


class Escalation(Tenanted, Base):
    """Something a human must look at: severity, team, a deadline, and an owner or a running clock."""

    __tablename__ = "escalation"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index("ix_escalation_open", "tenant_id", "deadline", postgresql_where=text("state <> 'resolved'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    conversation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("conversation.id"), index=True)
    key: Mapped[str]
    severity: Mapped[str]  # emergency | urgent | soon | routine
    reason: Mapped[str]
    team: Mapped[str]
    rule: Mapped[str | None]
    source: Mapped[str | None]
    details: Mapped[Json] = mapped_column(default=dict)
    patient_id: Mapped[str | None]
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"))
    state: Mapped[str] = mapped_column(default="open")  # open | taken | resolved
    opened_at: Mapped[datetime]
    deadline: Mapped[datetime]
    # How often the deadline passed with nobody taking it.
    climbs: Mapped[int] = mapped_column(default=0)
    owner_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("staff.id"))
    taken_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None]


class Staff(Tenanted, Base):
    """A person of the clinic who can log in."""

    __tablename__ = "staff"
    __table_args__ = (UniqueConstraint("tenant_id", "email"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str]
    teams: Mapped[list[str]] = mapped_column(JSONB, default=list)
    active: Mapped[bool] = mapped_column(default=True)
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StaffSession(Tenanted, Base):
    """A login; the cookie holds a random token, this row its SHA-256."""

    __tablename__ = "staff_session"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("staff.id"))
    csrf: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class Audit(Tenanted, Base):
    """Who did what to whom; rows are only ever added."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[Json] = mapped_column(default=dict)


class EhrWrite(Tenanted, Base):
    """A write to the EHR: recorded before it is sent, closed with the resource it became."""

    __tablename__ = "ehr_write"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index("ix_ehr_write_pending", "tenant_id", "retry_at", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str]
    kind: Mapped[str]  # book | cancel | reschedule | confirm | create
    payload: Mapped[Json]
    # What is done so far, so that another process can go on: kept by the kind's own steps.
    progress: Mapped[Json] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(default="pending")  # pending | done | refused
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime] = mapped_column(server_default=func.now())
    resource_type: Mapped[str | None]
    resource_id: Mapped[str | None]
    error: Mapped[str | None]
    conversation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("conversation.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]


class Enrolment(Tenanted, Base):
    """A patient in a care program, on the version that was published when they entered."""

    __tablename__ = "enrolment"
    __table_args__ = (UniqueConstraint("tenant_id", "program", "trigger_key"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    program: Mapped[str]
    version: Mapped[str]
    patient_id: Mapped[str]
    # What put the patient in, e.g. `Encounter/123`: once per event, however often it is seen.
    trigger_key: Mapped[str]
    state: Mapped[str] = mapped_column(default="active")  # active | completed | ended
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class Touchpoint(Tenanted, Base):
    """Something a program does for a patient at a time."""

    __tablename__ = "touchpoint"
    __table_args__ = (
        UniqueConstraint("tenant_id", "enrolment_id", "step"),
        Index("ix_touchpoint_due", "tenant_id", "due_at", postgresql_where=text("state = 'scheduled'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    enrolment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("enrolment.id"))
    step: Mapped[str]
    due_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="scheduled")  # scheduled | started | completed | skipped
    conversation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("conversation.id"))
    outcome: Mapped[str | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class QuestionnaireRun(Tenanted, Base):
    """A questionnaire being answered in a conversation; `session` is the pure engine's state."""

    __tablename__ = "questionnaire_run"
    __table_args__ = (
        Index("ix_questionnaire_run_conversation", "conversation_id", "state"),
        Index(
            "ix_questionnaire_run_open", "tenant_id", "look_at",
            postgresql_where=text("state in ('waiting', 'running')"),
        ),
    )  # fmt: skip

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    conversation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("conversation.id"))
    touchpoint_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("touchpoint.id"))
    program: Mapped[str | None]
    patient_id: Mapped[str]
    questionnaire: Mapped[str]
    session: Mapped[Json] = mapped_column(default=dict)
    # What the form's expressions may know of the patient: the Patient as the EHR had it, where any may ask.
    launch: Mapped[Json | None]
    # The message that `session` already reflects: a repeated one changes nothing.
    last_message_id: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="waiting")  # waiting | running | completed | stopped | lapsed
    asked_on: Mapped[str] = mapped_column(default="chat", server_default=text("'chat'"))  # chat | page
    # Of the questionnaire's web page: a date of birth to compare with (`programs.links`), and wrong ones so far.
    born: Mapped[str | None]
    page_failures: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # Of one that lies unfinished: reminders so far, and when it is to be looked at next.
    reminders: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    look_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class ActionOnce(Tenanted, Base):
    """What a custom action decided for a message, so that taking the turn again decides the same."""

    __tablename__ = "action_once"

    key: Mapped[str] = mapped_column(primary_key=True)
    result: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
