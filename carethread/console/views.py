"""What the staff pages show, read from the ledger into frozen rows. Nothing here changes anything."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast

from sqlalchemy import Select, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from carethread.clinic import Clinic, Severity
from carethread.escalation.errors import Missing
from carethread.escalation.ladder import HISTORY, RANK, displayed, order
from carethread.messaging.consent import opted_out
from carethread.messaging.outbox import is_verified
from carethread.messaging.staff import MAX_TEXT
from carethread.messaging.thread import thread
from carethread.messaging.types import WHATSAPP_WINDOW, ThreadEntry
from carethread.storage.models import Conversation, Escalation, Inbox, Outbox, Staff

View = Literal["team", "mine", "all", "resolved"]
VIEWS: Final[tuple[View, ...]] = ("team", "mine", "all", "resolved")

_MOST: Final = 500  # rows on a page
_SHOWN: Final = ("name", "summary", "why", "span", HISTORY)  # details that have a place of their own on the page
_LISTED: Final = ("answers",)  # details that hold a row for each thing that was asked
_CODE: Final = re.compile(r"(?!utter_)[a-z]+(_[a-z]+)+")


@dataclass(frozen=True, slots=True)
class Person:
    """The patient as far as staff may know them: a name only where it was proven."""

    name: str | None
    patient_id: str | None
    address: str  # masked
    channel: str
    language: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Report:
    """One report within an escalation."""

    at: datetime
    severity: Severity
    rule: str | None
    source: str | None
    summary: str | None
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the inbox."""

    id: uuid.UUID
    conversation_id: uuid.UUID
    person: Person
    severity: Severity
    displayed: Severity
    climbs: int
    reason: str
    team_id: str
    team: str
    state: str
    opened_at: datetime
    deadline: datetime
    holder_id: uuid.UUID | None
    holder: str | None
    taken_at: datetime | None
    resolved_at: datetime | None
    resolution: str | None
    summary: str | None
    quote: str | None
    spans: tuple[tuple[int, int], ...]
    rule: str | None
    source: str | None
    facts: tuple[tuple[str, str], ...]
    owner: str
    # The patient's last message came after the last thing staff did here.
    news: bool
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Talk:
    """One line of the list of conversations that nobody has to look at."""

    id: uuid.UUID
    person: Person
    owner: str
    holder_id: uuid.UUID | None
    holder: str | None
    last_text: str | None
    last_at: datetime | None
    news: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a thread, as staff see it."""

    entry: ThreadEntry
    at: datetime
    who: str | None  # a colleague's name
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A conversation with all that staff need to work it."""

    conversation: Conversation
    person: Person
    holder: str | None
    lines: tuple[Line, ...]
    more: bool
    open_items: tuple[Item, ...]
    closed_items: tuple[Item, ...]
    stopped: bool
    window_closed: bool
    limit: int  # characters of a reply


def masked(address: str) -> str:
    """An address that colleagues recognise and a passer-by does not learn."""
    return f"…{address[-4:]}"


def in_view(item: Item, view: View, staff: Staff) -> bool:
    """Whether an unresolved item belongs to `view` of `staff`. What climbed, and every emergency, is everybody's."""
    if view == "mine":
        return item.holder_id == staff.id
    if view == "team":
        everybody = item.climbs > 0 or item.displayed == "emergency" or not staff.teams
        return everybody or item.team_id in staff.teams or item.holder_id == staff.id
    return view == "all"


def ordered(items: Iterable[Item]) -> list[Item]:
    """Most serious first; of equals what waits (for somebody, or for an answer), then what runs out first."""

    def key(item: Item) -> tuple[int, bool, int, datetime]:
        counts, own, deadline = order(item.severity, item.climbs, item.deadline)
        return counts, item.state == "taken" and not item.news, own, deadline

    return sorted(items, key=key)


async def unresolved(session: AsyncSession, clinic: Clinic, now: datetime) -> list[Item]:
    """Every open and taken escalation of the tenant, in the inbox's order."""
    most_serious = case(RANK, value=Escalation.severity)
    query = _items().where(Escalation.state != "resolved").order_by(most_serious, Escalation.deadline).limit(_MOST)
    return ordered(_item(row, clinic, now) for row in (await session.execute(query)).all())


