"""The edge of the questionnaire page, below `/q`: a signed link, a date of birth, then one question at a time.

It needs no script, so that any phone can use it. Each answer is an inbox row of its own and is screened like any other
message; the session is the chat's, so that a patient may begin here and go on there.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import SanicException
from sanic.response import html, redirect
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.channels.page.texts import PAGE
from carethread.channels.page.view import OTHER, Sent, Shown, sent, shown
from carethread.clinic import Clinic, Clinics
from carethread.config import Settings
from carethread.dialogue.content import ContentStore
from carethread.escalation import open_escalation
from carethread.messaging.intake import clean
from carethread.messaging.wakeups import Wakeup, wake
from carethread.programs import runs
from carethread.programs.library import Programs
from carethread.programs.links import OPEN, TRIES, BadLink, LinkOver, Links
from carethread.questionnaires import Input, Questionnaire, Session, current_question
from carethread.safety.reading import load_reading
from carethread.storage.announce import announce
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox, QuestionnaireRun

log = structlog.get_logger()

_HERE: Final = Path(__file__).parent
_COOKIE: Final = "carethread_q"
_LONGEST: Final = 4_000  # characters of an answer
# How long the page waits until an answer in the patient's own words has been read for red flags.
_SCREENING, _GLANCE = 3.0, 0.1  # seconds
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # The address opens the page: it goes to nobody else.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class Parts(Protocol):
    """What the page needs of the process it runs in."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clinics(self) -> Clinics: ...
    @property
    def database(self) -> Database: ...


@dataclass(slots=True)
class _Visit:
    """Somebody at the page of one run, in a transaction that holds it."""

    clinic: Clinic
    token: str
    session: AsyncSession
    run: QuestionnaireRun
    conversation: Conversation
    now: datetime
    language: str
    opened: bool
    wrote: int | None = None  # the inbox row of an answer in own words, still to be read for red flags

    @property
    def address(self) -> str:
        return f"/q/{self.clinic.id}/{self.token}"


class _Ended(Exception):
    """There is nothing to open at this address; `what` names the words for it."""

    def __init__(self, clinic: Clinic | None, what: str, status: int) -> None:
        super().__init__(what)
        self.clinic, self.what, self.status = clinic, what, status


Handler = Callable[[_Visit, Request], Awaitable[HTTPResponse]]


def blueprint(parts: Parts, programs: Programs, links: Links, clock: Callable[[], datetime]) -> Blueprint:
    """Everything under `/q`, and `/q-static`. Raises `ConfigError` when `content/page.yml` cannot be used."""
    page = _Page(parts, programs, links, clock)
    bp = Blueprint("questionnaire_page")
    bp.static("/q-static", _HERE / "static", name="static")

    @bp.get("/q/<tenant:str>/<token:str>", name="show")
    async def show(request: Request, tenant: str, token: str) -> HTTPResponse:
        return await page.at(request, tenant, token, page.show)

    @bp.post("/q/<tenant:str>/<token:str>", name="answer")
    async def answer(request: Request, tenant: str, token: str) -> HTTPResponse:
        return await page.at(request, tenant, token, page.take)

    @bp.post("/q/<tenant:str>/<token:str>/open", name="open")
    async def open_(request: Request, tenant: str, token: str) -> HTTPResponse:
        return await page.at(request, tenant, token, page.open)

    async def protect(_request: Request, response: HTTPResponse) -> None:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)

    async def ended(request: Request, error: _Ended) -> HTTPResponse:
        clinic = error.clinic or next(iter(parts.clinics.values()))
        return page.render("ended.html", clinic, page.language(request, clinic), what=error.what, status=error.status)

    async def failed(request: Request, error: Exception) -> HTTPResponse:
        status = error.status_code if isinstance(error, SanicException) else 503
        if status >= 500:
            # The error's own text may hold what a patient wrote.
            log.error("questionnaire_page_failed", endpoint=request.endpoint, error=type(error).__name__)
        clinic = next(iter(parts.clinics.values()))
        what = "missing" if status == 404 else "trouble"
        return page.render("ended.html", clinic, page.language(request, clinic), what=what, status=status)

    bp.middleware(protect, "response")
    bp.exception(_Ended)(ended)
    bp.exception(Exception)(failed)
    return bp


