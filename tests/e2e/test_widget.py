"""The chat widget in a real browser: what a patient sees, hears and can do, on good lines and bad ones."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from browser import browser_path
from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

from carethread.storage.database import Database
from carethread.storage.models import Conversation
from carethread.storage.security import APP_ROLE
from sandbox.postgres import EmbeddedPostgres
from tests.web_gateway import ACCOUNT, Gateway, Ledger

pytestmark = [pytest.mark.server, pytest.mark.browser]

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def gateway(postgres: EmbeddedPostgres) -> Iterator[Gateway]:
    running = Gateway(postgres.url(APP_ROLE))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def without_sockets(postgres: EmbeddedPostgres) -> Iterator[Gateway]:
    running = Gateway(postgres.url(APP_ROLE), ("--no-sockets",))
    running.start()
    yield running
    running.stop()


@dataclass(slots=True)
class Patient:
    """Somebody in front of the chat, and the ledger behind it."""

    page: Page
    context: BrowserContext
    ledger: Ledger
    errors: list[str]

    @property
    def chat(self) -> Locator:
        return self.page.locator("carethread-chat")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def field(self) -> Locator:
        return self.chat.locator("textarea")

    @property
    def launcher(self) -> Locator:
        return self.chat.locator(".launcher")

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.chat.get_by_role("button", name=name, exact=isinstance(name, str))

    def bubble(self, text: str) -> Locator:
        return self.chat.locator(".said .bubble", has_text=text)

    @property
    def offline(self) -> Locator:
        return self.chat.locator(".offline")

    async def open(self) -> None:
        await self.launcher.click()
        await expect(self.field).to_be_visible()

    async def write(self, text: str) -> None:
        await self.field.fill(text)
        await self.button("Send").click()

    async def said(self, text: str) -> None:
        """Write, and wait until the clinic has it."""
        await self.write(text)
        await expect(self.fate).to_have_text("Sent")

    @property
    def fate(self) -> Locator:
        """What became of the patient's last message."""
        return self.chat.locator(".fate:visible").last

    async def texts(self) -> list[str]:
        return await self.log.locator(".said .bubble").all_inner_texts()

    async def address(self) -> str:
        token = await self.stored("token")
        return str(
            await self.page.evaluate(
                "token => JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).sub", token
            )
        )

    async def stored(self, key: str) -> Any:
        return await self.page.evaluate("key => JSON.parse(localStorage.getItem(key))", f"carethread:{ACCOUNT}:{key}")

    async def conversation(self) -> Conversation:
        return await self.ledger.conversation(await self.address())

    async def say(self, text: str, **more: Any) -> None:
        """The clinic answers."""
        await self.ledger.say(await self.conversation(), text, **more)

    async def in_ledger(self) -> list[str]:
        return [row.text for row in await self.ledger.said(await self.conversation())]


Meet = Callable[..., Awaitable[Patient]]


@pytest.fixture
async def meet(browser: Browser, gateway: Gateway, database: Database) -> AsyncIterator[Meet]:
    """Open the demo page as a new patient; fails when the page has thrown an error."""
    patients: list[Patient] = []

    async def open_page(at: str = "", *, script: str = "", wait: bool = True, **options: Any) -> Patient:
        context = await browser.new_context(
            **{"locale": "en-US", "timezone_id": "America/Chicago", **DESKTOP, **options}
        )
        page = await context.new_page()
        page.set_default_timeout(8000)
        patient = Patient(page, context, Ledger(database), [])
        page.on("pageerror", lambda error: patient.errors.append(str(error)))
        if script:
            await page.add_init_script(script)
        patients.append(patient)
        await page.goto(at or gateway.url)
        if wait:
            await expect(patient.launcher).to_be_visible()
        return patient

    yield open_page
    for patient in patients:
        await patient.context.close()
    assert [error for patient in patients for error in patient.errors] == []


