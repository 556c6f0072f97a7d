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
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic, Clinics
from carethread.dialogue.content import ContentStore
from carethread.dialogue.engine import Dialogue, EngineRefused, EngineUnavailable, Request, Turn
from carethread.escalation import open_escalation, pause_for_emergency, pause_for_human
from carethread.messaging import ledger
from carethread.messaging.consent import set_consent
from carethread.messaging.introduction import introduced
from carethread.messaging.lease import Fenced, Lease, acquire
from carethread.messaging.ledger import Arrived, Thread
from carethread.messaging.outbox import Say, queue, sender_id
from carethread.messaging.screens import Screens
from carethread.messaging.types import MAX_TEXT
from carethread.messaging.wakeups import Wakeup, wake
from carethread.messaging.wordless import reading_of
from carethread.safety.screening import Screening
from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Conversation

log = structlog.get_logger()

# Seconds before the n-th retry of a turn; the last one repeats.
_BACKOFF = (0.5, 1, 2, 4, 8, 15, 30)
# How often, and after how many seconds, to look again at a message that another worker is reading.
_LOOKS, _LOOK = 5, 0.02
_LONG = 500  # characters of a message that is screened beside everything else
# Signs in so many messages before this one count with it, if they came within this time.
_EARLIER, _TOGETHER = 5, timedelta(hours=2)
# What a red flag says, by level. Content staff own the words.
_GUIDANCE = {"emergency": "utter_safety_emergency", "crisis": "utter_safety_crisis"}
_URGENT_WORDS = "utter_safety_urgent"  # said once in a while, for the answer to the message follows it
_TRIAGE = ("utter_triage_", "utter_ask_symptom_", "utter_symptom_", "utter_safety_")
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
        opened = await self._open(clinic, conversation_id)
        if opened is None:
            return
        lease = opened[0]
        question: Question | None = opened[1]
        try:
            while question is not None:
                question = await _Step(self, clinic, lease, question).run()
        except Fenced:
            log.warning("fenced", tenant=tenant, conversation=str(conversation_id))

    async def _open(self, clinic: Clinic, conversation_id: uuid.UUID) -> tuple[Lease, Question] | None:
        """Screen, take the lease, and close what needs no engine, in one transaction.

        None when nothing is left for the engine, or when another worker holds the conversation: it will find what
        we saw, since it looks again before it lets go.
        """
        async with self._database.begin(clinic.id) as session:
            await self._screen(session, clinic, conversation_id)
            taken = await acquire(session, clinic.id, conversation_id, seconds=self._patience.lease)
            if taken is None:
                return None
            lease, thread = taken
            question = await self._next(session, clinic, thread)
            return (lease, question) if question else None

    async def _next(self, session: AsyncSession, clinic: Clinic, thread: Thread) -> Question | None:
        """The oldest open message that needs the engine, after closing those before it that do not.

        With none left, or the oldest waiting for its next try, the conversation is let go in this transaction. Its
        row is locked, so a message that arrives meanwhile is either seen here or finds the conversation free.
        """
        now = self._clock()
        looks = 0
        while True:
            found = await ledger.oldest_open(session, thread)
            if found is None:
                await thread.save(session, release=True)
                return None
            row, stopped = found
            if row.screened_at is None:
                await thread.save(session, release=False)
                read = await self._screen(session, clinic, thread.id)
                thread = await ledger.lock(session, thread.id) or thread  # a red flag pauses it
                if row.id not in read:
                    # Another worker is reading it, and may be waiting for the row that we have locked.
                    if looks == _LOOKS:
                        await thread.save(session, release=True)
                        return None
                    looks += 1
                    await asyncio.sleep(_LOOK)
                continue
            if row.retry_at and row.retry_at > now:
                await thread.save(session, release=True)
                return None
            if row.kind != "event":
                thread.last_inbound_at = max(thread.last_inbound_at or row.received_at, row.received_at)
            if row.kind == "text":
                thread.language = self._safety.language(row.text, thread.language, clinic.languages)
            if not await self._without_engine(session, clinic, thread, row, stopped, now):
                if thread.unsaved:
                    await thread.save(session, release=False)
                return Question.of(clinic, thread, row)

    async def _screen(self, session: AsyncSession, clinic: Clinic, conversation_id: uuid.UUID) -> set[int]:
        """Read every unscreened message for red flags; guidance and escalation commit together with its reading.

        Returns the ids of what was read.
        """
        now = self._clock()
        rows = await ledger.unscreened(session, conversation_id)
        harmless = []
        for row in rows:
            if row.kind == "event" or not row.text.strip():
                harmless.append(row.id)
                continue
            text = row.text[:MAX_TEXT]
            # A long text can take seconds; meanwhile the others of this process go on.
            found = (
                await asyncio.to_thread(self._safety.screen, text) if len(text) > _LONG else self._safety.screen(text)
            )
            # Only a sign can join with another; most messages hold none, and nothing is looked up for them.
            if found.level not in _GUIDANCE and found.signs:
                # "I have a fever", and then "my neck is stiff"; "we fell", of somebody on a blood thinner.
                earlier = [before[:_LONG] for before in await ledger.earlier_texts(session, row, _TOGETHER, _EARLIER)]
                facts = await ledger.chart_facts(session, row.conversation_id)
                if earlier or facts:
                    found = await asyncio.to_thread(self._safety.screen, text, earlier, facts)
            if found.level == "none":
                harmless.append(row.id)
                continue
            await ledger.mark_screened(session, [row.id], now, found.level, found.rule)
            if found.level in _GUIDANCE:
                await self._red_flag(session, clinic, row, found, now)
        if harmless:
            await ledger.mark_screened(session, harmless, now)
        return {row.id for row in rows}

    async def _red_flag(
        self, session: AsyncSession, clinic: Clinic, row: Arrived, found: Screening, now: datetime
    ) -> None:
        conversation = await session.get_one(Conversation, row.conversation_id, with_for_update=True)
        language = self._safety.language(row.text, conversation.language, clinic.languages)
        conversation.language = language
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
        await session.flush()
        await ledger.close(session, row.id, "red_flag", now, language=language)
        announce(session, clinic.id, conversation.id)
        log.info("red_flag", tenant=clinic.id, conversation=str(conversation.id), level=found.level, rule=found.rule)

    async def _urgent(
        self,
        session: AsyncSession,
        clinic: Clinic,
        conversation: Thread,
        inbox_id: int,
        rule: str | None,
        now: datetime,
    ) -> None:
        """Not for 911, but for a nurse today: she is told."""
        await open_escalation(
            session, clinic,
            conversation_id=conversation.id, key=f"in:{inbox_id}:urgent", severity="urgent", reason="symptoms", now=now,
            rule=rule, patient_id=conversation.patient_id, inbox_id=inbox_id,
        )  # fmt: skip

    async def _without_engine(
        self, session: AsyncSession, clinic: Clinic, conversation: Thread, row: Arrived, stopped: bool, now: datetime
    ) -> bool:
        """Close what needs no engine: keywords, a patient who stopped, a human's conversation, no words."""
        keyword = self._safety.keyword(row.text, conversation.channel, stopped) if row.kind == "text" else None
        if keyword is not None:
            if keyword.value != "help":
                state = "opted_out" if keyword.value == "stop" else "opted_in"
                await set_consent(session, conversation.channel, conversation.address, state, now=now, inbox_id=row.id)
            await self._close(
                session, clinic, conversation, row.id, [Say(_KEYWORD_REPLY[keyword.value], {})], "keyword", now
            )
            return True
        if row.level == "urgent" and (stopped or conversation.owner != "assistant"):
            await self._urgent(session, clinic, conversation, row.id, row.rule, now)
        if stopped and conversation.channel != "web":
            if row.kind != "event":
                await open_escalation(
                    session, clinic, conversation_id=conversation.id, key=f"in:{row.id}:opted_out",
                    severity="routine", reason="opted_out", now=now, patient_id=conversation.patient_id,
                    inbox_id=row.id,
                )  # fmt: skip
            await self._close(session, clinic, conversation, row.id, [], "to_human", now)
            return True
        if conversation.owner == "human":
            await self._close(session, clinic, conversation, row.id, [], "to_human", now)
            return True
        if conversation.owner == "emergency":
            says = [] if row.kind == "event" else [Say("utter_safety_waiting", {})]
            await self._close(session, clinic, conversation, row.id, says, "to_human", now)
            return True
        if row.kind == "media":
            await self._close(session, clinic, conversation, row.id, [Say("utter_media_only", {})], "answered", now)
            return True
        if row.kind == "text" and reading_of(row.text, conversation.language) == "":
            await self._close(session, clinic, conversation, row.id, [Say("utter_no_words", {})], "answered", now)
            return True
        return False

    async def _close(
        self,
        session: AsyncSession,
        clinic: Clinic,
        conversation: Thread,
        inbox_id: int,
        says: list[Say],
        outcome: str,
        now: datetime,
        turn: Turn | None = None,
    ) -> None:
        """Close the row and queue the replies, introduced where they are the first, in the caller's transaction.

        Nothing when it was closed meanwhile.
        """
        closed = await ledger.close(
            session, inbox_id, outcome, now, language=conversation.language,
            intent=turn.intent if turn else None, confidence=turn.confidence if turn else None,
        )  # fmt: skip
        if not closed:
            return
        says = introduced(conversation, says, now)
        await queue(
            session, clinic, self._content.current, conversation, says, key=f"in:{inbox_id}", now=now, inbox_id=inbox_id
        )
        announce(session, clinic.id, conversation.id)


