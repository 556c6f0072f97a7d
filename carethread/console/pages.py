"""What staff read: the inbox, the conversations, one thread."""

from __future__ import annotations

import uuid
from typing import Any, Final

from sanic import Blueprint, HTTPResponse, Request

from carethread.console.site import NoPage, Site, Visit, in_background
from carethread.console.views import VIEWS, View, in_view, page, resolved, talks, unresolved
from carethread.escalation.audit import record
from carethread.escalation.errors import Missing
from carethread.programs.runs import so_far

_THREAD: Final = 200  # messages shown at first
_WHOLE_THREAD: Final = 5000


def add(bp: Blueprint, site: Site) -> None:
    """Register the pages."""

    @bp.get("/<tenant:str>/", name="inbox")
    async def inbox(request: Request, tenant: str) -> HTTPResponse:
        visit = await site.visit(request, tenant)
        view: View = next((name for name in VIEWS if name == request.args.get("view")), "team")
        async with site.database.begin(tenant) as session:
            everything = await unresolved(session, visit.clinic, visit.now)
            closed = await resolved(session, visit.clinic, visit.now) if view == "resolved" else []
        views = {name: [item for item in everything if in_view(item, name, visit.staff)] for name in VIEWS}
        return site.render(
            "inbox.html",
            visit,
            view=view,
            items=closed if view == "resolved" else views[view],
            counts={name: len(items) for name, items in views.items() if name != "resolved"},
            waiting=sum(item.state == "open" for item in views["team"]),
        )

    @bp.get("/<tenant:str>/conversations", name="conversations")
    async def conversations(request: Request, tenant: str) -> HTTPResponse:
        visit = await site.visit(request, tenant)
        async with site.database.begin(tenant) as session:
            rows = await talks(session, visit.clinic, visit.now)
        return site.render("conversations.html", visit, talks=rows)

    @bp.get("/<tenant:str>/conversations/<conversation_id:uuid>", name="thread")
    async def one(request: Request, tenant: str, conversation_id: uuid.UUID) -> HTTPResponse:
        visit = await site.visit(request, tenant)
        if not in_background(request):
            async with site.database.begin(tenant) as session:
                record(session, visit.staff, "conversation.view", f"conversation:{conversation_id}", visit.now)
        limit = _WHOLE_THREAD if request.args.get("whole") else _THREAD
        return await thread_page(site, visit, conversation_id, limit=limit, notice=str(request.args.get("done") or ""))


async def thread_page(
    site: Site,
    visit: Visit,
    conversation_id: uuid.UUID,
    *,
    status: int = 200,
    limit: int = _THREAD,
    notice: str = "",
    **problem: Any,
) -> HTTPResponse:
    """One conversation; with `problem`, why the last deed was not done (and the draft, which is not lost)."""
    try:
        async with site.database.begin(visit.clinic.id) as session:
            shown = await page(session, visit.clinic, conversation_id, visit.now, limit=limit)
            forms = await so_far(session, site.programs, conversation_id, "en")
    except Missing as missing:
        raise NoPage(visit) from missing
    values = {"trouble": "", "draft": "", "holder": None, "since": None, "length": 0, **problem}
    return site.render("thread.html", visit, status=status, page=shown, forms=forms, notice=notice, **values)
