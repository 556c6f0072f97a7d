"""The questionnaire as a web page: a signed link, a date of birth, one question at a time, in the chat's session."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta

import aiohttp
import pytest
from sqlalchemy import select
from staff_site import Answer, TestClock, clinic_for

from carethread.bootstrap import programs
from carethread.channels.page import blueprint
from carethread.clinic import Clinics
from carethread.config import Settings
from carethread.escalation import pause_for_emergency
from carethread.programs.links import LIFETIME, OPEN, Links
from carethread.storage.database import Database
from carethread.storage.models import Conversation, EhrWrite, Escalation, Inbox, QuestionnaireRun
from tests.serving import served

pytestmark = pytest.mark.server

BORN = {"month": "4", "day": "12", "year": "1968"}
# What a patient who is well answers, question by question: the field, and what is sent in it.
WELL = [
    ("choice", "better"), ("words", "2"), ("choice", "false"), ("choice", "false"), ("choice", "no"),
    ("choice", "true"), ("choice", "true"), ("choice", "true"), ("words", "No, thank you"),
]  # fmt: skip


@dataclass
class _Parts:
    settings: Settings
    clinics: Clinics
    database: Database


@dataclass
class Site:
    """The page of one run, and a browser at it."""

    url: str
    database: Database
    tenant: str
    run: QuestionnaireRun
    path: str
    clock: TestClock
    http: aiohttp.ClientSession = field(repr=False)

    async def get(self, asked: str = "") -> Answer:
        return await self._send("GET", self.path + asked)

    async def open(self, asked: str = "", **born: str) -> Answer:
        return await self._send("POST", f"{self.path}/open{asked}", data=born or BORN)

    async def say(self, **form: str) -> Answer:
        """Answer the question that is on the page now."""
        step = re.search(r'name="step" value="([^"]*)"', (await self.get()).text)
        return await self._send("POST", self.path, data={"step": step[1] if step else "", **form})

    async def row(self) -> QuestionnaireRun:
        async with self.database.begin(self.tenant) as session:
            return await session.get_one(QuestionnaireRun, self.run.id)

    async def all(self, kind: type) -> list:
        async with self.database.begin(self.tenant) as session:
            return list((await session.scalars(select(kind).order_by(kind.id))).all())

    async def _send(self, method: str, path: str, **values: object) -> Answer:
        async with self.http.request(method, self.url + path, **values) as response:
            return Answer(response.status, await response.text(), response.headers.copy(), str(response.url))


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield http


@pytest.fixture
async def site(database: Database, tenant: str) -> AsyncIterator[Site]:
    settings, clock, clinics = Settings(env="test"), TestClock(), Clinics({tenant: clinic_for(tenant)})
    links = Links("http://127.0.0.1", "a secret of the test's own, long enough")
    known = programs(settings, clinics)
    async with database.begin(tenant) as session:
        talk = Conversation(channel="sms", account="+13125550150", address="+13125550199", patient_id="p1")
        session.add(talk)
        await session.flush()
        run = QuestionnaireRun(
            conversation_id=talk.id, program="post_discharge", patient_id="p1", questionnaire="questionnaire.json"
        )
        session.add(run)
        await session.flush()
        run.born = links.born(run.id, date(1968, 4, 12))
    path = links.address(tenant, run.id, now=clock()).removeprefix("http://127.0.0.1")
    page = blueprint(_Parts(settings, clinics, database), known, links, clock)
    async with served(page) as (url, _), browser() as http:
        yield Site(url, database, tenant, run, path, clock, http)


async def test_nothing_is_shown_before_the_date_of_birth(site: Site) -> None:
    page = await site.get()
    assert page.status == 200
    assert "date of birth" in page.words
    assert "How are you feeling" not in page.text
    assert (await site.say(choice="better")).status == 200
    assert (await site.row()).state == "waiting"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_a_patient_who_is_well_answers_everything(site: Site) -> None:
    first = await site.open()
    assert "Question 1 of" in first.words
    for field_, said in WELL:
        page = await site.say(**{field_: said})
    assert "Thank you, that is all" in page.words
    row = await site.row()
    assert row.state == "completed"
    [write] = await site.all(EhrWrite)
    answers = {item["linkId"]: item["answer"][0] for item in write.payload["resource"]["item"]}
    assert answers["pain"]["valueInteger"] == 2
    assert answers["fever"]["valueBoolean"] is False
    kept = await site.all(Inbox)
    assert [message.kind for message in kept] == ["page"] * len(WELL)
    assert all(message.done_at is not None for message in kept)
    # What was ticked is one of our own words; what was typed is still to be read for red flags.
    assert [message.text for message in kept if message.screened_at is None] == ["No, thank you"]
    assert "Thank you, that is all" in (await site.get()).words


async def test_an_answer_that_alarms_tells_a_nurse_and_the_patient(site: Site) -> None:
    await site.open()
    for field_, said in [WELL[0], ("words", "9"), *WELL[2:]]:
        page = await site.say(**{field_: said})
    [row] = await site.all(Escalation)
    assert (row.severity, row.rule) == ("urgent", "post_discharge:severe-pain")
    assert "A nurse will contact you" in page.words


async def test_back_skip_later_and_on_from_there(site: Site) -> None:
    await site.open()
    await site.say(choice="better")
    again = await site.say(do="back")
    assert "Question 1 of" in again.words
    await site.say(choice="same")
    later = await site.say(do="later")
    assert "Your answers are saved" in later.words
    assert "Question 2 of" in (await site.get()).words
    assert (await site.row()).state == "running"


async def test_a_page_sent_twice_is_taken_once(site: Site) -> None:
    page = await site.open()
    step = re.search(r'name="step" value="([^"]*)"', page.text)
    assert step
    for _ in range(2):
        page = await site._send("POST", site.path, data={"step": step[1], "choice": "better"})
    assert "Question 2 of" in page.words
    assert len(await site.all(Inbox)) == 1


@pytest.mark.parametrize("said", ["", "-3", "a lot of it hurts, I think"])
async def test_an_answer_that_cannot_be_is_asked_again_with_the_reason(site: Site, said: str) -> None:
    await site.open()
    await site.say(choice="better")
    page = await site.say(words=said)
    assert 'role="alert"' in page.text
    assert "Question 2 of" in page.words


async def test_three_wrong_dates_close_the_page_and_tell_a_human(site: Site) -> None:
    assert "Please give the month" in (await site.open(month="13", day="1", year="1968")).words
    for _ in range(2):
        page = await site.open(month="4", day="13", year="1968")
        assert (page.status, "does not match" in page.words) == (403, True)
    assert "This page is closed" in (await site.open(month="5", day="12", year="1968")).words
    assert "This page is closed" in (await site.open()).words
    [row] = await site.all(Escalation)
    assert (row.reason, row.severity) == ("identity", "soon")


@pytest.mark.parametrize(
    ("ahead", "status"), [(LIFETIME - timedelta(minutes=1), 200), (LIFETIME + timedelta(minutes=1), 410)]
)
async def test_a_link_holds_for_some_days(site: Site, ahead: timedelta, status: int) -> None:
    site.clock.ahead = ahead
    assert (await site.get()).status == status


async def test_a_page_that_lies_open_asks_for_the_date_again(site: Site) -> None:
    await site.open()
    site.clock.ahead = OPEN + timedelta(minutes=1)
    assert "date of birth" in (await site.get()).words


async def test_a_link_that_was_changed_opens_nothing(site: Site) -> None:
    changed = site.path[:-1] + ("A" if site.path[-1] != "A" else "B")
    for path in (changed, site.path.replace(site.tenant, "riverbend"), "/q/x/y", f"/q/{site.tenant}/é"):
        assert (await site._send("GET", path)).status == 404


async def test_in_spanish(site: Site) -> None:
    page = await site.open("?lang=es")
    assert "Pregunta 1 de" in page.words
    assert '<html lang="es">' in page.text
    assert "Guardar y seguir" in page.words


async def test_a_red_flag_meanwhile_shows_the_guidance_and_no_question(site: Site) -> None:
    await site.open()
    async with site.database.begin(site.tenant) as session:
        talk = await session.get_one(Conversation, site.run.conversation_id)
        await pause_for_emergency(session, talk)
    page = await site.get()
    assert "Call 911 now" in page.words
    assert 'href="tel:911"' in page.text
    assert "<form" not in page.text
