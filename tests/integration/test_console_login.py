"""Staff logins: who gets in, who is kept out, and for how long."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update
from staff_site import PASSWORD, StaffSite, Visitor, clinic_for, staff_site, visitor

from carethread.config import Settings
from carethread.console import StaffRefused, create_staff, ensure_demo_staff
from carethread.console.people import DEMO_PASSWORD
from carethread.storage.database import Database
from carethread.storage.models import Audit, Staff, StaffSession

pytestmark = pytest.mark.server


@pytest.fixture
async def site(database: Database, tenant: str) -> AsyncIterator[StaffSite]:
    async with staff_site(database, tenant) as site:
        await site.person("ana", "nurse-line")
        yield site


@pytest.fixture
async def browser(site: StaffSite) -> AsyncIterator[Visitor]:
    async with visitor(site) as browser:
        yield browser


async def test_who_knows_the_password_sees_the_inbox(site: StaffSite, browser: Visitor) -> None:
    door = await browser.get()
    assert door.url.endswith(f"/staff/{site.clinic.id}/login?next=/staff/{site.clinic.id}/")
    answer = await browser.log_in(" ANA@example.test ")
    assert (answer.status, answer.headers["Location"]) == (303, f"/staff/{site.clinic.id}/")
    page = await browser.get()
    assert "Inbox" in page.words
    assert "ana" in page.words


async def test_the_session_is_a_row_and_its_cookie_is_for_the_server_only(site: StaffSite, browser: Visitor) -> None:
    answer = await browser.log_in("ana")
    cookie = next(value for value in answer.headers.getall("Set-Cookie") if value.startswith("carethread_staff="))
    token = re.match(r"carethread_staff=([^;]+)", cookie)[1]  # type: ignore[index]
    assert {"HttpOnly", "SameSite=Lax", f"Path=/staff/{site.clinic.id}", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    async with site.database.begin(site.clinic.id) as session:
        row = (await session.scalars(select(StaffSession))).one()
    assert token not in (row.token_hash, row.csrf)
    assert len(row.token_hash) == 64


async def test_over_https_the_cookie_never_travels_in_the_clear(database: Database, tenant: str) -> None:
    settings = Settings(env="test", public_url="https://carethread.example")
    async with staff_site(database, tenant, settings=settings) as site, visitor(site) as browser:
        await site.person("ana")
        page = await browser.get("login")
        assert "Secure" in page.headers["Set-Cookie"]
        assert page.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    ("email", "password"),
    [("ana@example.test", "wrong"), ("nobody@example.test", PASSWORD), ("", ""), ("ana@example.test", "x" * 5000)],
)
async def test_everybody_else_reads_the_same(browser: Visitor, email: str, password: str) -> None:
    answer = await browser.log_in("ana", password, email=email)
    assert answer.status == 401
    assert "That email and password do not match, or there were too many tries." in answer.words
    assert (await browser.get()).url.split("?")[0].endswith("/login")


async def test_five_wrong_passwords_lock_the_account_for_a_while(site: StaffSite, browser: Visitor) -> None:
    for _ in range(5):
        assert (await browser.log_in("ana", "wrong")).status == 401
    locked = await browser.log_in("ana")
    wrong = await browser.log_in("ana", "wrong")
    assert locked.status == 401
    assert locked.words == wrong.words  # a guesser does not learn which one was right
    site.clock.ahead = timedelta(seconds=61)
    assert (await browser.log_in("ana")).status == 303
    async with site.database.begin(site.clinic.id) as session:
        row = (await session.scalars(select(Staff))).one()
    assert (row.failed_logins, row.locked_until) == (0, None)


async def test_the_lock_grows_and_holds_against_many_tries_at_once(site: StaffSite, browser: Visitor) -> None:
    async with site.database.begin(site.clinic.id) as session:
        await session.execute(update(Staff).values(failed_logins=7))
    answers = await asyncio.gather(*(browser.log_in("ana", f"guess {number}") for number in range(6)))
    assert {answer.status for answer in answers} == {401}
    async with site.database.begin(site.clinic.id) as session:
        row = (await session.scalars(select(Staff))).one()
        tries = (await session.scalars(select(Audit).where(Audit.action == "login.failed"))).all()
    assert row.failed_logins == 8  # one was looked at, the rest met the lock
    assert len(tries) == 1
    assert row.locked_until is not None
    assert timedelta(minutes=14) < row.locked_until - site.clock() <= timedelta(minutes=15)


async def test_every_refusal_costs_one_hash(site: StaffSite, browser: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash takes nearly all of a login's time, so its time tells nothing either."""
    looked: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, password_hash: str, password: str) -> bool:
        looked.append(password)
        return verify(self, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    await browser.log_in("ana", "a wrong password")
    await browser.log_in("nobody", "an unknown address")
    async with site.database.begin(site.clinic.id) as session:
        await session.execute(update(Staff).values(locked_until=site.clock() + timedelta(hours=1)))
    await browser.log_in("ana", "a locked account")
    assert looked == ["a wrong password", "an unknown address", "a locked account"]


async def test_a_session_ends_when_nobody_uses_it(site: StaffSite, browser: Visitor) -> None:
    await browser.log_in("ana")
    site.clock.ahead = timedelta(minutes=50)
    assert (await browser.get()).status == 200
    site.clock.ahead = timedelta(minutes=100)  # an hour from the last use, not from the login
    assert "Inbox" in (await browser.get()).words
    for minutes in (130, 155):
        site.clock.ahead = timedelta(minutes=minutes)  # a page that refreshes itself is nobody's use
        assert (await browser.get(headers={"X-Background": "1"})).status == 200
    site.clock.ahead = timedelta(minutes=161)
    assert (await browser.get(headers={"X-Background": "1"})).status == 401
    assert (await browser.get()).url.split("?")[0].endswith("/login")


async def test_a_session_ends_after_a_shift_however_busy(site: StaffSite, browser: Visitor) -> None:
    await browser.log_in("ana")
    for half_hours in range(1, 24):
        site.clock.ahead = timedelta(minutes=30 * half_hours)
        assert "Inbox" in (await browser.get()).words
    site.clock.ahead = timedelta(hours=12, seconds=5)
    assert (await browser.get()).url.split("?")[0].endswith("/login")


async def test_logging_out_ends_it_on_the_server(site: StaffSite, browser: Visitor) -> None:
    answer = await browser.log_in("ana")
    cookie = next(value for value in answer.headers.getall("Set-Cookie") if value.startswith("carethread_staff="))
    stolen = {"Cookie": cookie.split(";")[0]}
    assert (await browser.post("logout")).headers["Location"].endswith("/login")
    async with visitor(site) as thief:
        assert (await thief.get(headers=stolen)).url.split("?")[0].endswith("/login")


async def test_who_left_the_clinic_is_out_at_once(site: StaffSite, browser: Visitor) -> None:
    await browser.log_in("ana")
    async with site.database.begin(site.clinic.id) as session:
        await session.execute(update(Staff).values(active=False))
    assert (await browser.get()).url.split("?")[0].endswith("/login")
    assert (await browser.log_in("ana")).status == 401


async def test_a_login_form_from_elsewhere_is_refused(site: StaffSite, browser: Visitor) -> None:
    page = await browser.get("login")
    for token in ("", "0" * 64):
        data = {"csrf": token, "email": "ana@example.test", "password": PASSWORD}
        assert (await browser._send("POST", "login", data=data, allow_redirects=False)).status == 403
    async with visitor(site) as other:  # the token of somebody else's browser
        data = {"csrf": page.token(), "email": "ana@example.test", "password": PASSWORD}
        assert (await other._send("POST", "login", data=data, allow_redirects=False)).status == 403


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example/", "/staff/other/", "/staff/{home}/..//evil.example", "/\\evil.example"],
)
async def test_the_login_never_leads_elsewhere(site: StaffSite, browser: Visitor, wanted: str) -> None:
    answer = await browser.log_in("ana", next=wanted.format(home=site.clinic.id))
    assert answer.headers["Location"] == f"/staff/{site.clinic.id}/"


