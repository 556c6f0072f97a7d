"""A patient at the clinic's page and a nurse at the inbox, with everything real in between."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from browser import browser_path
from playwright.async_api import Browser, Page, async_playwright, expect
from stack import Stack, running_stack

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.slow]  # waits for Rasa to start

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
ANSWER = 30_000  # milliseconds that an answer may take on a busy machine
LOGIN, PASSWORD = "ana@riverbend.example", "demo-thread-of-care"


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=list(QUIET))
        yield browser
        await browser.close()


class Patient:
    """Somebody in front of the chat."""

    def __init__(self, page: Page) -> None:
        self.chat = page.locator("carethread-chat")

    async def open(self) -> None:
        await self.chat.locator(".launcher").click()

    async def write(self, text: str) -> None:
        await self.chat.locator("textarea").fill(text)
        await self.chat.get_by_role("button", name="Send", exact=True).click()

    async def reads(self, text: str) -> None:
        bubble = self.chat.locator(".said .bubble", has_text=text).last
        await expect(bubble).to_be_visible(timeout=ANSWER)


async def test_from_the_patients_first_word_to_the_nurses_last(stack: Stack, browser: Browser) -> None:
    page = await browser.new_page(viewport={"width": 390, "height": 844})
    await page.goto(stack.gateway_url)
    patient = Patient(page)
    await patient.open()
    await patient.write("what are your hours?")
    await patient.reads("automated assistant")
    await patient.reads("Monday to Friday")
    await patient.write("can i talk to a real person please")
    await patient.reads("I have told our staff")

    nurse = await browser.new_page(viewport={"width": 1280, "height": 800})
    await nurse.goto(f"{stack.gateway_url}/staff/")
    await nurse.get_by_label("Email").fill(LOGIN)
    await nurse.get_by_label("Password").fill(PASSWORD)
    await nurse.get_by_role("button", name="Log in").click()
    await nurse.get_by_role("link", name="All", exact=False).first.click()
    await nurse.locator("a[href*='/conversations/']").first.click()
    await expect(nurse.locator("p.text", has_text="can i talk to a real person please")).to_be_visible()
    await nurse.get_by_role("button", name="Take over").click()
    await patient.reads("is here now and will answer you")
    await nurse.get_by_role("textbox").first.fill("Hello, this is Ana. How can I help you?")
    await nurse.get_by_role("button", name="Send").first.click()
    await patient.reads("Hello, this is Ana.")
    await patient.write("thank you, that is all")
    await expect(nurse.locator("p.text", has_text="thank you, that is all")).to_be_visible(timeout=ANSWER)
    await nurse.get_by_role("button", name="Hand back").first.click()
    await patient.reads("This is the automated assistant again")
    await patient.write("where can I park?")
    await patient.reads("free for patients")


async def test_a_red_flag_alarms_the_inbox_while_it_is_open(stack: Stack, browser: Browser) -> None:
    nurse = await browser.new_page(viewport={"width": 1280, "height": 800})
    await nurse.goto(f"{stack.gateway_url}/staff/")
    await nurse.get_by_label("Email").fill(LOGIN)
    await nurse.get_by_label("Password").fill(PASSWORD)
    await nurse.get_by_role("button", name="Log in").click()
    await expect(nurse.get_by_role("heading", name="Inbox")).to_be_visible()
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await page.goto(stack.gateway_url)
    patient = Patient(page)
    await patient.open()
    await patient.write("me duele mucho el pecho y no puedo respirar")
    await patient.reads("Llame al 911 ahora mismo")
    await expect(nurse.get_by_text("Emergency", exact=False).first).to_be_visible(timeout=ANSWER)
    await context.close()
