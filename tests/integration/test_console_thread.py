"""Working a conversation: take over, answer, hand back, resolve; and what happens when two do it at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from staff_site import StaffSite, Visitor, staff_site, visitor

from carethread.escalation import open_escalation, pause_for_emergency
from carethread.messaging.consent import set_consent
from carethread.storage.database import Database
from carethread.storage.models import Audit, Conversation, Escalation, Outbox

pytestmark = pytest.mark.server


@pytest.fixture
async def site(database: Database, tenant: str) -> AsyncIterator[StaffSite]:
    async with staff_site(database, tenant) as site:
        await site.person("ana", "nurse-line")
        await site.person("sam", "nurse-line")
        yield site


@pytest.fixture
async def ana(site: StaffSite) -> AsyncIterator[Visitor]:
    async with visitor(site) as browser:
        await browser.log_in("ana")
        yield browser


@pytest.fixture
async def sam(site: StaffSite) -> AsyncIterator[Visitor]:
    async with visitor(site) as browser:
        await browser.log_in("sam")
        yield browser


@pytest.fixture
async def talk(site: StaffSite) -> Conversation:
    return await site.conversation()


async def _escalated(site: StaffSite, talk: Conversation, severity: Any = "urgent", **values: Any) -> Escalation:
    async with site.database.begin(site.clinic.id) as session:
        return await open_escalation(
            session, site.clinic,
            **{"key": "k", "reason": "symptoms", "now": site.clock(), **values},
            conversation_id=talk.id, severity=severity,
        )  # fmt: skip


async def _now(site: StaffSite, talk: Conversation) -> tuple[str, object]:
    async with site.database.begin(site.clinic.id) as session:
        row = await session.get_one(Conversation, talk.id)
        return row.owner, row.owner_staff_id


async def _sent(site: StaffSite) -> list[Outbox]:
    async with site.database.begin(site.clinic.id) as session:
        return list(await session.scalars(select(Outbox).where(Outbox.author == "staff").order_by(Outbox.id)))


def _nonce(page: str) -> str:
    return re.search(r'name="nonce" value="([^"]+)"', page)[1]  # type: ignore[index]


async def test_both_sides_are_shown_with_what_became_of_each_message(
    site: StaffSite, ana: Visitor, talk: Conversation
) -> None:
    at = site.clock() - timedelta(minutes=5)
    await site.said(talk, "Hello, I am an automated assistant.", content_key="utter_introduction", at=at)
    row = await site.wrote(talk, "my chest hurts", level="emergency", rule="chest-pain", outcome="red_flag")
    await site.said(talk, "Call 911 now.", content_key="utter_safety_emergency", state="failed", error="no route")
    await site.said(talk, "Never released", state="blocked", error="guard")
    await site.said(
        talk, "From Sam", author="staff", staff_id=site.people["sam"].id, content_key="staff_message", state="read"
    )
    await _escalated(
        site, talk, "emergency", reason="emergency", inbox_id=row.id, details={"span": [3, 14]}, rule="chest-pain",
        source="MedlinePlus",
    )  # fmt: skip
    page = await ana.get(f"conversations/{talk.id}")
    order = ["Hello, I am", "Emergency words (chest-pain)", "Call 911 now.", "Never released", "From Sam"]
    places = [page.words.index(piece) for piece in order]
    assert places == sorted(places)
    for said in ("Not delivered: no route", "Not sent: guard", "Read", "MedlinePlus", "Identity not proven"):
        assert said in page.words
    assert page.text.count("my <mark>chest hurts</mark>") == 2  # in the thread and on the item
    assert 'title="utter_introduction"' in page.text
    assert re.search(r"<b>sam</b>\s*<time", page.text)
    local = at.astimezone(site.clinic.zone)
    assert f"Assistant {local.hour % 12 or 12}:{local.minute:02}" in page.words


async def test_who_has_proven_their_name_is_called_by_it_without_any_item(site: StaffSite, ana: Visitor) -> None:
    talk = await site.conversation(patient_id="p1", patient_name="Ruth Example", verified_at=site.clock())
    assert "Ruth Example" in (await ana.get(f"conversations/{talk.id}")).words


async def test_take_over_answer_hand_back(site: StaffSite, ana: Visitor, talk: Conversation) -> None:
    row = await _escalated(site, talk)
    page = await ana.get(f"conversations/{talk.id}")
    assert 'id="reply"' not in page.text
    answer = await ana.post(f"conversations/{talk.id}/take-over")
    assert answer.status == 303
    assert await _now(site, talk) == ("human", site.people["ana"].id)
    async with site.database.begin(site.clinic.id) as session:
        assert (await session.get_one(Escalation, row.id)).owner_id == site.people["ana"].id
    page = await ana.get(answer.headers["Location"])
    assert "You have this conversation. The assistant says nothing until you hand it back." in page.words
    form = {"text": "Hello,\r\nthis is Ana.\x00 ", "nonce": _nonce(page.text)}
    assert (await ana.post(f"conversations/{talk.id}/reply", **form)).status == 303
    (message,) = await _sent(site)
    assert (message.text, message.state, message.author) == ("Hello,\nthis is Ana.", "queued", "staff")
    assert (message.content_key, message.staff_id) == ("staff_message", site.people["ana"].id)
    async with site.database.begin(site.clinic.id) as session:
        jobs = await session.execute(text("select entrypoint, payload from jobs.pgqueuer"))
        assert ("outbound", f'["{site.clinic.id}", "{talk.id}"]'.encode()) in [tuple(job) for job in jobs]
    assert (await ana.post(f"conversations/{talk.id}/hand-back")).status == 303
    assert await _now(site, talk) == ("assistant", None)
    async with site.database.begin(site.clinic.id) as session:
        trail = list(await session.scalars(select(Audit.action).order_by(Audit.id)))
    assert [action for action in trail if action not in ("login", "conversation.view")] == [
        "conversation.take_over",
        "escalation.take",
        "conversation.reply",
        "conversation.hand_back",
    ]


async def test_the_same_form_twice_is_one_message_and_a_changed_one_another(
    site: StaffSite, ana: Visitor, talk: Conversation
) -> None:
    await ana.post(f"conversations/{talk.id}/take-over")
    nonce = _nonce((await ana.get(f"conversations/{talk.id}")).text)
    path = f"conversations/{talk.id}/reply"
    answers = await asyncio.gather(*(ana.post(path, text="Once", nonce=nonce) for _ in range(3)))
    assert [answer.status for answer in answers] == [303] * 3
    await ana.post(path, text="Once, with more", nonce=nonce)  # went back, changed it, sent again
    await ana.post(path, text="Once", nonce=_nonce((await ana.get(f"conversations/{talk.id}")).text))
    assert [message.text for message in await _sent(site)] == ["Once", "Once, with more", "Once"]
    assert (await ana.post(path, text="No nonce")).status == 403


async def test_of_two_nurses_one_takes_over_and_the_other_reads_who(
    site: StaffSite, ana: Visitor, sam: Visitor, talk: Conversation
) -> None:
    path = f"conversations/{talk.id}/take-over"
    tokens = [(await browser.get()).token() for browser in (ana, sam)]
    answers = await asyncio.gather(*(b.post(path, csrf=token) for b, token in zip((ana, sam), tokens, strict=True)))
    assert sorted(answer.status for answer in answers) == [303, 409]
    winner = ("ana", "sam")[[answer.status for answer in answers].index(303)]
    loser = next(answer for answer in answers if answer.status == 409)
    assert f"{winner} has this conversation." in loser.words
    assert await _now(site, talk) == ("human", site.people[winner].id)


async def test_of_two_nurses_one_takes_the_item(
    site: StaffSite, ana: Visitor, sam: Visitor, talk: Conversation
) -> None:
    row = await _escalated(site, talk)
    path = f"escalations/{row.id}/take"
    tokens = [(await browser.get()).token() for browser in (ana, sam)]
    answers = await asyncio.gather(*(b.post(path, csrf=token) for b, token in zip((ana, sam), tokens, strict=True)))
    assert sorted(answer.status for answer in answers) == [303, 409]
    loser = next(answer for answer in answers if answer.status == 409)
    assert re.search(r"(ana|sam) took this item at \d+:\d\d [ap]m", loser.words)


async def test_who_does_not_have_it_cannot_write(
    site: StaffSite, ana: Visitor, sam: Visitor, talk: Conversation
) -> None:
    path = f"conversations/{talk.id}/reply"
    early = await sam.post(path, text="Too early", nonce="n1")
    assert early.status == 409
    assert "Take over first; your text is kept below." in early.words
    assert ">Too early</textarea>" in early.text
    await ana.post(f"conversations/{talk.id}/take-over")
    late = await sam.post(path, text="Not mine", nonce="n2")
    assert (late.status, "ana has this conversation." in late.words) == (409, True)
    assert ">Not mine</textarea>" in late.text
    assert (await sam.post(f"conversations/{talk.id}/hand-back")).status == 409
    assert await _sent(site) == []
    page = await sam.get(f"conversations/{talk.id}")
    holder = re.search(r'name="instead_of" value="([^"]+)"', page.text)[1]  # type: ignore[index]
    assert (await sam.post(f"conversations/{talk.id}/take-over", instead_of=holder)).status == 303
    assert await _now(site, talk) == ("human", site.people["sam"].id)


@pytest.mark.parametrize("token", ["", "x" * 32])
async def test_a_form_without_the_sessions_token_does_nothing(
    site: StaffSite, ana: Visitor, talk: Conversation, token: str
) -> None:
    row = await _escalated(site, talk)
    for path in (
        f"conversations/{talk.id}/take-over",
        f"conversations/{talk.id}/hand-back",
        f"conversations/{talk.id}/reply",
        f"escalations/{row.id}/take",
        f"escalations/{row.id}/release",
        f"escalations/{row.id}/resolve",
        "logout",
    ):
        answer = await ana.post(path, csrf=token or "-", text="x", nonce="n", resolution="x")
        assert answer.status == 403, path
        assert "That was not done" in answer.words
    assert await _now(site, talk) == ("assistant", None)
    assert "Inbox" in (await ana.get()).words  # still logged in


async def test_the_token_of_a_colleagues_session_is_no_token(
    site: StaffSite, ana: Visitor, sam: Visitor, talk: Conversation
) -> None:
    token = (await sam.get()).token()
    assert (await ana.post(f"conversations/{talk.id}/take-over", csrf=token)).status == 403


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("  \r\n ", 400, "Nothing was sent: the reply was empty."),
        ("x" * 1601, 400, "it has 1601 characters, and SMS takes 1600"),
        ("x" * 1600, 303, ""),
        ("é" * 800 + "🙂" * 800, 303, ""),
    ],
)
async def test_a_reply_has_the_length_the_channel_takes(
    site: StaffSite, ana: Visitor, talk: Conversation, words: str, status: int, says: str
) -> None:
    await ana.post(f"conversations/{talk.id}/take-over")
    answer = await ana.post(f"conversations/{talk.id}/reply", text=words, nonce="n")
    assert answer.status == status
    assert says in answer.words
    if status == 400 and words.strip():
        assert words in answer.text


async def test_who_said_stop_is_not_written_to(site: StaffSite, ana: Visitor, talk: Conversation) -> None:
    await ana.post(f"conversations/{talk.id}/take-over")
    async with site.database.begin(site.clinic.id) as session:
        await set_consent(session, "sms", talk.address, "opted_out", now=site.clock(), inbox_id=None)
    page = await ana.get(f"conversations/{talk.id}")
    assert "This patient said STOP on SMS." in page.words
    answer = await ana.post(f"conversations/{talk.id}/reply", text="Hello", nonce="n")
    assert (answer.status, "this patient said STOP. Call them instead." in answer.words) == (409, True)
    assert await _sent(site) == []
    async with site.database.begin(site.clinic.id) as session:
        await set_consent(session, "sms", talk.address, "opted_in", now=site.clock(), inbox_id=None)
    assert (await ana.post(f"conversations/{talk.id}/reply", text="Hello", nonce="n")).status == 303


async def test_resolving_needs_a_note_and_may_hand_back(site: StaffSite, ana: Visitor, talk: Conversation) -> None:
    row = await _escalated(site, talk, "emergency", reason="emergency")
    async with site.database.begin(site.clinic.id) as session:
        await pause_for_emergency(session, await session.get_one(Conversation, talk.id))
    await ana.post(f"conversations/{talk.id}/take-over")
    path = f"escalations/{row.id}/resolve"
    empty = await ana.post(path, resolution="  ")
    assert (empty.status, "The item is still open" in empty.words) == (400, True)
    done = await ana.post(path, resolution="Called 911 with her; her son is there.", hand_back="yes")
    assert done.status == 303
    assert await _now(site, talk) == ("assistant", None)
    page = await ana.get(f"conversations/{talk.id}")
    assert "No open items." in page.words
    assert "Called 911 with her; her son is there." in page.words
    again = await ana.post(path, resolution="Another")
    assert (again.status, "ana resolved this item at" in again.words) == (409, True)


async def test_resolving_and_handing_back_is_both_or_neither(
    site: StaffSite, ana: Visitor, sam: Visitor, talk: Conversation
) -> None:
    row = await _escalated(site, talk)
    await sam.post(f"conversations/{talk.id}/take-over")
    page = await sam.get(f"conversations/{talk.id}")
    assert "Put back" in page.words
    await sam.post(f"escalations/{row.id}/release")
    # Ana resolves the item and asks for a hand-back of a conversation that Sam has.
    answer = await ana.post(f"escalations/{row.id}/resolve", resolution="Done", hand_back="yes")
    assert (answer.status, "sam has this conversation." in answer.words) == (409, True)
    async with site.database.begin(site.clinic.id) as session:
        assert (await session.get_one(Escalation, row.id)).state == "open"


async def test_a_patient_whom_nobody_answers_stands_out(site: StaffSite, ana: Visitor, talk: Conversation) -> None:
    row = await _escalated(site, talk, "emergency", reason="emergency")
    async with site.database.begin(site.clinic.id) as session:
        await pause_for_emergency(session, await session.get_one(Conversation, talk.id))
    await ana.post(f"escalations/{row.id}/resolve", resolution="Wrong number")
    page = await ana.get(f"conversations/{talk.id}")
    assert "Nobody answers this patient. A red flag paused the assistant" in page.words
    assert "Hand back to the assistant" in page.words


async def test_whatsapp_beyond_its_window_is_warned_of(site: StaffSite, ana: Visitor) -> None:
    talk = await site.conversation(channel="whatsapp", account="+13125550151")
    await site.wrote(talk, "hola", at=site.clock() - timedelta(hours=23))
    await ana.post(f"conversations/{talk.id}/take-over")
    warning = "WhatsApp delivers free text only within 24 hours"
    assert warning not in (await ana.get(f"conversations/{talk.id}")).words
    await site.wrote(talk, "hola", at=site.clock() - timedelta(hours=25))
    assert warning in (await ana.get(f"conversations/{talk.id}")).words


async def test_a_long_thread_shows_its_end_and_the_rest_on_request(
    site: StaffSite, ana: Visitor, talk: Conversation
) -> None:
    for number in range(201):
        await site.said(talk, f"message {number}.", at=site.clock() - timedelta(minutes=300 - number))
    page = await ana.get(f"conversations/{talk.id}")
    assert ("message 0." in page.words, "message 1." in page.words, "message 200." in page.words) == (
        False,
        True,
        True,
    )
    whole = await ana.get(f"conversations/{talk.id}?whole=yes")
    assert "message 0." in whole.words


async def test_reading_a_thread_is_in_the_trail_and_refreshing_is_not(
    site: StaffSite, ana: Visitor, talk: Conversation
) -> None:
    await ana.get(f"conversations/{talk.id}")
    await ana.get(f"conversations/{talk.id}", headers={"X-Background": "1"})
    async with site.database.begin(site.clinic.id) as session:
        trail = (await session.scalars(select(Audit).where(Audit.action == "conversation.view"))).all()
    assert [(row.actor, row.subject) for row in trail] == [
        (f"staff:{site.people['ana'].id}", f"conversation:{talk.id}")
    ]


async def test_the_trail_holds_nothing_that_was_said(site: StaffSite, ana: Visitor, talk: Conversation) -> None:
    row = await _escalated(site, talk, details={"name": "Ines Ortega"})
    await ana.post(f"conversations/{talk.id}/take-over")
    await ana.post(f"conversations/{talk.id}/reply", text="quince words", nonce="n")
    await ana.post(f"escalations/{row.id}/resolve", resolution="quince note")
    async with site.database.begin(site.clinic.id) as session:
        trail = (await session.execute(text("select string_agg(audit::text, ' ') from audit"))).scalar_one()
    for said in ("quince", "Ines", talk.address):
        assert said not in trail
