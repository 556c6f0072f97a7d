"""What is promised about messages, on a real database with an engine whose moods the test decides."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from carethread.clinic import Clinic, Clinics, load_clinic
from carethread.config import PROJECT
from carethread.dialogue.content import ContentStore
from carethread.dialogue.engine import EngineRefused, EngineUnavailable, Reply, Request, Turn
from carethread.messaging.intake import Intake
from carethread.messaging.pipeline import Patience, Pipeline
from carethread.messaging.screens import Screens, load_screens
from carethread.messaging.types import InboundMessage
from carethread.safety.guard import load_guard
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Escalation, Inbox, Outbox, Staff

pytestmark = pytest.mark.server

PATIENT = "+13125550199"


@dataclass
class FakeEngine:
    """Answers `utter_greet`, unless told to fail, to hang or to say something else."""

    seen: list[Request] = field(default_factory=list)
    fail: list[Exception] = field(default_factory=list)
    hang: asyncio.Event | None = None
    replies: tuple[Reply, ...] = (Reply("utter_greet", {}),)

    async def turn(self, request: Request) -> Turn:
        self.seen.append(request)
        if self.hang is not None:
            await self.hang.wait()
        if self.fail:
            raise self.fail.pop(0)
        return Turn(self.replies, "greet", 0.9)


@dataclass
class Desk:
    """One tenant with its pipeline."""

    database: Database
    clinic: Clinic
    engine: FakeEngine
    pipeline: Pipeline
    now: datetime
    count: int = 0

    async def receive(self, text: str, *, kind: str = "text", provider_id: str | None = None) -> uuid.UUID:
        self.count += 1
        message = InboundMessage(
            "sms",
            "+13125550150",
            PATIENT,
            provider_id or f"SM{self.count}",
            kind=kind,
            text=text,  # type: ignore[arg-type]
        )
        return (await Intake(self.database).receive(self.clinic, message)).conversation_id

    async def say(self, text: str, *, kind: str = "text") -> list[str]:
        """Receive and work; returns the keys said for it."""
        conversation_id = await self.receive(text, kind=kind)
        before = len(await self.said())
        await self.pipeline.work(self.clinic.id, conversation_id)
        return (await self.said())[before:]

    async def said(self) -> list[str]:
        async with self.database.begin(self.clinic.id) as session:
            return list(await session.scalars(select(Outbox.content_key).order_by(Outbox.id)))

    async def inbox(self) -> list[Inbox]:
        async with self.database.begin(self.clinic.id) as session:
            return list(await session.scalars(select(Inbox).order_by(Inbox.id)))

    async def escalations(self) -> list[Escalation]:
        async with self.database.begin(self.clinic.id) as session:
            return list(await session.scalars(select(Escalation).order_by(Escalation.opened_at)))

    async def conversation(self) -> Conversation:
        async with self.database.begin(self.clinic.id) as session:
            return (await session.scalars(select(Conversation))).one()


@pytest.fixture(scope="session")
def screens() -> Screens:
    return load_screens(PROJECT / "content" / "safety")


@pytest.fixture
def desk(database: Database, tenant: str, screens: Screens) -> Desk:
    return make_desk(database, tenant, screens)


def make_desk(database: Database, tenant: str, screens: Screens, **patience: float) -> Desk:
    clinic = load_clinic(PROJECT / "clinics" / "riverbend" / "clinic.yml").model_copy(update={"id": tenant})
    guard = load_guard(PROJECT / "content" / "safety" / "guard.yml")
    content = ContentStore(Path(PROJECT / "content"), facts=sorted(clinic.facts), guard=guard)
    engine = FakeEngine()
    desk: Desk
    clock: Callable[[], datetime] = lambda: desk.now  # noqa: E731
    waits = Patience(**{"lease": 5.0, "holding_after": 5.0, "give_up_after": 60.0, **patience})
    pipeline = Pipeline(database, Clinics({tenant: clinic}), content, screens, engine, waits, clock)
    desk = Desk(database, clinic, engine, pipeline, datetime.now(UTC))
    return desk


async def test_first_contact_says_what_it_is(desk: Desk) -> None:
    assert await desk.say("hello") == ["utter_introduction", "utter_greet"]
    assert await desk.say("hello again") == ["utter_greet"]


async def test_a_repeated_delivery_is_one_message(desk: Desk) -> None:
    for _ in range(3):
        conversation_id = await desk.receive("hello", provider_id="SMsame")
        await desk.pipeline.work(desk.clinic.id, conversation_id)
    assert len(desk.engine.seen) == 1
    assert await desk.said() == ["utter_introduction", "utter_greet"]


async def test_many_workers_answer_in_order_and_once(desk: Desk) -> None:
    for number in range(12):
        conversation_id = await desk.receive(f"message {number}")
    await asyncio.gather(*(desk.pipeline.work(desk.clinic.id, conversation_id) for _ in range(6)))
    assert [request.text for request in desk.engine.seen] == [f"message {number}" for number in range(12)]
    assert (await desk.said()).count("utter_greet") == 12
    assert all(row.outcome == "answered" for row in await desk.inbox())


async def test_a_red_flag_is_acted_on_while_the_engine_hangs(desk: Desk) -> None:
    desk.engine.hang = asyncio.Event()
    conversation_id = await desk.receive("what time are you open")
    stuck = asyncio.create_task(desk.pipeline.work(desk.clinic.id, conversation_id))
    while not desk.engine.seen:
        await asyncio.sleep(0.01)
    await desk.receive("my chest hurts and I can't breathe")
    await desk.pipeline.work(desk.clinic.id, conversation_id)
    assert await desk.said() == ["utter_safety_emergency"]
    [escalation] = await desk.escalations()
    assert (escalation.severity, escalation.reason) == ("emergency", "emergency")
    desk.engine.hang.set()
    await stuck
    # The late answer to the earlier message is held back: the assistant is paused now.
    assert await desk.said() == ["utter_safety_emergency"]
    assert (await desk.conversation()).owner == "emergency"


async def test_an_emergency_needs_no_engine(desk: Desk) -> None:
    desk.engine.fail = [EngineUnavailable("down")] * 9
    assert await desk.say("me duele mucho el pecho y no puedo respirar") == ["utter_safety_emergency"]
    assert (await desk.conversation()).language == "es"
    assert desk.engine.seen == []
    assert await desk.say("hello?") == ["utter_safety_waiting", "utter_introduction"]


async def test_crisis_words_get_crisis_help(desk: Desk) -> None:
    assert await desk.say("I don't want to live anymore") == ["utter_safety_crisis"]
    assert [(row.severity, row.reason) for row in await desk.escalations()] == [("emergency", "crisis")]


async def test_a_red_flag_in_a_humans_conversation_still_alarms(desk: Desk) -> None:
    await desk.say("hello")
    await _own(desk, "human")
    assert await desk.say("are you there?") == []
    assert await desk.say("my husband collapsed and is not breathing") == ["utter_safety_emergency"]
    assert [row.severity for row in await desk.escalations()] == ["emergency"]


async def test_a_nurse_who_takes_over_mid_turn_silences_the_assistant(desk: Desk) -> None:
    desk.engine.hang = asyncio.Event()
    conversation_id = await desk.receive("hello")
    working = asyncio.create_task(desk.pipeline.work(desk.clinic.id, conversation_id))
    while not desk.engine.seen:
        await asyncio.sleep(0.01)
    async with desk.database.begin(desk.clinic.id) as session:
        nurse = Staff(email="n@example.org", name="N", password_hash="x")
        session.add(nurse)
        await session.flush()
        await session.execute(update(Conversation).values(owner="human", owner_staff_id=nurse.id))
    desk.engine.hang.set()
    await working
    assert await desk.said() == []
    assert [row.outcome for row in await desk.inbox()] == ["answered"]


async def test_the_engine_down_keeps_the_message_and_says_so_once(desk: Desk) -> None:
    desk.engine.fail = [EngineUnavailable("down")] * 3
    assert await desk.say("hello") == []
    [row] = await desk.inbox()
    assert (row.done_at, row.attempts) == (None, 1)
    for _ in range(2):
        desk.now += timedelta(seconds=8)
        await desk.pipeline.work(desk.clinic.id, row.conversation_id)
    assert await desk.said() == ["utter_introduction", "utter_holding"]
    desk.now += timedelta(seconds=8)
    await desk.pipeline.work(desk.clinic.id, row.conversation_id)
    assert await desk.said() == ["utter_introduction", "utter_holding", "utter_greet"]
    assert {request.message_id for request in desk.engine.seen} == {str(row.id)}


async def test_a_slow_turn_tells_the_patient_while_it_goes_on(
    database: Database, tenant: str, screens: Screens
) -> None:
    desk = make_desk(database, tenant, screens, holding_after=0.2)
    desk.engine.hang = asyncio.Event()
    conversation_id = await desk.receive("hello")
    working = asyncio.create_task(desk.pipeline.work(desk.clinic.id, conversation_id))
    while not await desk.said():
        await asyncio.sleep(0.02)
    assert await desk.said() == ["utter_introduction", "utter_holding"]
    desk.engine.hang.set()
    await working
    assert await desk.said() == ["utter_introduction", "utter_holding", "utter_greet"]


async def test_an_engine_that_stays_down_brings_a_human(desk: Desk) -> None:
    desk.engine.fail = [EngineUnavailable("down")] * 50
    conversation_id = await desk.receive("hello")
    await desk.pipeline.work(desk.clinic.id, conversation_id)
    desk.now += timedelta(seconds=120)
    await desk.pipeline.work(desk.clinic.id, conversation_id)
    assert (await desk.said())[-1] == "utter_gave_up"
    assert [row.reason for row in await desk.escalations()] == ["technical"]
    assert (await desk.conversation()).owner == "human"


async def test_a_request_the_engine_refuses_goes_to_a_human(desk: Desk) -> None:
    desk.engine.fail = [EngineRefused("400")]
    assert (await desk.say("hello"))[-1] == "utter_gave_up"


async def test_a_worker_that_lost_its_lease_commits_nothing(desk: Desk) -> None:
    desk.engine.hang = asyncio.Event()
    conversation_id = await desk.receive("hello")
    late = asyncio.create_task(desk.pipeline.work(desk.clinic.id, conversation_id))
    while not desk.engine.seen:
        await asyncio.sleep(0.01)
    async with desk.database.begin(desk.clinic.id) as session:  # as if it had been silent for too long
        await session.execute(update(Conversation).values(lease_token=Conversation.lease_token + 1, lease_until=None))
    desk.engine.hang.set()
    await late
    assert await desk.said() == []
    await desk.pipeline.work(desk.clinic.id, conversation_id)
    assert await desk.said() == ["utter_introduction", "utter_greet"]


async def test_stop_start_and_help_never_reach_the_engine(desk: Desk) -> None:
    assert await desk.say("STOP") == ["utter_stopped"]
    assert await desk.say("do you have my results") == []
    assert [row.reason for row in await desk.escalations()] == ["opted_out"]
    assert await desk.say("START") == ["utter_introduction", "utter_started"]
    assert await desk.say("AYUDA") == ["utter_help"]
    assert desk.engine.seen == []


@pytest.mark.parametrize(("text", "language"), [("help", "en"), ("INFO", "en"), ("ayuda", "es"), ("Información", "es")])
async def test_help_first_says_everything_once(desk: Desk, text: str, language: str) -> None:
    """The answer to HELP introduces the assistant itself, so nothing stands before it, and nothing follows later."""
    assert await desk.say(text) == ["utter_help"]
    conversation = await desk.conversation()
    assert conversation.introduced_at is not None
    assert conversation.language == language
    assert await desk.say("hello") == ["utter_greet"]


async def test_an_emergency_that_only_the_engine_hears_is_guidance_first_too(desk: Desk) -> None:
    desk.engine.replies = (Reply("utter_safety_emergency", {}),)
    assert await desk.say("something is very wrong with my mother") == ["utter_safety_emergency"]
    assert (await desk.conversation()).introduced_at is None
    desk.engine.replies = (Reply("utter_greet", {}),)
    assert await desk.say("hello") == ["utter_introduction", "utter_greet"]


async def test_an_emergency_is_answered_even_after_stop(desk: Desk) -> None:
    await desk.say("STOP")
    assert await desk.say("I can't breathe") == ["utter_safety_emergency"]


@pytest.mark.parametrize(
    ("text", "read_as"), [("👍", "yes"), ("👎🏽", "no"), ("👍👍", "yes"), ("✅", "yes"), ("🙏", "thank you")]
)
async def test_an_emoji_that_answers_is_read_as_its_word(desk: Desk, text: str, read_as: str) -> None:
    await desk.say(text)
    assert [request.text for request in desk.engine.seen] == [read_as]


@pytest.mark.parametrize("text", ["", "???", "🦄🦄", "...", "\u200d", "   "])
async def test_no_words_never_reach_the_engine(desk: Desk, text: str) -> None:
    assert (await desk.say(text))[-1] == "utter_no_words"
    assert desk.engine.seen == []


async def test_a_picture_alone_is_acknowledged(desk: Desk) -> None:
    assert (await desk.say("", kind="media"))[-1] == "utter_media_only"
    assert desk.engine.seen == []


async def test_control_characters_do_not_break_the_way(desk: Desk) -> None:
    await desk.say("hel\x00lo\x07 there\u202e")
    assert desk.engine.seen[0].text == "hello there"


async def test_an_engine_without_words_is_never_silence(desk: Desk) -> None:
    desk.engine.replies = ()
    assert (await desk.say("hello"))[-1] == "utter_not_understood_choices"


async def test_signs_in_several_messages_make_an_emergency(desk: Desk) -> None:
    assert (await desk.say("I have a fever of 102"))[-1] == "utter_greet"
    assert (await desk.say("can I come in today"))[-1] == "utter_greet"
    assert await desk.say("my neck is stiff") == ["utter_safety_emergency"]
    (row,) = await desk.escalations()
    assert (row.reason, row.rule) == ("emergency", "fever-and-stiff-neck")


async def test_a_sign_of_this_morning_is_another_matter(desk: Desk) -> None:
    await desk.say("I have a fever of 102")
    async with desk.database.begin(desk.clinic.id) as session:
        await session.execute(update(Inbox).values(received_at=desk.now - timedelta(hours=3)))
    assert (await desk.say("my neck is stiff"))[-1] == "utter_greet"
    assert await desk.escalations() == []


async def test_what_a_nurse_must_see_today_is_told_and_the_talk_goes_on(desk: Desk) -> None:
    await desk.say("hello")
    worry = "my incision is red and warm, pus is coming out and I have a low fever of 100.6 since yesterday"
    assert await desk.say(worry) == ["utter_safety_urgent", "utter_greet"]
    [escalation] = await desk.escalations()
    assert (escalation.severity, escalation.reason) == ("urgent", "symptoms")
    assert (await desk.conversation()).owner == "assistant"
    assert [row.level for row in await desk.inbox()] == ["none", "urgent"]
    # The nurse hears of the next one too; the patient is not told the same again and again.
    again = "there is even more pus from the incision today and it is still red and warm"
    assert await desk.say(again) == ["utter_greet"]
    assert len(await desk.escalations()) == 1


async def test_what_is_urgent_reaches_a_nurse_while_the_engine_is_down(desk: Desk) -> None:
    desk.engine.fail = [EngineUnavailable("down")] * 50
    conversation_id = await desk.receive("my incision is red and warm, pus is coming out and I have a low fever")
    await desk.pipeline.work(desk.clinic.id, conversation_id)
    desk.now += timedelta(seconds=20)
    await desk.pipeline.work(desk.clinic.id, conversation_id)
    assert (await desk.said())[-1] == "utter_holding"
    assert [(row.severity, row.reason) for row in await desk.escalations()] == [("urgent", "symptoms")]
    desk.now += timedelta(seconds=120)
    await desk.pipeline.work(desk.clinic.id, conversation_id)
    assert sorted(row.reason for row in await desk.escalations()) == ["symptoms", "technical"]


async def test_what_is_urgent_in_a_humans_conversation_is_for_that_human(desk: Desk) -> None:
    await desk.say("hello")
    await _own(desk, "human")
    assert await desk.say("my incision is red and warm, pus is coming out and I have a low fever") == []
    assert [row.severity for row in await desk.escalations()] == ["urgent"]


@pytest.mark.parametrize(
    ("facts", "proven", "level"),
    [([], True, "none"), (["anticoagulant"], True, "emergency"), (["anticoagulant"], False, "none")],
)
async def test_the_chart_of_a_proven_patient_counts_with_a_sign(
    desk: Desk, facts: list[str], proven: bool, level: str
) -> None:
    await desk.say("hello")
    async with desk.database.begin(desk.clinic.id) as session:
        await session.execute(update(Conversation).values(chart_facts=facts, patient_id="p1" if proven else None))
    await desk.say("I bumped my head on the cupboard this morning")
    assert [row.level for row in await desk.inbox()] == ["none", level]


async def test_care_details_wait_for_verification(desk: Desk) -> None:
    desk.engine.replies = (Reply("utter_no_visits", {}),)
    assert (await desk.say("my appointments"))[-1] == "utter_fallback_safe"
    async with desk.database.begin(desk.clinic.id) as session:
        await session.execute(update(Conversation).values(patient_id="p", verified_at=desk.now))
    assert (await desk.say("my appointments"))[-1] == "utter_no_visits"


async def test_words_that_nobody_reviewed_are_not_said(desk: Desk) -> None:
    desk.engine.replies = (Reply("utter_made_up", {}), Reply("utter_verified", {}))
    assert (await desk.say("hello"))[-2:] == ["utter_fallback_safe", "utter_fallback_safe"]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Ana. Take 2 pills of 500 mg every 6 hours", "dosing"),
        ("Ana, you may have an infection", "diagnosis"),
        ("<script>alert(1)</script>", "markup"),
        ("Ana " * 600, "too-long"),
    ],
)
async def test_what_fills_a_text_may_not_say_what_only_a_clinician_may(desk: Desk, name: str, rule: str) -> None:
    """The words around it are reviewed; what an EHR or a form puts into them is looked at when it leaves."""
    desk.engine.replies = (Reply("utter_verified", {"name": name}),)
    assert (await desk.say("hello"))[-1] == "utter_fallback_safe"
    (row,) = await desk.escalations()
    assert (row.reason, row.severity, row.state) == ("held_back", "routine", "open")
    assert row.details["text"] == "utter_verified"
    assert rule in row.details["why"]
    assert name not in str(row.details)


async def test_the_language_follows_the_patient(desk: Desk) -> None:
    await desk.say("hello there, I need some help please")
    await desk.say("necesito hacer una cita con el doctor")
    await desk.say("ok")
    async with desk.database.begin(desk.clinic.id) as session:
        languages = list(await session.scalars(select(Outbox.language).order_by(Outbox.id)))
    assert languages == ["en", "en", "es", "es"]


async def _own(desk: Desk, owner: str) -> None:
    async with desk.database.begin(desk.clinic.id) as session:
        await session.execute(update(Conversation).values(owner=owner))
