"""The staff pages as one Sanic blueprint below `/staff`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from sanic import Blueprint, HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import redirect, text

from carethread.console import deeds, doors, live, pages
from carethread.console.site import LoginNeeded, NoPage, Parts, Refused, Site, login_address
from carethread.console.templating import STATIC
from carethread.programs.library import Programs

log = structlog.get_logger()


def blueprint(core: Parts, programs: Programs, clock: Callable[[], datetime]) -> Blueprint:
    """The staff inbox over the process's parts. `clock` gives the present, with a time zone."""
    bp = Blueprint("staff", url_prefix="/staff")
    site = Site(core, programs, clock)
    bp.static("/_static", STATIC, name="static")
    for part in (doors, pages, deeds, live):
        part.add(bp, site)

    async def protect(request: Request, response: HTTPResponse) -> None:
        site.protect(request, response)

    async def login(request: Request, error: LoginNeeded) -> HTTPResponse:
        if error.background:
            return text("", status=401)
        wanted = request.path + (f"?{request.query_string}" if request.query_string else "")
        return redirect(login_address(error.tenant, wanted if request.method == "GET" else None), status=303)

    async def refused(_request: Request, _error: Refused) -> HTTPResponse:
        return site.render("refused.html", status=403)

    async def no_page(_request: Request, error: NoPage) -> HTTPResponse:
        return site.render("missing.html", error.visit, status=404)

    async def failed(request: Request, error: Exception) -> HTTPResponse:
        status = error.status_code if isinstance(error, SanicException) else 500
        if status >= 500:
            # The error's own text may hold what a patient wrote.
            log.error("staff_page_failed", endpoint=request.endpoint, error=type(error).__name__)
        return site.render("failed.html", status=status, deed=request.method == "POST")

    async def let_go(_app: Sanic[Any, Any]) -> None:
        site.let_go()

    bp.middleware(protect, "response")
    bp.exception(LoginNeeded)(login)
    bp.exception(Refused)(refused)
    bp.exception(NoPage)(no_page)
    bp.exception(Exception)(failed)
    bp.before_server_stop(let_go)
    return bp
