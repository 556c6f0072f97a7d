"""A check-in that was left: a reminder at a decent hour, staff see what was answered, and at last it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from staff_site import clinic_for

from carethread.bootstrap import content, programs
from carethread.clinic import Clinic, Clinics
from carethread.config import Settings
from carethread.dialogue.content import Content
from carethread.escalation import pause_for_human
from carethread.messaging.consent import set_consent
from carethread.programs import runs
from carethread.programs.library import Programs
from carethread.programs.reminders import remind
from carethread.questionnaires import Input
from carethread.storage.database import Database
from carethread.storage.models import Conversation, EhrWrite, Outbox, QuestionnaireRun

pytestmark = pytest.mark.server

# Ten in the morning at the clinic.
BEGUN = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)


@dataclass
class Case:
    database: Database
    clinic: Clinic
    programs: Programs
    content: Content
    talk: Conversation
    run: QuestionnaireRun

    async def after(self, ahead: timedelta) -> int:
        return await remind(self.database, self.clinic, self.programs, self.content, now=BEGUN + ahead)

    async def answer(self, *said: str, ahead: timedelta = timedelta()) -> None:
        now = BEGUN + ahead
        async with self.database.begin(self.clinic.id) as session:
            run = await session.get_one(QuestionnaireRun, self.run.id)
            program, form = runs.questionnaire_of(self.programs, run)
            step = runs.opened(program, form, run, language="en", now=now)
            await runs.keep(
                session, self.clinic, program, form, run, step, now=now, inbox_id=None, channel=self.talk.channel
            )
            for number, text in enumerate(said):
                step = runs.take(form, run, Input(text, "en", f"m{number}", now))
                await runs.keep(
                    session, self.clinic, program, form, run, step, now=now, inbox_id=None, channel=self.talk.channel
                )

    async def keys(self) -> list[str | None]:
        async with self.database.begin(self.clinic.id) as session:
            return list((await session.scalars(select(Outbox.content_key).order_by(Outbox.id))).all())

    async def state(self) -> str:
        async with self.database.begin(self.clinic.id) as session:
            return (await session.get_one(QuestionnaireRun, self.run.id)).state


@pytest.fixture(params=["sms"])
async def case(request: pytest.FixtureRequest, database: Database, tenant: str) -> Case:
    settings, clinic = Settings(env="test"), clinic_for(tenant)
    clinics = Clinics({tenant: clinic})
    known = programs(settings, clinics)
    async with database.begin(tenant) as session:
        talk = Conversation(
            channel=request.param, account="+13125550150", address="+13125550198", patient_id="p1",
            last_inbound_at=BEGUN,
        )  # fmt: skip
        session.add(talk)
        await session.flush()
        run = QuestionnaireRun(
            conversation_id=talk.id, program="post_discharge", patient_id="p1", questionnaire="questionnaire.json",
            created_at=BEGUN, look_at=BEGUN + timedelta(hours=24),
        )  # fmt: skip
        session.add(run)
    return Case(database, clinic, known, content(settings, clinics).current, talk, run)


HOURS = timedelta(hours=1)


async def test_a_patient_is_reminded_once_a_day_after_the_last_answer(case: Case) -> None:
    await case.answer("better", ahead=2 * HOURS)
    assert await case.after(25 * HOURS) == 0
    assert await case.after(27 * HOURS) == 1
    assert await case.after(27 * HOURS) == 0
    assert await case.after(60 * HOURS) == 0
    assert await case.keys() == ["utter_checkin_open"]


async def test_nobody_is_reminded_at_night(case: Case) -> None:
    await case.answer("better", ahead=12 * HOURS)
    assert await case.after(37 * HOURS) == 0
    assert await case.after(46 * HOURS) == 1


@pytest.mark.parametrize("case", ["web"], indirect=True)
async def test_nobody_is_called_to_a_web_page(case: Case) -> None:
    assert await case.after(25 * HOURS) == 0


@pytest.mark.parametrize("case", ["whatsapp"], indirect=True)
async def test_on_whatsapp_the_reminder_comes_while_it_still_lets_us_write(case: Case) -> None:
    await case.answer("better")
    assert await case.after(21 * HOURS) == 0
    assert await case.after(23 * HOURS) == 1
    assert await case.keys() == ["utter_checkin_open"]


@pytest.mark.parametrize("case", ["whatsapp"], indirect=True)
async def test_whatsapp_would_refuse_it_after_a_day(case: Case) -> None:
    assert await case.after(25 * HOURS) == 0


async def test_who_said_stop_is_not_reminded(case: Case) -> None:
    async with case.database.begin(case.clinic.id) as session:
        await set_consent(session, "sms", case.talk.address, "opted_out", now=BEGUN, inbox_id=None)
    assert await case.after(25 * HOURS) == 0


async def test_a_reminder_waits_while_a_human_has_the_conversation(case: Case) -> None:
    async with case.database.begin(case.clinic.id) as session:
        await pause_for_human(session, await session.get_one(Conversation, case.talk.id))
    assert await case.after(25 * HOURS) == 0
    async with case.database.begin(case.clinic.id) as session:
        (await session.get_one(Conversation, case.talk.id)).owner = "assistant"
    assert await case.after(25 * HOURS + timedelta(minutes=30)) == 0
    assert await case.after(27 * HOURS) == 1


async def test_one_whose_program_is_gone_waits_and_lets_others_through(case: Case) -> None:
    async with case.database.begin(case.clinic.id) as session:
        session.add(
            QuestionnaireRun(
                conversation_id=case.talk.id, program="gone", patient_id="p1", questionnaire="questionnaire.json",
                created_at=BEGUN, look_at=BEGUN,
            )
        )  # fmt: skip
    assert await case.after(25 * HOURS) == 1
    assert await case.keys() == ["utter_checkin_open"]


async def test_at_last_it_ends_and_what_was_answered_is_kept(case: Case) -> None:
    await case.answer("better", "2")
    assert await case.after(25 * HOURS) == 1
    assert await case.after(95 * HOURS) == 0
    assert await case.after(97 * HOURS) == 1
    assert await case.state() == "lapsed"
    assert await case.after(98 * HOURS) == 0
    async with case.database.begin(case.clinic.id) as session:
        [write] = (await session.scalars(select(EhrWrite))).all()
    resource = write.payload["resource"]
    assert resource["status"] == "stopped"
    assert {item["linkId"] for item in resource["item"]} == {"feeling", "pain"}


async def test_one_that_was_never_begun_ends_without_a_response(case: Case) -> None:
    assert await case.after(97 * HOURS) == 1
    assert await case.state() == "lapsed"
    async with case.database.begin(case.clinic.id) as session:
        assert (await session.scalars(select(EhrWrite))).all() == []


async def test_staff_see_how_far_it_is(case: Case) -> None:
    await case.answer("better", "about a 2", "no")
    async with case.database.begin(case.clinic.id) as session:
        [seen] = await runs.so_far(session, case.programs, case.talk.id, "es")
    assert seen.title == "Seguimiento después de su hospitalización"
    assert (seen.state, seen.done, seen.total) == ("running", 3, 9)
    assert [answer for _, answer in seen.answers] == ["Mejor", "2", "false"]
    assert seen.answers[0][0].startswith("¿Cómo se siente")