class TestConversation:
    async def test_both_sides_talk(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.write("When is my visit?")
        await expect(patient.bubble("When is my visit?")).to_be_visible()
        await expect(patient.fate).to_have_text("Sent")
        await expect(patient.chat.get_by_text("The assistant is writing…")).to_be_visible()
        await patient.say("Who are you, please?")
        await expect(patient.bubble("Who are you, please?")).to_be_visible()
        await expect(patient.fate).to_have_text("Read")
        await expect(patient.chat.get_by_text("The assistant is writing…")).to_be_hidden()
        assert await patient.in_ledger() == ["When is my visit?"]

    async def test_what_was_shown_is_reported_as_read(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.say("Good morning")
        await expect(patient.bubble("Good morning")).to_be_visible()
        conversation = await patient.conversation()
        async with asyncio.timeout(5):
            while (await patient.ledger.told(conversation))[0].state != "read":
                await asyncio.sleep(0.05)

    async def test_a_closed_chat_counts_what_is_new(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.button("Close the chat").click()
        await patient.say("Good morning")
        await expect(patient.button("Chat with us. New messages: 1")).to_be_visible()
        conversation = await patient.conversation()
        assert (await patient.ledger.told(conversation))[0].state == "delivered"
        await patient.launcher.click()
        await expect(patient.bubble("Good morning")).to_be_visible()
        await patient.button("Close the chat").click()
        await expect(patient.button("Chat with us")).to_be_visible()

    async def test_a_reload_keeps_the_thread(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.say("Good morning")
        await expect(patient.bubble("Good morning")).to_be_visible()
        address = await patient.address()
        await patient.page.reload()
        await patient.open()
        await expect(patient.bubble("Good morning")).to_be_visible()
        assert await patient.texts() == ["Hello", "Good morning"]
        assert await patient.address() == address

    async def test_two_windows_show_the_same(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("From the first")
        second = await patient.context.new_page()
        await second.goto(patient.page.url)
        await second.locator("carethread-chat .launcher").click()
        await expect(second.get_by_role("log").get_by_text("From the first")).to_be_visible()
        await patient.said("Once more from the first")
        await expect(second.get_by_role("log").get_by_text("Once more from the first")).to_be_visible()

    async def test_lines_stay_lines(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.field.press_sequentially("One")
        await patient.field.press("Shift+Enter")
        await patient.field.press_sequentially("Two")
        await patient.field.press("Enter")
        await expect(patient.fate).to_have_text("Sent")
        assert await patient.in_ledger() == ["One\nTwo"]

    async def test_on_a_phone_enter_is_a_new_line(self, meet: Meet) -> None:
        patient = await meet(**PHONE)
        await patient.open()
        await patient.field.press_sequentially("One")
        await patient.field.press("Enter")
        await patient.field.press_sequentially("Two")
        await patient.button("Send").click()
        await expect(patient.fate).to_have_text("Sent")
        assert await patient.in_ledger() == ["One\nTwo"]

    async def test_text_is_never_markup(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        evil = "<img src=x onerror=\"document.title='owned'\"> <b>bold</b> &amp; {{7*7}}"
        await patient.said(evil)
        await patient.say(evil + " javascript:alert(1)")
        await expect(patient.bubble("javascript:alert(1)")).to_be_visible()
        assert [text.startswith(evil) for text in await patient.texts()] == [True, True]
        assert await patient.log.locator("img, b, .bubble a").count() == 0
        assert await patient.page.title() != "owned"

    async def test_addresses_and_numbers_become_links(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.say(
            "Join at https://video.example.org/v/1?a=b. Call (312) 555-0100, or 911. Not ftp://x.example.org, "
            "not $911.50, not room 9110. (See http://example.org/a_b)"
        )
        links = patient.log.locator(".bubble a")
        await expect(links.first).to_be_visible()
        assert await links.evaluate_all("all => all.map(a => [a.textContent, a.getAttribute('href')])") == [
            ["https://video.example.org/v/1?a=b", "https://video.example.org/v/1?a=b"],
            ["(312) 555-0100", "tel:+13125550100"],
            ["911", "tel:911"],
            ["http://example.org/a_b", "http://example.org/a_b"],
        ]
        assert await links.first.get_attribute("rel") == "noopener noreferrer"

    async def test_a_long_answer_is_read_from_its_beginning(self, meet: Meet) -> None:
        patient = await meet(**PHONE)
        await patient.open()
        await patient.said("How do I get ready?")
        await patient.say("\n".join(f"Step {number}: do this and that." for number in range(60)))
        await expect(patient.bubble("Step 59")).to_be_attached()
        await expect(patient.button("More below")).to_be_visible()
        await expect(patient.bubble("How do I get ready?")).to_be_in_viewport()
        await patient.button("More below").click()
        await expect(patient.button("More below")).to_be_hidden()
        assert await patient.log.evaluate("log => log.scrollHeight - log.clientHeight - log.scrollTop") < 5

    async def test_who_reads_back_is_not_pulled_away(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        for number in range(20):
            await patient.say(f"Line {number}\nand more", close=False)
        await expect(patient.bubble("Line 19")).to_be_attached()
        await patient.log.evaluate("log => { log.scrollTop = 0 }")
        await patient.page.wait_for_timeout(200)
        await patient.say("The newest")
        await expect(patient.button("More below")).to_be_visible()
        assert await patient.log.evaluate("log => log.scrollTop") == 0

    async def test_staff_and_emergency_are_shown(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await expect(patient.chat.get_by_text("You are chatting with an automated assistant.")).to_be_visible()
        await patient.said("I want a person")
        conversation = await patient.conversation()
        await patient.ledger.change(conversation, owner="human")
        await expect(patient.chat.get_by_text("Our staff will answer you here.")).to_be_visible()
        await patient.say("This is Nora.", author="staff")
        await expect(patient.chat.get_by_text("Clinic staff")).to_be_visible()
        await patient.ledger.change(conversation, owner="emergency")
        call = patient.chat.get_by_role("link", name="Call 911")
        await expect(call).to_be_visible()
        assert await call.get_attribute("href") == "tel:911"

    async def test_a_message_that_is_refused_can_be_tried_again_or_removed(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.chat.evaluate("chat => chat.post('x'.repeat(50001))")
        await expect(patient.fate).to_contain_text("Not sent")
        await patient.write("And another")
        async with asyncio.timeout(5):
            while await patient.in_ledger() != ["Hello", "And another"]:
                await asyncio.sleep(0.05)
        await patient.button("Try again").click()
        await expect(patient.button("Remove")).to_be_visible()
        await patient.button("Remove").click()
        await expect(patient.button("Remove")).to_be_hidden()
        assert await patient.in_ledger() == ["Hello", "And another"]
        assert await patient.page.evaluate("Object.keys(localStorage).filter(key => key.includes(':out:')).length") == 0

    async def test_too_long_is_said_before_sending(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.write("x" * 10_001)
        await expect(patient.chat.get_by_role("alert")).to_have_text(
            "Your message is too long. Please send it in parts."
        )
        assert len(await patient.field.input_value()) == 10_001
        await patient.said("Shorter")
        await expect(patient.chat.get_by_role("alert")).to_be_hidden()


class TestQuickReplies:
    async def test_pressing_says_the_value_and_shows_the_title(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.say("Which visit?", replies=(("Cardiology, Nov 24", "1"), ("Video visit", "2")))
        await patient.button("Cardiology, Nov 24").click()
        await expect(patient.fate).to_have_text("Sent")
        assert (await patient.in_ledger())[-1] == "1"
        assert (await patient.texts())[-1] == "Cardiology, Nov 24"
        for name in ("Cardiology, Nov 24", "Video visit"):
            await expect(patient.button(name)).to_be_disabled()
        await patient.page.reload()
        await patient.open()
        await expect(patient.button("Video visit")).to_be_disabled()
        assert (await patient.texts())[-1] == "Cardiology, Nov 24"

    async def test_typing_an_answer_makes_them_inert_too(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.say("Shall I?", replies=(("Yes", "yes"), ("No", "no")))
        await expect(patient.button("Yes")).to_be_enabled()
        await patient.said("Maybe")
        await expect(patient.button("Yes")).to_be_disabled()
        await patient.say("Once more?", replies=(("Sure", "sure"),))
        await patient.button("Sure").click()
        await expect(patient.button("Yes")).to_be_hidden()
        await expect(patient.button("Sure")).to_be_disabled()

    async def test_numbers_in_a_row_are_a_slider_that_sends_only_what_was_chosen(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.say("How bad is the pain, 0 to 10?", replies=tuple((str(n), str(n)) for n in range(11)))
        slider = patient.chat.get_by_role("slider", name="Move to your number")
        await expect(patient.button("Move to your number")).to_be_disabled()  # nothing was chosen yet
        await slider.focus()
        await slider.press("ArrowRight")
        await slider.press("ArrowRight")
        await patient.button("Send 7").click()
        await expect(patient.fate).to_have_text("Sent")
        assert (await patient.in_ledger())[-1] == "7"
        await expect(slider).to_be_disabled()

    async def test_a_few_numbers_are_buttons(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.say("Which one?", replies=(("1", "1"), ("2", "2"), ("3", "3")))
        await expect(patient.button("2")).to_be_enabled()
        await expect(patient.chat.get_by_role("slider")).to_have_count(0)

    async def test_the_first_choices_start_a_conversation(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.button("I want to talk to a person").click()
        await expect(patient.fate).to_have_text("Sent")
        assert await patient.in_ledger() == ["I want to talk to a person"]
        await expect(patient.button("I do not feel well")).to_be_hidden()


class TestLanguage:
    async def test_switching_changes_the_chat_and_tells_the_assistant(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.button("Español").click()
        await expect(patient.field).to_have_attribute("placeholder", "Escriba su mensaje")
        await expect(patient.chat.get_by_text("Usted está hablando con un asistente automático.")).to_be_visible()
        await expect(patient.fate).to_have_text("Enviado")
        assert await patient.in_ledger() == ["Hello", "Español"]
        await expect(patient.chat.locator("dialog")).to_have_attribute("lang", "es")
        await patient.page.reload()
        await expect(patient.button("Escríbanos")).to_be_visible()

    async def test_starts_in_the_browsers_language(self, meet: Meet) -> None:
        patient = await meet(locale="es-MX")
        await expect(patient.button("Escríbanos")).to_be_visible()
        patient = await meet(locale="fr-FR")
        await expect(patient.button("Chat with us")).to_be_visible()

    async def test_follows_when_the_conversation_changes(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hola, necesito una cita")
        conversation = await patient.conversation()
        await patient.ledger.change(conversation, language="es")
        await expect(patient.button("Enviar")).to_be_visible()
        await patient.say("¿Para cuándo?", language="es")
        await expect(patient.bubble("¿Para cuándo?")).to_have_attribute("lang", "es")


class TestBadLines:
    async def test_offline_is_said_and_what_was_written_goes_out_in_order(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Before")
        await patient.context.set_offline(True)
        await expect(patient.offline).to_be_visible()
        for number in range(3):
            await patient.write(f"While away {number}")
        await expect(patient.fate).to_have_text("Waiting for a connection")
        await patient.say("From the clinic, meanwhile")
        await patient.context.set_offline(False)
        await expect(patient.offline).to_be_hidden()
        await expect(patient.bubble("From the clinic, meanwhile")).to_be_visible()
        await expect(patient.fate).to_have_text("Sent")
        assert await patient.in_ledger() == ["Before", "While away 0", "While away 1", "While away 2"]
        assert sorted(await patient.texts()) == sorted(
            ["Before", "From the clinic, meanwhile", "While away 0", "While away 1", "While away 2"]
        )

    async def test_a_killed_gateway_costs_nothing(self, meet: Meet, postgres: EmbeddedPostgres) -> None:
        own = Gateway(postgres.url(APP_ROLE))
        own.start()
        try:
            patient = await meet(own.url)
            await patient.open()
            await patient.said("Before")
            own.kill()
            await expect(patient.offline).to_be_visible()
            await patient.write("While away 0")
            await patient.write("While away 1")
            await patient.say("From the clinic, meanwhile")
            await asyncio.to_thread(own.start)
            await expect(patient.bubble("From the clinic, meanwhile")).to_be_visible(timeout=20_000)
            await expect(patient.chat.locator(".unsent")).to_have_count(0, timeout=20_000)
            assert await patient.in_ledger() == ["Before", "While away 0", "While away 1"]
            assert len(await patient.texts()) == 4
        finally:
            own.stop()

    async def test_what_is_not_sent_survives_a_reload(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Before")
        await patient.page.route("**/web/**", lambda route: route.abort())
        await patient.page.route_web_socket("**/web/ws", lambda socket: socket.close())
        await patient.page.reload()
        await patient.open()
        for number in range(3):
            await patient.write(f"Not sent {number}")
        await expect(patient.fate).to_have_text("Waiting for a connection")
        await patient.page.reload()
        await patient.open()
        assert await patient.texts() == ["Not sent 0", "Not sent 1", "Not sent 2"]
        await patient.page.unroute_all()
        second = await patient.context.new_page()
        await second.goto(patient.page.url)
        await second.locator("carethread-chat .launcher").click()
        await expect(second.get_by_role("log").get_by_text("Before")).to_be_visible()
        async with asyncio.timeout(8):
            while await patient.in_ledger() != ["Before", "Not sent 0", "Not sent 1", "Not sent 2"]:
                await asyncio.sleep(0.1)

    @pytest.mark.parametrize("script", ["", "delete window.WebSocket"], ids=["refused by a proxy", "no such thing"])
    async def test_without_sockets_plain_requests_do(self, meet: Meet, without_sockets: Gateway, script: str) -> None:
        patient = await meet(without_sockets.url, script=script)
        await patient.open()
        await patient.said("Hello")
        await expect(patient.chat.get_by_text("The assistant is writing…")).to_be_visible()
        for number in range(3):
            await patient.say(f"Answer {number}")
            await expect(patient.bubble(f"Answer {number}")).to_be_visible()
        await expect(patient.fate).to_have_text("Read")
        await patient.write("First")
        await patient.write("Second")
        await expect(patient.fate).to_have_text("Sent")
        await expect(patient.offline).to_be_hidden()
        assert await patient.in_ledger() == ["Hello", "First", "Second"]
        conversation = await patient.conversation()
        assert {row.state for row in await patient.ledger.told(conversation)} == {"read"}

    async def test_a_session_that_ran_out_makes_room_for_another(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Old")
        key = f"carethread:{ACCOUNT}:token"
        await patient.page.evaluate("key => localStorage.setItem(key, '\"x.y.z\"')", key)
        await patient.page.reload()
        await patient.open()
        await patient.said("New")
        assert await patient.texts() == ["New"]
        assert await patient.in_ledger() == ["New"]

    async def test_a_browser_that_keeps_nothing_can_chat(self, meet: Meet) -> None:
        script = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied') } })"
        patient = await meet(script=script)
        await patient.open()
        await patient.said("Hello")
        await patient.ledger.say(await patient.ledger.latest(), "Good morning")
        await expect(patient.bubble("Good morning")).to_be_visible()

    async def test_a_clinic_that_was_never_reached_says_so(self, meet: Meet) -> None:
        patient = await meet(wait=False, script="window.fetch = () => Promise.reject(new TypeError('no network'))")
        await expect(patient.button("Chat")).to_be_visible()
        await patient.launcher.click()
        await expect(patient.offline).to_have_text(re.compile("The chat cannot connect"))
        await expect(patient.field).to_be_hidden()
        await patient.button("Close").click()
        await expect(patient.launcher).to_be_focused()

    @pytest.mark.slow  # waits until the limit (20 messages in 10 seconds) lets more through
    async def test_writing_too_fast_only_takes_longer(self, meet: Meet, postgres: EmbeddedPostgres) -> None:
        strict = Gateway(postgres.url(APP_ROLE), ("--strict",))
        strict.start()
        try:
            patient = await meet(strict.url)
            await patient.open()
            for number in range(24):
                await patient.write(f"Message {number}")
            await expect(patient.chat.locator(".unsent")).to_have_count(0, timeout=25_000)
            assert await patient.in_ledger() == [f"Message {number}" for number in range(24)]
        finally:
            strict.stop()


class TestLeaving:
    async def test_clearing_leaves_nothing_on_the_device(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("A secret")
        address = await patient.address()
        await patient.button("Clear this chat").click()
        await expect(patient.button("No, keep it")).to_be_focused()
        await patient.button("No, keep it").click()
        assert await patient.texts() != []
        await patient.button("Clear this chat").click()
        await patient.button("Yes, remove it").click()
        await expect(patient.bubble("A secret")).to_have_count(0)
        await patient.said("Somebody else")
        assert await patient.address() != address
        assert "A secret" not in await patient.page.evaluate("JSON.stringify(localStorage)")
        await patient.page.reload()
        await patient.open()
        await expect(patient.bubble("Somebody else")).to_be_visible()
        assert await patient.texts() == ["Somebody else"]

    async def test_a_visitor_who_does_not_open_it_is_not_known(self, meet: Meet) -> None:
        patient = await meet()
        assert await patient.stored("token") is None
        await patient.open()
        await patient.page.wait_for_function("key => localStorage.getItem(key)", arg=f"carethread:{ACCOUNT}:token")


class TestKeyboard:
    async def test_a_whole_conversation(self, meet: Meet) -> None:
        patient = await meet()
        press = patient.page.keyboard.press
        await patient.page.locator("footer a").focus()
        await press("Tab")
        await expect(patient.launcher).to_be_focused()
        await press("Enter")
        await expect(patient.field).to_be_focused()
        await patient.page.keyboard.type("Hello")
        await press("Enter")
        await expect(patient.fate).to_have_text("Sent")
        await patient.say("Shall I?", replies=(("Yes", "yes"), ("No", "no")))
        await expect(patient.button("Yes")).to_be_visible()
        await press("Shift+Tab")
        await expect(patient.button("No")).to_be_focused()
        await press("Shift+Tab")
        await press("Enter")
        await expect(patient.button("Yes")).to_be_disabled()
        await expect(patient.log).to_be_focused()
        await expect(patient.fate).to_have_text("Sent")
        await press("Tab")
        await expect(patient.field).to_be_focused()
        await press("Escape")
        await expect(patient.field).to_be_hidden()
        await expect(patient.launcher).to_be_focused()
        assert await patient.in_ledger() == ["Hello", "yes"]

    async def test_on_a_phone_the_page_behind_is_out_of_reach(self, meet: Meet) -> None:
        patient = await meet(**PHONE)
        await patient.launcher.focus()
        await patient.page.keyboard.press("Enter")
        await expect(patient.page.get_by_role("heading", name="Riverbend Clinic")).to_be_focused()
        focused = set()
        for _ in range(25):
            await patient.page.keyboard.press("Tab")
            focused.add(await patient.page.evaluate("document.activeElement.tagName"))
        assert focused <= {"CARETHREAD-CHAT", "BODY"}  # BODY: the browser's own controls
        assert await patient.page.evaluate("getComputedStyle(document.documentElement).overflow") == "hidden"
        await patient.page.keyboard.press("Escape")
        await expect(patient.launcher).to_be_focused()
        assert await patient.page.evaluate("document.documentElement.style.overflow") == ""

    async def test_turning_the_phone_keeps_the_place(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.field.fill("A draft")
        await patient.page.set_viewport_size({"width": 390, "height": 844})
        await expect(patient.field).to_be_focused()
        assert await patient.chat.locator("dialog").evaluate("panel => panel.matches(':modal')")
        await patient.page.set_viewport_size({"width": 1280, "height": 800})
        await expect(patient.field).to_have_value("A draft")
        assert not await patient.chat.locator("dialog").evaluate("panel => panel.matches(':modal')")


# In the page: every visible element of the chat that shows text of its own, with what decides whether it can be read.
LEGIBLE = """
chat => {
  const channels = (color) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement || e.getRootNode().host) {
      const color = getComputedStyle(e).backgroundColor;
      if (color !== 'rgba(0, 0, 0, 0)' && color !== 'transparent') return channels(color);
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const found = [];
  for (const e of chat.shadowRoot.querySelectorAll('*')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || e.tagName === 'TEXTAREA';
    if (!own || e.tagName === 'STYLE' || !e.checkVisibility() || e.closest('.quiet')) continue;
    const style = getComputedStyle(e);
    found.push({
      text: e.textContent.slice(0, 30) || e.tagName,
      size: parseFloat(style.fontSize),
      contrast: ratio(channels(style.color), behind(e)),
    });
  }
  return found;
}
"""


class TestAccessibility:
    @staticmethod
    async def fill(patient: Patient) -> None:
        """A conversation that shows everything that can be shown."""
        await patient.open()
        await patient.said("Hello")
        await patient.say("Which visit?", replies=(("The first", "1"), ("The second", "2")))
        await patient.button("The first").click()
        await expect(patient.fate).to_have_text("Sent")
        await patient.say("Done, see https://example.org or call (312) 555-0100.", author="staff")
        await patient.say("Anything else?", replies=(("Yes", "yes"),))
        await expect(patient.button("Yes")).to_be_visible()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
    async def test_everything_can_be_read(self, meet: Meet, scheme: str, device: dict[str, Any]) -> None:
        patient = await meet(color_scheme=scheme, **device)
        launcher = await patient.chat.evaluate(LEGIBLE)
        await self.fill(patient)
        talking = await patient.chat.evaluate(LEGIBLE)
        await patient.ledger.change(await patient.conversation(), owner="emergency")
        await expect(patient.chat.get_by_role("link", name="Call 911")).to_be_visible()
        await patient.context.set_offline(True)
        await expect(patient.offline).to_be_visible()
        await patient.write("Waiting")
        await expect(patient.fate).to_have_text("Waiting for a connection")
        alarmed = await patient.chat.evaluate(LEGIBLE)
        assert len(talking) > 15
        shown = [*launcher, *talking, *alarmed]
        assert [one for one in shown if one["contrast"] < 4.5] == []
        assert [one for one in shown if one["size"] < 16] == []

    @pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
    async def test_everything_can_be_hit(self, meet: Meet, device: dict[str, Any]) -> None:
        patient = await meet(**device)
        sizes = await patient.chat.get_by_role("button").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect().height)"
        )
        await self.fill(patient)
        sizes += await patient.chat.locator("button:visible, textarea:visible").evaluate_all(
            "all => all.map(e => Math.min(e.getBoundingClientRect().height, e.getBoundingClientRect().width))"
        )
        assert len(sizes) > 6
        assert min(sizes) >= 44

    async def test_everything_has_a_name_and_a_role(self, meet: Meet) -> None:
        patient = await meet()
        await self.fill(patient)
        dialog = patient.page.get_by_role("dialog", name="Riverbend Clinic")
        await expect(dialog).to_be_visible()
        await expect(dialog.get_by_role("textbox", name="Your message")).to_be_visible()
        await expect(dialog.get_by_role("group", name="Choices")).to_have_count(2)
        for control in await dialog.locator("button:visible, a:visible, textarea:visible").all():
            assert re.search(r'^- \w+ "[^"]+"', await control.aria_snapshot()), await control.evaluate(
                "e => e.outerHTML"
            )
        log = patient.log
        assert await log.evaluate("e => [e.tagName, e.tabIndex]") == ["DIV", 0]
        await expect(log).to_have_attribute("aria-live", "polite")
        await expect(log).to_have_attribute("aria-label", "Messages")
        # Who says what is in the text, not only in the colours.
        spoken = await log.locator(".said .msg").all_text_contents()
        assert [re.search(r"(You|Assistant|Clinic staff) · ", text) is not None for text in spoken] == [True] * 5
        # What becomes of a message is not read aloud over and over.
        assert set(await log.locator(".fate").evaluate_all("all => all.map(e => e.ariaLive)")) == {"off"}

    async def test_what_was_there_before_is_not_read_aloud(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        watch = """
            new MutationObserver(() => {
              const log = document.querySelector('carethread-chat')?.shadowRoot?.querySelector('.log');
              if (log?.querySelector('.msg.mine') && !window.first) window.first = log.getAttribute('aria-live');
              if (!log?.watched && log) { log.watched = true; new MutationObserver(() => {
                if (log.querySelector('.msg.mine') && !window.first) window.first = log.getAttribute('aria-live');
              }).observe(log, { childList: true, subtree: true }); }
            }).observe(document, { childList: true, subtree: true });
        """
        await patient.page.add_init_script(watch)
        await patient.page.reload()
        await patient.open()
        await expect(patient.bubble("Hello")).to_be_visible()
        assert await patient.page.evaluate("window.first") == "off"
        await expect(patient.log).to_have_attribute("aria-live", "polite")

    async def test_focus_can_be_seen(self, meet: Meet) -> None:
        patient = await meet()
        await self.fill(patient)
        seen = set()
        await patient.page.keyboard.press("Shift+Tab")
        for _ in range(8):
            style = await patient.chat.evaluate(
                "chat => { const e = chat.shadowRoot.activeElement; if (!e) return null;"
                " const s = getComputedStyle(e);"
                " return [e.className || e.tagName, s.outlineStyle, parseFloat(s.outlineWidth)] }"
            )
            if style:
                seen.add(style[0])
                assert style[1] == "solid"
                assert style[2] >= 3
            await patient.page.keyboard.press("Shift+Tab")
        assert len(seen) >= 3

    async def test_nothing_moves_for_those_who_ask_for_that(self, meet: Meet) -> None:
        moving = {}
        for motion in ("reduce", "no-preference"):
            patient = await meet(reduced_motion=motion)
            await patient.open()
            await patient.said("Hello")
            await expect(patient.chat.locator(".dots")).to_be_visible()
            moving[motion] = await patient.chat.locator(".dots i").first.evaluate(
                "e => getComputedStyle(e).animationName"
            )
        assert moving == {"reduce": "none", "no-preference": "beat"}

    @pytest.mark.parametrize(("width", "height"), [(320, 568), (320, 256), (844, 390)])
    async def test_small_and_zoomed_screens_lose_nothing(self, meet: Meet, width: int, height: int) -> None:
        patient = await meet(viewport={"width": width, "height": height})
        await self.fill(patient)
        for thing in (patient.button("Yes"), patient.field, patient.button("Send"), patient.button("Close the chat")):
            await thing.scroll_into_view_if_needed()
            await expect(thing).to_be_in_viewport(ratio=0.9)
        await patient.said("One more")
        await patient.say("The newest")
        await expect(patient.bubble("The newest")).to_be_in_viewport(ratio=0.9)
        panel = patient.chat.locator("dialog")
        assert await panel.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
        assert await patient.log.evaluate("e => e.scrollWidth - e.clientWidth") <= 0


@pytest.fixture
def other_site(gateway: Gateway) -> Iterator[str]:
    """Somebody else's page, on another origin and with a strict content security policy."""
    tag = f'<script src="{gateway.url}/widget.js" data-account="{ACCOUNT}" async></script>'
    page = f"<!doctype html><title>Site</title><h1>Site</h1>{tag}"
    lines = f"{gateway.url} {gateway.url.replace('http', 'ws', 1)}"
    policy = f"default-src 'none'; script-src {gateway.url}; connect-src {lines}"

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-security-policy", policy)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


class TestEmbedding:
    async def test_on_another_site_by_one_tag(self, meet: Meet, other_site: str) -> None:
        patient = await meet(other_site)
        await patient.open()
        await patient.said("Hello from elsewhere")
        await patient.say("Good morning")
        await expect(patient.bubble("Good morning")).to_be_visible()
        # The site's policy forbids styles of others; ours are not inline.
        assert await patient.launcher.evaluate("e => getComputedStyle(e).position") == "fixed"
        assert (
            await patient.page.evaluate("Object.keys(window).filter(key => /carethread|connection|thread/i.test(key))")
            == []
        )

    async def test_plain_requests_work_from_another_site_too(self, meet: Meet, other_site: str) -> None:
        patient = await meet(other_site, script="delete window.WebSocket")
        await patient.open()
        await patient.said("Hello from elsewhere")
        await patient.say("Good morning")
        await expect(patient.bubble("Good morning")).to_be_visible()

    async def test_a_page_themes_it(self, meet: Meet) -> None:
        patient = await meet()
        await patient.page.add_style_tag(
            content="carethread-chat { --carethread-accent: #800020; --carethread-radius: 3px }"
        )
        assert await patient.launcher.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(128, 0, 32)"

    async def test_the_same_script_twice_is_one_chat(self, meet: Meet, gateway: Gateway) -> None:
        patient = await meet()
        await patient.page.evaluate(
            """([src, account]) => new Promise((done) => {
              const script = document.createElement('script');
              script.src = src; script.dataset.account = account; script.onload = done;
              document.head.append(script);
            })""",
            [f"{gateway.url}/widget.js", ACCOUNT],
        )
        await expect(patient.chat).to_have_count(1)

    async def test_a_page_can_take_it_away_and_put_it_back(self, meet: Meet) -> None:
        patient = await meet()
        await patient.open()
        await patient.said("Hello")
        await patient.page.evaluate(
            "window.kept = document.querySelector('carethread-chat'); kept.remove(); document.body.append(kept)"
        )
        await patient.page.wait_for_timeout(300)
        await patient.chat.evaluate("chat => chat.close()")
        await patient.open()
        await expect(patient.bubble("Hello")).to_be_visible()
        await patient.said("Again")
        assert await patient.in_ledger() == ["Hello", "Again"]