async def resolved(session: AsyncSession, clinic: Clinic, now: datetime, *, limit: int = 100) -> list[Item]:
    """The last escalations that were closed, newest first."""
    query = _items().where(Escalation.state == "resolved").order_by(Escalation.resolved_at.desc()).limit(limit)
    return [_item(row, clinic, now) for row in (await session.execute(query)).all()]


async def talks(session: AsyncSession, clinic: Clinic, now: datetime, *, limit: int = 100) -> list[Talk]:
    """Conversations without an unresolved escalation; those where a patient waits for a person come first."""
    holder = aliased(Staff)
    last = (
        select(Inbox.text)
        .where(Inbox.conversation_id == Conversation.id, Inbox.kind != "event")
        .order_by(Inbox.id.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )
    unresolved_ = (
        select(Escalation.id)
        .where(Escalation.conversation_id == Conversation.id, Escalation.state != "resolved")
        .exists()
    )
    newest = func.greatest(Conversation.last_inbound_at, Conversation.last_outbound_at, Conversation.created_at)
    rows = await session.execute(
        select(Conversation, holder.name, last, _staff_said(), _known_name())
        .outerjoin(holder, holder.id == Conversation.owner_staff_id)
        .where(~unresolved_)
        .order_by((Conversation.owner == "assistant"), newest.desc())
        .limit(limit)
    )
    return [
        Talk(
            id=conversation.id,
            person=_person(conversation, name, None, clinic, now),
            owner=conversation.owner,
            holder_id=conversation.owner_staff_id,
            holder=holder_name,
            last_text=last_text,
            last_at=conversation.last_inbound_at,
            news=_news(conversation, said, None),
        )
        for conversation, holder_name, last_text, said, name in rows.all()
    ]


async def page(
    session: AsyncSession, clinic: Clinic, conversation_id: uuid.UUID, now: datetime, *, limit: int = 200
) -> Page:
    """Everything about one conversation. Raises `Missing`."""
    conversation = await session.get(Conversation, conversation_id)
    if conversation is None:
        raise Missing(f"conversation {conversation_id}")
    query = _items().where(Escalation.conversation_id == conversation_id).order_by(Escalation.opened_at.desc())
    items = [_item(row, clinic, now) for row in (await session.execute(query.limit(_MOST))).all()]
    entries = await thread(session, conversation_id, limit=limit + 1, hidden=True)
    names = await _colleagues(session, entries)
    alarmed = await _alarmed(session, conversation_id)
    name = await session.scalar(select(_known_name()).where(Conversation.id == conversation_id))
    holder = await session.get(Staff, conversation.owner_staff_id) if conversation.owner_staff_id else None
    window_closed = conversation.channel == "whatsapp" and (
        conversation.last_inbound_at is None or now - conversation.last_inbound_at > WHATSAPP_WINDOW
    )
    return Page(
        conversation=conversation,
        person=_person(conversation, name, None, clinic, now),
        holder=holder.name if holder else None,
        lines=tuple(
            Line(
                entry,
                datetime.fromisoformat(entry.at),
                names.get(entry.details.get("staff_id")),
                alarmed.get(entry.id, ()),
            )
            for entry in entries[-limit:]
        ),
        more=len(entries) > limit,
        open_items=tuple(ordered(item for item in items if item.state != "resolved")),
        closed_items=tuple(item for item in items if item.state == "resolved"),
        stopped=conversation.channel != "web" and await opted_out(session, conversation.channel, conversation.address),
        window_closed=window_closed,
        limit=MAX_TEXT[conversation.channel],
    )


def _items() -> Select[Any]:
    holder = aliased(Staff)
    return (
        select(Escalation, Conversation, holder.name, Inbox.text, _staff_said(), _known_name())
        .join(Conversation, Conversation.id == Escalation.conversation_id)
        .outerjoin(holder, holder.id == Escalation.owner_id)
        .outerjoin(Inbox, and_(Inbox.id == Escalation.inbox_id, Inbox.kind != "event"))
    )


def _staff_said() -> Any:
    """When staff last wrote to the patient."""
    return (
        select(func.max(Outbox.created_at))
        .where(Outbox.conversation_id == Conversation.id, Outbox.author == "staff")
        .correlate(Conversation)
        .scalar_subquery()
    )


def _known_name() -> Any:
    """The patient's name: as proven in the conversation, or from the last escalation of it that brought one."""
    other = aliased(Escalation)
    name = other.details["name"].astext
    told = (
        select(name)
        .where(other.conversation_id == Conversation.id, name.is_not(None))
        .order_by(other.opened_at.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )
    return func.coalesce(Conversation.patient_name, told)


def _item(row: Any, clinic: Clinic, now: datetime) -> Item:
    escalation, conversation, holder, quote, said, name = row
    team = clinic.teams.get(escalation.team)
    details: Mapping[str, Any] = escalation.details
    return Item(
        id=escalation.id,
        conversation_id=conversation.id,
        person=_person(conversation, name, escalation.patient_id, clinic, now),
        severity=escalation.severity,
        displayed=displayed(escalation.severity, escalation.climbs),
        climbs=escalation.climbs,
        reason=escalation.reason,
        team_id=escalation.team,
        team=team.name if team else escalation.team,
        state=escalation.state,
        opened_at=escalation.opened_at,
        deadline=escalation.deadline,
        holder_id=escalation.owner_id,
        holder=holder,
        taken_at=escalation.taken_at,
        resolved_at=escalation.resolved_at,
        resolution=escalation.resolution,
        summary=_summary(details),
        quote=quote,
        spans=_spans(details.get(HISTORY, ()), escalation.inbox_id),
        rule=escalation.rule,
        source=escalation.source,
        facts=_facts(details),
        owner=conversation.owner,
        news=_news(conversation, said, escalation.taken_at),
        reports=tuple(_report(entry) for entry in details.get(HISTORY, ())),
    )


def _person(
    conversation: Conversation, name: str | None, patient_id: str | None, clinic: Clinic, now: datetime
) -> Person:
    return Person(
        name=name,
        patient_id=conversation.patient_id or patient_id,
        address=masked(conversation.address),
        channel=conversation.channel,
        language=conversation.language,
        verified=is_verified(conversation, clinic, now),
    )


def _news(conversation: Conversation, said: datetime | None, taken_at: datetime | None) -> bool:
    wrote = conversation.last_inbound_at
    done = max((at for at in (said, taken_at) if at), default=None)
    if conversation.owner == "assistant" or wrote is None:
        return False
    return done is None or wrote > done


def _report(entry: Mapping[str, Any]) -> Report:
    details = entry.get("details", {})
    return Report(
        at=datetime.fromisoformat(entry["at"]),
        severity=cast(Severity, entry["severity"]),
        rule=entry.get("rule"),
        source=entry.get("source"),
        summary=_summary(details),
        facts=_facts(details),
    )


def _summary(details: Mapping[str, Any]) -> str | None:
    """One line on what is wrong, as whoever opened it put it."""
    said = str(details.get("summary") or details.get("why") or "")
    return said[:1].upper() + said[1:] or None


def _facts(details: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    rows: list[tuple[str, str]] = []
    for name, value in details.items():
        if name in _LISTED and isinstance(value, Mapping):
            rows += [(str(asked), _plain(said)) for asked, said in value.items()]
        elif name not in _SHOWN and value:
            rows.append((name, _plain(value)))
    return tuple(rows)


def _plain(value: Any) -> str:
    """A fact as staff read it."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value)
    # A code (an intent, a program) in words; a content key stays what it is.
    return str(value).replace("_", " ") if _CODE.fullmatch(str(value)) else str(value)


def _spans(history: Iterable[Mapping[str, Any]], inbox_id: int | None) -> tuple[tuple[int, int], ...]:
    """The characters of message `inbox_id` that alarmed."""
    found = [
        entry.get("details", {}).get("span") for entry in history if inbox_id and entry.get("inbox_id") == inbox_id
    ]
    return tuple((int(span[0]), int(span[1])) for span in found if span and len(span) == 2)


async def _alarmed(session: AsyncSession, conversation_id: uuid.UUID) -> dict[str, tuple[tuple[int, int], ...]]:
    """Thread entry → the characters of it that alarmed."""
    details = await session.scalars(select(Escalation.details).where(Escalation.conversation_id == conversation_id))
    history = [entry for row in details for entry in row.get(HISTORY, ())]
    ids = {entry["inbox_id"] for entry in history if entry.get("inbox_id")}
    return {f"i{inbox_id}": _spans(history, inbox_id) for inbox_id in ids}


async def _colleagues(session: AsyncSession, entries: Iterable[ThreadEntry]) -> dict[Any, str]:
    ids = {entry.details["staff_id"] for entry in entries if entry.details.get("staff_id")}
    if not ids:
        return {}
    rows = await session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(ids)))
    return {row.id: row.name for row in rows.all()}
