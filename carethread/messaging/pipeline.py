"""The way of a message: screened at once, then answered in order, one worker at a time per conversation.

Screening does not wait for the lease: a red flag is acted on even while an earlier message of the same
conversation hangs in the engine.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic, Clinics
from carethread.dialogue.content import ContentStore
from carethread.dialogue.engine import Dialogue, EngineRefused, EngineUnavailable, Request, Turn
from carethread.escalation import open_escalation, pause_for_emergency, pause_for_human
from carethread.messaging.consent import opted_out, set_consent
from carethread.messaging.lease import Fenced, Lease, leased
from carethread.messaging.outbox import Say, queue, sender_id
from carethread.messaging.screens import Screens
from carethread.messaging.wakeups import Wakeup, wake
from carethread.messaging.wordless import reading_of
from carethread.safety.screening import Screening
from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox

log = structlog.get_logger()

# Seconds before the n-th retry of a turn; the last one repeats.
_BACKOFF = (0.5, 1, 2, 4, 8, 15, 30)
# What a red flag says, by level. Content staff own the words.
_GUIDANCE = {"emergency": "utter_safety_emergency", "crisis": "utter_safety_crisis"}
_KEYWORD_REPLY = {"stop": "utter_stopped", "start": "utter_started", "help": "utter_help"}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds."""

    lease: float
    holding_after: float
    give_up_after: float


