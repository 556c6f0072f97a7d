"""The phone simulator's page in a real browser: what a person at it sees, types and hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from browser import browser_path
from playwright.async_api import Browser, Page, async_playwright, expect

from carethread.channels.twilio.accounts import demo_token
from sandbox.phones.testing import Phones, running_phones, start_phones

pytestmark = pytest.mark.browser

ACCOUNT_SID = "AC00000000000000000000000000000001"  # of clinics/riverbend
LINES = {"sms": "+13125550150", "whatsapp": "whatsapp:+13125550151"}
MARIA = "+13125550101"
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


@dataclass
class Gateway:
    """In the gateway's place: takes every webhook, or answers as told."""

    url: str = ""
    status: int = 200
    taken: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        if self.status >= 400:
            return web.json_response({"error": "the signature is wrong"}, status=self.status)
        self.taken.append({key: str(value) for key, value in (await request.post()).items()})
        return web.Response(text="<Response/>", content_type="text/xml")

    def texts(self) -> list[str]:
        return [form["Body"] for form in self.taken if "Body" in form]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    app = web.Application()
    app.router.add_post("/{path:.*}", gateway.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield gateway
    await runner.cleanup()


@pytest.fixture
def phones(gateway: Gateway, tmp_path: Path) -> Any:
    with running_phones(tmp_path, gateway.url) as phones:
        yield phones


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=list(QUIET))
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, phones: Phones) -> AsyncIterator[Page]:
    """María's phones on a wide screen; fails on any script error or request to another place."""
    context = await browser.new_context(viewport=WIDE, locale="en-US")
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if is_elsewhere(request.url, phones) else None)
    await page.goto(f"{phones.url}/?phone={quote(MARIA)}")
    await expect(page.get_by_role("log", name="SMS messages")).to_have_attribute("aria-busy", "false")
    yield page
    await context.close()
    assert wrong == []


def is_elsewhere(url: str, phones: Phones) -> bool:
    return not url.startswith((phones.url, "data:"))


async def clinic_says(phones: Phones, text: str, channel: str = "sms", phone: str = MARIA, callback: str = "") -> None:
    """The clinic sends a message by Twilio's API."""
    to = f"whatsapp:{phone}" if channel == "whatsapp" else phone
    form = {"From": LINES[channel], "To": to, "Body": text, **({"StatusCallback": callback} if callback else {})}
    url = f"{phones.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    auth = aiohttp.BasicAuth(ACCOUNT_SID, demo_token(ACCOUNT_SID))
    async with aiohttp.ClientSession() as http, http.post(url, data=form, auth=auth) as answer:
        assert answer.status == 201


def thread(page: Page, name: str = "SMS") -> Any:
    return page.get_by_role("log", name=f"{name} messages")


async def test_two_phones_stand_side_by_side_and_say_whose_they_are(page: Page) -> None:
    await expect(page.get_by_role("heading", name="Phone simulator", level=1)).to_be_visible()
    person = page.get_by_label("Whose phone")
    await expect(person).to_have_value(MARIA)
    options = await person.locator("option").all_inner_texts()
    assert len(options) == len(set(options)) > 20, "namesakes can be told apart"
    await expect(page.get_by_label("About this phone")).to_contain_text("María López · born 1968-04-12")
    sms, whatsapp = (page.get_by_role("region", name=f"{name} phone") for name in ("SMS", "WhatsApp"))
    left, right = await sms.bounding_box(), await whatsapp.bounding_box()
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"]
    assert left["y"] + left["height"] <= WIDE["height"], "the composer is in sight without scrolling"
    await expect(sms).to_contain_text("+13125550150")
    await expect(whatsapp).to_contain_text("+13125550151")


@pytest.mark.parametrize("name", ["SMS", "WhatsApp"])
async def test_what_is_typed_reaches_the_gateway_and_is_ticked(page: Page, gateway: Gateway, name: str) -> None:
    writing = page.get_by_label(f"Your {name} message")
    await writing.fill("¿Cuándo es mi cita? 🙂")
    await writing.press("Enter")
    mine = thread(page, name).locator(".mine")
    await expect(mine).to_contain_text("¿Cuándo es mi cita? 🙂")
    await expect(mine).to_contain_text("Delivered")
    await expect(writing).to_have_value("")
    await expect(writing).to_be_focused()
    (form,) = gateway.taken
    assert (form["Body"], form["From"].removeprefix("whatsapp:")) == ("¿Cuándo es mi cita? 🙂", MARIA)
    assert form["To"] == LINES[name.lower()]


async def test_a_new_line_is_typed_with_shift_and_an_empty_message_is_not_sent(page: Page, gateway: Gateway) -> None:
    writing = page.get_by_label("Your SMS message")
    await writing.press("Enter")
    await writing.type("one")
    await writing.press("Shift+Enter")
    await writing.type("two")
    await page.get_by_role("region", name="SMS phone").get_by_role("button", name="Send", exact=True).click()
    await expect(thread(page).locator(".mine")).to_contain_text("Delivered")
    assert gateway.texts() == ["one\ntwo"]


