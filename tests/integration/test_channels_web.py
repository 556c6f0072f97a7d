"""The web chat on a real PostgreSQL: what a page sends is in the ledger, what the ledger gets is on the page."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from sqlalchemy import update

from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Inbox, Outbox
from carethread.storage.security import APP_ROLE
from sandbox.postgres import EmbeddedPostgres
from tests.web_gateway import ACCOUNT, TENANT, Gateway, Ledger

pytestmark = pytest.mark.server
SITE = "https://portal.example.org"


@pytest.fixture(scope="module")
def gateway(postgres: EmbeddedPostgres) -> Iterator[Gateway]:
    running = Gateway(postgres.url(APP_ROLE))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def strict(postgres: EmbeddedPostgres) -> Iterator[Gateway]:
    """One with the limits that patients meet."""
    running = Gateway(postgres.url(APP_ROLE), ("--strict",))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40)) as session:
        yield session


@dataclass(slots=True)
class Page:
    """A page of a visitor's, speaking to the gateway as the widget does."""

    http: aiohttp.ClientSession
    url: str
    token: str = ""
    cursor: str = ""

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, gateway: Gateway) -> Page:
        async with http.post(f"{gateway.url}/web/{ACCOUNT}/session", json={}) as answer:
            assert answer.status == 200
            return cls(http, gateway.url, (await answer.json())["token"])

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    @property
    def address(self) -> str:
        body = self.token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["sub"])

    async def send(self, text: Any, message_id: Any = None) -> tuple[int, dict[str, Any]]:
        body = {"id": message_id or str(uuid.uuid4()), "text": text}
        async with self.http.post(f"{self.url}/web/messages", json=body, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def news(self, *, wait: float = 0, after: str | None = None) -> dict[str, Any]:
        query = {"after": self.cursor if after is None else after, "wait": str(wait)}
        async with self.http.get(f"{self.url}/web/messages", params=query, headers=self.headers) as answer:
            assert answer.status == 200, await answer.text()
            news: dict[str, Any] = await answer.json()
        self.cursor = news["cursor"]
        return news

    async def texts(self, *, wait: float = 0) -> list[str]:
        return [entry["text"] for entry in (await self.news(wait=wait))["entries"]]

    async def seen(self, ids: Any, state: str) -> int:
        body = {"ids": ids, "state": state}
        async with self.http.post(f"{self.url}/web/messages/seen", json=body, headers=self.headers) as answer:
            return answer.status


@pytest.fixture
async def page(http: aiohttp.ClientSession, gateway: Gateway) -> Page:
    return await Page.open(http, gateway)


@dataclass(slots=True)
class Line:
    """A page's WebSocket, and everything that came over it."""

    ws: aiohttp.ClientWebSocketResponse
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    cursor: str = ""

    @classmethod
    async def open(cls, page: Page, *, after: str = "", **extra: Any) -> Line:
        ws = await page.http.ws_connect(f"{page.url}/web/ws", heartbeat=20, **extra)
        await ws.send_json({"type": "hello", "token": page.token, "after": after})
        return cls(ws)

    async def hear(self, kind: str, *, timeout: float = 5) -> dict[str, Any]:
        """The next message of a kind; everything on the way is taken in."""
        async with asyncio.timeout(timeout):
            while True:
                message: dict[str, Any] = await self.ws.receive_json()
                self.heard.append(message)
                if message["type"] == "entries":
                    self.entries.update({entry["id"]: entry for entry in message["entries"]})
                    self.cursor = message["cursor"]
                if message["type"] == "state":
                    self.state = {key: value for key, value in message.items() if key != "type"}
                if message["type"] == kind:
                    return message

    async def until(self, text: str) -> dict[str, Any]:
        """Wait for an entry with a text."""
        while not (found := [entry for entry in self.entries.values() if entry["text"] == text]):
            await self.hear("entries")
        return found[0]

    @property
    def texts(self) -> list[str]:
        return [entry["text"] for entry in sorted(self.entries.values(), key=lambda entry: entry["at"])]


class TestSession:
    async def test_tells_the_page_what_it_needs(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        async with http.post(f"{gateway.url}/web/{ACCOUNT}/session", json={}) as answer:
            session = await answer.json()
            assert answer.headers["cache-control"] == "no-store"
        assert session["clinic"]["name"] == "Riverbend Clinic"
        assert [language["code"] for language in session["languages"]] == ["en", "es"]
        assert session["texts"]["es"]["send"] == "Enviar"
        assert session["resumed"] is False

    async def test_is_renewed_for_a_page_that_has_one(self, page: Page) -> None:
        async with page.http.post(f"{page.url}/web/{ACCOUNT}/session", json={}, headers=page.headers) as answer:
            session = await answer.json()
        assert session["resumed"] is True
        assert Page(page.http, page.url, session["token"]).address == page.address

    async def test_of_an_unknown_widget(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        async with http.post(f"{gateway.url}/web/nobody/session", json={}) as answer:
            assert (answer.status, (await answer.json())["error"]) == (404, "unknown_account")

    async def test_is_not_needed_to_draw_the_button(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        async with http.get(f"{gateway.url}/web/{ACCOUNT}/about") as answer:
            about = await answer.json()
        assert "token" not in about
        assert about["texts"]["en"]["launcher"]

    @pytest.mark.parametrize("path", [f"/web/{ACCOUNT}/session", "/web/messages", "/web/messages/seen"])
    async def test_other_sites_may_embed_it(self, http: aiohttp.ClientSession, gateway: Gateway, path: str) -> None:
        asked = {
            "origin": SITE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        async with http.options(gateway.url + path, headers=asked) as answer:
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == SITE
            assert "POST" in answer.headers["access-control-allow-methods"]
            # The wildcard does not cover Authorization: browsers want it named.
            assert set(answer.headers["access-control-allow-headers"].split(", ")) == {"authorization", "content-type"}
            assert "access-control-allow-credentials" not in answer.headers

    async def test_other_sites_can_read_a_refusal(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        async with http.get(f"{gateway.url}/web/messages", headers={"origin": SITE}) as answer:
            assert answer.status == 401
            assert answer.headers["access-control-allow-origin"] == SITE
            assert "origin" in answer.headers["vary"]


class TestSending:
    async def test_commits_before_it_is_accepted(self, page: Page, ledger: Ledger) -> None:
        status, body = await page.send("Hello", "11111111-aaaa")
        assert (status, body) == (200, {"accepted": "11111111-aaaa"})
        conversation = await ledger.conversation(page.address)
        (row,) = await ledger.said(conversation)
        assert (conversation.channel, conversation.account) == ("web", ACCOUNT)
        assert (row.text, row.kind, row.provider_id) == ("Hello", "text", f"web:{page.address}:11111111-aaaa")

    async def test_again_is_the_same_message(self, page: Page, ledger: Ledger) -> None:
        for _ in range(3):
            assert (await page.send("Hello", "22222222-aaaa"))[0] == 200
        assert len(await ledger.said(await ledger.conversation(page.address))) == 1

    async def test_an_id_is_the_visitors_own(
        self, page: Page, http: aiohttp.ClientSession, gateway: Gateway, ledger: Ledger
    ) -> None:
        other = await Page.open(http, gateway)
        assert (await page.send("Mine", "33333333-aaaa"))[0] == 200
        assert (await other.send("Theirs", "33333333-aaaa"))[0] == 200
        for who, text in ((page, "Mine"), (other, "Theirs")):
            assert [row.text for row in await ledger.said(await ledger.conversation(who.address))] == [text]

    @pytest.mark.parametrize(
        ("text", "status", "code"),
        [
            ("", 400, "empty"),
            (" \n\t ", 400, "empty"),
            ("\x00\x07\x1b", 400, "empty"),
            ("x" * 50_001, 413, "too_long"),
            (None, 400, "bad_message"),
            (7, 400, "bad_message"),
            (["a"], 400, "bad_message"),
        ],
    )
    async def test_what_cannot_be_taken(self, page: Page, text: object, status: int, code: str) -> None:
        answered, body = await page.send(text)
        assert (answered, body["error"]) == (status, code)
        assert (await page.news())["entries"] == []

    @pytest.mark.parametrize("text", ["😀", "¿Qué?\nDos líneas", "x" * 50_000, "a\x00b", "<b>&amp;</b>", "👩‍👩‍👧 ok"])
    async def test_what_can_be_taken_is_kept_whole(self, page: Page, ledger: Ledger, text: str) -> None:
        assert (await page.send(text))[0] == 200
        (row,) = await ledger.said(await ledger.conversation(page.address))
        assert row.text == text.replace("\x00", "")

    @pytest.mark.parametrize("message_id", ["short", "with space-x", "a/b/c/d/e/f", "x" * 65, 12345678, {"a": 1}])
    async def test_an_id_that_is_none(self, page: Page, message_id: object) -> None:
        assert (await page.send("Hello", message_id))[0] == 400

    @pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b"null"])
    async def test_a_body_that_is_not_a_message(self, page: Page, body: bytes) -> None:
        async with page.http.post(f"{page.url}/web/messages", data=body, headers=page.headers) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "bad_message")

    @pytest.mark.parametrize("token", ["", "x", "a.b.c"])
    async def test_without_a_session(self, http: aiohttp.ClientSession, gateway: Gateway, token: str) -> None:
        status, body = await Page(http, gateway.url, token).send("Hello")
        assert (status, body["error"]) == (401, "bad_token")

    async def test_too_fast(self, http: aiohttp.ClientSession, strict: Gateway) -> None:
        page = await Page.open(http, strict)
        answers = [(await page.send(f"Message {number}"))[0] for number in range(20)]
        assert answers == [200] * 20
        body = {"id": str(uuid.uuid4()), "text": "One more"}
        async with http.post(f"{page.url}/web/messages", json=body, headers=page.headers) as answer:
            assert answer.status == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert (await (await Page.open(http, strict)).send("Somebody else"))[0] == 200


class TestReading:
    async def test_both_sides_in_order(self, page: Page, ledger: Ledger) -> None:
        await page.send("When is my visit?", "44444444-aaaa")
        conversation = await ledger.conversation(page.address)
        await ledger.say(conversation, "Who are you?", replies=(("I am a patient", "patient"),))
        await ledger.say(conversation, "This is Nora.", author="staff", language="es")
        mine, first, second = (await page.news())["entries"]
        assert (mine["author"], mine["text"], mine["state"], mine["client_id"]) == (
            "patient",
            "When is my visit?",
            "read",
            "44444444-aaaa",
        )
        assert (first["author"], first["text"], first["language"]) == ("assistant", "Who are you?", "en")
        assert first["quick_replies"] == [{"title": "I am a patient", "value": "patient"}]
        assert (second["author"], second["language"]) == ("staff", "es")
        assert (await page.news())["entries"] == []

    async def test_waits_for_what_comes(self, page: Page, ledger: Ledger) -> None:
        await page.send("Hello")
        await page.news()
        waiting = asyncio.create_task(page.texts(wait=20))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await ledger.say(await ledger.conversation(page.address), "Good morning")
        assert "Good morning" in await asyncio.wait_for(waiting, 3)

    async def test_waits_even_before_the_first_message(self, page: Page) -> None:
        await page.news()
        waiting = asyncio.create_task(page.texts(wait=20))
        await asyncio.sleep(0.2)
        await page.send("Hello")
        assert await asyncio.wait_for(waiting, 3) == ["Hello"]

    async def test_gives_up_waiting(self, page: Page) -> None:
        await page.send("Hello")
        await page.news()
        started = asyncio.get_running_loop().time()
        assert await page.texts(wait=0.4) == []
        assert 0.3 < asyncio.get_running_loop().time() - started < 3

    @pytest.mark.parametrize("wait", ["x", "-5", "nan", "inf", ""])
    async def test_a_wait_that_is_none_is_no_wait(self, page: Page, wait: str) -> None:
        query = {"after": (await page.news())["cursor"], "wait": wait}
        async with page.http.get(f"{page.url}/web/messages", params=query, headers=page.headers) as answer:
            assert answer.status == 200

    async def test_a_change_of_an_earlier_entry_is_news(self, page: Page, ledger: Ledger, database: Database) -> None:
        await page.send("Hello")
        assert [entry["state"] for entry in (await page.news())["entries"]] == ["sent"]
        conversation = await ledger.conversation(page.address)
        async with database.begin(TENANT) as session:
            await session.execute(
                update(Inbox)
                .where(Inbox.conversation_id == conversation.id)
                .values(done_at=datetime.now(UTC), outcome="to_human")
            )
            announce(session, TENANT, conversation.id)
        assert [entry["state"] for entry in (await page.news())["entries"]] == ["delivered"]
        assert (await page.news())["entries"] == []

    async def test_what_is_not_released_is_not_shown(self, page: Page, ledger: Ledger, database: Database) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        for state in ("queued", "sending", "blocked", "failed", "unknown"):
            await ledger.say(conversation, f"Not yet: {state}", state=state)
        async with database.begin(TENANT) as session:
            session.add(Inbox(conversation_id=conversation.id, provider_id=f"event:{uuid.uuid4()}", kind="event"))
        assert await page.texts() == ["Hello"]

    async def test_what_waited_comes_after_its_juniors(self, page: Page, ledger: Ledger) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        waited = await ledger.say(conversation, "In the morning", state="queued")
        for number in range(60):  # more than the window of entries that are looked at again
            await ledger.say(conversation, f"At night {number}")
        assert "In the morning" not in await page.texts()
        await ledger.release(conversation, waited)
        news = (await page.news())["entries"]
        assert news[-1]["text"] == "In the morning"
        assert (await page.news())["entries"] == []

    async def test_what_commits_late_is_not_missed(self, page: Page, ledger: Ledger, database: Database) -> None:
        """Two writers: the lower id becomes visible after a page has read the higher one."""
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        async with database.begin(TENANT) as slow:
            slow.add(
                Outbox(
                    conversation_id=conversation.id, key=f"slow:{uuid.uuid4()}", author="staff", content_key="k",
                    content_version="1", language="en", parameters={}, text="From the slow one", quick_replies=[],
                    state="sent", attempts=0, sent_at=datetime.now(UTC) - timedelta(seconds=1),
                )
            )  # fmt: skip
            await slow.flush()
            await ledger.say(conversation, "From the quick one")
            assert "From the quick one" in await page.texts()
        assert "From the slow one" in await page.texts()

    async def test_a_long_history_starts_with_its_end(self, page: Page, ledger: Ledger) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        for number in range(205):
            await ledger.say(conversation, f"Line {number}")
        texts = await page.texts()
        assert texts[-1] == "Line 204"
        assert "Line 5" in texts
        assert "Line 4" not in texts

    async def test_a_long_absence_is_made_up_for_in_parts(self, page: Page, ledger: Ledger) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        await page.news()
        for number in range(450):
            await ledger.say(conversation, f"Line {number}", close=False)
        got: list[str] = []
        for _ in range(5):
            news = await page.news()
            got += [entry["text"] for entry in news["entries"] if entry["text"] not in got]
            if not news["more"]:
                break
        assert [text for text in got if text != "Hello"] == [f"Line {number}" for number in range(450)]

    async def test_state_says_who_answers(self, page: Page, ledger: Ledger, database: Database) -> None:
        assert (await page.news())["state"] == {"typing": False, "owner": "assistant", "language": "", "level": ""}
        await page.send("Hello")
        assert (await page.news())["state"]["typing"] is True
        conversation = await ledger.conversation(page.address)
        await ledger.say(conversation, "Almost", state="queued")
        assert (await page.news())["state"]["typing"] is True, "a reply is on its way"
        await ledger.change(conversation, owner="human", language="es")
        assert (await page.news())["state"] == {"typing": False, "owner": "human", "language": "es", "level": ""}
        async with database.begin(TENANT) as session:
            rows = update(Inbox).where(Inbox.conversation_id == conversation.id)
            await session.execute(rows.values(level="crisis"))
        await ledger.change(conversation, owner="emergency")
        assert (await page.news())["state"]["level"] == "crisis"

    async def test_nobody_writes_for_hours(self, page: Page, ledger: Ledger, database: Database) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        async with database.begin(TENANT) as session:
            rows = update(Inbox).where(Inbox.conversation_id == conversation.id)
            await session.execute(rows.values(received_at=datetime.now(UTC) - timedelta(minutes=3)))
        assert (await page.news())["state"]["typing"] is False

    async def test_a_visitor_sees_no_other(
        self, page: Page, http: aiohttp.ClientSession, gateway: Gateway, ledger: Ledger
    ) -> None:
        await page.send("A secret")
        other = await Page.open(http, gateway)
        await other.send("Hello")
        assert await other.texts() == ["Hello"]
        assert await other.texts() == []
        # Not with the cursor of another either.
        assert "A secret" not in json.dumps(await other.news(after=(await page.news())["cursor"]))

    async def test_reports_of_what_was_seen(self, page: Page, ledger: Ledger) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        outbox_id = await ledger.say(conversation, "Good morning")
        for report, state in (("delivered", "delivered"), ("read", "read"), ("delivered", "read")):
            assert await page.seen([f"o{outbox_id}"], report) == 204
            (row,) = await ledger.told(conversation)
            assert (row.state, row.delivered_at is not None) == (state, True)

    async def test_reports_only_on_ones_own(
        self, page: Page, http: aiohttp.ClientSession, gateway: Gateway, ledger: Ledger
    ) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        outbox_id = await ledger.say(conversation, "Good morning")
        stranger = await Page.open(http, gateway)
        await stranger.send("Hello")
        assert await stranger.seen([f"o{outbox_id}"], "read") == 204
        assert (await ledger.told(conversation))[0].state == "sent"

    @pytest.mark.parametrize(
        ("ids", "state", "status"),
        [
            ("o1", "read", 400),
            (["o1"], "failed", 400),
            (["o1"] * 201, "read", 400),
            (["x", 7, None, "i3"], "read", 204),
        ],
    )
    async def test_reports_that_make_no_sense(self, page: Page, ids: object, state: str, status: int) -> None:
        assert await page.seen(ids, state) == status


class TestSocket:
    async def test_a_whole_exchange(self, page: Page, ledger: Ledger) -> None:
        line = await Line.open(page)
        await line.hear("ready")
        await line.ws.send_json({"type": "send", "id": "55555555-aaaa", "text": "Hello"})
        assert (await line.hear("accepted"))["id"] == "55555555-aaaa"
        assert (await line.until("Hello"))["state"] == "sent"
        while not line.state.get("typing"):
            await line.hear("state")
        conversation = await ledger.conversation(page.address)
        outbox_id = await ledger.say(conversation, "Good morning")
        entry = await line.until("Good morning")
        await line.ws.send_json({"type": "seen", "ids": [entry["id"]], "state": "read"})
        while line.state["typing"]:
            await line.hear("state")
        while (row := (await ledger.told(conversation))[0]).state != "read":
            await asyncio.sleep(0.05)
        assert (row.id, row.delivered_at is not None) == (outbox_id, True)
        await line.ws.close()

    async def test_a_message_sent_again_is_one_message(self, page: Page, ledger: Ledger) -> None:
        for _ in range(2):
            line = await Line.open(page)
            await line.ws.send_json({"type": "send", "id": "66666666-aaaa", "text": "Hello"})
            await line.hear("accepted")
            await line.ws.close()
        assert len(await ledger.said(await ledger.conversation(page.address))) == 1

    async def test_a_page_that_comes_back_gets_what_it_missed_and_no_more(self, page: Page, ledger: Ledger) -> None:
        await page.send("Hello")
        conversation = await ledger.conversation(page.address)
        line = await Line.open(page)
        await line.until("Hello")
        await line.ws.close()
        for number in range(3):
            await ledger.say(conversation, f"Missed {number}", close=False)
        again = await Line.open(page, after=line.cursor)
        await again.until("Missed 2")
        assert again.texts == ["Missed 0", "Missed 1", "Missed 2"]
        await again.ws.close()

    async def test_a_page_can_ask_from_another_place(self, page: Page) -> None:
        await page.send("Hello")
        line = await Line.open(page)
        await line.until("Hello")
        line.entries.clear()
        await line.ws.send_json({"type": "resume", "after": ""})
        await line.until("Hello")
        await line.ws.close()

    async def test_two_pages_of_one_visitor_show_the_same(self, page: Page, ledger: Ledger) -> None:
        lines = [await Line.open(page) for _ in range(2)]
        for line in lines:
            await line.hear("ready")
        await lines[0].ws.send_json({"type": "send", "id": "77777777-aaaa", "text": "From the first"})
        for line in lines:
            await line.until("From the first")
        await ledger.say(await ledger.conversation(page.address), "To both")
        for line in lines:
            await line.until("To both")
            await line.ws.close()

    async def test_only_what_changed_is_sent_again(self, page: Page, ledger: Ledger) -> None:
        for number in range(10):
            await page.send(f"Message {number}")
        conversation = await ledger.conversation(page.address)
        await ledger.say(conversation, "An answer to all")
        line = await Line.open(page)
        await line.until("An answer to all")
        line.entries.clear()
        await page.send("One more")
        await line.until("One more")
        assert line.texts == ["One more"]
        await line.ws.close()

    @pytest.mark.parametrize(
        ("hello", "code"),
        [
            ({"type": "hello", "token": "wrong"}, "bad_token"),
            ({"type": "hello"}, "bad_token"),
            ({"type": "send", "id": "88888888", "text": "Hello"}, "bad_message"),
            ("not json", "bad_message"),
            ([1], "bad_message"),
        ],
    )
    async def test_who_does_not_say_who_they_are_is_sent_away(
        self, http: aiohttp.ClientSession, gateway: Gateway, hello: object, code: str
    ) -> None:
        async with http.ws_connect(f"{gateway.url}/web/ws") as ws:
            await ws.send_str(hello if isinstance(hello, str) else json.dumps(hello))
            assert (await ws.receive_json(timeout=5))["code"] == code
            assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 4401

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ({"type": "send", "id": "99999999", "text": ""}, "empty"),
            ({"type": "send", "id": "99999999", "text": "x" * 50_001}, "too_long"),
            ({"type": "send", "id": "99999999"}, "bad_message"),
            ({"type": "send", "text": "Hello"}, "bad_message"),
            ({"type": "dance"}, "bad_message"),
            ({"type": "seen", "ids": "all", "state": "read"}, "bad_message"),
            ("not json", "bad_message"),
        ],
    )
    async def test_a_mistake_does_not_end_the_line(self, page: Page, message: object, code: str) -> None:
        line = await Line.open(page)
        await line.ws.send_str(message if isinstance(message, str) else json.dumps(message))
        error = await line.hear("error")
        assert error["code"] == code
        assert error["id"] == (message.get("id") if isinstance(message, dict) else None)
        await line.ws.send_json({"type": "send", "id": "99999999-ok", "text": "Hello"})
        await line.hear("accepted")
        await line.ws.close()

    async def test_a_frame_that_no_message_needs_ends_the_line(self, page: Page) -> None:
        line = await Line.open(page)
        await line.hear("ready")
        await line.ws.send_str("x" * 2_000_000)
        async with asyncio.timeout(5):
            while (await line.ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert line.ws.closed

    async def test_too_fast(self, http: aiohttp.ClientSession, strict: Gateway) -> None:
        page = await Page.open(http, strict)
        line = await Line.open(page)
        for number in range(21):
            await line.ws.send_json({"type": "send", "id": f"aaaaaaaa-{number}", "text": "Hello"})
        error = await line.hear("error")
        assert (error["code"], error["id"]) == ("too_fast", "aaaaaaaa-20")
        assert 0 < error["retry_after"] <= 10
        await line.ws.close()

    async def test_too_many_pages(self, http: aiohttp.ClientSession, strict: Gateway) -> None:
        page = await Page.open(http, strict)
        lines = [await Line.open(page) for _ in range(8)]
        for line in lines:
            await line.hear("ready")
        ninth = await Line.open(page)
        assert (await ninth.hear("error"))["code"] == "too_many"
        await lines[0].ws.close()
        await asyncio.sleep(0.2)
        await (await Line.open(page)).hear("ready")

    async def test_a_killed_gateway_loses_nothing(
        self, http: aiohttp.ClientSession, postgres: EmbeddedPostgres, ledger: Ledger
    ) -> None:
        gateway = Gateway(postgres.url(APP_ROLE))
        gateway.start()
        try:
            page = await Page.open(http, gateway)
            line = await Line.open(page)
            for number in range(5):
                await line.ws.send_json({"type": "send", "id": f"bbbbbbbb-{number}", "text": f"Message {number}"})
            await line.hear("accepted")
            gateway.kill()
            conversation = await ledger.conversation(page.address)
            await ledger.say(conversation, "While you were away")
            gateway.start()
            again = await Line.open(page, after=line.cursor)
            # What was not accepted is sent again; what was is no duplicate.
            for number in range(5):
                await again.ws.send_json({"type": "send", "id": f"bbbbbbbb-{number}", "text": f"Message {number}"})
            while sum(message["type"] == "accepted" for message in again.heard) < 5:
                await again.hear("accepted")
            await again.until("While you were away")
            assert [row.text for row in await ledger.said(conversation)] == [f"Message {n}" for n in range(5)]
            await again.ws.close()
        finally:
            gateway.stop()


class TestWithoutDatabase:
    @pytest.fixture(scope="class")
    def away(self) -> Iterator[Gateway]:
        running = Gateway("postgresql://carethread_app@/carethread?host=/nonexistent")
        running.start()
        yield running
        running.stop()

    async def test_a_message_is_not_accepted(self, http: aiohttp.ClientSession, away: Gateway) -> None:
        page = await Page.open(http, away)
        body = {"id": str(uuid.uuid4()), "text": "Hello"}
        async with http.post(f"{page.url}/web/messages", json=body, headers=page.headers) as answer:
            assert (answer.status, (await answer.json())["error"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1

    async def test_a_page_is_told_to_come_back(self, http: aiohttp.ClientSession, away: Gateway) -> None:
        page = await Page.open(http, away)
        async with http.ws_connect(f"{page.url}/web/ws") as ws:
            await ws.send_json({"type": "hello", "token": page.token})
            assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 1013


class TestFiles:
    async def test_the_widget_is_cached_and_compressed(self, gateway: Gateway) -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            url = f"{gateway.url}/widget.js"
            async with http.get(url, headers={"accept-encoding": "identity"}) as plain:
                body = await plain.read()
                assert plain.headers["content-type"].startswith("text/javascript")
                assert "max-age" in plain.headers["cache-control"]
                assert plain.headers["cross-origin-resource-policy"] == "cross-origin"
                etag = plain.headers["etag"]
            async with http.get(url, headers={"accept-encoding": "gzip, br"}) as packed:
                assert gzip.decompress(await packed.read()) == body
                assert packed.headers["content-encoding"] == "gzip"
            async with http.get(url, headers={"if-none-match": f'"other", W/{etag}'}) as same:
                assert (same.status, await same.read()) == (304, b"")

    async def test_the_demo_page_embeds_it_by_one_tag(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        async with http.get(gateway.url) as answer:
            page = await answer.text()
        assert page.count("widget.js") == 1
        assert f'<script src="/widget.js" data-account="{ACCOUNT}" async></script>' in page
        assert "James Carter" in page
        assert "60615" in page