async def test_the_login_leads_to_the_page_that_was_asked_for(site: StaffSite, browser: Visitor) -> None:
    conversation = await site.conversation()
    door = await browser.get(f"conversations/{conversation.id}")
    wanted = re.search(r'name="next" value="([^"]+)"', door.text)[1]  # type: ignore[index]
    answer = await browser.log_in("ana", next=wanted)
    assert answer.headers["Location"] == f"/staff/{site.clinic.id}/conversations/{conversation.id}"


async def test_every_page_is_kept_to_itself(browser: Visitor) -> None:
    await browser.log_in("ana")
    for path in ("", "login", "conversations", "conversations/00000000-0000-0000-0000-000000000000"):
        answer = await browser.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert (answer.headers["X-Frame-Options"], answer.headers["Cache-Control"]) == ("DENY", "no-store")
        assert not re.search(r"<script(?! src)|\son[a-z]+=|\sstyle=", answer.text)
    style = await browser.get("/staff/_static/console.css")
    assert style.status == 200
    assert "max-age" in style.headers["Cache-Control"]
    assert style.headers["X-Content-Type-Options"] == "nosniff"


async def test_one_clinic_is_gone_to_and_several_are_listed(database: Database, tenant: str) -> None:
    async with staff_site(database, tenant) as site, visitor(site) as browser:
        assert (await browser.get("/staff/")).url.split("?")[0].endswith(f"/staff/{tenant}/login")
    async with staff_site(database, tenant, tenant + "x") as site, visitor(site) as browser:
        page = await browser.get("/staff/")
        assert f'href="/staff/{tenant}/login"' in page.text
        assert f'href="/staff/{tenant}x/login"' in page.text
        assert (await browser.get("/staff/nowhere/")).status == 404