async def test_an_answer_appears_by_itself_on_the_right_phone(page: Page, phones: Phones) -> None:
    await clinic_says(phones, "Su cita es mañana.\n1. Sí\n2. No", "whatsapp")
    await expect(thread(page, "WhatsApp").locator(".theirs .text")).to_have_text("Su cita es mañana.\n1. Sí\n2. No")
    await expect(thread(page).locator(".message")).to_have_count(0)


async def test_what_the_clinic_sends_is_only_ever_text_and_its_addresses_are_links(page: Page, phones: Phones) -> None:
    await clinic_says(phones, "<img src=x onerror=alert(1)> Join: https://visits.example/a?b=1&c=2. Bye")
    text = thread(page).locator(".theirs .text")
    await expect(text).to_have_text("<img src=x onerror=alert(1)> Join: https://visits.example/a?b=1&c=2. Bye")
    assert await text.locator("img").count() == 0
    await expect(text.get_by_role("link")).to_have_attribute("href", "https://visits.example/a?b=1&c=2")


async def test_a_reload_keeps_the_thread_in_order(page: Page, phones: Phones) -> None:
    await clinic_says(phones, "first")
    await clinic_says(phones, "second")
    await page.get_by_label("Your SMS message").fill("third")
    await page.keyboard.press("Enter")
    await expect(thread(page).locator(".mine")).to_contain_text("Delivered")
    await clinic_says(phones, "fourth")
    await expect(thread(page).locator(".text")).to_have_text(["first", "second", "third", "fourth"])
    await page.reload()
    await expect(thread(page).locator(".text")).to_have_text(["first", "second", "third", "fourth"])


async def test_a_refused_message_says_why_and_can_be_sent_again(page: Page, gateway: Gateway) -> None:
    gateway.status = 403
    await page.get_by_label("Your SMS message").fill("Hello?")
    await page.keyboard.press("Enter")
    lost = thread(page).locator(".mine.lost")
    await expect(lost).to_contain_text("the gateway answered 403: the signature is wrong")
    gateway.status = 200
    await lost.get_by_role("button", name="Try again").click()
    await expect(thread(page).locator(".mine")).to_contain_text("Delivered")
    assert gateway.texts() == ["Hello?"]


async def test_opening_the_thread_tells_the_clinic_that_it_was_read(
    page: Page, phones: Phones, gateway: Gateway
) -> None:
    await clinic_says(phones, "Read me", "whatsapp", callback=f"{gateway.url}/status?outbox=1")
    async with asyncio.timeout(20):
        while [form["MessageStatus"] for form in gateway.taken] != ["queued", "sent", "delivered", "read"]:
            await asyncio.sleep(0.05)


# One red dot.
GIF = "47494638396101000100800000ff0000ffffff21f90400000000002c00000000010001000002024401003b"


async def test_a_picture_can_be_sent(page: Page, gateway: Gateway, tmp_path: Path) -> None:
    picture = tmp_path / "dot.gif"
    picture.write_bytes(bytes.fromhex(GIF))
    await (
        page.get_by_role("region", name="WhatsApp phone").get_by_label("Send a photo or file").set_input_files(picture)
    )
    shown = thread(page, "WhatsApp").get_by_role("img", name="Picture")
    await expect(shown).to_be_visible()
    assert await shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    async with asyncio.timeout(10):
        while not gateway.taken:
            await asyncio.sleep(0.05)
    assert gateway.taken[0]["MediaContentType0"] == "image/gif"
    assert gateway.taken[0]["NumMedia"] == "1"


async def test_another_person_has_another_thread(page: Page, phones: Phones) -> None:
    await clinic_says(phones, "For María")
    await expect(thread(page).locator(".theirs")).to_have_count(1)
    await page.get_by_label("Whose phone").select_option("+13125550110")
    await expect(page.get_by_label("About this phone")).to_contain_text("3 people share +13125550110")
    await expect(thread(page).locator(".message")).to_have_count(0)
    await clinic_says(phones, "For Linh", phone="+13125550110")
    await expect(thread(page).locator(".theirs .text")).to_have_text(["For Linh"])


async def test_any_number_can_be_typed(page: Page, phones: Phones, gateway: Gateway) -> None:
    await page.get_by_label("Whose phone").select_option("other")
    number = page.get_by_label("Phone number")
    await expect(number).to_be_focused()
    await expect(page.get_by_label("Your SMS message")).to_be_disabled()
    await number.fill("312 555 0199")
    await number.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="country code")).to_be_visible()
    await number.fill("+1 (312) 555-0199")
    await number.press("Enter")
    await page.get_by_label("Your SMS message").fill("I am new here")
    await page.keyboard.press("Enter")
    await expect(thread(page).locator(".mine")).to_contain_text("Delivered")
    assert gateway.taken[0]["From"] == "+13125550199"
    await page.reload()
    await expect(thread(page).locator(".text")).to_have_text(["I am new here"])


