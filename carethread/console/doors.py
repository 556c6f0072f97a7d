"""Coming and going: the clinic's login form, logging in, logging out."""

from __future__ import annotations

import secrets
from typing import Final

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect

from carethread.clinic import Clinic
from carethread.console.auth import form_token, log_out, same
from carethread.console.people import DEMO_PASSWORD, demo_staff
from carethread.console.site import FORM_COOKIE, SESSION_COOKIE, LoginNeeded, Site, fields, local, login_address

_FORM_LIFE: Final = 3600  # seconds that an open login form stays good


def add(bp: Blueprint, site: Site) -> None:
    """Register the pages."""

    @bp.get("/", name="front")
    async def front(_request: Request) -> HTTPResponse:
        if len(site.clinics) == 1:
            return redirect(f"/staff/{next(iter(site.clinics))}/", status=303)
        clinics = sorted(site.clinics.values(), key=lambda clinic: clinic.name)
        return site.render("front.html", clinics=clinics)

    @bp.get("/<tenant:str>/login", name="login")
    async def form(request: Request, tenant: str) -> HTTPResponse:
        clinic = site.clinic(tenant)
        try:
            await site.visit(request, tenant)
        except LoginNeeded:
            return _form(site, request, clinic)
        return redirect(f"/staff/{tenant}/", status=303)

    @bp.post("/<tenant:str>/login", name="log_in")
    async def log_in(request: Request, tenant: str) -> HTTPResponse:
        clinic, said = site.clinic(tenant), fields(request)
        nonce = request.cookies.get(FORM_COOKIE) or ""
        if not nonce or not same(said.get("csrf", ""), form_token(_secret(site), nonce)):
            return _form(site, request, clinic, wrong="form", email=said.get("email", ""), status=403)
        token = await site.auth.log_in(clinic, said.get("email", ""), said.get("password", ""), now=site.clock())
        if token is None:
            return _form(site, request, clinic, wrong="password", email=said.get("email", ""), status=401)
        response = redirect(local(tenant, said.get("next", "")), status=303)
        site.open_session(response, clinic, token)
        return response

    @bp.post("/<tenant:str>/logout", name="log_out")
    async def leave(request: Request, tenant: str) -> HTTPResponse:
        visit, _ = await site.posted(request, tenant)
        async with site.database.begin(tenant) as session:
            await log_out(session, visit.token, visit.staff, now=visit.now)
        response = redirect(login_address(tenant), status=303)
        site.cookie(response, SESSION_COOKIE, "", visit.clinic, seconds=0)
        return response


def _form(
    site: Site, request: Request, clinic: Clinic, *, wrong: str = "", email: str = "", status: int = 200
) -> HTTPResponse:
    """The form, with a token that only this browser's cookie makes good."""
    nonce = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
    demo = demo_staff(clinic) if site.settings.env == "demo" else ()
    wanted = str(request.args.get("next") or fields(request).get("next") or "")
    response = site.render(
        "login.html",
        status=status,
        clinic=clinic,
        csrf=form_token(_secret(site), nonce),
        wanted=local(clinic.id, wanted),
        wrong=wrong,
        email=email,
        demo=demo,
        demo_password=DEMO_PASSWORD if demo else "",
    )
    site.cookie(response, FORM_COOKIE, nonce, clinic, seconds=_FORM_LIFE)
    return response


def _secret(site: Site) -> str:
    return site.settings.session_secret.get_secret_value()
