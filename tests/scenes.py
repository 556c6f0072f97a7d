"""Scenes: what a patient says and what comes back, as a table, played through a whole installation.

    await scene.play(
        en=[
            ("I need to see a skin doctor", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("a mole", "ask_visit_time"),
            ("next Tuesday", "offer_slots|offer_nearest"),
            ("the <2nd day> one", "booked"),
        ],
        es=[...],
    )

The right column names content keys without `utter_`; `|` parts what may come instead, "" is silence. In the left
column `<birth date>`, `<zip>`, `<1st day>`, `<2nd time>`, `<3rd button>` … stand for the patient's own facts and for
what was offered last. Every scene also checks what holds always: each word in the patient's language, the introduction
first and once, nothing about care before the patient is verified, and no silence while the assistant has the word.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import select

from carethread.clinic import Channel
from carethread.dialogue.content import Content, load_content, write
from carethread.ehr.client import Json
from carethread.escalation.ladder import HISTORY
from carethread.messaging.consent import opted_out
from carethread.programs.enrolment import enrol_discharged
from carethread.programs.library import load_programs
from carethread.programs.runs import waiting
from carethread.programs.touchpoints import start_now
from carethread.storage.models import Conversation, Escalation, Inbox, Outbox, QuestionnaireRun
from sandbox.talk import Patient, Said
from tests.stack import Stack
from tests.world import Somebody, World

# A patient proves who they are: with the birth date where the phone is known, else with name, birth date and a fact.
ME: Final = "<me>"
SILENCE: Final = ""
EVERYWHERE: Final = ("sms-en", "sms-es", "whatsapp-en", "whatsapp-es", "web-en", "web-es")
# (what is said, what comes back), and the language of what comes back where it changes; or something that happens.
Step = tuple[str, str] | tuple[str, str, str] | Callable[["Scene"], Awaitable[None]]
Play = Callable[["Scene"], Awaitable[None]]
_ORDINALS = {"1st": 0, "2nd": 1, "3rd": 2}
_PLACE = re.compile(r"<(?:(1st|2nd|3rd) )?([a-z ]+)>")


class SceneFailed(AssertionError):
    """What came back is not what the table says; the text holds the conversation so far."""


@dataclass(slots=True)
class Scene:
    """One conversation of one patient on one channel in one language."""

    stack: Stack
    channel: Channel
    language: str
    world: World
    who: Somebody | None = None
    talk: Patient | None = None
    transcript: list[str] = field(default_factory=list)
    replies: list[Said] = field(default_factory=list)
    said_last: list[Said] = field(default_factory=list)
    introduced: bool = False
    choosing: bool = False
    offered: list[dict[str, Any]] = field(default_factory=list)  # the times offered last
    content: Content = field(default_factory=lambda: load_content(_content_dir(), facts=_FACTS))

    @classmethod
    def at(cls, place: str, stack: Stack, world: World) -> Scene:
        channel, language = place.split("-")
        return cls(stack, cast(Channel, channel), language, world)

    # --- who it is about ------------------------------------------------------------------------------------------

    async def patient(self, **changes: Any) -> Somebody:
        """A new patient of this scene's language, in the EHR with a phone of their own."""
        self.who = await self.world.patient(self.language, **changes)
        return self.who

    async def child(self, *, years: int, **changes: Any) -> Somebody:
        """A new child of that age at most a month ago, whose mother writes from her own phone."""
        born = self.world.today() - timedelta(days=366 * years)
        self.who = await self.world.child(self.language, born=born, **changes)
        return self.who

    def be(self, key: str, *, elsewhere: bool = False) -> Somebody:
        """Somebody of the synthetic clinic's cast (sandbox/clinic/cast.yml); `elsewhere`: at a phone nobody knows."""
        self.who = self.world.of_the_cast(key)
        if elsewhere:
            self.who = replace(self.who, phone=self.world.nobody().phone)
        return self.who

    def again(self) -> Scene:
        """A new scene in the same place."""
        return Scene(self.stack, self.channel, self.language, self.world)

    def be_stranger(self) -> None:
        """Somebody whose number the EHR does not know."""
        self.who = replace(self.world.nobody(), language=self.language)

    # --- playing --------------------------------------------------------------------------------------------------

    async def play(self, *, en: Sequence[Step] = (), es: Sequence[Step] = ()) -> None:
        """Say one step after the other and check what comes back; raises `SceneFailed`."""
        steps = {"en": en, "es": es}[self.language]
        assert steps, f"this scene has no steps in {self.language}"
        if self.who is None:
            await self.patient()
        for step in steps:
            if callable(step):
                await step(self)
            elif step[0] == ME:
                await self._prove(step[1])
            else:
                await self._step(*step)

    async def say(self, text: str) -> list[Said]:
        """Say `text` and take what comes back into the transcript."""
        talk = await self._talk()
        self.transcript.append(f"  > {text}")
        heard = await talk.say(text)
        self._hear(heard)
        return heard

    def said(self, key: str) -> bool:
        """Whether the patient was ever told `key`."""
        return any(one.key == f"utter_{key}" for one in self.replies)

    def same_moments(self, said: Sequence[str], held: Sequence[str]) -> bool:
        """Whether what was told is when the EHR says."""
        return [datetime.fromisoformat(one) for one in said] == [datetime.fromisoformat(one) for one in held]

    async def news(self) -> list[Said]:
        """What comes without being asked for."""
        heard = await (await self._talk()).wait_for_news()
        self._hear(heard)
        return heard

    async def expect_news(self, keys: str) -> None:
        self._check("(nothing said)", await self.news(), keys, self.language)

    async def _talk(self) -> Patient:
        if self.talk is None:
            assert self.who is not None
            phone = None if self.channel == "web" else self.who.phone
            self.talk = await self.stack.patient(self.channel, phone=phone).__aenter__()
        return self.talk

    async def close(self) -> None:
        self._let_go()
        if self.talk is not None:
            await self.talk.__aexit__(None, None, None)

    async def _step(self, text: str, keys: str, language: str | None = None) -> None:
        # From an offer of times to the pick the calendar is this scene's: others at play would take the same times.
        if "offer_" in keys and not self.choosing:
            self.choosing = await self.world.calendar.acquire()
        said = self._filled(text)
        self._check(said, await self.say(said), keys, language or self.language)
        self.language = language or self.language
        if "offer_" not in keys:
            self._let_go()

    def _let_go(self) -> None:
        if self.choosing:
            self.choosing = False
            self.world.calendar.release()

    async def _prove(self, keys: str) -> None:
        if self.channel != "web":
            await self._step("<birth date>", keys)
            return
        await self._step("<name>", "ask_birth_date_short")
        await self._step("<birth date>", "ask_second_fact")
        await self._step("<fact>", keys)

    def _hear(self, heard: list[Said]) -> None:
        self.transcript += [f"  < [{one.key} {one.language}] {one.text}" for one in heard]
        self.replies += heard
        self.said_last = heard

    def _check(self, said: str, heard: list[Said], keys: str, language: str) -> None:
        got = [one.key.removeprefix("utter_") for one in heard]
        wanted = [self._known(key) for key in keys.split()]
        if "introduction" in got and "introduction" not in wanted:
            if got[0] != "introduction" or self.introduced:
                self._fail(said, "the introduction stands first, and once", got)
            got = got[1:]
        self.introduced = self.introduced or "introduction" in [one.key.removeprefix("utter_") for one in heard]
        if len(got) != len(wanted) or any(g not in w.split("|") for g, w in zip(got, wanted, strict=True)):
            self._fail(said, f"wanted {' '.join(wanted) or 'silence'}", got)
        for one in heard:
            if one.author == "assistant" and one.language != language:
                self._fail(said, f"{one.key} came in {one.language}, not in {language}", got)
            if not one.text.strip() or one.state not in ("sent", "delivered", "read"):
                self._fail(said, f"{one.key} is {one.state} or empty", got)
            if "{" in one.text or "None" in one.text.split():
                self._fail(said, f"{one.key} shows something that is no word", got)
        for key in reversed(heard):
            if key.key in ("utter_offer_slots", "utter_offer_nearest", "utter_offer_again"):
                self.offered = list(key.parameters["offers"])

    def _known(self, key: str) -> str:
        if key == "<who>":
            return "ask_full_name" if self.channel == "web" else "ask_birth_date"
        return key

    def _fail(self, said: str, why: str, got: list[str]) -> None:
        told = "\n".join(self.transcript)
        place, came = f"{self.channel}-{self.language}", " ".join(got) or "silence"
        raise SceneFailed(f"{place}: after «{said}» {why}, got {came}\n{told}")

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[2] == "a weekday":
                return self.world.written(self.world.now() + timedelta(days=9), "EEEE", self.language)
            if match[1]:
                return self._of_offer(self.offered[_ORDINALS[match[1]]], match[2])
            assert self.who is not None
            return self.who.fact(match[2], self.language)

        return _PLACE.sub(value, text)

    def _of_offer(self, offer: dict[str, Any], what: str) -> str:
        start = datetime.fromisoformat(offer["start"]).astimezone(self.stack.clinic.zone)
        if what == "doctor":
            return str(offer["practitioner"]).split()[-1]
        if what == "button":
            return write("datetime", start, zone=self.stack.clinic.zone, language=self.language)
        written = {"day": "EEEE", "time": "h:mm a", "date": {"en": "MMMM d", "es": "d 'de' MMMM"}[self.language]}[what]
        return self.world.written(start, written, self.language)

    # --- what the ledger holds ------------------------------------------------------------------------------------

    async def conversation(self) -> Conversation:
        assert self.talk is not None
        found = await self.talk.conversation()
        assert found is not None
        return found

    async def escalations(self) -> list[Escalation]:
        conversation = await self.conversation()
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            rows = await session.scalars(
                select(Escalation).where(Escalation.conversation_id == conversation.id).order_by(Escalation.opened_at)
            )
            return list(rows)

    async def escalation(self, reason: str, **expected: Any) -> Escalation:
        """The only escalation there is, with `reason` and whatever else is expected of its columns."""
        rows = await self.escalations()
        assert [row.reason for row in rows] == [reason], "\n".join(self.transcript)
        wrong = {name: getattr(rows[0], name) for name, value in expected.items() if getattr(rows[0], name) != value}
        assert not wrong, f"{wrong} instead of {expected}"
        return rows[0]

    async def no_escalation(self) -> None:
        rows = await self.escalations()
        assert not rows, f"{[row.reason for row in rows]}\n" + "\n".join(self.transcript)

    async def verified_as(self, how: str) -> Conversation:
        """The conversation is this patient's, proven `how`."""
        assert self.who is not None
        conversation = await self.conversation()
        assert (conversation.patient_id, conversation.verified_by) == (self.who.id, how)
        assert conversation.verified_at is not None
        assert conversation.verification_failures == 0
        return conversation

    async def not_verified(self) -> Conversation:
        conversation = await self.conversation()
        assert (conversation.patient_id, conversation.verified_at) == (None, None)
        return conversation

    async def stopped(self) -> bool:
        conversation = await self.conversation()
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            return await opted_out(session, conversation.channel, conversation.address)

    async def inbox(self) -> list[Inbox]:
        conversation = await self.conversation()
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            found = await session.scalars(
                select(Inbox).where(Inbox.conversation_id == conversation.id).order_by(Inbox.id)
            )
            return list(found)

    async def always(self) -> None:
        """What holds after every scene, whatever it was about."""
        if self.talk is None or (found := await self.talk.conversation()) is None:
            return
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            sent = (
                await session.scalars(
                    select(Outbox)
                    .where(Outbox.conversation_id == found.id, Outbox.author == "assistant")
                    .order_by(Outbox.id)
                )
            ).all()
        keys = [row.content_key for row in sent]
        proven = next((place for place, key in enumerate(keys) if key.startswith("utter_verified")), len(keys))
        early = [key for key in keys[:proven] if self.content.message(key).care]
        assert not early, f"said before anybody was verified: {early}"
        faults = {"utter_fallback_safe", "utter_technical", "utter_ehr_unavailable", "utter_gave_up"} & set(keys)
        assert not faults, "\n".join(self.transcript)
        assert keys.count("utter_introduction") == (1 if self.introduced else 0)

    # --- what happens meanwhile -----------------------------------------------------------------------------------

    async def staff_takes_over(self) -> None:
        """A nurse takes the conversation; the patient is told who is there."""
        await self.world.does((await self.conversation()).id, "take-over")
        await self.expect_news("taken_over")

    async def staff_hands_back(self) -> None:
        """A nurse gives the conversation back to the assistant; the patient is told, and of a check-in left open."""
        await self.world.does((await self.conversation()).id, "hand-back")
        await self.expect_news("handed_back checkin_open" if await self._open_run() else "handed_back")

    async def _open_run(self) -> bool:
        conversation = await self.conversation()
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            return await waiting(session, conversation.id) is not None

    async def somebody_takes_the_offers(self) -> None:
        """At the front desk, others get the times that this patient was just offered."""
        for offer in self.offered:
            await self.world.take_slot(await self.world.slot_of(offer))

    async def goes_home_from_hospital(self, *, started: bool = True) -> Json:
        """The patient's stay ends, and the platform starts its check-in at once if it may."""
        assert self.who is not None
        encounter = await self.world.discharge(self.who)
        programs = load_programs(self.stack.settings.programs_dir, {self.stack.clinic.id: self.stack.clinic})
        now, stack = self.world.now(), self.stack
        await enrol_discharged(stack.database, stack.ehr, stack.clinic, programs, now=now)
        assert started is await start_now(stack.database, stack.ehr, stack.clinic, programs, self.who.id, now=now)
        return encounter

    async def eventually(self, find: Callable[[], Awaitable[list[Any]]], *, timeout: float = 20.0) -> list[Any]:
        """What `find` gives once it gives something: the worker writes to the EHR in its own time."""
        deadline = time.monotonic() + timeout
        while not (found := await find()) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        return found

    def reports_of(self, escalation: Escalation) -> list[dict[str, Any]]:
        """Everything that was reported under it."""
        return list(escalation.details[HISTORY])

    async def runs(self) -> list[QuestionnaireRun]:
        assert self.who is not None
        async with self.stack.database.begin(self.stack.clinic.id) as session:
            found = await session.scalars(
                select(QuestionnaireRun)
                .where(QuestionnaireRun.patient_id == self.who.id)
                .order_by(QuestionnaireRun.created_at)
            )
            return list(found)


_FACTS = ("hours", "location", "parking", "insurance", "billing", "records", "first_visit")


def _content_dir() -> Any:
    from carethread.config import PROJECT

    return PROJECT / "content"


def on(*places: str) -> Callable[[Play], Callable[[Stack, World], Awaitable[None]]]:
    """Play a test's scene on each of `places` (like `sms-en`), all at once."""

    def decorate(play: Play) -> Callable[[Stack, World], Awaitable[None]]:
        async def test(stack: Stack, world: World) -> None:
            played = [_whole(play, Scene.at(place, stack, world)) for place in places]
            outcomes = await asyncio.gather(*map(_caught, played))
            if failures := [failure for failure in outcomes if failure]:
                raise ExceptionGroup(f"{len(failures)} of {len(places)} scenes failed", failures)

        test.__name__, test.__doc__ = play.__name__, play.__doc__
        return test

    return decorate


async def _whole(play: Play, scene: Scene) -> None:
    try:
        await play(scene)
        await scene.always()
    finally:
        await scene.close()


async def _caught(played: Awaitable[None]) -> Exception | None:
    try:
        await played
    except Exception as failure:
        return failure
    return None
