"""A staff site to test against: the console on a real port over the test's database, with a clock that tests move."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from carethread.bootstrap import programs
from carethread.clinic import Clinic, Clinics, load_clinic
from carethread.config import Settings
from carethread.console import blueprint, create_staff
from carethread.messaging.updates import Updates
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox, Outbox, Staff
from tests.serving import served

PASSWORD = "a long enough password"
ROOT = Path(__file__).parents[1]


def clinic_for(tenant: str) -> Clinic:
    """The demo clinic under a tenant of the test's own."""
    return load_clinic(ROOT / "clinics/riverbend/clinic.yml").model_copy(update={"id": tenant})


@dataclass
class TestClock:
    """Now, plus what a test adds."""

    __test__ = False
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class StaffSite:
    """A running site and what a test needs to fill and look at it."""

    url: str
    database: Database
    clinic: Clinic
    clock: TestClock
    people: dict[str, Staff] = field(default_factory=dict)
    # What the process does first when it is told to stop.
    stop: Callable[[], Awaitable[None]] | None = None

    @property
    def home(self) -> str:
        return f"{self.url}/staff/{self.clinic.id}/"

    async def person(self, name: str, *teams: str) -> Staff:
        row = await create_staff(
            self.database, self.clinic, email=f"{name}@example.test", name=name, password=PASSWORD, teams=teams
        )
        self.people[name] = row
        return row

    async def conversation(self, **values: Any) -> Conversation:
        address = f"+1312555{uuid.uuid4().int % 10_000:04}"
        defaults = {"channel": "sms", "account": "+13125550150", "address": address}
        async with self.database.begin(self.clinic.id) as session:
            row = Conversation(**{**defaults, **values})
            session.add(row)
            await session.flush()
            return row

    async def wrote(self, conversation: Conversation, text: str, **values: Any) -> Inbox:
        """The patient's message, as the pipeline leaves it."""
        at = values.pop("at", self.clock())
        async with self.database.begin(self.clinic.id) as session:
            row = Inbox(
                conversation_id=conversation.id, provider_id=f"test:{uuid.uuid4()}", kind="text", text=text,
                received_at=at, **{"done_at": at, "outcome": "answered", **values},
            )  # fmt: skip
            session.add(row)
            (await session.get_one(Conversation, conversation.id)).last_inbound_at = at
            await session.flush()
            return row

    async def said(self, conversation: Conversation, text: str, **values: Any) -> Outbox:
        """The assistant's message."""
        at = values.pop("at", self.clock())
        async with self.database.begin(self.clinic.id) as session:
            row = Outbox(
                conversation_id=conversation.id, key=f"test:{uuid.uuid4()}", text=text, created_at=at,
                **{"content_key": "utter_greet", "content_version": "1", "language": "en", "state": "sent", **values},
            )  # fmt: skip
            session.add(row)
            (await session.get_one(Conversation, conversation.id)).last_outbound_at = at
            await session.flush()
            return row


@dataclass
class Visitor:
    """Somebody's browser, without a screen: cookies, forms and their tokens."""

    site: StaffSite
    http: aiohttp.ClientSession

    async def get(self, path: str = "", **values: Any) -> Answer:
        """A page below the clinic's home, or an absolute path."""
        return await self._send("GET", path, **values)

    async def post(self, path: str, *, csrf: str | None = None, **form: str) -> Answer:
        """Send a form with the session's token, which the inbox shows, unless a test gives another."""
        token = csrf if csrf is not None else (await self.get()).token()
        return await self._send("POST", path, data={"csrf": token, **form}, allow_redirects=False)

    async def log_in(self, name: str, password: str = PASSWORD, **form: str) -> Answer:
        page = await self.get("login")
        email = name if "@" in name else f"{name}@example.test"
        data = {"csrf": page.token(), "email": email, "password": password, **form}
        return await self._send("POST", "login", data=data, allow_redirects=False)

    async def _send(self, method: str, path: str, **values: Any) -> Answer:
        url = self.site.url + path if path.startswith("/") else self.site.home + path
        async with self.http.request(method, url, **values) as response:
            return Answer(response.status, await response.text(), response.headers.copy(), str(response.url))


@dataclass
class Answer:
    status: int
    text: str
    headers: Any
    url: str

    def token(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        return found[1] if found else ""

    @property
    def words(self) -> str:
        """What a reader sees: no tags, single spaces."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.text)).split())


@asynccontextmanager
async def visitor(site: StaffSite) -> AsyncIterator[Visitor]:
    """A fresh browser."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Visitor(site, http)


@dataclass
class _Parts:
    settings: Settings
    clinics: Clinics
    database: Database
    updates: Updates


@asynccontextmanager
async def staff_site(
    database: Database, tenant: str, *others: str, settings: Settings | None = None
) -> AsyncIterator[StaffSite]:
    """Serve the console for `tenant` (and `others`) until the block ends."""
    clock = TestClock()
    clinics = Clinics({name: clinic_for(name) for name in (tenant, *others)})
    updates = Updates(database.url)
    parts = _Parts(settings or Settings(env="test"), clinics, database, updates)
    updates.start()
    try:
        async with served(blueprint(parts, programs(parts.settings, clinics), clock)) as (url, server):
            yield StaffSite(url, database, clinics[tenant], clock, stop=server.before_stop)
    finally:
        await updates.stop()
