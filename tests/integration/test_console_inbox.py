"""The inbox and the conversations: what a nurse sees first, and what another clinic never sees."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from staff_site import StaffSite, Visitor, staff_site, visitor

from carethread.escalation import climb_overdue, open_escalation, pause_for_human, resolve, take
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Escalation

pytestmark = pytest.mark.server


@pytest.fixture
async def site(database: Database, tenant: str) -> AsyncIterator[StaffSite]:
    async with staff_site(database, tenant) as site:
        await site.person("ana", "nurse-line")
        await site.person("sam", "front-desk")
        yield site


@pytest.fixture
async def browser(site: StaffSite) -> AsyncIterator[Visitor]:
    async with visitor(site) as browser:
        await browser.log_in("ana")
        yield browser


async def _open(site: StaffSite, conversation: Conversation, severity: Any, reason: str, **values: Any) -> Escalation:
    async with site.database.begin(site.clinic.id) as session:
        return await open_escalation(
            session, site.clinic,
            **{"key": f"{conversation.id}:{reason}", "now": site.clock(), **values},
            conversation_id=conversation.id, severity=severity, reason=reason,
        )  # fmt: skip


def _reasons(text: str) -> list[str]:
    return re.findall(r'<h2><a id="open-[^>]+>([^<]+)</a>', text)


async def test_the_most_serious_comes_first_then_the_nearest_deadline(site: StaffSite, browser: Visitor) -> None:
    past = site.clock() - timedelta(minutes=10)
    for severity, reason, opened in (
        ("routine", "symptoms", site.clock()),
        ("soon", "clinical_question", site.clock()),
        ("soon", "crisis", past),
        ("emergency", "emergency", site.clock()),
        ("urgent", "waiting", site.clock()),
    ):
        await _open(site, await site.conversation(), severity, reason, now=opened)
    page = await browser.get()
    assert _reasons(page.text) == [
        "Possible emergency",
        "Waiting for an answer from staff",
        "Possible crisis or self-harm",
        "Clinical question",
        "Symptoms to look at",
    ]
    assert "5 items wait for somebody in your teams" in page.words
    assert "(5) Inbox" in page.text


async def test_a_line_says_who_what_how_and_by_when(site: StaffSite, browser: Visitor) -> None:
    conversation = await site.conversation(
        channel="whatsapp", account="+13125550151", address="+13125550102", language="es"
    )
    text = "me duele mucho <el pecho>"
    row = await site.wrote(conversation, text)
    await _open(
        site, conversation, "urgent", "symptoms",
        inbox_id=row.id, details={"name": "Inés Ortega", "span": [9, 25]}, now=site.clock() - timedelta(minutes=3),
    )  # fmt: skip
    page = await browser.get()
    line = page.text[page.text.index('<ol class="items">') :]
    for said in ("Urgent", "12 min left", "Nurse line", "Nobody yet", "Inés Ortega", "WhatsApp …0102", "Spanish"):
        assert said in line
    assert "me duele <mark>mucho &lt;el pecho&gt;</mark>" in line
    assert "+13125550102" not in page.text


async def test_what_nobody_took_says_so(site: StaffSite, browser: Visitor) -> None:
    await _open(site, await site.conversation(), "routine", "billing", now=site.clock() - timedelta(hours=9))
    assert "1 h" not in (await browser.get()).words
    async with site.database.begin(site.clinic.id) as session:
        await climb_overdue(session, site.clinic, site.clock())
    words = (await browser.get()).words  # billing is the front desk's; what climbed is everybody's
    assert "Soon Missed its deadline, was routine" in words
    assert re.search(r"(1 h 0 min|59 min) left", words)
    site.clock.ahead = timedelta(minutes=58)
    assert "2 min left" in (await browser.get(headers={"X-Background": "1"})).words
    site.clock.ahead = timedelta(minutes=65)


async def test_views_are_my_teams_mine_all_and_resolved(site: StaffSite, browser: Visitor) -> None:
    mine = await _open(site, await site.conversation(), "soon", "symptoms")
    await _open(site, await site.conversation(), "soon", "billing")
    done = await _open(site, await site.conversation(), "soon", "complaint")
    async with site.database.begin(site.clinic.id) as session:
        await take(session, site.clinic, mine.id, site.people["ana"], site.clock())
        await resolve(session, site.clinic, done.id, site.people["sam"], site.clock(), "Said sorry & sent a form")
    assert _reasons((await browser.get()).text) == ["Symptoms to look at"]
    assert _reasons((await browser.get("?view=mine")).text) == ["Symptoms to look at"]
    assert _reasons((await browser.get("?view=all")).text) == ["Billing question", "Symptoms to look at"]
    closed = await browser.get("?view=resolved")
    assert _reasons(closed.text) == ["Complaint"]
    assert "Said sorry & sent a form" in closed.words
    assert re.search(r"My teams 1 .*Mine 1 .*All teams 2 ", closed.words)
    assert _reasons((await browser.get("?view=nonsense")).text) == ["Symptoms to look at"]


async def test_conversations_show_first_who_waits_in_silence(site: StaffSite, browser: Visitor) -> None:
    quiet = await site.conversation(address="+13125550141")
    await site.wrote(quiet, "thank you")
    paused = await site.conversation(address="+13125550142")
    await site.wrote(paused, "anybody there?", at=site.clock() - timedelta(hours=3), outcome="to_human")
    async with site.database.begin(site.clinic.id) as session:
        await pause_for_human(session, await session.get_one(Conversation, paused.id))
    listed = await site.conversation(address="+13125550143")
    await _open(site, listed, "soon", "symptoms")
    words = (await browser.get("conversations")).words
    assert words.index("anybody there?") < words.index("thank you")
    assert "Waiting for an answer “anybody there?”" in words
    assert "0143" not in words


async def test_another_clinic_sees_nothing_and_reaches_nothing(database: Database, tenant: str) -> None:
    other = f"{tenant}x"
    async with staff_site(database, tenant, other) as site, visitor(site) as browser:
        await site.person("ana")
        conversation = await site.conversation()
        await site.wrote(conversation, "secret words")
        row = await _open(site, conversation, "soon", "symptoms")
        neighbour = StaffSite(site.url, database, site.clinic.model_copy(update={"id": other}), site.clock)
        await neighbour.person("eve")
        async with visitor(neighbour) as eve:
            await eve.log_in("eve")
            assert "Nothing waits here" in (await eve.get("?view=all")).words
            assert "No conversations yet" in (await eve.get("conversations")).words
            missing = await eve.get(f"conversations/{conversation.id}")
            assert (missing.status, "secret" in missing.text) == (404, False)
            for path in (
                f"conversations/{conversation.id}/take-over",
                f"conversations/{conversation.id}/hand-back",
                f"conversations/{conversation.id}/reply",
                f"escalations/{row.id}/take",
                f"escalations/{row.id}/release",
                f"escalations/{row.id}/resolve",
            ):
                answer = await eve.post(path, text="hello", resolution="done", nonce="n1")
                assert answer.status == 404, path
            # Her login is no login at the clinic next door, whatever address she types.
            token = (await eve.get()).token()
            cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in eve.http.cookie_jar)
            async with visitor(site) as bare:
                page = await bare.get(headers={"Cookie": cookies})
                assert page.url.split("?")[0].endswith(f"/staff/{tenant}/login")
                answer = await bare.post(f"escalations/{row.id}/take", csrf=token)
                assert answer.headers["Location"].endswith(f"/staff/{tenant}/login")
        async with database.begin(tenant) as session:
            assert (await session.get_one(Escalation, row.id)).state == "open"
            assert (await session.get_one(Conversation, conversation.id)).owner == "assistant"
        await browser.log_in("ana")
        assert _reasons((await browser.get("?view=all")).text) == ["Symptoms to look at"]


@pytest.mark.parametrize("text", ['a & b\'s "x"', "<script>alert(1)</script>", "{{ 777*777 }}", "'; drop table staff"])
async def test_what_patients_write_is_only_ever_text(site: StaffSite, browser: Visitor, text: str) -> None:
    conversation = await site.conversation(address="web<i>x</i>", channel="web", account="riverbend-web")
    row = await site.wrote(conversation, text)
    await _open(
        site, conversation, "soon", "symptoms", inbox_id=row.id,
        details={"name": f"N {text}", "summary": f"S {text}", f"k{text}": text, "span": [0, 3]}, rule=text, source=text,
    )  # fmt: skip
    for path in ("", "conversations", f"conversations/{conversation.id}"):
        page = await browser.get(path)
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "<i>x" not in page.text
        assert "603729" not in page.text


async def test_a_page_hears_of_a_change(site: StaffSite, browser: Visitor) -> None:
    conversation = await site.conversation()
    async with browser.http.get(site.home + "events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Content-Security-Policy"]

        async def heard() -> str:
            lines = []
            while line := (await asyncio.wait_for(stream.content.readline(), 5)).strip():
                lines.append(line.decode())
            return "\n".join(lines)

        assert "event: change" in await heard()
        # Changes of one moment are told once.
        for number in range(3):
            await _open(site, conversation, "soon", "symptoms", key=f"k{number}")
        assert await heard() == "event: change\ndata:"


async def test_a_fault_is_a_page_that_says_what_to_do(
    site: StaffSite, browser: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await browser.get()).token()

    async def broken(*_args: object, **_values: object) -> None:
        raise RuntimeError("quince")

    monkeypatch.setattr("carethread.console.pages.unresolved", broken)
    page = await browser.get()
    assert (page.status, "Something went wrong" in page.words, "quince" in page.text) == (500, True, False)
    assert page.headers["Content-Security-Policy"]
    monkeypatch.setattr("carethread.console.deeds.take_over", broken)
    conversation = await site.conversation()
    answer = await browser.post(f"conversations/{conversation.id}/take-over", csrf=token)
    assert (answer.status, "It may not have been done" in answer.words) == (500, True)


async def test_who_is_logged_out_hears_nothing(site: StaffSite) -> None:
    async with visitor(site) as nobody:
        assert (await nobody.get("events", headers={"Accept": "text/event-stream"})).status == 401


async def test_an_open_page_does_not_keep_the_server_from_stopping(database: Database, tenant: str) -> None:
    loop = asyncio.get_running_loop()
    async with staff_site(database, tenant) as site, visitor(site) as browser:
        await site.person("ana")
        await browser.log_in("ana")
        stream = await browser.http.get(site.home + "events")
        await stream.content.readline()
        before = loop.time()
        await site.stop()
        while await asyncio.wait_for(stream.content.readline(), 5):
            pass
        assert loop.time() - before < 2
        stream.close()
