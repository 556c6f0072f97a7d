"""The staff inbox in a real browser: a nurse's shift by keyboard, on a phone, without scripts, and with a colleague."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from browser import browser_path
from playwright.async_api import Browser, Page, async_playwright, expect
from sqlalchemy import delete, select
from staff_site import PASSWORD, StaffSite, staff_site

from carethread.escalation import open_escalation, pause_for_emergency
from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Escalation, Outbox, StaffSession

pytestmark = [pytest.mark.browser, pytest.mark.server]

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip

Enter = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=list(QUIET))
        yield browser
        await browser.close()


@pytest.fixture
async def site(database: Database, tenant: str) -> AsyncIterator[StaffSite]:
    async with staff_site(database, tenant) as site:
        await site.person("ana", "nurse-line")
        await site.person("sam", "nurse-line")
        yield site


@pytest.fixture
async def enter(browser: Browser, site: StaffSite) -> AsyncIterator[Enter]:
    """Log somebody in, in a browser of their own; fails at the end on a script error or a refused file."""
    wrong: list[str] = []
    contexts = []

    async def enter_(name: str = "ana", **options: Any) -> Page:
        context = await browser.new_context(**{"viewport": WIDE, "locale": "en-US", **options})
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        # What the content policy refuses is an error on the console.
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        page.on("request", lambda sent: None if sent.url.startswith(site.url) else wrong.append(sent.url))
        await log_in(page, site, name)
        return page

    yield enter_
    for context in contexts:
        await context.close()
    assert wrong == []


async def log_in(page: Page, site: StaffSite, name: str) -> None:
    await page.goto(site.home)
    await page.get_by_label("Email").fill(f"{name}@example.test")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


async def trouble(site: StaffSite, text: str = "my chest hurts so bad", severity: Any = "emergency") -> Conversation:
    """A patient with a red flag, the assistant paused."""
    talk = await site.conversation()
    await site.said(talk, "How can I help?", at=site.clock() - timedelta(minutes=2))
    level = "emergency" if severity == "emergency" else "none"
    row = await site.wrote(talk, text, level=level, rule="chest-pain", outcome="red_flag")
    async with site.database.begin(site.clinic.id) as session:
        await open_escalation(
            session, site.clinic, conversation_id=talk.id, key=str(uuid.uuid4()), severity=severity,
            reason="emergency" if severity == "emergency" else "symptoms", now=site.clock(), rule="chest-pain",
            source="MedlinePlus", inbox_id=row.id, details={"span": [3, 14]},
        )  # fmt: skip
        await pause_for_emergency(session, await session.get_one(Conversation, talk.id))
    return talk


async def patient_writes(site: StaffSite, talk: Conversation, text: str) -> None:
    await site.wrote(talk, text, outcome="to_human")
    async with site.database.begin(site.clinic.id) as session:
        announce(session, site.clinic.id, talk.id)


@asynccontextmanager
async def no_reload(page: Page) -> AsyncIterator[None]:
    """What happens in the block happens without the page being loaded again."""
    await page.evaluate("window.kept = true")
    yield
    assert await page.evaluate("window.kept === true")


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what has this name."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            "(at => at === document.body ? '' : at.innerText || at.labels?.[0].innerText)(document.activeElement)"
        )
        if name in (focused or ""):
            return
    raise AssertionError(f"Tab never came to {name}")


async def test_a_red_flag_is_worked_from_the_keyboard_alone(site: StaffSite, enter: Enter) -> None:
    talk = await trouble(site)
    page = await enter()
    await tab_to(page, "Possible emergency")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Nobody answers this patient.")).to_be_visible()
    await expect(page.locator("#lines mark")).to_have_text("chest hurts")
    await tab_to(page, "Take over")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("You have this conversation. The assistant is silent.")).to_be_visible()
    await tab_to(page, "Reply to")
    await page.keyboard.type("This is Ana, a nurse. Are you safe?")
    await page.keyboard.press("Enter")  # a new line, not a message
    await page.keyboard.type("Please call 911.")
    await page.keyboard.press("Control+Enter")
    sent = page.locator(".said.staff")
    await expect(sent).to_contain_text("Are you safe?\nPlease call 911.")
    await expect(sent).to_contain_text("Waiting to be sent")
    await expect(page.get_by_label("Reply to")).to_have_value("")
    await tab_to(page, "Resolve…")
    await page.keyboard.press("Enter")
    await tab_to(page, "What was done?")
    await page.keyboard.type("Stayed on the phone until the ambulance came")
    await tab_to(page, "Hand the conversation back")
    await page.keyboard.press("Space")
    await tab_to(page, "Resolve")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No open items.")).to_be_visible()
    await expect(page.get_by_text("The assistant answers this patient.")).to_be_visible()
    async with site.database.begin(site.clinic.id) as session:
        item = (await session.scalars(select(Escalation))).one()
        assert (item.state, item.resolution) == ("resolved", "Stayed on the phone until the ambulance came")
        assert (await session.get_one(Conversation, talk.id)).owner == "assistant"
        assert len((await session.scalars(select(Outbox).where(Outbox.author == "staff"))).all()) == 1


async def test_new_items_come_by_themselves_and_leave_the_focus_alone(site: StaffSite, enter: Enter) -> None:
    await trouble(site, "sore knee", severity="routine")
    page = await enter()
    first = page.get_by_role("link", name="Symptoms to look at")
    await first.focus()
    async with no_reload(page):
        await trouble(site)
        await expect(page.locator(".item")).to_have_count(2)
        await expect(page.locator(".item").first).to_contain_text("Possible emergency")
        await expect(page.get_by_role("status")).to_have_text("2 items wait for somebody in your teams")
        await expect(page).to_have_title(f"(2) Inbox · {site.clinic.name}")
        await expect(first).to_be_focused()


async def test_a_draft_outlives_updates_and_visits_elsewhere(site: StaffSite, enter: Enter) -> None:
    talk = await trouble(site)
    page = await enter()
    await page.get_by_role("link", name="Possible emergency").click()
    await page.get_by_role("button", name="Take over").click()
    box = page.get_by_label("Reply to")
    await box.fill("Half a sent")
    async with no_reload(page):
        await patient_writes(site, talk, "hello? are you there")
        await expect(page.locator("#lines")).to_contain_text("hello? are you there")
        await expect(box).to_have_value("Half a sent")
        await expect(box).to_be_focused()
        await page.keyboard.type("ence")
        await expect(box).to_have_value("Half a sentence")
        await page.get_by_text("Resolve…").click()
        await page.get_by_label("What was done?").fill("Half a note")
        await patient_writes(site, talk, "please")
        await expect(page.locator("#lines")).to_contain_text("please")
        await expect(page.get_by_label("What was done?")).to_have_value("Half a note")
        await expect(page.get_by_label("What was done?")).to_be_focused()
    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("link", name="Possible emergency").click()
    await expect(box).to_have_value("Half a sentence")
    await box.press("Control+Enter")
    await expect(page.locator(".said.staff")).to_contain_text("Half a sentence")
    await expect(box).to_have_value("")
    await page.reload()
    await expect(box).to_have_value("")
    await expect(page.get_by_label("What was done?")).to_have_value("Half a note")


async def test_reading_back_is_not_disturbed_by_a_new_message(site: StaffSite, enter: Enter) -> None:
    talk = await trouble(site)
    for number in range(40):
        await site.said(talk, f"Older message {number}", at=site.clock() - timedelta(minutes=60 - number))
    page = await enter()
    await page.get_by_role("link", name="Possible emergency").click()
    log = page.locator("#log")
    assert await log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 60
    await log.evaluate("log => { log.scrollTop = 0; }")
    await patient_writes(site, talk, "one more thing")
    newer = page.get_by_role("button", name="New messages below")
    await expect(newer).to_be_visible()
    assert await log.evaluate("log => log.scrollTop") == 0
    await newer.click()
    await expect(page.get_by_text("one more thing")).to_be_in_viewport()
    await expect(newer).to_be_hidden()
    await patient_writes(site, talk, "and another")
    await expect(page.get_by_text("and another")).to_be_in_viewport()


async def test_the_newest_is_shown_without_scrolling_the_page_away(site: StaffSite, enter: Enter) -> None:
    """Buttons that were offered hold words for screen readers alone; they must not make the page itself longer."""
    talk = await trouble(site)
    for number in range(40):
        replies = [{"title": title, "value": title} for title in ("Yes", "No")]
        at = site.clock() - timedelta(minutes=60 - number)
        await site.said(talk, f"Question {number}", at=at, quick_replies=replies)
    page = await enter()
    await page.goto(f"{site.home}conversations/{talk.id}#latest")
    assert await page.evaluate("[scrollY, document.documentElement.scrollHeight - innerHeight]") == [0, 0]
    await expect(page.get_by_role("button", name="Take over")).to_be_in_viewport()


async def test_two_nurses_see_each_other(site: StaffSite, enter: Enter) -> None:
    talk = await trouble(site)
    ana, sam = await enter("ana"), await enter("sam")
    for page in (ana, sam):
        await page.goto(f"{site.home}conversations/{talk.id}")
    await ana.get_by_role("button", name="Take over").click()
    await expect(sam.get_by_text("ana has this conversation. The assistant is silent.")).to_be_visible()
    await expect(sam.get_by_role("button", name="Take over from ana")).to_be_visible()
    await sam.goto(site.home)
    await expect(sam.locator(".item")).to_contain_text("ana")
    await expect(sam.get_by_role("button", name="Take")).to_have_count(0)


async def test_who_comes_second_is_told_who_was_first(site: StaffSite, enter: Enter) -> None:
    talk = await trouble(site)
    sam = await enter("sam")
    await sam.route("**/events", lambda route: route.abort())  # Sam's page is not live: what it shows is old
    await sam.goto(f"{site.home}conversations/{talk.id}")
    ana = await enter("ana")
    await ana.goto(f"{site.home}conversations/{talk.id}")
    await ana.get_by_role("button", name="Take over").click()
    await expect(ana.get_by_label("Reply to")).to_be_visible()
    await sam.get_by_role("button", name="Take over").click()
    await expect(sam.get_by_role("alert").filter(has_text="ana has this conversation.")).to_be_visible()


async def test_everything_works_without_scripts(site: StaffSite, enter: Enter) -> None:
    talk = await trouble(site)
    page = await enter(java_script_enabled=False)
    await page.get_by_role("link", name="Possible emergency").click()
    await page.get_by_role("button", name="Take over").click()
    await page.get_by_label("Reply to").fill("Hello from Ana")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".said.staff")).to_contain_text("Hello from Ana")
    await page.get_by_role("button", name="Hand back to the assistant").click()
    await expect(page.get_by_role("status")).to_have_text("The assistant answers this patient again.")
    await page.get_by_text("Resolve…").click()
    await page.get_by_label("What was done?").fill("Answered")
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.get_by_text("No open items.")).to_be_visible()
    async with site.database.begin(site.clinic.id) as session:
        assert (await session.get_one(Conversation, talk.id)).owner == "assistant"
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="Staff login")).to_be_visible()


async def test_who_is_logged_out_keeps_what_they_typed_and_goes_on(site: StaffSite, enter: Enter) -> None:
    talk = await trouble(site)
    page = await enter()
    await page.get_by_role("link", name="Possible emergency").click()
    await page.get_by_role("button", name="Take over").click()
    await page.get_by_label("Reply to").fill("I was just about to")
    async with no_reload(page):
        async with site.database.begin(site.clinic.id) as session:
            await session.execute(delete(StaffSession))
            announce(session, site.clinic.id, talk.id)
        await expect(page.get_by_text("You are logged out. What you typed is still here.")).to_be_visible()
        async with page.context.expect_page() as opened:
            await page.get_by_role("link", name="Log in again in a new tab").click()
        tab = await opened.value
        await log_in(tab, site, "ana")
        await tab.close()
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.get_by_text("You are logged out.")).to_be_hidden()
    await page.get_by_label("Reply to").press("Control+Enter")
    await expect(page.locator(".said.staff")).to_contain_text("I was just about to")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
async def test_every_page_fits_its_screen(site: StaffSite, enter: Enter, size: dict[str, int]) -> None:
    talk = await trouble(site, "W" * 300 + " " + "https://example.test/" + "long" * 60)
    for _ in range(11):
        await trouble(site, "a cough that will not go away and gets worse at night " * 5, severity="soon")
    page = await enter(viewport=size)
    for path in ("", "?view=all", "conversations", f"conversations/{talk.id}"):
        await page.goto(site.home + path)
        wide = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], path
        small = await page.evaluate(
            "[...document.querySelectorAll('button, .tabs a')].filter(b => b.offsetParent)"
            ".map(b => [b.innerText, b.offsetWidth, b.offsetHeight]).filter(([, w, h]) => w < 24 || h < 24)"
        )
        assert small == [], path
    await page.get_by_role("button", name="Take over").click()
    await expect(page.get_by_role("button", name="Send")).to_be_in_viewport()


async def test_severity_is_told_by_word_and_shape_too(site: StaffSite, enter: Enter) -> None:
    for severity in ("emergency", "urgent", "soon", "routine"):
        await trouble(site, severity=severity)
    page = await enter()
    words = [await mark.inner_text() for mark in await page.locator(".item .severity").all()]
    shapes = [await mark.inner_html() for mark in await page.locator(".item .severity svg").all()]
    assert [word.strip() for word in words] == ["Emergency", "Urgent", "Soon", "Routine"]
    assert len(set(shapes)) == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_from_its_ground(site: StaffSite, enter: Enter, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for every text that shows, in both colour schemes."""
    talk = await trouble(site)
    await trouble(site, severity="urgent")
    await trouble(site, severity="soon")
    await trouble(site, severity="routine")
    await site.said(talk, "Not sent", state="failed", error="no route")
    page = await enter(color_scheme=scheme)
    for path in ("", f"conversations/{talk.id}", "conversations", "?view=resolved"):
        await page.goto(site.home + path)
        assert await page.evaluate(CONTRAST) == [], path
    await page.goto(f"{site.home}conversations/{talk.id}")
    await page.get_by_role("button", name="Take over").click()
    await expect(page.get_by_label("Reply to")).to_be_visible()
    assert await page.evaluate(CONTRAST) == []
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="Staff login")).to_be_visible()
    assert await page.evaluate(CONTRAST) == []


# Every visible text with less contrast than WCAG AA asks of small text, with its ratio.
CONTRAST = """() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour)
      .map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      const alpha = channels(colour)[3];
      if (alpha === undefined || alpha === 1) return colour;
    }
    return getComputedStyle(document.documentElement).colorScheme.includes("dark") ? "rgb(0,0,0)" : "rgb(255,255,255)";
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(".hide, .skip, svg")) continue;
    const pair = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) weak.push([element.innerText.slice(0, 40), element.className, ratio.toFixed(2)]);
  }
  return weak;
}"""