@dataclass(frozen=True, slots=True)
class Question:
    """An open message for the engine, as it was when the lease was taken."""

    inbox_id: int
    received_at: datetime
    attempts: int
    held: bool
    event: bool
    urgent: bool
    rule: str | None
    request: Request

    @classmethod
    def of(cls, clinic: Clinic, conversation: Thread, row: Arrived) -> Question:
        request = Request(
            sender=sender_id(clinic.id, conversation.id),
            message_id=str(row.id),
            channel=conversation.channel,
            language=conversation.language,
            text=(reading_of(row.text, conversation.language) or row.text)[:MAX_TEXT],
            kind="event" if row.kind == "event" else "text",
            event=row.event,
        )
        return cls(
            row.id, row.received_at, row.attempts, row.held_at is not None, row.kind == "event",
            row.level == "urgent", row.rule, request,
        )  # fmt: skip

    def note(self, thread: Thread) -> Thread:
        """`thread` as this message leaves it, which is written when it is answered, held or put off."""
        if not self.event:
            thread.last_inbound_at = max(thread.last_inbound_at or self.received_at, self.received_at)
        return thread


class _Step:
    """One question under a lease: ask the engine, commit, and go on to the next."""

    def __init__(self, pipeline: Pipeline, clinic: Clinic, lease: Lease, question: Question) -> None:
        self._p = pipeline
        self._clinic = clinic
        self._lease = lease
        self._question = question
        self._held = question.held

    async def run(self) -> Question | None:
        """The next question; None when the conversation was let go."""
        try:
            turn = await self._ask()
        except EngineUnavailable as error:
            return await self._try_again(str(error))
        except EngineRefused as error:
            log.error("turn_refused", inbox=self._question.inbox_id, error=str(error))
            return await self._hand_to_human()
        return await self._commit(turn)

    async def _guard(self, session: AsyncSession) -> Thread:
        """The conversation, locked and still ours, as this message leaves it."""
        return self._question.note(await self._lease.guard(session))

    async def _ask(self) -> Turn:
        """The engine's turn; when it takes long, the patient is told so while it goes on."""
        p = self._p
        task = asyncio.create_task(p._dialogue.turn(self._question.request))
        try:
            async with self._lease.renewed(p._database):
                spent = (p._clock() - self._question.received_at).total_seconds()
                patience = None if self._held else max(0.0, p._patience.holding_after - spent)
                done, _ = await asyncio.wait({task}, timeout=patience)
                if not done:
                    async with p._database.begin(self._clinic.id) as session:
                        thread = await self._guard(session)
                        await self._hold(session, thread)
                        await thread.save(session, release=False)
                return await task
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, EngineUnavailable, EngineRefused):
                    await task

    async def _commit(self, turn: Turn) -> Question | None:
        """Replies and the closing of the inbox row, in one transaction under the lease."""
        p, now = self._p, self._p._clock()
        async with p._database.begin(self._clinic.id) as session:
            conversation = await self._guard(session)
            inbox_id = self._question.inbox_id
            says = [Say(reply.key, reply.parameters) for reply in turn.replies]
            if _silenced_meanwhile(conversation, says):
                says = []
            elif not says and conversation.owner == "assistant" and not self._question.event:
                # Never silence: an engine with nothing to say is a fault, and the patient still gets a word.
                log.error("turn_without_reply", inbox=inbox_id)
                says = [Say("utter_not_understood_choices", {})]
            if self._question.urgent and not _in_triage(says):
                await self._tell_nurse(session, conversation, now)
                says = await self._with_urgent_words(session, conversation, says, now)
            await p._close(session, self._clinic, conversation, inbox_id, says, "answered", now, turn)
            return await p._next(session, self._clinic, conversation)

    async def _tell_nurse(self, session: AsyncSession, conversation: Thread, now: datetime) -> None:
        """Of a message that somebody must see today, and that triage does not take up, or not soon."""
        question = self._question
        if question.urgent:
            await self._p._urgent(session, self._clinic, conversation, question.inbox_id, question.rule, now)

    async def _with_urgent_words(
        self, session: AsyncSession, conversation: Thread, says: list[Say], now: datetime
    ) -> list[Say]:
        """The patient hears once in a while that a nurse was told; the talk goes on."""
        told = await ledger.said_since(session, conversation.id, _URGENT_WORDS, now - _TOGETHER)
        return says if told or not says else [Say(_URGENT_WORDS, {}), *says]

    async def _hold(self, session: AsyncSession, conversation: Thread) -> None:
        """Tell the patient, once a message, that the answer takes longer."""
        now, inbox_id = self._p._clock(), self._question.inbox_id
        if self._question.event or not await ledger.hold(session, inbox_id, now):
            return
        self._held = True
        await self._tell_nurse(session, conversation, now)
        says = introduced(conversation, [Say("utter_holding", {})], now)
        await queue(
            session, self._clinic, self._p._content.current, conversation, says,
            key=f"in:{inbox_id}:holding", now=now, inbox_id=inbox_id,
        )  # fmt: skip

    async def _try_again(self, why: str) -> Question | None:
        """Keep the message for another try; after long enough a human gets it."""
        now, question, patience = self._p._clock(), self._question, self._p._patience
        age = (now - question.received_at).total_seconds()
        log.warning("turn_failed", inbox=question.inbox_id, attempts=question.attempts + 1, error=why)
        if age > patience.give_up_after:
            return await self._hand_to_human()
        wait = timedelta(seconds=_BACKOFF[min(question.attempts, len(_BACKOFF) - 1)])
        async with self._p._database.begin(self._clinic.id) as session:
            conversation = await self._guard(session)
            if age > patience.holding_after:
                await self._hold(session, conversation)
            await ledger.put_off(session, question.inbox_id, now + wait)
            await conversation.save(session, release=True)
            await wake(session, Wakeup("inbound", self._clinic.id, str(conversation.id)), after=wait)
        return None

    async def _hand_to_human(self) -> Question | None:
        """The assistant cannot answer this one: a human will."""
        p, now = self._p, self._p._clock()
        async with p._database.begin(self._clinic.id) as session:
            conversation = await self._guard(session)
            inbox_id = self._question.inbox_id
            await open_escalation(
                session, self._clinic, conversation_id=conversation.id, key=f"in:{inbox_id}:technical",
                severity="soon", reason="technical", now=now, patient_id=conversation.patient_id, inbox_id=inbox_id,
            )  # fmt: skip
            await self._tell_nurse(session, conversation, now)
            await pause_for_human(session, await session.get_one(Conversation, conversation.id))
            await session.flush()
            conversation = await self._guard(session)  # paused now, which the next messages must see
            await p._close(session, self._clinic, conversation, inbox_id, [Say("utter_gave_up", {})], "gave_up", now)
            return await p._next(session, self._clinic, conversation)


def _in_triage(says: list[Say]) -> bool:
    """Whether the symptom talk has taken the message up: it asks what separates today from later, and tells a nurse."""
    return any(say.key.startswith(_TRIAGE) for say in says)


def _silenced_meanwhile(conversation: Thread, says: list[Say]) -> bool:
    """Whether a nurse took over, or a red flag paused the assistant, while the engine was busy."""
    if conversation.owner == "human":
        return conversation.owner_staff_id is not None
    return conversation.owner == "emergency" and not any(say.key.startswith("utter_safety_") for say in says)