class _Page:
    def __init__(self, parts: Parts, programs: Programs, links: Links, clock: Callable[[], datetime]) -> None:
        self._database, self._clinics = parts.database, parts.clinics
        self._programs, self._links, self._clock = programs, links, clock
        measure = load_reading(parts.settings.content_dir / "reading.yml")
        texts = PAGE.load(parts.settings.content_dir / "page.yml", measure)
        # Tenant → language → key → text.
        self._words = {clinic.id: texts.of(clinic) for clinic in parts.clinics.values()}
        self._content = ContentStore(parts.settings.content_dir, facts=parts.clinics.shared_facts(), reading=measure)
        self._secure = parts.settings.public_url.startswith("https://")
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip

    # --- who is there -----------------------------------------------------------------------------------------------

    async def at(self, request: Request, tenant: str, token: str, handle: Handler) -> HTTPResponse:
        """Let `handle` work on the run that the link is for, alone with it. Raises `_Ended`."""
        clinic = self._clinics.get(tenant)
        if clinic is None:
            raise _Ended(None, "missing", 404)
        now = self._clock()
        try:
            run_id = self._links.run_of(tenant, token, now=now)
        except LinkOver:
            raise _Ended(clinic, "over", 410) from None
        except BadLink:
            raise _Ended(clinic, "missing", 404) from None
        async with self._database.begin(tenant) as session:
            run = await session.get(QuestionnaireRun, run_id, with_for_update=True)
            if run is None:
                raise _Ended(clinic, "missing", 404)
            conversation = await session.get_one(Conversation, run.conversation_id)
            opened = self._links.opens(tenant, run.id, request.cookies.get(_COOKIE) or "", now=now)
            language = self.language(request, clinic, conversation.language)
            visit = _Visit(clinic, token, session, run, conversation, now, language, opened)
            response = await self._ended(visit) or await handle(visit, request)
        if visit.wrote is not None:
            await self._read_for_flags(tenant, visit.wrote)
        return response

    async def _ended(self, visit: _Visit) -> HTTPResponse | None:
        """What is shown instead of a form, if anything."""
        if visit.run.page_failures >= TRIES:
            return self.render("ended.html", visit.clinic, visit.language, what="locked", status=403)
        if not visit.opened:
            return None
        if visit.conversation.owner == "emergency":
            return await self._guidance(visit)
        if visit.run.state == "lapsed":
            return self.render("ended.html", visit.clinic, visit.language, what="over", status=410)
        if visit.run.state == "stopped":
            return self.render("ended.html", visit.clinic, visit.language, what="human")
        if visit.run.state == "completed":
            what = "alarm" if self._alarmed(visit) else "done"
            return self.render("ended.html", visit.clinic, visit.language, what=what)
        return None

    def language(self, request: Request, clinic: Clinic, usual: str | None = None) -> str:
        asked = str(request.args.get("lang") or usual or "")
        words = self._words[clinic.id]
        return asked if asked in words else next(iter(words))

    # --- pages --------------------------------------------------------------------------------------------------------

    async def show(self, visit: _Visit, request: Request) -> HTTPResponse:
        if not visit.opened:
            return self._door(visit)
        if request.args.get("saved"):
            return self._form("ended.html", visit, what="later")
        question = await self._waiting(visit)
        return self._form("question.html", visit, shown=question, other=OTHER)

    async def open(self, visit: _Visit, request: Request) -> HTTPResponse:
        form = _fields(request)
        born = _date(form)
        if born is None:
            return self._door(visit, "no_date", form, status=400)
        if visit.run.born is None or not self._links.is_born(visit.run.id, born, visit.run.born):
            visit.run.page_failures += 1
            if visit.run.page_failures < TRIES:
                return self._door(visit, "wrong_date", form, status=403)
            await open_escalation(
                visit.session, visit.clinic,
                conversation_id=visit.conversation.id, key=f"run:{visit.run.id}:page", severity="soon",
                reason="identity", now=visit.now,
                details={"why": "three wrong dates of birth on a check-in page"}, patient_id=visit.run.patient_id,
            )  # fmt: skip
            return self.render("ended.html", visit.clinic, visit.language, what="locked", status=403)
        visit.run.page_failures = 0
        response = _back(visit)
        response.cookies.add_cookie(
            _COOKIE, self._links.key(visit.clinic.id, visit.run.id, now=visit.now), path=visit.address,
            max_age=int(OPEN.total_seconds()), httponly=True, samesite="Strict", secure=self._secure,
        )  # fmt: skip
        return response

    async def take(self, visit: _Visit, request: Request) -> HTTPResponse:
        """Keep an answer; one to a question that no longer waits (sent twice, or an old page) changes nothing."""
        if not visit.opened:
            return _back(visit)
        question, form = await self._waiting(visit), _fields(request)
        if next(iter(form.get("step", [])), "") != question.step:
            return _back(visit)
        given = sent(question, form)
        program, questionnaire = runs.questionnaire_of(self._programs, visit.run)
        row = await self._kept(visit, given)
        message = Input(
            given.text, visit.language, str(row.id), visit.now, selected=given.selected, chosen=given.chosen,
            request=given.request,
        )  # fmt: skip
        step = runs.take(questionnaire, visit.run, message)
        await runs.keep(
            visit.session, visit.clinic, program, questionnaire, visit.run, step, now=visit.now, inbox_id=row.id,
            channel=visit.conversation.channel, on="page",
        )  # fmt: skip
        visit.wrote = row.id if given.has_words else None
        return _back(visit, saved=step.status == "postponed")

    async def _kept(self, visit: _Visit, given: Sent) -> Inbox:
        """The answer as a message of this conversation: answered already, and still to be read for red flags."""
        text = given.text if given.request is None else given.request.value
        row = Inbox(
            conversation_id=visit.conversation.id, provider_id=f"page:{uuid.uuid4()}", kind="page", text=text,
            received_at=visit.now, language=visit.language, done_at=visit.now, outcome="answered",
            screened_at=None if given.has_words else visit.now,
        )  # fmt: skip
        visit.session.add(row)
        await visit.session.flush()
        visit.conversation.last_inbound_at = visit.now
        if given.has_words:
            await wake(visit.session, Wakeup("inbound", visit.clinic.id, str(visit.conversation.id)))
        announce(visit.session, visit.clinic.id, visit.conversation.id)
        return row

    async def _waiting(self, visit: _Visit) -> Shown:
        """The question that waits; the first visit of a run begins it."""
        program, questionnaire = runs.questionnaire_of(self._programs, visit.run)
        if visit.run.state == "waiting" or not visit.run.session:
            step = runs.opened(program, questionnaire, visit.run, language=visit.language, now=visit.now)
            await runs.keep(
                visit.session, visit.clinic, program, questionnaire, visit.run, step, now=visit.now, inbox_id=None,
                channel=visit.conversation.channel, on="page",
            )  # fmt: skip
        session = Session.from_json(visit.run.session)
        question = current_question(questionnaire, session, language=visit.language)
        if question is None:
            raise _Ended(visit.clinic, "done", 200)
        return shown(
            question, self._words[visit.clinic.id][visit.language],
            step=_step(questionnaire, session), first=not session.given,
        )  # fmt: skip

    def _door(
        self, visit: _Visit, wrong: str = "", said: Mapping[str, list[str]] | None = None, *, status: int = 200
    ) -> HTTPResponse:
        filled = {name: next(iter((said or {}).get(name, [])), "") for name in ("month", "day", "year")}
        return self._form("door.html", visit, wrong=wrong, said=filled, status=status)

    async def _guidance(self, visit: _Visit) -> HTTPResponse:
        """A red flag paused everything: the words of the chat's guidance, and whom to call."""
        level = await visit.session.scalar(
            select(Inbox.level)
            .where(Inbox.conversation_id == visit.conversation.id, Inbox.level.in_(("emergency", "crisis")))
            .order_by(Inbox.id.desc()).limit(1)
        )  # fmt: skip
        key = "utter_safety_crisis" if level == "crisis" else "utter_safety_emergency"
        said = self._content.current.render(key, {}, clinic=visit.clinic, language=visit.language, channel="web")
        number = visit.clinic.crisis_line if level == "crisis" else visit.clinic.emergency_number
        return self.render(
            "guidance.html", visit.clinic, visit.language, lines=said.text.splitlines(), call=number,
        )  # fmt: skip

    def _alarmed(self, visit: _Visit) -> bool:
        program, questionnaire = runs.questionnaire_of(self._programs, visit.run)
        return bool(program.alarms(runs.response_of(questionnaire, visit.run)))

    def _form(self, template: str, visit: _Visit, *, status: int = 200, **values: Any) -> HTTPResponse:
        _, questionnaire = runs.questionnaire_of(self._programs, visit.run)
        return self.render(
            template, visit.clinic, visit.language, status=status, address=visit.address,
            heading=questionnaire.title.in_language(visit.language), **values,
        )  # fmt: skip

    def render(self, template: str, clinic: Clinic, language: str, *, status: int = 200, **values: Any) -> HTTPResponse:
        words = self._words[clinic.id]
        page = self._templates.get_template(template).render(
            clinic=clinic, language=language, words=words[language],
            languages={tag: texts["language_name"] for tag, texts in words.items()}, **values,
        )  # fmt: skip
        return html(page, status=status)

    async def _read_for_flags(self, tenant: str, inbox_id: int) -> None:
        """Wait a moment for the worker's reading, so that guidance is on the very next page."""
        deadline = asyncio.get_running_loop().time() + _SCREENING
        while asyncio.get_running_loop().time() < deadline:
            async with self._database.begin(tenant) as session:
                if await session.scalar(select(Inbox.screened_at).where(Inbox.id == inbox_id)) is not None:
                    return
            await asyncio.sleep(_GLANCE)


def _step(questionnaire: Questionnaire, session: Session) -> str:
    """Names the question as it waits now: another name after every answer, taken or not."""
    current = session.current
    if current is None:
        return ""
    row = "-".join(map(str, current.row))
    return f"{current.link_id}.{row}.{current.framing}.{current.attempt}.{current.asides}.{len(session.given)}"


def _back(visit: _Visit, *, saved: bool = False) -> HTTPResponse:
    """To the page itself, so that loading it again sends nothing twice."""
    asked = [*(["saved=yes"] if saved else []), f"lang={visit.language}"]
    return redirect(f"{visit.address}?{'&'.join(asked)}", status=303)


def _fields(request: Request) -> dict[str, list[str]]:
    form: Mapping[str, list[Any]] = request.form or {}
    return {name: [clean(str(value))[:_LONGEST] for value in values] for name, values in form.items()}


def _date(form: Mapping[str, list[str]]) -> date | None:
    try:
        year, month, day = (int(form[name][0]) for name in ("year", "month", "day"))
        return date(year, month, day)
    except (KeyError, IndexError, ValueError):
        return None