class Pipeline:
    """Works a conversation: everything that is open in its inbox, in order."""

    def __init__(
        self,
        database: Database,
        clinics: Clinics,
        content: ContentStore,
        safety: Screens,
        dialogue: Dialogue,
        patience: Patience,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._clinics = clinics
        self._content = content
        self._safety = safety
        self._dialogue = dialogue
        self._patience = patience
        self._clock = clock

    async def work(self, tenant: str, conversation_id: uuid.UUID) -> None:
        """Screen what is new, then answer what is open. Safe to call at any time, from any process."""
        clinic = self._clinics[tenant]
        await self.screen(clinic, conversation_id)
        while await self._drain(clinic, conversation_id):
            # A message that came while we let go of the lease found it taken, so it is ours to look for.
            await self.screen(clinic, conversation_id)

    async def screen(self, clinic: Clinic, conversation_id: uuid.UUID) -> None:
        """Read every unscreened message for red flags; guidance and escalation are committed together."""
        now = self._clock()
        async with self._database.begin(clinic.id) as session:
            rows = (
                await session.scalars(
                    select(Inbox)
                    .where(Inbox.conversation_id == conversation_id, Inbox.screened_at.is_(None))
                    .order_by(Inbox.id)
                    .with_for_update(skip_locked=True)
                )
            ).all()
            for row in rows:
                row.screened_at = now
                if row.kind != "text" or not row.text.strip():
                    continue
                found = self._safety.screen(row.text)
                row.level, row.rule = found.level, found.rule
                if found.level in _GUIDANCE:
                    await self._red_flag(session, clinic, row, found, now)

    async def _red_flag(
        self, session: AsyncSession, clinic: Clinic, row: Inbox, found: Screening, now: datetime
    ) -> None:
        conversation = await session.get_one(Conversation, row.conversation_id, with_for_update=True)
        language = self._safety.language(row.text, conversation.language, clinic.languages)
        conversation.language = row.language = language
        says = [Say(_GUIDANCE[found.level], {})]
        await queue(
            session, clinic, self._content.current, conversation, says,
            key=f"in:{row.id}:safety", now=now, inbox_id=row.id,
        )  # fmt: skip
        await open_escalation(
            session, clinic,
            conversation_id=conversation.id, key=f"in:{row.id}:{found.level}", severity="emergency",
            reason=found.level, now=now, rule=found.rule, source=found.source,
            details={"span": list(found.span or ())}, patient_id=conversation.patient_id, inbox_id=row.id,
        )  # fmt: skip
        await pause_for_emergency(session, conversation)
        row.done_at, row.outcome = now, "red_flag"
        await announce(session, clinic.id, conversation.id)
        log.info("red_flag", tenant=clinic.id, conversation=str(conversation.id), level=found.level, rule=found.rule)

    async def _drain(self, clinic: Clinic, conversation_id: uuid.UUID) -> bool:
        """Answer open messages while we hold the lease; True when some may have come since."""
        async with leased(self._database, clinic.id, conversation_id, seconds=self._patience.lease) as lease:
            if lease is None:
                return False
            worked = False
            while row := await self._next(clinic, conversation_id):
                try:
                    if not await _Step(self, clinic, lease, row).run():
                        return False
                except Fenced:
                    log.warning("fenced", tenant=clinic.id, conversation=str(conversation_id))
                    return False
                worked = True
            return worked

    async def _next(self, clinic: Clinic, conversation_id: uuid.UUID) -> Inbox | None:
        """The oldest open message; None also while it waits for its next try."""
        async with self._database.begin(clinic.id) as session:
            row = await session.scalar(
                select(Inbox)
                .where(Inbox.conversation_id == conversation_id, Inbox.done_at.is_(None))
                .order_by(Inbox.id)
                .limit(1)
            )
        if row is None:
            return None
        if row.screened_at is None:
            await self.screen(clinic, conversation_id)
            return await self._next(clinic, conversation_id)
        return None if row.retry_at and row.retry_at > self._clock() else row


class _Step:
    """One message under a lease: decide, ask the engine, commit."""

    def __init__(self, pipeline: Pipeline, clinic: Clinic, lease: Lease, row: Inbox) -> None:
        self._p = pipeline
        self._clinic = clinic
        self._lease = lease
        self._row = row

    async def run(self) -> bool:
        """True when the message is closed, False when it waits for another try."""
        p, row = self._p, self._row
        now = p._clock()
        async with p._database.begin(self._clinic.id) as session:
            conversation = await self._lease.guard(session)
            language = conversation.language
            if row.kind == "text":
                language = p._safety.language(row.text, conversation.language, self._clinic.languages)
                conversation.language = language
            if await self._without_engine(session, conversation, now):
                return True
        text = row.text if row.kind != "text" else (reading_of(row.text, language) or row.text)
        request = Request(
            sender=sender_id(self._clinic.id, row.conversation_id),
            message_id=str(row.id),
            channel=conversation.channel,
            language=language,
            text=text,
            kind="event" if row.kind == "event" else "text",
            event=row.event,
        )
        try:
            turn = await self._ask(request)
        except EngineUnavailable as error:
            return await self._try_again(str(error))
        except EngineRefused as error:
            log.error("turn_refused", inbox=row.id, error=str(error))
            await self._hand_to_human(p._clock())
            return True
        await self._commit(turn)
        return True

    async def _without_engine(self, session: AsyncSession, conversation: Conversation, now: datetime) -> bool:
        """Close what needs no engine: keywords, a patient who stopped, a human's conversation, no words."""
        row, p = self._row, self._p
        stopped = await opted_out(session, conversation.channel, conversation.address)
        keyword = p._safety.keyword(row.text, conversation.channel, stopped) if row.kind == "text" else None
        if keyword is not None:
            if keyword.value != "help":
                state = "opted_out" if keyword.value == "stop" else "opted_in"
                await set_consent(session, conversation.channel, conversation.address, state, now=now, inbox_id=row.id)
            await self._close(session, conversation, [Say(_KEYWORD_REPLY[keyword.value], {})], "keyword", now)
            return True
        if stopped and conversation.channel != "web":
            if row.kind != "event":
                await open_escalation(
                    session, self._clinic, conversation_id=conversation.id, key=f"in:{row.id}:opted_out",
                    severity="routine", reason="opted_out", now=now, patient_id=conversation.patient_id,
                    inbox_id=row.id,
                )  # fmt: skip
            await self._close(session, conversation, [], "to_human", now)
            return True
        if conversation.owner == "human":
            await self._close(session, conversation, [], "to_human", now)
            return True
        if conversation.owner == "emergency":
            says = [] if row.kind == "event" else [Say("utter_safety_waiting", {})]
            await self._close(session, conversation, says, "to_human", now)
            return True
        if row.kind == "media":
            await self._close(session, conversation, [Say("utter_media_only", {})], "answered", now)
            return True
        if row.kind == "text" and reading_of(row.text, conversation.language) == "":
            await self._close(session, conversation, [Say("utter_no_words", {})], "answered", now)
            return True
        return False

    async def _ask(self, request: Request) -> Turn:
        """The engine's turn; when it takes long, the patient is told so while it goes on."""
        task = asyncio.create_task(self._p._dialogue.turn(request))
        try:
            spent = (self._p._clock() - self._row.received_at).total_seconds()
            patience = max(0.0, self._p._patience.holding_after - spent)
            done, _ = await asyncio.wait({task}, timeout=patience if self._row.held_at is None else None)
            if not done:
                await self._hold(self._p._clock())
            return await task
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, EngineUnavailable, EngineRefused):
                    await task

    async def _commit(self, turn: Turn) -> None:
        """Replies and the closing of the inbox row, in one transaction under the lease."""
        now = self._p._clock()
        async with self._p._database.begin(self._clinic.id) as session:
            conversation = await self._lease.guard(session)
            says = [Say(reply.key, reply.parameters) for reply in turn.replies]
            if _silenced_meanwhile(conversation, says):
                says = []
            if not says and conversation.owner == "assistant" and self._row.kind == "text":
                # Never silence: an engine with nothing to say is a fault, and the patient still gets a word.
                log.error("turn_without_reply", inbox=self._row.id)
                says = [Say("utter_not_understood_choices", {})]
            await self._close(session, conversation, says, "answered", now, turn)

    async def _close(
        self,
        session: AsyncSession,
        conversation: Conversation,
        says: list[Say],
        outcome: str,
        now: datetime,
        turn: Turn | None = None,
    ) -> None:
        row = await session.get_one(Inbox, self._row.id, with_for_update=True)
        if row.done_at is not None:
            return
        if says and conversation.introduced_at is None:
            if not any(say.key == "utter_introduction" for say in says):
                says = [Say("utter_introduction", {}), *says]
            conversation.introduced_at = now
        await queue(
            session, self._clinic, self._p._content.current, conversation, says,
            key=f"in:{row.id}", now=now, inbox_id=row.id,
        )  # fmt: skip
        if turn:
            row.intent, row.confidence = turn.intent, turn.confidence
        row.language = conversation.language
        row.done_at, row.outcome = now, outcome
        await announce(session, self._clinic.id, conversation.id)

    async def _hold(self, now: datetime) -> None:
        """Tell the patient, once a message, that the answer takes longer."""
        async with self._p._database.begin(self._clinic.id) as session:
            conversation = await self._lease.guard(session)
            row = await session.get_one(Inbox, self._row.id, with_for_update=True)
            if row.held_at is not None or row.kind == "event":
                return
            row.held_at = self._row.held_at = now
            await queue(
                session, self._clinic, self._p._content.current, conversation, [Say("utter_holding", {})],
                key=f"in:{row.id}:holding", now=now, inbox_id=row.id,
            )  # fmt: skip

    async def _try_again(self, why: str) -> bool:
        """Keep the message for another try; after long enough a human gets it. True when it is closed."""
        now = self._p._clock()
        age = (now - self._row.received_at).total_seconds()
        log.warning("turn_failed", inbox=self._row.id, attempts=self._row.attempts + 1, error=why)
        if age > self._p._patience.give_up_after:
            await self._hand_to_human(now)
            return True
        if age > self._p._patience.holding_after:
            await self._hold(now)
        wait = timedelta(seconds=_BACKOFF[min(self._row.attempts, len(_BACKOFF) - 1)])
        async with self._p._database.begin(self._clinic.id) as session:
            await self._lease.guard(session)
            row = await session.get_one(Inbox, self._row.id, with_for_update=True)
            row.attempts += 1
            row.retry_at = now + wait
            await wake(session, Wakeup("inbound", self._clinic.id, str(row.conversation_id)), after=wait)
        return False

    async def _hand_to_human(self, now: datetime) -> None:
        """The assistant cannot answer this one: a human will."""
        async with self._p._database.begin(self._clinic.id) as session:
            conversation = await self._lease.guard(session)
            await open_escalation(
                session, self._clinic, conversation_id=conversation.id, key=f"in:{self._row.id}:technical",
                severity="soon", reason="technical", now=now, patient_id=conversation.patient_id,
                inbox_id=self._row.id,
            )  # fmt: skip
            await pause_for_human(session, conversation)
            await self._close(session, conversation, [Say("utter_gave_up", {})], "gave_up", now)


def _silenced_meanwhile(conversation: Conversation, says: list[Say]) -> bool:
    """Whether a nurse took over, or a red flag paused the assistant, while the engine was busy."""
    if conversation.owner == "human":
        return conversation.owner_staff_id is not None
    return conversation.owner == "emergency" and not any(say.key.startswith("utter_safety_") for say in says)