async def test_the_demos_nurses_are_made_once_and_shown_in_the_demo_only(database: Database, tenant: str) -> None:
    clinic = clinic_for(tenant)
    await asyncio.gather(*(ensure_demo_staff(database, clinic, env="demo") for _ in range(2)))
    async with database.begin(tenant) as session:
        people = (await session.scalars(select(Staff))).all()
    assert len(people) == 2
    assert all(set(row.teams) <= set(clinic.teams) and row.teams for row in people)
    for env, shown in (("demo", True), ("test", False)):
        async with staff_site(database, tenant, settings=Settings(env=env)) as site, visitor(site) as browser:  # type: ignore[arg-type]
            page = await browser.get("login")
            assert (DEMO_PASSWORD in page.words) is shown
            assert (await browser.log_in(people[0].email, DEMO_PASSWORD)).status == 303


async def test_the_demos_password_opens_nothing_in_production(database: Database, tenant: str) -> None:
    with pytest.raises(StaffRefused, match="public password"):
        await ensure_demo_staff(database, clinic_for(tenant), env="production")
    await ensure_demo_staff(database, clinic_for(tenant), env="demo")
    settings = Settings(
        env="production",
        engine_token="e" * 32,
        session_secret="s" * 32,
        database_url="postgresql://elsewhere/carethread",
        public_url="https://carethread.example",
    )
    async with staff_site(database, tenant, settings=settings) as site, visitor(site) as browser:
        page = await browser.get("login")
        assert DEMO_PASSWORD not in page.text
        # The cookie is Secure, so a plain-http client has to carry it by hand.
        cookie = page.headers["Set-Cookie"].split(";")[0]
        data = {"csrf": page.token(), "email": f"ana@{tenant}.example", "password": DEMO_PASSWORD}
        answer = await browser._send("POST", "login", data=data, headers={"Cookie": cookie}, allow_redirects=False)
        assert answer.status == 401


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"email": "ana"}, "not an email address"),
        ({"password": "short"}, "12 or more are needed"),
        ({"name": " "}, "the name is empty"),
        ({"teams": ["woundcare"]}, r"team 'woundcare' is not in .*clinic.yml \(teams: care-coordination, "),
    ],
)
async def test_a_person_who_cannot_be_added_is_refused_with_the_mend(
    database: Database, tenant: str, change: dict[str, object], says: str
) -> None:
    values = {"email": "bo@example.test", "name": "Bo", "password": PASSWORD, "teams": ["nurse-line"], **change}
    with pytest.raises(StaffRefused, match=says):
        await create_staff(database, clinic_for(tenant), **values)  # type: ignore[arg-type]


async def test_an_address_logs_in_once_at_a_clinic(database: Database, tenant: str) -> None:
    clinic = clinic_for(tenant)
    await create_staff(database, clinic, email="Bo@example.test ", name="Bo", password=PASSWORD)
    with pytest.raises(StaffRefused, match=r"can log in at .* already"):
        await create_staff(database, clinic, email="bo@example.test", name="Bo", password=PASSWORD)
    await create_staff(database, clinic_for(tenant + "x"), email="bo@example.test", name="Bo", password=PASSWORD)