async def test_a_narrow_screen_shows_one_phone_and_counts_what_is_new_on_the_other(page: Page, phones: Phones) -> None:
    await page.set_viewport_size(NARROW)
    sms, whatsapp = thread(page), thread(page, "WhatsApp")
    await expect(sms).to_be_visible()
    await expect(whatsapp).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    await clinic_says(phones, "Look here", "whatsapp")
    other = page.get_by_role("group", name="Which phone to show").get_by_role("button").nth(1)
    await expect(other).to_have_text("WhatsApp (1 new)")
    await other.click()
    await expect(whatsapp).to_be_visible()
    await expect(sms).to_be_hidden()
    await expect(other).to_have_text("WhatsApp")
    await expect(other).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_label("Your WhatsApp message")).to_be_in_viewport()


# What has the focus: its name, and whether it shows.
FOCUSED = """
() => {
  const node = document.activeElement;
  const name = node.labels?.[0]?.innerText || node.ariaLabel || node.innerText;
  const shows = (each) => each && getComputedStyle(each).outlineStyle !== 'none';
  return [name.trim(), [node, node.closest('.attach')].some(shows)];
}
"""


async def test_everything_can_be_done_with_the_keyboard(page: Page, gateway: Gateway) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the phones")).to_be_focused()
    await page.keyboard.press("Enter")
    names = []
    for _ in range(8):
        await page.keyboard.press("Tab")
        name, outline = await page.evaluate(FOCUSED)
        names.append(name)
        assert outline, f"focus is not visible on {names[-1]}"
    assert names == [
        "SMS messages", "Send a photo or file", "Your SMS message", "Send",
        "WhatsApp messages", "Send a photo or file", "Your WhatsApp message", "Send",
    ]  # fmt: skip
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.type("By keyboard")
    await page.keyboard.press("Enter")
    await expect(thread(page, "WhatsApp").locator(".mine")).to_contain_text("Delivered")


async def test_a_screen_reader_hears_new_messages_and_not_the_history(page: Page, phones: Phones) -> None:
    log = thread(page)
    assert await log.evaluate("node => node.tagName") == "DIV"
    await expect(log).to_have_attribute("aria-live", "polite")
    await clinic_says(phones, "Hello")
    # Who speaks is said, not only shown by the side and colour of a message.
    await expect(log.locator(".theirs")).to_contain_text("The clinic:")
    await page.get_by_label("Whose phone").select_option("+13125550102")
    await expect(log).to_have_attribute("aria-busy", "false")


CONTRAST = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour[3] > 0) return colour;
    }
    return [255, 255, 255, 255];
  };
  const light = (colour) => colour.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest('.hidden, .skip, option')) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    found.push([walker.currentNode.data.trim().slice(0, 30), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(page: Page, phones: Phones, gateway: Gateway, scheme: Any) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    await page.emulate_media(color_scheme=scheme)
    for name, channel in (("SMS", "sms"), ("WhatsApp", "whatsapp")):
        await clinic_says(phones, "Message of several parts " * 10, channel)
        await page.get_by_label(f"Your {name} message").fill("Mine")
        await page.keyboard.press("Enter")
        await expect(thread(page, name).locator(".mine")).to_contain_text("Delivered")
        await expect(thread(page, name).locator(".theirs")).to_have_count(1)
    gateway.status = 403
    await page.get_by_label("Your SMS message").fill("Lost")
    await page.keyboard.press("Enter")
    await expect(thread(page).locator(".lost")).to_have_count(1)
    found = await page.evaluate(CONTRAST)
    assert len(found) > 20
    assert [pair for pair in found if pair[1] < 4.5] == []


async def test_the_page_waits_out_a_restart_and_misses_nothing(
    browser: Browser, gateway: Gateway, tmp_path: Path
) -> None:
    first = start_phones(tmp_path, gateway.url)
    port = int(first.url.rpartition(":")[2])
    page = await browser.new_page(viewport=WIDE)
    await page.goto(f"{first.url}/?phone={quote(MARIA)}")
    await clinic_says(first, "before")
    await expect(thread(page).locator(".text")).to_have_text(["before"])
    first.kill()
    await expect(page.get_by_role("status")).to_contain_text("does not answer")
    again = await asyncio.to_thread(start_phones, tmp_path, gateway.url, port=port)
    try:
        await clinic_says(again, "after")
        await expect(thread(page).locator(".text")).to_have_text(["before", "after"], timeout=15_000)
        await expect(page.get_by_role("status")).to_be_empty()
    finally:
        await page.close()
        again.stop()
