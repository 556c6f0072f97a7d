"""What every staff page shares: who is looking, what a form must carry, and the headers that keep a page to itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

from sanic import HTTPResponse, Request
from sanic.response import html

from carethread.clinic import Clinic, Clinics
from carethread.config import Settings
from carethread.console.auth import LIFETIME, Authenticator, same, session_of
from carethread.console.templating import environment
from carethread.dialogue.content import ContentStore
from carethread.messaging.updates import Updates
from carethread.programs.library import Programs
from carethread.safety.reading import load_reading
from carethread.storage.database import Database
from carethread.storage.models import Staff

SESSION_COOKIE: Final = "carethread_staff"
FORM_COOKIE: Final = "carethread_staff_form"
# Sent by a page that refreshes itself: it is answered without a redirect and does not keep the session awake.
BACKGROUND: Final = "X-Background"

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Parts(Protocol):
    """What the console needs of the process it runs in."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clinics(self) -> Clinics: ...
    @property
    def database(self) -> Database: ...
    @property
    def updates(self) -> Updates: ...


class LoginNeeded(Exception):
    """Nobody is logged in at this clinic."""

    def __init__(self, tenant: str, *, background: bool) -> None:
        super().__init__("login needed")
        self.tenant = tenant
        self.background = background


class Refused(Exception):
    """A form that did not come from a page of ours."""


class NoPage(Exception):
    """Nothing to see at this address; `visit` is None where nobody is logged in."""

    def __init__(self, visit: Visit | None = None) -> None:
        super().__init__("no such page")
        self.visit = visit


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody of the staff, logged in, at a moment. Their clinic is the only tenant this request can reach."""

    clinic: Clinic
    staff: Staff
    csrf: str
    token: str
    now: datetime


class Site:
    """The parts, the clock and the templates, with the checks that each request passes."""

    def __init__(self, parts: Parts, programs: Programs, clock: Callable[[], datetime]) -> None:
        self.programs = programs
        self.database = parts.database
        self.clinics = parts.clinics
        self.updates = parts.updates
        self.settings = parts.settings
        self.clock = clock
        self.content = ContentStore(
            parts.settings.content_dir,
            facts=parts.clinics.shared_facts(),
            reading=load_reading(parts.settings.content_dir / "reading.yml"),
        )
        self.auth = Authenticator(parts.database, demo=not parts.settings.production)
        self.secure = parts.settings.public_url.startswith("https://")
        # Pages that listen now, to be let go when the process stops.
        self.listening: set[asyncio.Event] = set()
        self.stopping = False
        self._templates = environment()

    def let_go(self) -> None:
        """End every open stream, so that the process can stop at once."""
        self.stopping = True
        for changed in tuple(self.listening):
            changed.set()

    def clinic(self, tenant: str) -> Clinic:
        if (clinic := self.clinics.get(tenant)) is None:
            raise NoPage
        return clinic

    async def visit(self, request: Request, tenant: str) -> Visit:
        """Who is looking. Raises `LoginNeeded` without a session that belongs to `tenant`, `NoPage`."""
        clinic, now = self.clinic(tenant), self.clock()
        background = in_background(request)
        token = request.cookies.get(SESSION_COOKIE) or ""
        if token:
            async with self.database.begin(tenant) as session:
                found = await session_of(session, token, now=now, active=not background)
            if found:
                login, staff = found
                return Visit(clinic, staff, login.csrf, token, now)
        raise LoginNeeded(tenant, background=background)

    async def posted(self, request: Request, tenant: str) -> tuple[Visit, dict[str, str]]:
        """Who sent a form, and what it says. Raises `Refused` when the form does not carry the session's token."""
        visit = await self.visit(request, tenant)
        form = fields(request)
        if not same(form.get("csrf", ""), visit.csrf):
            raise Refused
        return visit, form

    def render(self, template: str, visit: Visit | None = None, *, status: int = 200, **values: Any) -> HTTPResponse:
        page = self._templates.get_template(template).render(
            visit=visit, env=self.settings.env, nonce=secrets.token_urlsafe(12), **values
        )
        return html(page, status=status)

    def protect(self, request: Request, response: HTTPResponse) -> None:
        """Headers of every answer: nothing of ours may be framed, sniffed, kept or run from elsewhere."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if self.secure:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        # A file's address changes with what is in it.
        kept = "/_static/" in request.path and response.status == 200
        response.headers["Cache-Control"] = "public, max-age=86400" if kept else "no-store"

    def open_session(self, response: HTTPResponse, clinic: Clinic, token: str) -> None:
        """The session's cookie: only for this clinic's staff pages, never for scripts."""
        self.cookie(response, SESSION_COOKIE, token, clinic, seconds=int(LIFETIME.total_seconds()))

    def cookie(self, response: HTTPResponse, name: str, value: str, clinic: Clinic, *, seconds: int) -> None:
        response.add_cookie(
            name, value, path=f"/staff/{clinic.id}", max_age=seconds, httponly=True, samesite="Lax", secure=self.secure
        )


def in_background(request: Request) -> bool:
    """Whether a page asks by itself, with nobody having done anything."""
    return BACKGROUND in request.headers or request.headers.get("accept") == "text/event-stream"


def fields(request: Request) -> dict[str, str]:
    """The form's fields, each once, as text."""
    form: Mapping[str, list[str]] = request.form or {}
    return {name: values[0] for name, values in form.items() if values}


def login_address(tenant: str, wanted: str | None = None) -> str:
    return f"/staff/{tenant}/login" + (f"?next={quote(wanted, safe='')}" if wanted else "")


def local(tenant: str, wanted: str) -> str:
    """Where to go after the login: a page of this clinic's, or its inbox. Never another site."""
    home = f"/staff/{tenant}/"
    safe = wanted.startswith(home) and "//" not in wanted and "\\" not in wanted and wanted.isprintable()
    return wanted if safe else home
