"""Tells open pages that something changed, by server-sent events. The event says no more than that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from carethread.console.auth import session_of
from carethread.console.site import LoginNeeded, Site, Visit
from carethread.storage.database import UNAVAILABLE

log = structlog.get_logger()

_BEAT: Final = 15.0  # seconds between signs of life, and between looks at whether the login still stands
_QUIET: Final = 0.15  # seconds in which several changes become one event


def add(bp: Blueprint, site: Site) -> None:
    """Register the stream."""

    @bp.get("/<tenant:str>/events", name="events")
    async def events(request: Request, tenant: str) -> HTTPResponse | None:
        try:
            visit = await site.visit(request, tenant)
        except LoginNeeded:
            return HTTPResponse(status=401)
        stream = await request.respond(content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        with site.updates.tenant(tenant) as changed:
            site.listening.add(changed)
            try:
                # A page that was away may have missed something.
                await stream.send("retry: 2000\nevent: change\ndata:\n\n")
                while not site.stopping:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), _BEAT)
                    if changed.is_set():
                        await asyncio.sleep(_QUIET)
                        changed.clear()
                        await stream.send("event: change\ndata:\n\n")
                        continue
                    if not await _still_logged_in(site, visit):
                        await stream.send("event: ended\ndata:\n\n")
                        break
                    await stream.send(": beat\n\n")
            finally:
                site.listening.discard(changed)
        await stream.eof()
        return None


async def _still_logged_in(site: Site, visit: Visit) -> bool:
    try:
        async with site.database.begin(visit.clinic.id) as session:
            return await session_of(session, visit.token, now=site.clock(), active=False) is not None
    except UNAVAILABLE as error:
        # A database that is away for a moment logs nobody out.
        log.warning("staff_stream_unchecked", error=type(error).__name__)
        return True
